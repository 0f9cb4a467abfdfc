"""Earlier responses of the same patient to the same page, as facts read them in `%previous`.

Whether there is one is a fact about this service's record and no answer of the patient: none is an honest "none here".
"""

from __future__ import annotations

from collections.abc import Iterable

from service.fhir.json import Json
from service.fhir.primitives import is_datetime
from service.fhir.spans import span
from service.sdc.validation import COMPLETE_STATUSES


def looked_back_at(response: Json, others: Iterable[Json]) -> tuple[Json, ...]:
    """Those of `others`, responses of the same subject as they stand now, that the facts of `response` read.

    They are complete, authored before it, and another response; the newest authored comes first. A response that is not
    complete itself looks back at none.
    """
    authored = response.get("authored")
    if not (looks_back(response) and isinstance(authored, str) and is_datetime(authored)):
        return ()
    before = span(authored)[0]
    found = [
        one
        for one in others
        if one["status"] in COMPLETE_STATUSES and one["id"] != response.get("id") and _end(one) <= before
    ]
    return tuple(sorted(found, key=_end, reverse=True))


def looks_back(response: Json) -> bool:
    """Whether it is judged with earlier responses: a draft is not, until it is complete."""
    return response["status"] in COMPLETE_STATUSES


def _end(response: Json) -> int:
    return span(response["authored"])[1]
