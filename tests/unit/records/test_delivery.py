"""Who answers at the URL, what a crash leaves behind, and what is logged."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest

from service.adapters.database import Database
from service.errors import Unavailable
from service.records.delivery import Delivery
from service.records.outbox import Letter, Reason, State
from service.records.ports import Answer
from tests.unit.records.samples import IDS, Clock, ScriptedServer, acceptance, answer, confirming, only_letter, worker

pytestmark = pytest.mark.usefixtures("accepted")


class TestWhoAnswers:
    @pytest.mark.parametrize(
        "metadata",
        [
            answer(404),
            answer(404, "no such operation"),
            Answer(200, {"content-type": "text/html"}, None),
            Answer(200, {}, {"hello": "world"}),
            answer(301),
        ],
    )
    def test_without_a_capability_statement_nothing_is_sent(
        self, delivery: Delivery, server: ScriptedServer, store: Database, metadata: Answer
    ) -> None:
        server.metadata.append(metadata)
        delivery.run_once()
        assert server.sent == []
        assert store.target(server.base_url).problem.reason is Reason.NOT_FHIR  # type: ignore[union-attr]
        assert (only_letter(store).state, only_letter(store).attempts) == (State.PENDING, 0)

    @pytest.mark.parametrize(
        "scene",
        [
            answer(404),
            answer(405),
            answer(400),
            Answer(413, {"content-type": "text/html"}, None),
            Answer(200, {"content-type": "text/html; charset=utf-8"}, None),
        ],
    )
    def test_an_answer_that_is_no_fhir_blames_the_letter_only_where_a_fhir_server_stands(
        self, delivery: Delivery, server: ScriptedServer, store: Database, scene: Answer
    ) -> None:
        server.script.append(scene)
        server.metadata.extend([server.send("GET", "metadata"), answer(404)])
        delivery.run_once()
        assert store.target(server.base_url).problem.reason is Reason.NOT_FHIR  # type: ignore[union-attr]
        assert only_letter(store).state is State.PENDING

    def test_a_page_that_a_fhir_server_answers_with_is_odd(
        self, delivery: Delivery, server: ScriptedServer, store: Database
    ) -> None:
        server.script.append(Answer(200, {"content-type": "text/html"}, None))
        delivery.run_once()
        assert only_letter(store).problem.reason is Reason.ODD_ANSWER  # type: ignore[union-attr]

    def test_a_refusal_without_words_where_a_fhir_server_stands_is_a_dead_letter(
        self, delivery: Delivery, server: ScriptedServer, store: Database
    ) -> None:
        server.script.append(answer(413))
        delivery.run_once()
        assert only_letter(store).state is State.DEAD
        assert "413: without an OperationOutcome" in only_letter(store).problem.text  # type: ignore[union-attr]

    def test_capability_is_read_once_and_again_after_a_fault(
        self, delivery: Delivery, server: ScriptedServer, store: Database, clock: Clock
    ) -> None:
        for number in (1, 2):
            store.accept(acceptance(clock(), server.base_url, IDS[number]))
        server.script.extend([confirming([]), answer(503)])
        for _ in range(5):
            delivery.run_once()
            clock.advance(minutes=5)
        paths = [request.path for request in server.requests]
        assert [letter.state for letter in store.letters()] == [State.DELIVERED] * 3
        assert paths.count("metadata") == 3


class TestCrashes:
    def test_a_crash_between_answer_and_mark_sends_the_same_bytes(
        self, store: Database, server: ScriptedServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        delivery = worker(store, server, clock)

        def crash(*_: object, **__: object) -> bool:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(store, "change", crash)
            with pytest.raises(KeyboardInterrupt):
                delivery.run_once()
        successor = worker(store, server, clock, "successor")
        assert successor.run_once() is None
        clock.advance(minutes=5)
        report = successor.run_once()
        assert report is not None
        assert report.letter.state is State.DELIVERED
        first, second = server.sent
        assert first.text == second.text

    def test_a_worker_that_slept_over_its_lease_does_not_overwrite(
        self, store: Database, server: ScriptedServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow, quick = worker(store, server, clock, "slow"), worker(store, server, clock, "quick")
        deliver, naps = server.send, [6]

        def slept(*request: Any) -> Answer:
            if request[1] == "" and naps:
                clock.advance(minutes=naps.pop())
                server.script.append(answer(400, "too late"))
                assert quick.run_once().letter.state is State.DEAD  # type: ignore[union-attr]
            return deliver(*request)

        monkeypatch.setattr(server, "send", slept)
        report = slow.run_once()
        assert report is not None
        assert report.recorded is False
        assert only_letter(store).state is State.DEAD
        assert only_letter(store).problem.status == 400  # type: ignore[union-attr]
        assert store.placements(server.base_url, IDS[0]) == ()

    def test_what_is_given_back_under_way_is_taken_at_once(
        self, store: Database, server: ScriptedServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ending, successor = worker(store, server, clock, "ending"), worker(store, server, clock, "successor")
        deliver, ends = server.send, [ending]

        def released(*request: Any) -> Answer:
            if request[1] == "" and ends:
                ends.pop().release()
                assert successor.run_once().letter.state is State.DELIVERED  # type: ignore[union-attr]
            return deliver(*request)

        monkeypatch.setattr(server, "send", released)
        late = ending.run_once()
        assert late is not None
        assert late.recorded is False
        assert (only_letter(store).state, only_letter(store).attempts) == (State.DELIVERED, 1)

    def test_nothing_is_given_back_where_nothing_is_under_way(self, store: Database, delivery: Delivery) -> None:
        delivery.run_once()
        delivery.release()
        assert only_letter(store).state is State.DELIVERED

    def test_the_loop_outlives_an_unavailable_database(
        self, store: Database, delivery: Delivery, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stop = Event()
        lease, calls = store.lease, []

        def flaky(*arguments: Any) -> Letter | None:
            calls.append(arguments)
            if len(calls) == 1:
                raise Unavailable([], retry_after_seconds=0)
            letter: Letter | None = lease(*arguments)
            if letter is None:
                stop.set()
            return letter

        monkeypatch.setattr(store, "lease", flaky)
        delivery.run(stop, idle_seconds=0)
        assert only_letter(store).state is State.DELIVERED
        assert len(calls) == 3

    def test_logs_name_the_reason_and_never_quote(
        self, delivery: Delivery, server: ScriptedServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.script.append(answer(422, "Jane Doe is wrong"))
        with caplog.at_level("INFO"):
            delivery.run_once()
        assert "dead, refused, status 422" in caplog.text
        assert "Jane" not in caplog.text
