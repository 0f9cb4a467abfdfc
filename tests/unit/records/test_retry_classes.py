"""What becomes of a letter and its target after every kind of answer, and after none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from service.adapters.database import Database
from service.records import outbox
from service.records.delivery import Delivery
from service.records.outbox import Reason, State
from service.records.ports import AnswerLost, Unreachable
from service.records.setback import retry_after
from tests.unit.records.samples import IDS, MRN, Clock, ScriptedServer, acceptance, answer, only_letter, outcome, worker

pytestmark = pytest.mark.usefixtures("accepted")


class TestRetryClasses:
    @pytest.mark.parametrize("status", [408, 500, 501, 507])
    def test_errors_of_the_server_are_tried_again_later(
        self, delivery: Delivery, server: ScriptedServer, store: Database, clock: Clock, status: int
    ) -> None:
        server.script.extend([answer(status, "oops")] * (2 if status == 501 else 1))
        delivery.run_once()
        letter = only_letter(store)
        assert (letter.state, letter.attempts) == (State.PENDING, 1)
        assert letter.due_at == clock() + timedelta(seconds=2)
        assert letter.problem.outcome == outcome("oops")  # type: ignore[union-attr]
        clock.advance(seconds=2)
        delivery.run_once()
        assert only_letter(store).state is State.DELIVERED

    def test_after_twelve_errors_a_letter_is_dead_and_can_be_retried(
        self, delivery: Delivery, server: ScriptedServer, store: Database, clock: Clock
    ) -> None:
        server.script.extend([answer(500, "oops")] * 12)
        for _ in range(12):
            delivery.run_once()
            clock.advance(hours=1)
        dead = only_letter(store)
        assert (dead.state, dead.problem.reason) == (State.DEAD, Reason.SERVER_ERROR)  # type: ignore[union-attr]
        assert delivery.run_once() is None
        store.change(dead, outbox.retried(dead, clock()))
        delivery.run_once()
        assert only_letter(store).state is State.DELIVERED

    @pytest.mark.parametrize("status", [409, 412])
    def test_the_loser_of_a_race_tries_at_once(
        self, delivery: Delivery, server: ScriptedServer, store: Database, clock: Clock, status: int
    ) -> None:
        server.script.extend([answer(status, "race")] * 4)
        for attempt in (1, 2, 3):
            delivery.run_once()
            assert (only_letter(store).attempts, only_letter(store).due_at) == (attempt, clock())
        delivery.run_once()
        assert only_letter(store).due_at == clock() + timedelta(seconds=16)

    @pytest.mark.parametrize("status", [400, 404, 410, 413, 422])
    def test_any_other_refusal_is_a_dead_letter_with_the_servers_words(
        self, delivery: Delivery, server: ScriptedServer, store: Database, status: int
    ) -> None:
        server.script.extend([answer(status, "HAPI-0450: bad")] * (2 if status == 404 else 1))
        delivery.run_once()
        letter = only_letter(store)
        assert (letter.state, letter.problem.reason) == (State.DEAD, Reason.REFUSED)  # type: ignore[union-attr]
        assert letter.problem.outcome == outcome("HAPI-0450: bad")  # type: ignore[union-attr]
        assert f"{status}: error: HAPI-0450: bad" in letter.problem.text  # type: ignore[union-attr]

    def test_a_reference_that_the_target_lacks_is_named(
        self, delivery: Delivery, server: ScriptedServer, store: Database
    ) -> None:
        text = "HAPI-1094: Resource Practitioner/9 not found, specified in path: QuestionnaireResponse.author"
        server.script.append(answer(400, text))
        delivery.run_once()
        problem = only_letter(store).problem
        assert problem is not None
        assert problem.reason is Reason.MISSING_REFERENCE
        assert problem.text.startswith("The server lacks Practitioner/9.")

    @pytest.mark.parametrize("status", [404, 412])
    def test_a_patient_that_the_target_lacks_is_named(
        self, delivery: Delivery, server: ScriptedServer, store: Database, clock: Clock, status: int
    ) -> None:
        delivery.run_once()
        store.accept(acceptance(clock(), server.base_url, IDS[1], subject=MRN))
        text = r'HAPI-1091: Invalid match URL "Patient?identifier=urn:mrn|a\,1" - no match'
        server.script.append(answer(status, text))
        delivery.run_once()
        problem = store.letters(State.DEAD)[0].problem
        assert problem is not None
        assert problem.reason is Reason.MISSING_REFERENCE

    @pytest.mark.parametrize(
        ("scene", "reason"),
        [
            (Unreachable("refused"), Reason.UNREACHABLE),
            (answer(429, "slow down"), Reason.BUSY),
            (answer(502), Reason.BUSY),
            (answer(503, "starting"), Reason.BUSY),
            (answer(504), Reason.BUSY),
            (answer(401, "who?"), Reason.UNAUTHORISED),
            (answer(403, "not you"), Reason.UNAUTHORISED),
            (answer(302, location="https://login.example/"), Reason.NOT_FHIR),
        ],
    )
    def test_what_is_no_letters_fault_holds_the_target_and_counts_nothing(
        self, delivery: Delivery, server: ScriptedServer, store: Database, clock: Clock, scene: Any, reason: Reason
    ) -> None:
        store.accept(acceptance(clock(), server.base_url, IDS[1]))
        server.script.append(scene)
        delivery.run_once()
        target = store.target(server.base_url)
        assert (target.failures, target.held_until) == (1, clock() + timedelta(seconds=2))
        assert target.problem is not None
        assert target.problem.reason is reason
        assert [(letter.state, letter.attempts) for letter in store.letters()] == [(State.PENDING, 0)] * 2
        assert delivery.run_once() is None
        clock.advance(seconds=2)
        assert delivery.run_once().letter.response_id == IDS[1]  # type: ignore[union-attr]
        assert store.targets() == ()
        delivery.run_once()
        assert [letter.state for letter in store.letters()] == [State.DELIVERED] * 2

    def test_a_weekend_without_the_server_makes_no_dead_letter(
        self, delivery: Delivery, server: ScriptedServer, store: Database, clock: Clock
    ) -> None:
        monday = clock() + timedelta(days=3)
        while clock() < monday:
            server.metadata.append(Unreachable("refused"))
            delivery.run_once()
            clock.advance(hours=1)
        assert (only_letter(store).state, only_letter(store).attempts) == (State.PENDING, 0)
        server.metadata.clear()
        delivery.run_once()
        assert only_letter(store).state is State.DELIVERED

    @pytest.mark.parametrize(
        ("header", "waits"),
        [
            ("120", timedelta(seconds=120)),
            ("Sun, 15 Mar 2026 09:10:00 GMT", timedelta(minutes=10)),
            ("999999999999", timedelta(hours=1)),
            ("soon", timedelta(seconds=2)),
        ],
    )
    def test_retry_after_is_honoured(
        self, delivery: Delivery, server: ScriptedServer, store: Database, clock: Clock, header: str, waits: timedelta
    ) -> None:
        server.script.append(answer(503, "wait", retry_after=header))
        delivery.run_once()
        assert store.target(server.base_url).held_until == clock() + waits

    def test_a_lost_answer_means_the_same_bytes_again_without_end(
        self, delivery: Delivery, server: ScriptedServer, store: Database, clock: Clock
    ) -> None:
        server.script.extend([AnswerLost("reset")] * 15)
        for _ in range(15):
            delivery.run_once()
            clock.advance(hours=1)
        assert (only_letter(store).state, only_letter(store).attempts) == (State.PENDING, 0)
        assert store.targets() == ()
        delivery.run_once()
        assert only_letter(store).state is State.DELIVERED
        assert len({request.text for request in server.sent}) == 1

    def test_what_the_model_refuses_is_not_sent(self, store: Database, server: ScriptedServer, clock: Clock) -> None:
        store.accept(acceptance(clock(), server.base_url, IDS[1], authored="yesterday"))
        delivery = worker(store, server, clock)
        delivery.run_once()
        delivery.run_once()
        [dead] = store.letters(State.DEAD)
        assert dead.response_id == IDS[1]
        assert dead.problem is not None
        assert dead.problem.reason is Reason.INVALID_RESOURCE
        assert "Bundle.entry[0].resource.authored" in dead.problem.text
        assert dead.problem.outcome is not None
        assert len(server.sent) == 1


@pytest.mark.parametrize(
    ("value", "waits"),
    [
        (None, None),
        (" 7 ", timedelta(seconds=7)),
        ("Sun, 15 Mar 2026 09:01:00 GMT", timedelta(minutes=1)),
        ("Sun, 15 Mar 2026 08:00:00 GMT", timedelta()),
        ("Sun, 15 Mar 2026 09:01:00 -0000", None),
        ("-3", None),
        ("", None),
    ],
)
def test_retry_after_in_both_its_forms(clock: Clock, value: str | None, waits: timedelta | None) -> None:
    assert retry_after(value, clock()) == waits
