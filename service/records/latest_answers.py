"""What a patient answered to a page, whichever version of it they were asked by."""

from __future__ import annotations

from typing import Final

from service.fhir.json import Json
from service.fhir.spans import span
from service.packs import Pack
from service.records.evaluation import RESPONSE_TYPE
from service.records.ports import Store
from service.records.search import (
    EVERYTHING,
    Bounds,
    PatientCriterion,
    Prefix,
    Query,
    SpanCriterion,
    SpanTest,
    TermCriterion,
    TermTest,
)
from service.records.searchable import subject_key
from service.records.succession import AMENDED, COMPLETED, DRAFT
from service.sdc.look_back import looked_back_at, looks_back

_LOOKED_AT: Final = 50
_STANDING: Final = tuple(TermTest(status, None) for status in (DRAFT, COMPLETED, AMENDED))


def latest_answers(store: Store, page_url: str, subject: str, within: Bounds = EVERYTHING) -> list[Json]:
    """The patient's responses to any version of the page at `page_url`, drafts included, the latest authored first.

    `subject` is the patient as searches know them; retracted responses, and those beyond `within`, are left out.
    """
    return _latest(store, page_url, subject, (TermCriterion("status", _STANDING),), within)


def earlier_answers(store: Store, pack: Pack, response: Json) -> tuple[Json, ...]:
    """The patient's earlier responses to any version of the page, which the facts of `response` read; at most 50.

    None of a draft, where nobody is said to be the patient, and where no fact of the page looks back: then no store is
    asked.
    """
    subject = subject_key(response.get("subject"))
    if subject is None or not (pack.questionnaire.look_back and looks_back(response)):
        return ()
    status = TermCriterion("status", _STANDING[1:])
    before = SpanCriterion("authored", (SpanTest(Prefix.EB, *span(response["authored"])),))
    return looked_back_at(response, _latest(store, pack.url, subject, (status, before), EVERYTHING))


def _latest(
    store: Store, page_url: str, subject: str, criteria: tuple[TermCriterion | SpanCriterion, ...], within: Bounds
) -> list[Json]:
    whose = PatientCriterion((subject,))
    asked_by = TermCriterion("questionnaire", (TermTest(page_url, None),))
    query = Query(RESPONSE_TYPE, (whose, asked_by, *criteria), count=_LOOKED_AT, newest_first=True, within=within)
    return sorted(store.search(query).matches, key=lambda one: span(one["authored"]), reverse=True)
