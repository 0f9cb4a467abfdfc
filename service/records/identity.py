"""Who a resource of ours is, on every server and at every try: a UUID of what it was made from.

RFC 9562 version 5. It stands as `identifier` on Observation and Condition, and as `meta.tag` on whatever has no
identifier that is ours to set (Provenance has none in R4; a QuestionnaireResponse's belongs to its sender). Conditional
creates search it, so that a Bundle sent twice makes nothing twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from service.fhir.json import Json
from service.records.searchable import token_query

IDENTITY_SYSTEM: Final = "https://symptom-intake.example/fhir/identity"
"""The system of our identifiers and tags."""

_NAMESPACE: Final = uuid5(NAMESPACE_URL, IDENTITY_SYSTEM)
_IDENTIFIED: Final = frozenset({"Observation", "Condition"})


def resource_id(response_id: str, *made_from: str | int | None) -> str:
    """The id of the resource of response `response_id` that was made from `made_from`; the same at every call."""
    return str(uuid5(_NAMESPACE, json.dumps([response_id, *made_from])))


def identified(resource: Json, id: str) -> Json:  # noqa: A002
    """`resource` with `id`, and with the identity that `identity_query` finds; what else it carries is kept.

    Another identity of ours is not kept: a response read from a record and sent again carries that of the first one,
    and whoever searches for that must not find two.
    """
    resource = {"resourceType": resource["resourceType"], "id": id} | {
        name: value for name, value in resource.items() if name not in ("resourceType", "id")
    }
    if resource["resourceType"] in _IDENTIFIED:
        resource["identifier"] = [*_foreign(resource.get("identifier", [])), {"system": IDENTITY_SYSTEM, "value": id}]
        return resource
    meta = resource.get("meta", {})
    resource["meta"] = {**meta, "tag": [*_foreign(meta.get("tag", [])), {"system": IDENTITY_SYSTEM, "code": id}]}
    return resource


def _foreign(elements: Sequence[Json]) -> list[Json]:
    """The identifiers or tags that are not of our system."""
    return [one for one in elements if one.get("system") != IDENTITY_SYSTEM]


def identity_query(resource_type: str, id: str) -> str:  # noqa: A002
    """The search that finds on any server the resource of ours with `id`."""
    return token_query("identifier" if resource_type in _IDENTIFIED else "_tag", IDENTITY_SYSTEM, id)
