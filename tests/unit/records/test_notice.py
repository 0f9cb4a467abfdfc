"""Notices of urgent results: what is told, how it is signed, and what becomes of one that is not taken."""

from __future__ import annotations

import json
from base64 import b64decode
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from service.adapters.database import Database
from service.records.notice import Notifier, signature_headers
from service.records.outbox import WEBHOOK, Reason, State
from service.records.ports import Answer, AnswerLost, Unreachable
from tests.unit.records.samples import IDS, Clock, acceptance, answer, only_letter

KEY = bytes(range(32))
URGENT = {"system": "https://pages.example/level", "code": "urgent", "display": "Now"}


class ScriptedWebhook:
    """Answers by `script`, with 204 when that is at its end."""

    def __init__(self) -> None:
        self.script: deque[Answer | Exception] = deque()
        self.taken: list[tuple[bytes, Mapping[str, str]]] = []

    def post(self, content: bytes, headers: Mapping[str, str]) -> Answer:
        self.taken.append((content, headers))
        scene = self.script.popleft() if self.script else answer(204)
        if isinstance(scene, Exception):
            raise scene
        return scene


@pytest.fixture
def webhook() -> ScriptedWebhook:
    return ScriptedWebhook()


@pytest.fixture
def notifier(store: Database, webhook: ScriptedWebhook, clock: Clock) -> Notifier:
    """One urgent result waits to be told."""
    urgent = acceptance(clock(), WEBHOOK)
    triage = {**urgent.stored.triage, "valueCodeableConcept": {"coding": [URGENT], "text": "Now"}}
    store.accept(replace(urgent, stored=replace(urgent.stored, triage=triage)))
    return Notifier(store, webhook, KEY, lambda id_: f"https://here.example/{id_}", clock, lambda: 0.0, "worker")


def test_a_notice_tells_where_the_result_is_and_no_more(
    notifier: Notifier, webhook: ScriptedWebhook, store: Database
) -> None:
    notifier.run_once()
    [(content, headers)] = webhook.taken
    assert json.loads(content) == {
        "type": "response.urgent",
        "timestamp": "2026-03-15T09:00:00.000Z",
        "data": {
            "response": f"QuestionnaireResponse/{IDS[0]}",
            "version": "1",
            "questionnaire": "https://pages.example/q|1.0",
            "level": URGENT,
            "summary": f"https://here.example/{IDS[0]}",
        },
    }
    assert headers["Content-Type"] == "application/json"
    assert only_letter(store).state is State.DELIVERED


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification's own libraries."""
    key = b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signature_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', key)
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_each_try_has_the_same_id_and_body_and_a_time_of_its_own(
    notifier: Notifier, webhook: ScriptedWebhook, clock: Clock, store: Database
) -> None:
    webhook.script.extend([answer(500), AnswerLost("the connection broke")])
    for _ in range(3):
        notifier.run_once()
        clock.advance(hours=1)
    contents, headers = zip(*webhook.taken, strict=True)
    assert len(set(contents)) == 1
    assert len({one["webhook-id"] for one in headers}) == 1
    assert [int(one["webhook-timestamp"]) - int(headers[0]["webhook-timestamp"]) for one in headers] == [0, 3600, 7200]
    assert only_letter(store).state is State.DELIVERED


@pytest.mark.parametrize(
    ("scene", "state", "reason", "is_held"),
    [
        (Unreachable("the connection was refused or failed"), State.PENDING, Reason.UNREACHABLE, True),
        (AnswerLost("the connection broke"), State.PENDING, Reason.NO_ANSWER, False),
        (answer(503, retry_after="30"), State.PENDING, Reason.BUSY, True),
        (answer(401), State.PENDING, Reason.UNAUTHORISED, True),
        (answer(404), State.PENDING, Reason.WRONG_ADDRESS, True),
        (answer(410), State.PENDING, Reason.WRONG_ADDRESS, True),
        (answer(302), State.PENDING, Reason.WRONG_ADDRESS, True),
        (answer(500), State.PENDING, Reason.SERVER_ERROR, False),
        (answer(400), State.DEAD, Reason.REFUSED, False),
    ],
)
def test_what_is_not_taken_waits_or_is_kept_for_people(
    notifier: Notifier,
    webhook: ScriptedWebhook,
    store: Database,
    scene: Any,
    state: State,
    reason: Reason,
    is_held: bool,
) -> None:
    webhook.script.append(scene)
    notifier.run_once()
    letter = only_letter(store)
    assert letter.problem is not None
    assert (letter.state, letter.problem.reason) == (state, reason)
    assert "FHIR" not in letter.problem.text
    assert "OperationOutcome" not in letter.problem.text
    assert (store.target(WEBHOOK).held_until is not None) is is_held


def test_what_was_purged_meanwhile_is_not_told(notifier: Notifier, webhook: ScriptedWebhook, store: Database) -> None:
    store.stored = lambda *named: None  # type: ignore[method-assign]
    report = notifier.run_once()
    assert report is not None
    assert not report.recorded
    assert webhook.taken == []
