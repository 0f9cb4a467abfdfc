"""Delivery of later versions: updates at the kept places, and what is read back where they are refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from service.adapters.database import Database
from service.fhir.models import model_issues
from service.records import outbox
from service.records.delivery import Delivery
from service.records.outbox import Letter, Reason, State
from service.records.ports import Answer, AnswerLost
from service.records.read_back import says_the_same
from tests.unit.records.samples import (
    IDS,
    Clock,
    Request,
    ScriptedServer,
    acceptance,
    answer,
    confirming,
)

GONE = answer(410, "deleted")
STALE = answer(412, "not this version")


@pytest.fixture(params=["transactions", "single requests"])
def singly(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "single requests")


class RecordingServer(ScriptedServer):
    """A FHIR server that keeps what it is sent, with versions, as far as deliveries need one.

    Its script goes before: an answer of it stands in for its own, and nothing is kept then.
    """

    def __init__(self, *, takes_transactions: bool = True) -> None:
        super().__init__()
        self.takes_transactions = takes_transactions
        self.kept: dict[str, dict[str, Any]] = {}
        self._is_losing = False

    @contextmanager
    def answers_lost(self) -> Iterator[None]:
        """While it lasts, what is written is kept, and the answer does not arrive."""
        self._is_losing = True
        yield
        self._is_losing = False

    def send(self, method: str, path: str, body: dict[str, Any] | None = None, headers: Any = None) -> Answer:
        if path == "metadata":
            code = "transaction" if self.takes_transactions else "batch"
            return Answer(200, {}, {"resourceType": "CapabilityStatement", "rest": [{"interaction": [{"code": code}]}]})
        if self.script:
            return super().send(method, path, body, headers)
        self.requests.append(Request(method, path, body, headers or {}))
        told = self._single(method, path, body or {}, headers or {}) if path else self._transaction(body or {})
        if self._is_losing and method != "GET":
            raise AnswerLost("reset")
        return told

    def _transaction(self, bundle: dict[str, Any]) -> Answer:
        before = dict(self.kept)
        locations: dict[str, str] = {}
        entries = []
        for entry in bundle["entry"]:
            request = entry["request"]
            headers = {"If-Match": request.get("ifMatch"), "If-None-Exist": request.get("ifNoneExist")}
            told = self._single(request["method"], request["url"], entry["resource"], headers)
            if told.status >= 400:
                self.kept = before
                return told
            locations[entry["fullUrl"]] = told.headers["location"].partition("/_history")[0]
            response = {"status": str(told.status), **told.headers}
            entries.append({"response": response})
        self.kept = {place: _resolved(one, locations) for place, one in self.kept.items()}
        return confirming(entries)

    def _single(self, method: str, path: str, body: dict[str, Any], headers: Any) -> Answer:
        kind = path.partition("?")[0].partition("/")[0]
        if method == "GET":
            if "?" not in path:
                return Answer(200, {}, self.kept[path]) if path in self.kept else GONE
            found = [one for one in self.kept.values() if one["resourceType"] == kind and _identity(one) in path]
            return Answer(200, {}, {"resourceType": "Bundle", "entry": [{"resource": one} for one in found]})
        if method == "POST":
            there = [place for place, one in self.kept.items() if _identity(one) == _identity(body)]
            if there:
                return self._told(200, there[0])
            place = f"{kind}/{len(self.kept) + 1}"
            return self._keep(201, place, body, 1)
        if path not in self.kept:
            return GONE
        version = int(self.kept[path]["meta"]["versionId"])
        if headers.get("If-Match") not in (None, f'W/"{version}"'):
            return STALE
        return self._keep(200, path, body, version + 1)

    def _keep(self, status: int, place: str, body: dict[str, Any], version: int) -> Answer:
        meta = {**body.get("meta", {}), "versionId": str(version)}
        self.kept[place] = {**body, "id": place.partition("/")[2], "meta": meta}
        return self._told(status, place)

    def _told(self, status: int, place: str) -> Answer:
        version = self.kept[place]["meta"]["versionId"]
        return Answer(status, {"location": f"{place}/_history/{version}", "etag": f'W/"{version}"'}, None)

    def change(self, kind: str, **elements: Any) -> str:
        """What someone else does to the first resource of this type; where that stands."""
        place = next(place for place, one in self.kept.items() if one["resourceType"] == kind)
        self._keep(200, place, {**self.kept[place], **elements}, int(self.kept[place]["meta"]["versionId"]) + 1)
        return place

    def versions(self) -> dict[str, list[str]]:
        """The versions of the resources of each type."""
        found: dict[str, list[str]] = {}
        for one in self.kept.values():
            found.setdefault(one["resourceType"], []).append(one["meta"]["versionId"])
        return found


def _identity(resource: dict[str, Any]) -> str:
    tags = resource.get("meta", {}).get("tag", [])
    return str(next(iter([one["value"] for one in resource.get("identifier", [])] + [one["code"] for one in tags])))


def _resolved(value: Any, locations: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _resolved(child, locations) for name, child in value.items()}
    if isinstance(value, list):
        return [_resolved(child, locations) for child in value]
    return locations.get(value, value) if isinstance(value, str) else value


@pytest.fixture
def server(singly: bool) -> RecordingServer:
    return RecordingServer(takes_transactions=not singly)


def accept(store: Database, clock: Clock, server: ScriptedServer, **said: Any) -> None:
    """The next version of the one response of these tests."""
    newest = store.stored(IDS[0])
    before = () if newest is None else store.record(IDS[0], newest.version)
    status = "completed" if newest is None else "amended"
    store.accept(acceptance(clock(), server.base_url, after=before, **{"status": status, **said}))


@pytest.fixture(autouse=True)
def first(store: Database, clock: Clock, server: RecordingServer, delivery: Delivery) -> None:
    """A first version was delivered."""
    accept(store, clock, server)
    delivery.run_once()
    assert [letter.state for letter in store.letters()] == [State.DELIVERED]
    server.requests.clear()


def newest_letter(store: Database) -> Letter:
    return store.letters()[-1]


FIRST = {"QuestionnaireResponse": ["1"], "Observation": ["1", "1"], "Condition": ["1"], "Provenance": ["1"]}
AMENDED = {
    "QuestionnaireResponse": ["2"],
    "Observation": ["2", "1"],
    "Condition": ["1"],
    "Provenance": ["1", "1"],
}


class TestUpdates:
    def test_only_what_changed_is_sent_to_its_place_if_it_is_as_it_was_left(
        self, store: Database, clock: Clock, server: RecordingServer, delivery: Delivery, singly: bool
    ) -> None:
        accept(store, clock, server, muscle="arm")
        delivery.run_once()
        assert newest_letter(store).state is State.DELIVERED
        assert server.versions() == AMENDED
        if singly:
            told = [(one.method, one.path, one.headers.get("If-Match")) for one in server.sent]
            assert told[:2] == [
                ("PUT", "QuestionnaireResponse/1", 'W/"1"'),
                ("PUT", "Observation/2", 'W/"1"'),
            ]
            return
        [request] = server.sent
        assert model_issues(request.body) == []
        told = [(one["request"]["method"], one["request"]["url"]) for one in request.body["entry"]]
        assert told == [("PUT", "QuestionnaireResponse/1"), ("PUT", "Observation/2"), ("POST", "Provenance")]
        assert [one["request"].get("ifMatch") for one in request.body["entry"]] == ['W/"1"', 'W/"1"', None]
        response, finding, why = (one["resource"] for one in request.body["entry"])
        assert (response["id"], finding["id"]) == ("1", "2")
        assert finding["derivedFrom"] == [{"reference": "QuestionnaireResponse/1"}]
        assert [one["reference"] for one in why["target"]] == ["QuestionnaireResponse/1", "Observation/2"]

    def test_what_is_no_longer_said_and_what_is_new(
        self, store: Database, clock: Clock, server: RecordingServer, delivery: Delivery
    ) -> None:
        accept(store, clock, server, illness=None)
        accept(store, clock, server, muscle=None, illness="cramp")
        for _ in range(2):
            delivery.run_once()
        assert [letter.state for letter in store.letters()] == [State.DELIVERED] * 3
        (condition,) = [one for one in server.kept.values() if one["resourceType"] == "Condition"]
        assert (condition["code"], "clinicalStatus" in condition) == ({"text": "cramp"}, True)
        assert [one["status"] for one in server.kept.values() if one["resourceType"] == "Observation"] == [
            "entered-in-error",
            "final",
        ]

    def test_the_places_and_versions_answered_are_kept_for_the_next_version(
        self, store: Database, clock: Clock, server: RecordingServer, delivery: Delivery
    ) -> None:
        for muscle in ("arm", "foot", "hand"):
            accept(store, clock, server, muscle=muscle)
            delivery.run_once()
        assert [letter.state for letter in store.letters()] == [State.DELIVERED] * 4
        assert all(one.method != "GET" for one in server.sent)
        kept = {one.location: one.etag for one in store.placements(server.base_url, IDS[0])}
        assert (kept["QuestionnaireResponse/1"], kept["Observation/2"]) == ('W/"4"', 'W/"4"')

    def test_a_retraction_reaches_all(
        self, store: Database, clock: Clock, server: RecordingServer, delivery: Delivery
    ) -> None:
        accept(store, clock, server, status="entered-in-error")
        delivery.run_once()
        assert newest_letter(store).state is State.DELIVERED
        assert {"final", "completed"}.isdisjoint(one.get("status") for one in server.kept.values())


class TestReadBack:
    def test_our_own_work_whose_answer_was_lost_is_success(
        self,
        store: Database,
        clock: Clock,
        server: RecordingServer,
        delivery: Delivery,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        accept(store, clock, server, muscle="arm", illness="cramp")
        with server.answers_lost():
            delivery.run_once()
        assert newest_letter(store).state is State.PENDING
        clock.advance(minutes=1)
        delivery.run_once()
        assert newest_letter(store).state is State.DELIVERED
        assert server.versions() == {**AMENDED, "Condition": ["2"]}

    @pytest.mark.parametrize(
        "change",
        [
            {"note": [{"text": "Seen today"}]},
            {"code": {"text": "something else"}},
            {"text": {"status": "additional", "div": "<div>Seen today</div>"}},
            {"subject": {"reference": "Patient/2"}},
        ],
    )
    def test_a_change_of_anybody_elses_is_a_conflict_that_names_the_resource(
        self, store: Database, clock: Clock, server: RecordingServer, delivery: Delivery, change: dict[str, Any]
    ) -> None:
        place = server.change("Condition", **change)
        accept(store, clock, server, illness="cramp")
        delivery.run_once()
        letter = newest_letter(store)
        assert letter.problem is not None
        assert (letter.state, letter.problem.reason) == (State.DEAD, Reason.CONFLICT)
        assert f"{place} was changed on the server by someone else" in letter.problem.text
        assert change.items() <= server.kept[place].items()

    def test_what_was_deleted_is_a_conflict(
        self, store: Database, clock: Clock, server: RecordingServer, delivery: Delivery
    ) -> None:
        place = next(place for place in server.kept if place.startswith("Condition"))
        del server.kept[place]
        accept(store, clock, server, illness="cramp")
        delivery.run_once()
        letter = newest_letter(store)
        assert letter.problem is not None
        assert (letter.state, letter.problem.reason) == (State.DEAD, Reason.CONFLICT)
        assert f"{place} was deleted" in letter.problem.text

    def test_a_new_version_that_says_the_same_is_no_conflict(
        self, store: Database, clock: Clock, server: RecordingServer, delivery: Delivery
    ) -> None:
        place = server.change("Condition", meta={"versionId": "1", "security": [{"code": "R"}]})
        accept(store, clock, server, illness="cramp")
        delivery.run_once()
        assert newest_letter(store).state is State.DELIVERED
        assert (server.kept[place]["code"], server.kept[place]["meta"]["versionId"]) == ({"text": "cramp"}, "3")

    def test_a_place_without_a_known_version_is_looked_at_first(
        self, store: Database, clock: Clock, server: RecordingServer, delivery: Delivery, first: None
    ) -> None:
        [letter] = store.letters()
        unknown = [replace(one, etag=None) for one in store.placements(server.base_url, IDS[0])]
        store.change(letter, letter, placements=unknown)
        place = server.change("Condition", note=[{"text": "Seen today"}])
        accept(store, clock, server, illness="cramp")
        delivery.run_once()
        assert newest_letter(store).state is State.DEAD
        assert place in newest_letter(store).problem.text  # type: ignore[union-attr]
        assert all(one.method == "GET" for one in server.sent)


class TestDiscarded:
    """An earlier version was given up."""

    @pytest.mark.parametrize("arrived", [False, True])
    def test_a_later_version_brings_what_it_would_have_brought(
        self, store: Database, clock: Clock, server: RecordingServer, delivery: Delivery, arrived: bool
    ) -> None:
        accept(store, clock, server, muscle="arm")
        if arrived:
            with server.answers_lost():
                delivery.run_once()
        given_up = newest_letter(store)
        store.change(given_up, outbox.discarded(given_up, "sent by post", clock()))
        accept(store, clock, server, muscle="arm", illness="cramp")
        delivery.run_once()
        assert newest_letter(store).state is State.DELIVERED
        (finding, _) = [one for one in server.kept.values() if one["resourceType"] == "Observation"]
        assert (finding["valueString"], finding["meta"]["versionId"]) == ("arm", "2")
        assert sorted(server.versions()["Provenance"]) == ["1", "1", "1"]

    def test_what_never_arrived_is_created(
        self, store: Database, clock: Clock, server: RecordingServer, delivery: Delivery
    ) -> None:
        server.kept.clear()
        elsewhere = "https://other.example/fhir"
        store.accept(acceptance(clock(), elsewhere, IDS[1]))
        [letter] = [one for one in store.letters() if one.target == elsewhere]
        store.change(letter, replace(outbox.discarded(letter, "", clock()), target=server.base_url))
        before = store.record(IDS[1], 1)
        store.accept(acceptance(clock(), server.base_url, IDS[1], after=before, muscle="arm", status="amended"))
        delivery.run_once()
        assert newest_letter(store).state is State.DELIVERED
        assert server.versions() == {**FIRST, "Provenance": ["1", "1"]}


@pytest.mark.parametrize(
    ("sent", "found", "same"),
    [
        ({"reference": "Observation/5"}, {"reference": "https://ehr.example/fhir/Observation/5/_history/2"}, True),
        ({"reference": "Observation/5"}, {"reference": "Observation/15"}, False),
        ({"reference": "Patient?identifier=a"}, {"reference": "Patient/42"}, True),
        ({"div": "<div><p>A &amp; B</p></div>"}, {"div": '<div xmlns="x">\n <p>A &#38; B</p></div>'}, True),
        ({"div": "<div>A</div>"}, {"div": "<div>B</div>"}, False),
        ({"value": [1, 2]}, {"value": [1]}, False),
        ({"value": "a"}, {"value": "a", "note": "b"}, False),
        ({"value": "a", "note": "b"}, {"value": "a"}, False),
        ({"id": "a"}, {"id": "b"}, False),
        ({"resourceType": "Observation", "id": "a"}, {"resourceType": "Observation", "meta": {}}, True),
    ],
)
def test_what_counts_as_the_same(sent: dict[str, Any], found: dict[str, Any], same: bool) -> None:
    assert says_the_same(sent, found) is same


def test_an_update_may_be_answered_without_its_place(
    store: Database, clock: Clock, server: RecordingServer, delivery: Delivery, singly: bool
) -> None:
    if singly:
        answers = [Answer(200, {}, None)] * 2 + [Answer(201, {"location": "Provenance/9"}, None)]
    else:
        entries = [{"response": {"status": "200"}}] * 2
        answers = [confirming([*entries, {"response": {"status": "201", "location": "Provenance/9"}}])]
    accept(store, clock, server, muscle="arm")
    server.script.extend(answers)
    delivery.run_once()
    assert newest_letter(store).state is State.DELIVERED
    assert ("Observation/2", None) in [(one.location, one.etag) for one in store.placements(server.base_url, IDS[0])]


def test_an_update_answered_with_another_place_is_odd(
    store: Database, clock: Clock, server: RecordingServer, delivery: Delivery, singly: bool
) -> None:
    wrong = Answer(200, {"location": "QuestionnaireResponse/77"}, None)
    entry = {"response": {"status": "200", "location": "QuestionnaireResponse/77"}}
    accept(store, clock, server, muscle="arm")
    server.script.append(wrong if singly else confirming([entry] * 3))
    delivery.run_once()
    assert newest_letter(store).problem.reason is Reason.ODD_ANSWER  # type: ignore[union-attr]


@pytest.mark.parametrize("singly", [False])
def test_more_than_one_of_ours_is_a_conflict(
    store: Database, clock: Clock, server: RecordingServer, delivery: Delivery
) -> None:
    accept(store, clock, server, muscle="arm")
    with server.answers_lost():
        delivery.run_once()
    newest = next(one for one in reversed(server.kept.values()) if one["resourceType"] == "Provenance")
    server.kept["Provenance/77"] = {**newest, "id": "77"}
    clock.advance(minutes=1)
    delivery.run_once()
    problem = newest_letter(store).problem
    assert problem is not None
    assert problem.reason is Reason.CONFLICT
    assert "The server has 2 of Provenance?" in problem.text
