"""Delivery by the right of a launch: each letter with its own patient's grant, and what waits for the next launch."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.adapters.database import Database
from service.records.delivery import Delivery
from service.records.ehr import Launch
from service.records.outbox import GRANT_PATIENCE, Letter, Reason, State
from service.records.ports import FhirServer
from tests.unit.records.samples import IDS, Clock, ScriptedServer, acceptance, answer, only_letter


class Granted:
    """Gives the server for a letter while there is a grant."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server: ScriptedServer | None = server
        self.asked: list[str] = []

    def __call__(self, letter: Letter) -> FhirServer | None:
        self.asked.append(letter.response_id)
        return self.server


@pytest.fixture
def granted(server: ScriptedServer) -> Granted:
    return Granted(server)


@pytest.fixture
def delivery(store: Database, server: ScriptedServer, clock: Clock, granted: Granted) -> Delivery:
    return Delivery(store, server, clock, lambda: 0.0, "worker", servers=granted)


def test_references_to_the_ehr_are_its_own(
    delivery: Delivery, store: Database, server: ScriptedServer, clock: Clock
) -> None:
    subject = {"reference": f"{server.base_url}/Patient/1"}
    elsewhere = {"reference": "https://other.example/fhir/Practitioner/9"}
    store.accept(acceptance(clock(), server.base_url, subject=subject, author=elsewhere))
    delivery.run_once()
    [sent] = server.sent
    for entry in sent.body["entry"]:
        assert entry["resource"].get("subject", {"reference": "Patient/1"}) == {"reference": "Patient/1"}
    assert sent.body["entry"][0]["resource"]["author"] == elsewhere
    # Our own record still says which EHR is meant.
    assert store.read("QuestionnaireResponse", IDS[0])["subject"] == subject  # type: ignore[index]


def test_without_a_grant_it_waits_and_holds_nobody_up(
    delivery: Delivery, store: Database, server: ScriptedServer, clock: Clock, granted: Granted
) -> None:
    store.accept(acceptance(clock(), server.base_url))
    granted.server = None
    delivery.run_once()
    letter = only_letter(store)
    assert (letter.state, letter.attempts, letter.due_at) == (State.PENDING, 0, clock() + GRANT_PATIENCE)
    assert letter.problem is not None
    assert letter.problem.reason is Reason.NOT_GRANTED
    assert "next launch" in letter.problem.text
    assert store.targets() == ()
    assert server.requests == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_grant_that_is_refused_waits_as_well(
    delivery: Delivery, store: Database, server: ScriptedServer, clock: Clock, status: int
) -> None:
    store.accept(acceptance(clock(), server.base_url))
    server.script.append(answer(status))
    delivery.run_once()
    problem = only_letter(store).problem
    assert problem is not None
    assert (problem.reason, problem.status) == (Reason.NOT_GRANTED, status)
    assert store.target(server.base_url).held_until is None


def test_an_outage_still_holds_the_ehr(
    delivery: Delivery, store: Database, server: ScriptedServer, clock: Clock
) -> None:
    store.accept(acceptance(clock(), server.base_url))
    server.script.append(answer(503))
    delivery.run_once()
    assert store.target(server.base_url).held_until is not None


def test_the_patients_next_launch_makes_it_due_at_once(
    delivery: Delivery, store: Database, server: ScriptedServer, clock: Clock, granted: Granted
) -> None:
    store.keep_launch(Launch(IDS[0], server.base_url, "1", clock()))
    store.accept(acceptance(clock(), server.base_url))
    granted.server = None
    delivery.run_once()
    clock.advance(hours=1)
    assert delivery.run_once() is None
    store.keep_grant("other", server.base_url, "2", "sealed", clock())
    assert delivery.run_once() is None
    store.keep_grant("ours", server.base_url, "1", "sealed", clock())
    granted.server = server
    delivery.run_once()
    assert only_letter(store).state is State.DELIVERED


def test_without_another_launch_it_is_tried_again_after_a_day(
    delivery: Delivery, store: Database, server: ScriptedServer, clock: Clock, granted: Granted
) -> None:
    store.accept(acceptance(clock(), server.base_url))
    granted.server = None
    delivery.run_once()
    clock.now += GRANT_PATIENCE + timedelta(seconds=1)
    granted.server = server
    delivery.run_once()
    assert only_letter(store).state is State.DELIVERED
