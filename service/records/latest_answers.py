"""What a patient answered to a page, whichever version of it they were asked by."""

from __future__ import annotations

from typing import Final

from service.fhir.json import Json
from service.records.evaluation import RESPONSE_TYPE
from service.records.ports import Store
from service.records.search import EVERYTHING, Bounds, PatientCriterion, Query, TermCriterion, TermTest
from service.records.searchable import span
from service.records.succession import RETRACTED, STATUSES

_LOOKED_AT: Final = 50
_STANDING: Final = tuple(TermTest(status, None) for status in STATUSES if status != RETRACTED)


def latest_answers(store: Store, page_url: str, subject: str, within: Bounds = EVERYTHING) -> list[Json]:
    """The patient's responses to any version of the page at `page_url`, drafts included, the latest authored first.

    `subject` is the patient as searches know them; retracted responses, and those beyond `within`, are left out.
    """
    criteria = (
        PatientCriterion((subject,)),
        TermCriterion("questionnaire", (TermTest(page_url, None),)),
        TermCriterion("status", _STANDING),
    )
    query = Query(RESPONSE_TYPE, criteria, count=_LOOKED_AT, newest_first=True, within=within)
    return sorted(store.search(query).matches, key=lambda one: span(one["authored"]), reverse=True)
