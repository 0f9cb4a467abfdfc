"""What every store finds of a patient's earlier responses, for rules that look back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from service.packs import Pack
from service.records.latest_answers import earlier_answers
from service.records.ports import Store
from tests.contract.test_store import SamplePack, acceptance, response


def page(*look_back: str) -> Pack:
    """The sample page, with these facts that look back."""
    return cast(Pack, SimpleNamespace(url=SamplePack.url, questionnaire=SimpleNamespace(look_back={*look_back})))


def accept(store: Store, id_: str, day: int, **elements: Any) -> None:
    version = elements.pop("version", "1")
    meta = {"versionId": version, "lastUpdated": "2026-03-15T09:00:00.000Z"}
    store.accept(acceptance(response(id_, authored=f"2026-03-{day:02}T10:00:00+01:00", meta=meta, **elements)))


def ids(store: Store, of: dict[str, Any], *look_back: str) -> list[str]:
    return [one["id"] for one in earlier_answers(store, page("before", *look_back), of)]


def test_the_same_patients_complete_responses_the_newest_authored_first(store: Store) -> None:
    accept(store, "middle", 9, status="amended")
    accept(store, "old", 2, questionnaire=f"{SamplePack.url}|0.9")
    accept(store, "new", 14)
    accept(store, "same-day", 15)
    accept(store, "later", 20)
    accept(store, "draft", 10, status="in-progress")
    accept(store, "withdrawn", 10, status="entered-in-error")
    accept(store, "another-patient", 10, subject={"reference": "Patient/2"})
    accept(store, "another-page", 10, questionnaire="https://pages.example/Questionnaire/rash|1.0.0")
    assert ids(store, response("now")) == ["new", "middle", "old"]
    assert ids(store, response("new", authored="2026-03-18")) == ["same-day", "middle", "old"]


def test_a_response_counts_as_it_stands_now(store: Store) -> None:
    accept(store, "moved", 2)
    accept(store, "withdrawn", 2)
    accept(store, "moved", 20, version="2", status="amended")
    accept(store, "withdrawn", 2, version="2", status="entered-in-error")
    assert ids(store, response("now")) == []


def test_at_most_fifty_are_looked_at(store: Store) -> None:
    for number in range(52):
        accept(store, f"r{number}", 1)
    assert len(ids(store, response("now"))) == 50


def test_a_patient_known_by_an_identifier_has_earlier_responses_too(store: Store) -> None:
    whose = {"identifier": {"system": "urn:people", "value": "7"}}
    accept(store, "old", 2, subject=whose)
    assert ids(store, response("now", subject=whose)) == ["old"]


@pytest.mark.parametrize(
    ("of", "pack"),
    [
        (response(subject=None), page("before")),
        (response(), page()),
        (response(status="in-progress"), page("before")),
    ],
    ids=["nobody is named", "no fact looks back", "a draft"],
)
def test_no_store_is_asked_where_nothing_looks_back(of: dict[str, Any], pack: Pack) -> None:
    nobody = cast(Store, None)
    assert earlier_answers(nobody, pack, of) == ()
