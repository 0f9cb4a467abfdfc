"""A worker of the outbox: lease a letter, bring it, record what became of it.

No network call happens inside a database transaction. The order of writes is what makes kill -9 harmless: a letter is
marked delivered after its answer was verified, never before; whoever dies in between leaves a lease that runs out, and
its successor sends the same again, which whoever receives it can know by its identity.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from threading import Event

from service.errors import Unavailable
from service.records import outbox
from service.records.outbox import Letter, State, Target
from service.records.ports import Clock, Jitter, Placement, Store
from service.records.setback import Course, Setback, retry_after

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What became of one letter. `recorded` is False when its lease ran out meanwhile and a successor has it."""

    letter: Letter
    placements: tuple[Placement, ...]
    recorded: bool


class LeaseLost(Exception):
    """A successor has the letter: this worker must send nothing more of it."""


class Worker(ABC):
    """Brings the letters to `target`. Not shared between threads, but for `release`; any number of workers may run
    beside each other.

    `owner` names the worker in the letters it leases; `lease` must exceed the longest delivery; `at_most` letters are
    under way at a time, those of other workers counted.
    """

    def __init__(
        self,
        store: Store,
        target: str,
        clock: Clock,
        jitter: Jitter,
        owner: str,
        *,
        lease: timedelta = timedelta(minutes=5),
        at_most: int | None = None,
    ) -> None:
        self._store = store
        self._target = target
        self._clock = clock
        self._jitter = jitter
        self._owner = owner
        self._lease = lease
        self._at_most = at_most
        self._answering = Target(target)
        self._under_way: Letter | None = None

    @abstractmethod
    def _bring(self, letter: Letter) -> tuple[Placement, ...]:
        """Bring `letter` to the target; where its resources stand there now. Raises Setback, LeaseLost."""

    def run(
        self, stop: Event, idle_seconds: float = 1.0, on_report: Callable[[DeliveryReport], None] = lambda report: None
    ) -> None:
        """Deliver until `stop` is set, looking for work every `idle_seconds` when there is none.

        `on_report` hears what became of each letter.
        """
        while not stop.is_set():
            try:
                report = self.run_once()
            except Unavailable as fault:
                log.warning("outbox unavailable, next try in %d s", fault.retry_after_seconds)
                stop.wait(fault.retry_after_seconds)
                continue
            if report is None:
                stop.wait(idle_seconds)
            else:
                on_report(report)

    def run_once(self) -> DeliveryReport | None:
        """Lease one letter, deliver it, record what became of it; None when none is due.

        Raises Unavailable when the database is; the letter's lease then runs out.
        """
        now = self._clock()
        letter = self._store.lease(
            self._target, now, lambda found: outbox.take(found, self._owner, now, self._lease), self._at_most
        )
        if letter is None:
            return None
        if letter.state is not State.LEASED:
            return self._report(letter, (), recorded=True)
        self._under_way = letter
        try:
            return self._outcome(letter)
        finally:
            self._under_way = None

    def release(self) -> None:
        """Give back the letter that is under way, for another worker to take at once. Called from another thread.

        What this one still sends, its successor meets there, as after a lost answer. Raises Unavailable.
        """
        letter = self._under_way
        if letter is not None and self._store.change(letter, outbox.released(letter, self._clock())):
            log.info("letter %d of response %s: released", letter.id, letter.response_id)

    def _outcome(self, letter: Letter) -> DeliveryReport:
        try:
            placements = self._bring(letter)
        except Setback as setback:
            return self._record_setback(letter, setback)
        except LeaseLost:
            return self._report(letter, (), recorded=False)
        # Marked only now: should the power go before, the same is sent again and meets what is there. A mark before
        # the answer was verified could lose what never arrived.
        after = outbox.delivered(letter, self._clock())
        recorded = self._store.change(letter, after, placements=placements, target=self._answering)
        return self._report(after, placements, recorded=recorded)

    def _record_setback(self, letter: Letter, setback: Setback) -> DeliveryReport:
        now, problem = self._clock(), setback.problem
        target = self._answering if problem.status is not None else None
        match setback.course:
            case Course.HOLD:
                held = self._store.target(letter.target)
                asked = retry_after(setback.retry_after, now)
                until = outbox.hold_until(held.failures + 1, now, self._jitter(), asked)
                target = outbox.held(held, problem, until)
                after = outbox.postponed(letter, problem, until, now)
            case Course.POSTPONE:
                until = outbox.postponed_until(letter.leases, now, self._jitter())
                after = outbox.postponed(letter, problem, until, now)
            case Course.WAIT:
                after = outbox.postponed(letter, problem, now + outbox.GRANT_PATIENCE, now)
            case Course.RETRY:
                after = outbox.failed(letter, problem, now, self._jitter())
            case Course.AT_ONCE:
                after = outbox.conflicted(letter, problem, now, self._jitter())
            case Course.BURY:
                after = outbox.buried(letter, problem, now)
        return self._report(after, (), recorded=self._store.change(letter, after, target=target))

    def _report(self, letter: Letter, placements: tuple[Placement, ...], *, recorded: bool) -> DeliveryReport:
        # Problem texts may quote a server that quotes a patient: the log gets the reason alone.
        problem = letter.problem
        why = "" if problem is None else f", {problem.reason}, status {problem.status}"
        log.info("letter %d of response %s: %s%s", letter.id, letter.response_id, letter.state, why)
        return DeliveryReport(letter, placements, recorded)
