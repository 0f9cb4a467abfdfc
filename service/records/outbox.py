"""The outbox: one letter a response version and target; its states, their transitions, and when to try again.

A target is a FHIR server that the record is brought to, or the operator's webhook, which is told of urgent results.

Pure. A transition takes a letter and gives the letter that follows; a store writes it only where the first one still
stands (`Letter.leases` is the fence), so that a worker whose lease ran out cannot overwrite its successor's work.

    pending ──take──► leased ──delivered──► delivered
       ▲                │
       ├── postponed, failed, conflicted, released ◄──┤
       │                └── buried, or failed too often ──► dead
       └──────────────── retried ◄────────────────────────────┤
                                     pending, dead ──discarded──► discarded

What counts towards the cap of `MAX_ATTEMPTS` are answers (and leases that ran out: a letter must not kill its worker
for ever). A target that is down, busy, or refuses our credentials says nothing about one letter: then the target is
held, letters stay pending, and a weekend's outage makes no dead letter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from service.fhir.json import Json

WEBHOOK: Final = "webhook"
"""The target of notices of urgent results: whatever address is set when they are sent."""

MAX_ATTEMPTS: Final = 12
QUICK_ATTEMPTS: Final = 3
MAX_HOLD: Final = timedelta(hours=1)
CLOCK_TOLERANCE: Final = 2 * MAX_HOLD
"""What was changed further ahead than this, or a hold that ends so, was before the clock was set back: it is due."""
GRANT_PATIENCE: Final = timedelta(days=1)
"""How long a letter rests that waits for a launch; a launch makes it due at once."""


class State(StrEnum):
    """Where a letter stands."""

    PENDING = "pending"
    LEASED = "leased"
    DELIVERED = "delivered"
    DEAD = "dead"
    DISCARDED = "discarded"


UNSETTLED: Final = (State.PENDING, State.LEASED, State.DEAD)
"""The states that a worker or an operator has something to do about; later versions of the response wait meanwhile."""


class Reason(StrEnum):
    """Why a letter is not delivered, or a target is held."""

    UNREACHABLE = "unreachable"
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    UNAUTHORISED = "unauthorised"
    NOT_GRANTED = "not-granted"
    NOT_FHIR = "not-fhir"
    WRONG_ADDRESS = "wrong-address"
    SERVER_ERROR = "server-error"
    ODD_ANSWER = "odd-answer"
    CONFLICT = "conflict"
    REFUSED = "refused"
    MISSING_REFERENCE = "missing-reference"
    INVALID_RESOURCE = "invalid-resource"
    WORKER_LOST = "worker-lost"


class Exhausted(Exception):
    """No attempt is left."""


class IllegalTransition(ValueError):
    """The letter does not stand where this transition begins."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What stood in the way: `text` for people, the HTTP `status` answered, and the server's OperationOutcome."""

    reason: Reason
    text: str
    status: int | None = None
    outcome: Json | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """One version of a response (with the resources extracted from it) on its way to one target.

    `attempts` counts towards `MAX_ATTEMPTS`; `leases` counts every time a worker took the letter; `due_at` is when it
    may be taken; `problem` is the last one; `note` is why an operator discarded it. Times are aware UTC.
    """

    id: int
    response_id: str
    version: int
    target: str
    state: State
    due_at: datetime
    created_at: datetime
    changed_at: datetime
    attempts: int = 0
    leases: int = 0
    leased_by: str | None = None
    leased_until: datetime | None = None
    problem: Problem | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A FHIR server by its base URL, or the webhook. While `held_until` lies ahead nothing is sent; `problem` says why.

    `failures` counts the holds in a row.
    """

    name: str
    failures: int = 0
    held_until: datetime | None = None
    problem: Problem | None = None


def deliveries(letters: Iterable[Letter]) -> tuple[Letter, ...]:
    """Those of `letters` that bring the record to a FHIR server."""
    return tuple(one for one in letters if one.target != WEBHOOK)


Take = Callable[[Letter], Letter]
"""A transition that a store applies to the letter it picks, inside the transaction that picks it."""


def next_attempt(attempts: int, now: datetime, jitter: float) -> datetime:
    """Time of the next delivery attempt (aware UTC).

    now + 2**min(attempts, 10) seconds, times 1..1.5 by `jitter` (0..1), after `attempts` made so far.

    Raises Exhausted after 12 attempts.
    """
    if attempts >= MAX_ATTEMPTS:
        raise Exhausted(f"{attempts} attempts were made")
    return now + _backoff(attempts, 10, jitter)


def hold_until(failures: int, now: datetime, jitter: float, retry_after: timedelta | None = None) -> datetime:
    """Until when a target is left alone (aware UTC) after `failures` holds in a row.

    What the server asked for in Retry-After, an hour at most; else now + 2**min(failures, 8) seconds, times 1..1.5 by
    `jitter` (0..1), so that a server back from an outage is found within six and a half minutes.
    """
    if retry_after is not None:
        return now + min(max(retry_after, timedelta()), MAX_HOLD)
    return now + _backoff(failures, 8, jitter)


def postponed_until(leases: int, now: datetime, jitter: float) -> datetime:
    """When a letter taken `leases` times is due again (aware UTC), if nothing is known but that no answer came.

    As `next_attempt`, but without end: 26 minutes at most between tries.
    """
    return now + _backoff(leases, 10, jitter)


def _backoff(count: int, cap: int, jitter: float) -> timedelta:
    return timedelta(seconds=2 ** min(count, cap) * (1 + jitter / 2))


def take(letter: Letter, owner: str, now: datetime, lease: timedelta) -> Letter:
    """`letter` leased by `owner`; dead instead when its leases ran out too often (its worker died on it each time).

    A lease that ran out counts as an attempt.
    """
    _expect(letter, State.PENDING, State.LEASED)
    attempts = letter.attempts + (letter.state is State.LEASED)
    if attempts >= MAX_ATTEMPTS:
        text = f"The worker was lost or the lease ran out; {attempts} attempts were made."
        problem = Problem(Reason.WORKER_LOST, text)
        return _settled(replace(letter, attempts=attempts), State.DEAD, now, problem)
    return replace(
        letter,
        state=State.LEASED,
        attempts=attempts,
        leases=letter.leases + 1,
        leased_by=owner,
        leased_until=now + lease,
        changed_at=now,
    )


def renewed(letter: Letter, now: datetime, lease: timedelta) -> Letter:
    """`letter` held by its worker for another `lease` from `now`."""
    _expect(letter, State.LEASED)
    return replace(letter, leased_until=now + lease, changed_at=now)


def released(letter: Letter, now: datetime) -> Letter:
    """`letter` given back by a worker that ends, due as it was; nothing is counted."""
    _expect(letter, State.LEASED)
    return _settled(letter, State.PENDING, now, letter.problem)


def delivered(letter: Letter, now: datetime) -> Letter:
    """`letter`, answered entry by entry."""
    _expect(letter, State.LEASED)
    return _settled(replace(letter, attempts=letter.attempts + 1), State.DELIVERED, now, None)


def postponed(letter: Letter, problem: Problem, until: datetime, now: datetime) -> Letter:
    """`letter` pending until `until`; nothing is counted, because the fault is not the letter's."""
    _expect(letter, State.LEASED)
    return _settled(replace(letter, due_at=until), State.PENDING, now, problem)


def failed(letter: Letter, problem: Problem, now: datetime, jitter: float) -> Letter:
    """`letter` pending until its next attempt, or dead when this one was the last."""
    _expect(letter, State.LEASED)
    attempts = letter.attempts + 1
    try:
        due_at = next_attempt(attempts, now, jitter)
    except Exhausted:
        text = f"Given up after {attempts} attempts. {problem.text}"
        return _settled(replace(letter, attempts=attempts), State.DEAD, now, replace(problem, text=text))
    return _settled(replace(letter, attempts=attempts, due_at=due_at), State.PENDING, now, problem)


def conflicted(letter: Letter, problem: Problem, now: datetime, jitter: float) -> Letter:
    """`letter` due again at once, as the loser of a race is; from the fourth attempt on as `failed`."""
    _expect(letter, State.LEASED)
    if letter.attempts >= QUICK_ATTEMPTS:
        return failed(letter, problem, now, jitter)
    return _settled(replace(letter, attempts=letter.attempts + 1, due_at=now), State.PENDING, now, problem)


def buried(letter: Letter, problem: Problem, now: datetime) -> Letter:
    """`letter` dead: sending it again unchanged cannot succeed."""
    _expect(letter, State.LEASED)
    return _settled(replace(letter, attempts=letter.attempts + 1), State.DEAD, now, problem)


def retried(letter: Letter, now: datetime) -> Letter:
    """`letter` due now with all its attempts, by an operator's command; its last problem stays readable."""
    _expect(letter, State.DEAD, State.PENDING)
    return _settled(replace(letter, attempts=0, due_at=now), State.PENDING, now, letter.problem)


def discarded(letter: Letter, note: str, now: datetime) -> Letter:
    """`letter` given up by an operator, whose reason is `note`."""
    _expect(letter, State.DEAD, State.PENDING)
    return _settled(replace(letter, note=note), State.DISCARDED, now, letter.problem)


def held(target: Target, problem: Problem, until: datetime) -> Target:
    """`target` left alone until `until`, when the next letter due is the probe."""
    return replace(target, failures=target.failures + 1, held_until=until, problem=problem)


def resumed(target: Target) -> Target:
    """`target` open again: it answered, or an operator says so."""
    return Target(target.name)


def _settled(letter: Letter, state: State, now: datetime, problem: Problem | None) -> Letter:
    return replace(letter, state=state, problem=problem, leased_by=None, leased_until=None, changed_at=now)


def _expect(letter: Letter, *states: State) -> None:
    if letter.state not in states:
        raise IllegalTransition(f"Letter {letter.id} is {letter.state}, not {' or '.join(states)}.")
