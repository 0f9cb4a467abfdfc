"""Drafts: who may open one, and how steps that are kept at the same time end in one right state."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from service.adapters.database import Database
from service.bootstrap import utc_now
from service.errors import PreconditionFailed
from service.packs import Pack, load_packs, shipped_pages
from service.records.drafts import Drafts, draft_id, unknown_person
from service.records.library import Library
from service.records.population import Population
from service.records.submission import Intake

KEY = "a key"
ID = draft_id(KEY)
Json = dict[str, Any]


@pytest.fixture(scope="module")
def page() -> Pack:
    return load_packs(shipped_pages() / "muscle-fasciculation")[0]


@pytest.fixture
def drafts(page: Pack, store: Database) -> Drafts:
    library = Library((page,), ())
    intake = Intake(library, store, utc_now, lambda: "unused", None)
    return Drafts(intake, store, Population(library, utc_now, None, lambda: 0.0), utc_now)


@pytest.fixture
def blank(page: Pack) -> Json:
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": page.canonical,
        "status": "in-progress",
        "subject": unknown_person(ID),
        "authored": "2026-03-15",
    }


def authored(day: str) -> Any:
    """A change that says when the draft was authored."""
    return lambda response: {**response, "authored": day}


def test_an_id_is_a_uuid_that_only_its_key_gives() -> None:
    assert draft_id(KEY) == ID
    assert draft_id("another key") != ID
    assert len(ID) == 36
    assert ID[14] == "4"


def test_a_change_is_made_to_what_is_kept(drafts: Drafts, blank: Json) -> None:
    drafts.revise(ID, blank, authored("2026-03-16"))
    receipt = drafts.revise(ID, blank, lambda response: response)
    assert (receipt.version_id, receipt.response["authored"]) == ("2", "2026-03-16")


def test_a_change_is_made_again_when_another_came_between(drafts: Drafts, blank: Json) -> None:
    drafts.revise(ID, blank, authored("2026-03-16"))
    seen = []

    def change(response: Json) -> Json:
        seen.append(response["authored"])
        if len(seen) == 1:
            drafts.revise(ID, blank, authored("2026-03-17"))
        return {**response, "authored": "2026-03-18"}

    assert drafts.revise(ID, blank, change).version_id == "3"
    assert seen == ["2026-03-16", "2026-03-17"]


def test_a_draft_that_is_never_left_alone_is_given_up(drafts: Drafts, blank: Json) -> None:
    def change(response: Json) -> Json:
        drafts.revise(ID, blank, authored("2026-03-17"))
        return response

    with pytest.raises(PreconditionFailed):
        drafts.revise(ID, blank, change)


def test_a_complete_response_is_not_tried_again(drafts: Drafts, blank: Json) -> None:
    drafts.revise(ID, blank, lambda response: {**response, "status": "entered-in-error"})
    tries = []

    def change(response: Json) -> Json:
        tries.append(response)
        return response

    with pytest.raises(PreconditionFailed):
        drafts.revise(ID, blank, change)
    assert len(tries) == 1


def test_a_population_that_fails_is_told_without_its_texts(
    drafts: Drafts, page: Pack, blank: Json, caplog: pytest.LogCaptureFixture
) -> None:
    other = {**blank, "subject": {"reference": "Patient/Zaphod"}}
    assert drafts.propose(page, other) is not None
    assert "a first answer for a form is missing" in caplog.text
    assert "Zaphod" not in caplog.text


def test_an_unknown_person_has_no_record_to_ask(drafts: Drafts, page: Pack, blank: Json) -> None:
    population = Population(drafts.population.pages, utc_now, lambda: nullcontext(None), lambda: 0.0)  # type: ignore[arg-type]
    proposal = Drafts(drafts.intake, drafts.store, population, utc_now).propose(page, blank)
    assert proposal is not None
    assert not any("answer" in node for group in proposal["item"] for node in group["item"])
