"""Telling the operator's system of an urgent result, by a webhook (https://www.standardwebhooks.com).

What is told is that there is such a result, of which page and level, and where it is read: no answer and no patient.
Whoever is told reads the rest here, with their own rights. A notice may arrive twice, with the same `webhook-id`.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Final

from service.fhir.json import Json, dumps
from service.fhir.primitives import instant
from service.records.identity import resource_id
from service.records.outbox import WEBHOOK, Letter, Problem, Reason
from service.records.ports import Answer, AnswerLost, Clock, Jitter, Placement, Store, Stored, Unreachable, Webhook
from service.records.setback import Course, Setback, answer_lost, refusal, unreachable
from service.records.worker import LeaseLost, Worker

EVENT: Final = "response.urgent"

# What speaks of the address and not of one notice: a redirect is not followed, and nobody is there.
_NOBODY_THERE: Final = frozenset({301, 302, 303, 307, 308, 404, 410})


class Notifier(Worker):
    """A worker that posts notices to `webhook`, signed with `key`.

    `summary_address` gives where the summary of a response by its id is read; None where that is not known.
    """

    def __init__(
        self,
        store: Store,
        webhook: Webhook,
        key: bytes,
        summary_address: Callable[[str], str | None],
        clock: Clock,
        jitter: Jitter,
        owner: str,
        *,
        lease: timedelta = timedelta(minutes=5),
        at_most: int | None = None,
    ) -> None:
        super().__init__(store, WEBHOOK, clock, jitter, owner, lease=lease, at_most=at_most)
        self._webhook = webhook
        self._key = key
        self._summary_address = summary_address

    def _bring(self, letter: Letter) -> tuple[Placement, ...]:
        stored = self._store.stored(letter.response_id, letter.version)
        if stored is None:
            # It was purged since, and its letters with it.
            raise LeaseLost
        content = dumps(notice(letter, stored, self._summary_address(letter.response_id))).encode()
        sent_at = int(self._clock().timestamp())
        signed = signature_headers(notice_id(letter), sent_at, content, self._key)
        try:
            answer = self._webhook.post(content, {"Content-Type": "application/json", **signed})
        except Unreachable as fault:
            raise unreachable(fault) from fault
        except AnswerLost as fault:
            raise answer_lost(fault) from fault
        if answer.status // 100 != 2:
            raise _setback(answer)
        return ()


def notice(letter: Letter, stored: Stored, summary: str | None) -> Json:
    """The body of the notice that `letter` is: `stored` is its response, `summary` the address of its summary."""
    level = stored.triage["valueCodeableConcept"]["coding"][0]
    data: Json = {
        "response": f"QuestionnaireResponse/{letter.response_id}",
        "version": str(letter.version),
        "questionnaire": stored.resource["questionnaire"],
        "level": {name: level[name] for name in ("system", "code", "display") if name in level},
    }
    if summary is not None:
        data["summary"] = summary
    return {"type": EVENT, "timestamp": instant(letter.created_at), "data": data}


def notice_id(letter: Letter) -> str:
    """The same at every try."""
    return resource_id(letter.response_id, WEBHOOK, letter.version)


def signature_headers(message_id: str, sent_at: int, content: bytes, key: bytes) -> dict[str, str]:
    """The headers by which a receiver knows the sender; `sent_at` in seconds since 1970."""
    signed = f"{message_id}.{sent_at}.".encode() + content
    signature = b64encode(hmac.digest(key, signed, sha256)).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(sent_at), "webhook-signature": f"v1,{signature}"}


def _setback(answer: Answer) -> Setback:
    if answer.status in _NOBODY_THERE:
        text = f"Nobody takes notices at the webhook's address: it answered {answer.status}."
        return Setback(Course.HOLD, Problem(Reason.WRONG_ADDRESS, text, answer.status))
    told = refusal(answer)
    problem = replace(told.problem, text=f"The webhook answered {answer.status}.", outcome=None)
    return Setback(told.course, problem, told.retry_after)
