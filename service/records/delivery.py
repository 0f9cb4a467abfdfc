"""Delivering the outbox to one FHIR server: lease, model gate, send, verify every answer, mark.

No network call happens inside a database transaction. The order of writes is what makes kill -9 harmless: a letter is
marked delivered after its answer was verified, never before; whoever dies in between leaves a lease that runs out, and
its successor sends the same bytes, which create nothing twice: a create asks whether it is there already, an update
names the version that it replaces. Where that is refused the target is read back, so that our own work is told from
what others made of it, which is never overwritten.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from threading import Event

from service.errors import Unavailable
from service.fhir.json import Json
from service.fhir.models import model_issues
from service.records import outbox
from service.records.bundle import transaction_bundle, transaction_placements
from service.records.outbox import Letter, Reason, State, Target
from service.records.parcel import Parcel, parcel_of
from service.records.ports import Answer, AnswerLost, Clock, FhirServer, Jitter, Placement, Store, Unreachable
from service.records.read_back import read_back
from service.records.references import localised
from service.records.setback import (
    Course,
    Setback,
    answer_lost,
    not_fhir,
    not_granted,
    refusal,
    refused_by_model,
    retry_after,
    unreachable,
)
from service.records.singles import deliver_singly

_NO_TRANSACTIONS = frozenset({404, 405, 501})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What became of one letter. `recorded` is False when its lease ran out meanwhile and a successor has it."""

    letter: Letter
    placements: tuple[Placement, ...]
    recorded: bool


class _LeaseLost(Exception):
    """A successor has the letter: this worker must send nothing more of it."""


class Delivery:
    """A worker for the target `server`. Not shared between threads, but for `release`; any number of workers may run
    beside each other.

    `owner` names the worker in the letters it leases; `lease` must exceed the longest delivery; `at_most` letters are
    under way at a time, those of other workers counted. `servers` gives the server with the right to write one letter,
    where that differs by letter; None where nobody granted it.
    """

    def __init__(
        self,
        store: Store,
        server: FhirServer,
        clock: Clock,
        jitter: Jitter,
        owner: str,
        *,
        lease: timedelta = timedelta(minutes=5),
        at_most: int | None = None,
        servers: Callable[[Letter], FhirServer | None] | None = None,
    ) -> None:
        self._store = store
        self._base_url = server.base_url
        self._server = server
        self._servers = servers
        self._clock = clock
        self._jitter = jitter
        self._owner = owner
        self._lease = lease
        self._at_most = at_most
        self._takes_transactions: bool | None = None
        self._answering = Target(server.base_url)
        self._under_way: Letter | None = None

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
            self._base_url, now, lambda found: outbox.take(found, self._owner, now, self._lease), self._at_most
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
            self._server = self._server_for(letter)
            placements = self._deliver(letter)
        except Setback as setback:
            return self._record_setback(letter, self._as_meant(setback))
        except _LeaseLost:
            return self._report(letter, (), recorded=False)
        # Marked only now: should the power go before, the same is sent again and meets what is there. A mark before
        # the answer was verified could lose what never arrived.
        after = outbox.delivered(letter, self._clock())
        recorded = self._store.change(letter, after, placements=placements, target=self._answering)
        return self._report(after, placements, recorded=recorded)

    def _server_for(self, letter: Letter) -> FhirServer:
        if self._servers is None:
            return self._server
        server = self._servers(letter)
        if server is None:
            raise not_granted()
        return server

    def _as_meant(self, setback: Setback) -> Setback:
        """Where each letter has a right of its own, a refusal of credentials says nothing about the others."""
        if self._servers is None or setback.problem.reason is not Reason.UNAUTHORISED:
            return setback
        return not_granted(setback.problem.status)

    def _deliver(self, letter: Letter) -> tuple[Placement, ...]:
        record = tuple(localised(one, self._base_url) for one in self._store.outstanding(letter))
        parcel = parcel_of(record, self._store.placements(letter.target, letter.response_id))
        issues = model_issues(transaction_bundle(parcel))
        if issues:
            raise refused_by_model(issues)
        outside = parcel.outside

        def send(method: str, path: str, body: Json | None, headers: dict[str, str]) -> Answer:
            # One lease is meant for one request, and here there are as many as resources.
            if not self._store.change(letter, outbox.renewed(letter, self._clock(), self._lease)):
                raise _LeaseLost
            return self._accepted(self._send(method, path, body, headers), outside)

        if self._takes_transactions is None:
            self._takes_transactions = self._read_capability()
        if self._is_unsure(letter, parcel):
            parcel = read_back(parcel, self._earlier, send)
        if self._takes_transactions:
            try:
                placements = self._transact(parcel, outside)
            except Setback as setback:
                if not (setback.is_contested and any(write.placement is not None for write in parcel.writes)):
                    raise
                # It may be our own work that we meet, its answer lost: then only what is missing is written.
                parcel = read_back(parcel, self._earlier, send)
                placements = self._transact(parcel, outside)
            if placements is not None:
                return placements
            # Either the server has no transactions, or it is gone from this URL: then this raises.
            self._read_capability()
            self._takes_transactions = False
        return deliver_singly(parcel, self._earlier, send)

    def _transact(self, parcel: Parcel, outside: Sequence[str]) -> tuple[Placement, ...] | None:
        """Where all of `parcel` stands after one transaction; None when the server takes none. Raises Setback."""
        if not parcel.writes:
            return parcel.there
        answer = self._send("POST", "", transaction_bundle(parcel))
        if _denies_transactions(answer, outside):
            return None
        return (*parcel.there, *transaction_placements(parcel, self._accepted(answer, outside)))

    def _is_unsure(self, letter: Letter, parcel: Parcel) -> bool:
        """Whether it must be seen first what stands on the target.

        Where a version is not known as ours, and where an earlier letter was given up that may have arrived after all.
        """
        if any(write.placement is not None and write.placement.etag is None for write in parcel.writes):
            return True
        if all(write.placement is not None or write.is_first for write in parcel.writes):
            return False
        letters = self._store.letters_of(letter.response_id)
        return any(one.id < letter.id and one.target == letter.target for one in letters)

    def _earlier(self, resource: Json) -> Sequence[Json]:
        """Our versions of `resource` before that one, the newest first."""
        versions = self._store.history(resource["resourceType"], resource["id"])
        before = int(resource["meta"]["versionId"])
        return [localised(one, self._base_url) for one in versions if int(one["meta"]["versionId"]) < before]

    def _accepted(self, answer: Answer, outside: Sequence[str]) -> Answer:
        """`answer` when it is a 2xx of a FHIR server. Raises Setback."""
        setback = None if answer.status // 100 == 2 else refusal(answer, outside)
        blames_letter = setback is not None and setback.course is Course.BURY
        if not _is_fhir(answer) and (blames_letter or _is_page(answer)):
            # A proxy or a portal may answer every letter so; one is blamed only where a FHIR server stands.
            self._read_capability()
        if setback is not None:
            raise setback
        return answer

    def _read_capability(self) -> bool:
        """Whether the server takes transactions: False only if it lists its interactions, and not that one.

        Raises Setback when no FHIR server answers.
        """
        answer = self._send("GET", "metadata", None)
        body = answer.body
        if answer.status == 200 and body is not None and body.get("resourceType") == "CapabilityStatement":
            codes = _system_interactions(body)
            return not codes or "transaction" in codes
        setback = refusal(answer)
        if setback.course in (Course.HOLD, Course.RETRY):
            raise setback
        raise not_fhir(answer, f"GET metadata was answered with {answer.status} and no CapabilityStatement.")

    def _send(self, method: str, path: str, body: Json | None, headers: dict[str, str] | None = None) -> Answer:
        try:
            return self._server.send(method, path, body, headers)
        except Unreachable as fault:
            raise unreachable(fault) from fault
        except AnswerLost as fault:
            raise answer_lost(fault) from fault

    def _record_setback(self, letter: Letter, setback: Setback) -> DeliveryReport:
        now, problem = self._clock(), setback.problem
        # What the server is must be asked anew: it may be another after a fault.
        self._takes_transactions = None
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


def _denies_transactions(answer: Answer, outside: Sequence[str]) -> bool:
    # HAPI answers 404 as well where a conditional reference finds nobody.
    return answer.status in _NO_TRANSACTIONS and refusal(answer, outside).problem.reason is not Reason.MISSING_REFERENCE


def _is_fhir(answer: Answer) -> bool:
    return answer.body is not None and "resourceType" in answer.body


def _is_page(answer: Answer) -> bool:
    return "html" in answer.headers.get("content-type", "")


def _system_interactions(capability: Json) -> set[str]:
    rest = capability.get("rest")
    servers = [one for one in rest if isinstance(one, dict)] if isinstance(rest, list) else []
    return {
        interaction["code"]
        for server in servers
        for interaction in server.get("interaction", [])
        if isinstance(interaction, dict) and isinstance(interaction.get("code"), str)
    }
