"""Delivery to a server without transactions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from urllib.parse import unquote

import pytest

from service.adapters.database import Database
from service.fhir.models import model_issues
from service.records.delivery import Delivery
from service.records.identity import IDENTITY_SYSTEM
from service.records.outbox import Reason, State
from service.records.ports import Answer
from tests.unit.records.samples import IDS, MRN, Clock, ScriptedServer, acceptance, answer, only_letter, worker

pytestmark = pytest.mark.usefixtures("accepted")


class Played(deque[Answer | Exception]):
    """A script that is written while it is played."""

    def __init__(self, answers: Iterator[Answer]) -> None:
        super().__init__([Answer(500, {}, None)])
        self._answers = answers

    def popleft(self) -> Answer:
        return next(self._answers)


class TestSingleRequests:
    @pytest.fixture(autouse=True)
    def _no_transactions(self, server: ScriptedServer) -> None:
        statement = {"resourceType": "CapabilityStatement", "rest": [{"interaction": [{"code": "batch"}]}]}
        server.metadata.extend([Answer(200, {}, statement)] * 4)

    def created(self, kind: str, number: int, status: int = 201) -> Answer:
        location = f"https://ehr.example/fhir/{kind}/{number}/_history/3"
        return Answer(status, {"location": location, "etag": 'W/"3"'}, None)

    def script(self) -> list[Answer]:
        kinds = ["QuestionnaireResponse", "Observation", "Observation", "Condition", "Provenance"]
        return [self.created(kind, number) for number, kind in enumerate(kinds, 10)]

    def test_one_conditional_create_each_in_dependency_order(
        self, delivery: Delivery, server: ScriptedServer, store: Database
    ) -> None:
        server.script.extend(self.script())
        delivery.run_once()
        assert only_letter(store).state is State.DELIVERED
        kinds = [request.path for request in server.sent]
        assert kinds == ["QuestionnaireResponse", "Observation", "Observation", "Condition", "Provenance"]
        for request in server.sent:
            assert request.method == "POST"
            assert IDENTITY_SYSTEM in unquote(request.headers["If-None-Exist"])
            assert model_issues(request.body) == []
        _, finding, _, illness, made = (request.body for request in server.sent)
        assert finding["derivedFrom"] == [{"reference": "QuestionnaireResponse/10"}]
        assert illness["evidence"] == [{"detail": [{"reference": "Observation/11"}]}]
        assert [one["reference"] for one in made["target"]] == ["Observation/11", "Observation/12", "Condition/13"]
        placed = {one.location: one.etag for one in store.placements(server.base_url, IDS[0])}
        assert placed["Condition/13"] == 'W/"3"'
        assert len(placed) == 5

    def test_taken_up_after_a_fault_with_the_same_identities(
        self, delivery: Delivery, server: ScriptedServer, store: Database, clock: Clock
    ) -> None:
        server.script.extend([*self.script()[:2], answer(500, "oops"), *self.script()])
        delivery.run_once()
        clock.advance(seconds=2)
        delivery.run_once()
        assert only_letter(store).state is State.DELIVERED
        first, again = server.sent[:2], server.sent[3:5]
        assert [(one.text, one.headers) for one in first] == [(one.text, one.headers) for one in again]

    def test_a_slow_server_does_not_cost_the_lease(
        self, delivery: Delivery, server: ScriptedServer, store: Database, clock: Clock
    ) -> None:
        second = worker(store, ScriptedServer(), clock, "second")
        reports = []

        def slow() -> Iterator[Answer]:
            for created in self.script():
                clock.advance(minutes=4)
                reports.append(second.run_once())
                yield created

        server.script = Played(slow())
        delivery.run_once()
        assert reports == [None] * 5
        assert only_letter(store).state is State.DELIVERED

    def test_a_worker_that_lost_its_lease_sends_nothing_more(
        self, delivery: Delivery, server: ScriptedServer, store: Database, clock: Clock
    ) -> None:
        successor = worker(store, ScriptedServer(), clock, "successor")

        def frozen() -> Iterator[Answer]:
            created = self.script()[0]
            clock.advance(minutes=6)
            successor.run_once()
            yield created

        server.script = Played(frozen())
        report = delivery.run_once()
        assert report is not None
        assert report.recorded is False
        assert len(server.sent) == 1
        assert only_letter(store).state is State.DELIVERED

    def test_a_location_left_out_is_searched(self, delivery: Delivery, server: ScriptedServer, store: Database) -> None:
        found = {
            "resourceType": "Bundle",
            "entry": [{"resource": {"resourceType": "QuestionnaireResponse", "id": "5"}}],
        }
        server.script.extend([Answer(200, {}, None), Answer(200, {}, found), *self.script()[1:]])
        delivery.run_once()
        search = server.sent[1]
        assert (search.method, unquote(search.path)) == (
            "GET",
            f"QuestionnaireResponse?_tag={IDENTITY_SYSTEM}|{IDS[0]}",
        )
        assert "QuestionnaireResponse/5" in {one.location for one in store.placements(server.base_url, IDS[0])}

    def test_a_location_that_no_search_finds_is_odd(
        self, delivery: Delivery, server: ScriptedServer, store: Database
    ) -> None:
        server.script.extend([Answer(201, {}, None), Answer(200, {}, {"resourceType": "Bundle"})])
        delivery.run_once()
        assert only_letter(store).problem.reason is Reason.ODD_ANSWER  # type: ignore[union-attr]

    def test_the_patient_of_an_identifier_is_looked_up(
        self, delivery: Delivery, server: ScriptedServer, store: Database, clock: Clock
    ) -> None:
        server.script.extend(self.script())
        delivery.run_once()
        store.accept(acceptance(clock(), server.base_url, IDS[1], subject=MRN))
        patient = {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "42"}}]}
        server.script.extend([Answer(200, {}, patient), *self.script()])
        delivery.run_once()
        assert server.sent[5].path == "Patient?identifier=urn%3Amrn%7Ca%5C%2C1"
        assert server.sent[6].body["subject"] == {"reference": "Patient/42", **MRN}
        assert [letter.state for letter in store.letters()] == [State.DELIVERED] * 2

    def test_no_single_patient_is_a_dead_letter(
        self, delivery: Delivery, server: ScriptedServer, store: Database, clock: Clock
    ) -> None:
        server.script.extend(self.script())
        delivery.run_once()
        store.accept(acceptance(clock(), server.base_url, IDS[1], subject=MRN))
        server.script.append(Answer(200, {}, {"resourceType": "Bundle"}))
        delivery.run_once()
        [dead] = store.letters(State.DEAD)
        assert dead.problem is not None
        assert dead.problem.reason is Reason.MISSING_REFERENCE
        assert "0 patients for Patient?identifier=" in dead.problem.text

    @pytest.mark.parametrize("status", [404, 405, 501])
    def test_a_server_that_only_seemed_to_have_transactions(
        self, delivery: Delivery, server: ScriptedServer, store: Database, status: int
    ) -> None:
        server.metadata.clear()
        server.script.extend([answer(status, "no transactions"), *self.script()])
        delivery.run_once()
        assert only_letter(store).state is State.DELIVERED
        assert len(server.sent) == 6

    def test_a_circle_cannot_be_sent(self, store: Database, server: ScriptedServer, clock: Clock) -> None:
        circular = acceptance(clock(), server.base_url, IDS[1])
        first, second = circular.record[:2]
        first["hasMember"] = [{"reference": f"Observation/{second['id']}"}]
        second["hasMember"] = [{"reference": f"Observation/{first['id']}"}]
        store.accept(circular)
        server.script.extend(self.script())
        delivery = worker(store, server, clock)
        delivery.run_once()
        delivery.run_once()
        [dead] = store.letters(State.DEAD)
        assert "in a circle" in dead.problem.text  # type: ignore[union-attr]
