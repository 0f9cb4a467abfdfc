"""Every transition of a letter, and when it is tried again."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest

from service.records import outbox
from service.records.outbox import Exhausted, IllegalTransition, Letter, Problem, Reason, State, Target

NOW = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=3)
LEASE = timedelta(minutes=5)
PROBLEM = Problem(Reason.SERVER_ERROR, "The server answered 500.", 500)
PENDING = Letter(7, "r1", 1, "https://ehr.example/fhir", State.PENDING, NOW, NOW, NOW)
LEASED = outbox.take(PENDING, "worker", NOW, LEASE)
DEAD = outbox.buried(LEASED, PROBLEM, NOW)


@pytest.mark.parametrize(
    ("attempts", "jitter", "seconds"),
    [(0, 0.0, 1), (1, 0.0, 2), (3, 0.0, 8), (3, 1.0, 12), (3, 0.5, 10), (10, 0.0, 1024), (11, 1.0, 1536)],
)
def test_the_next_attempt_waits_twice_as_long_each_time(attempts: int, jitter: float, seconds: int) -> None:
    assert outbox.next_attempt(attempts, NOW, jitter) == NOW + timedelta(seconds=seconds)


def test_after_twelve_attempts_there_is_no_next() -> None:
    with pytest.raises(Exhausted):
        outbox.next_attempt(12, NOW, 0.0)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 2), (8, 256), (500, 256)])
def test_a_held_target_is_probed_within_minutes_however_long_it_was_down(failures: int, seconds: int) -> None:
    assert outbox.hold_until(failures, NOW, 0.0) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        (timedelta(seconds=90), timedelta(seconds=90)),
        (timedelta(days=365), timedelta(hours=1)),
        (timedelta(seconds=-5), timedelta()),
    ],
)
def test_a_hold_is_as_long_as_the_server_asks_an_hour_at_most(asked: timedelta, waits: timedelta) -> None:
    assert outbox.hold_until(5, NOW, 0.7, asked) == NOW + waits


def test_a_letter_without_any_answer_is_never_given_up() -> None:
    assert outbox.postponed_until(10_000, NOW, 1.0) == NOW + timedelta(seconds=1536)


def test_taking_leases() -> None:
    assert replace(PENDING, state=State.LEASED, leases=1, leased_by="worker", leased_until=NOW + LEASE) == LEASED


def test_taking_up_a_lease_that_ran_out_counts_an_attempt() -> None:
    again = outbox.take(LEASED, "other", LATER, LEASE)
    assert (again.attempts, again.leases, again.leased_by, again.changed_at) == (1, 2, "other", LATER)


def test_a_letter_that_always_kills_its_worker_dies() -> None:
    last = outbox.take(replace(LEASED, attempts=11), "worker", NOW, LEASE)
    assert (last.state, last.attempts, last.leases) == (State.DEAD, 12, 1)
    assert last.problem is not None
    assert last.problem.reason is Reason.WORKER_LOST


def test_what_a_worker_gives_back_is_due_at_once_and_counts_nothing() -> None:
    back = outbox.released(replace(LEASED, problem=PROBLEM), LATER)
    assert back == replace(PENDING, leases=1, problem=PROBLEM, changed_at=LATER)


def test_delivered() -> None:
    done = outbox.delivered(replace(LEASED, problem=PROBLEM), LATER)
    assert (done.state, done.attempts, done.problem, done.changed_at) == (State.DELIVERED, 1, None, LATER)
    assert (done.leased_by, done.leased_until) == (None, None)


def test_postponing_counts_nothing() -> None:
    waiting = outbox.postponed(LEASED, PROBLEM, LATER, NOW)
    assert (waiting.state, waiting.attempts, waiting.due_at, waiting.problem) == (State.PENDING, 0, LATER, PROBLEM)


def test_failing_waits_and_counts() -> None:
    waiting = outbox.failed(replace(LEASED, attempts=2), PROBLEM, NOW, 0.0)
    assert (waiting.state, waiting.attempts) == (State.PENDING, 3)
    assert waiting.due_at == NOW + timedelta(seconds=8)


def test_the_twelfth_failure_is_the_last() -> None:
    last = outbox.failed(replace(LEASED, attempts=11), PROBLEM, NOW, 0.0)
    assert (last.state, last.attempts) == (State.DEAD, 12)
    assert last.problem == replace(PROBLEM, text="Given up after 12 attempts. The server answered 500.")


@pytest.mark.parametrize(("attempts", "waits"), [(0, 0), (1, 0), (2, 0), (3, 16), (4, 32)])
def test_a_conflict_is_tried_at_once_three_times(attempts: int, waits: int) -> None:
    again = outbox.conflicted(replace(LEASED, attempts=attempts), PROBLEM, NOW, 0.0)
    assert (again.state, again.attempts) == (State.PENDING, attempts + 1)
    assert again.due_at == NOW + timedelta(seconds=waits)


def test_buried() -> None:
    assert (DEAD.state, DEAD.attempts, DEAD.problem) == (State.DEAD, 1, PROBLEM)


def test_retrying_gives_all_attempts_back_and_keeps_the_reason() -> None:
    again = outbox.retried(replace(DEAD, attempts=12), LATER)
    assert (again.state, again.attempts, again.due_at, again.problem) == (State.PENDING, 0, LATER, PROBLEM)


def test_discarding_keeps_why() -> None:
    gone = outbox.discarded(DEAD, "entered by hand", LATER)
    assert (gone.state, gone.note, gone.problem) == (State.DISCARDED, "entered by hand", PROBLEM)


ALLOWED = {
    "take": {State.PENDING, State.LEASED},
    "released": {State.LEASED},
    "delivered": {State.LEASED},
    "postponed": {State.LEASED},
    "failed": {State.LEASED},
    "conflicted": {State.LEASED},
    "buried": {State.LEASED},
    "retried": {State.DEAD, State.PENDING},
    "discarded": {State.DEAD, State.PENDING},
    "renewed": {State.LEASED},
}
ARGUMENTS = {
    "take": ("worker", NOW, LEASE),
    "released": (NOW,),
    "delivered": (NOW,),
    "postponed": (PROBLEM, NOW, NOW),
    "failed": (PROBLEM, NOW, 0.0),
    "conflicted": (PROBLEM, NOW, 0.0),
    "buried": (PROBLEM, NOW),
    "retried": (NOW,),
    "discarded": ("why", NOW),
    "renewed": (NOW, LEASE),
}


@pytest.mark.parametrize(
    ("name", "state"), [(name, state) for name, state in product(ALLOWED, State) if state not in ALLOWED[name]]
)
def test_other_transitions_are_refused(name: str, state: State) -> None:
    with pytest.raises(IllegalTransition):
        getattr(outbox, name)(replace(PENDING, state=state), *ARGUMENTS[name])


def test_the_diagram_in_the_readme_shows_every_transition_and_no_other() -> None:
    made = {
        (state.value, getattr(outbox, name)(replace(PENDING, state=state, attempts=attempts), *arguments).state, name)
        for name, arguments in ARGUMENTS.items()
        for state in ALLOWED[name]
        for attempts in (0, outbox.MAX_ATTEMPTS - 1, outbox.MAX_ATTEMPTS)
    }
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    drawn = re.findall(r"^    (\w+) --> (\w+) : (.*)$", readme, re.MULTILINE)
    assert {(before, after, name) for before, after, names in drawn for name in names.split(", ")} == made


def test_holding_counts_and_resuming_forgets() -> None:
    target = Target("https://ehr.example/fhir")
    held = outbox.held(outbox.held(target, PROBLEM, NOW), PROBLEM, LATER)
    assert held == Target(target.name, 2, LATER, PROBLEM)
    assert outbox.resumed(held) == target
