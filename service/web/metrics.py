"""What is counted for Prometheus: of this process in its memory, of all processes from the database.

Names follow https://prometheus.io/docs/practices/naming/. Labels are routes, pages, codes and FHIR servers, so that
they are few, and none tells of a patient.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from service.errors import DomainError, Unavailable
from service.fhir.json import Json
from service.records.feedback import HookStore
from service.records.outbox import UNSETTLED, State
from service.records.ports import Acceptance, Backlog, Channel, Clock, Store
from service.records.succession import DRAFT, RETRACTED
from service.records.worker import DeliveryReport

PREFIX: Final = "symptom_intake"
_LATENCY_SECONDS: Final = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400)

# A series of start times beside each other one, which Prometheus does not use as it is installed.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The counters of one process, in its own `registry`. Safe for threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._answers = self._counter("http_requests", "HTTP answers.", "method", "route", "status")
        self._answer_seconds = self._histogram(
            "http_request_duration_seconds", "Time until an HTTP answer was ready.", "method", "route"
        )
        self._accepted = self._counter(
            "accepted_responses", "Versions of responses that were accepted.", "page", "status", "channel"
        )
        self._levels = self._counter(
            "triage_levels", "Levels of responses that were sent as complete.", "page", "level"
        )
        self._refusals = self._counter("refusals", "Requests that were refused.", "route", "kind", "reason")
        self._attempts = self._counter(
            "delivery_attempts", "Attempts to deliver, by what became of them.", "target", "state", "reason"
        )
        self._latency = self._histogram(
            "delivery_latency_seconds",
            "Time from the acceptance of a response to its delivery.",
            "target",
            buckets=_LATENCY_SECONDS,
        )

    def count_answer(self, method: str, route: str, status: int, seconds: float) -> None:
        """An HTTP answer that took `seconds`."""
        self._answers.labels(method, route, str(status)).inc()
        self._answer_seconds.labels(method, route).observe(seconds)

    def count_acceptance(self, acceptance: Acceptance, channel: Channel) -> None:
        """A version of a response that was committed, and the level that it was triaged as."""
        page, status = acceptance.pack.name, acceptance.stored.resource["status"]
        self._accepted.labels(page, status, channel.value).inc()
        if status not in (DRAFT, RETRACTED):
            self._levels.labels(page, _level(acceptance.stored.triage)).inc()

    def count_refusal(self, fault: DomainError, route: str) -> None:
        """A request that was refused; of several reasons the first."""
        issue = fault.issues[0]
        self._refusals.labels(route, type(fault).__name__, (issue.detail or issue.code).value).inc()

    def count_delivery(self, report: DeliveryReport) -> None:
        """What became of one attempt, unless a successor has the letter."""
        if not report.recorded:
            return
        letter = report.letter
        reason = "" if letter.problem is None else letter.problem.reason.value
        self._attempts.labels(letter.target, letter.state.value, reason).inc()
        if letter.state is State.DELIVERED:
            self._latency.labels(letter.target).observe((letter.changed_at - letter.created_at).total_seconds())

    def _counter(self, name: str, explanation: str, *labels: str) -> Counter:
        return Counter(name, explanation, labels, PREFIX, registry=self.registry)

    def _histogram(
        self, name: str, explanation: str, *labels: str, buckets: tuple[float, ...] = Histogram.DEFAULT_BUCKETS
    ) -> Histogram:
        return Histogram(name, explanation, labels, PREFIX, registry=self.registry, buckets=buckets)


@dataclass(frozen=True, slots=True, eq=False)
class StoreFigures:
    """What the database tells of all processes that share it; read when it is asked for.

    `targets_set` are whereto letters go now; they have their figures also while nothing waits.
    """

    store: Store
    hook_store: HookStore
    clock: Clock
    targets_set: Collection[str]

    def collect(self) -> Iterator[Metric]:
        """The figures; only that it is gone while it is."""
        is_up = GaugeMetricFamily(f"{PREFIX}_database_up", "1 while the database answers.", 1)
        try:
            figures = [is_up, *self._outbox(), *self._dead(), self._held(), self._feedback()]
        except Unavailable:
            figures = [GaugeMetricFamily(is_up.name, is_up.documentation, 0)]
        yield from figures

    def _outbox(self) -> Iterator[Metric]:
        found = {(entry.target, entry.state): entry for entry in self.store.backlog()}
        letters = _gauge("outbox_letters", "Deliveries that are not settled.", "target", "state")
        oldest = _gauge(
            "outbox_oldest_seconds", "How long ago the oldest of them was accepted; 0 without any.", "target", "state"
        )
        now = self.clock()
        for target in sorted({*self.targets_set, *(target for target, _ in found)}):
            for state in UNSETTLED:
                entry = found.get((target, state))
                letters.add_metric([target, state.value], 0 if entry is None else entry.count)
                oldest.add_metric([target, state.value], _age_seconds(entry, now))
        yield letters
        yield oldest

    def _dead(self) -> Iterator[Metric]:
        letters = _gauge("outbox_dead_letters", "Deliveries that were given up.", "target", "reason")
        for dead in self.store.given_up():
            letters.add_metric([dead.target, dead.reason.value], dead.count)
        yield letters

    def _held(self) -> Metric:
        held = _gauge("target_held", "1 while a target is left alone; the reason is in /health/ready.", "target")
        names = {target.name for target in self.store.targets()}
        for name in sorted({*self.targets_set, *names}):
            held.add_metric([name], int(name in names))
        return held

    def _feedback(self) -> Metric:
        explanation = "What clinicians did with cards, by kind of card and page."
        feedback = CounterMetricFamily(f"{PREFIX}_cds_feedback", explanation, labels=("card", "page", "outcome"))
        for one in self.hook_store.feedback_counts():
            feedback.add_metric([one.kind or "unknown", one.page or "", one.outcome.value], one.count)
        return feedback


def _gauge(name: str, explanation: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", explanation, labels=labels)


def _age_seconds(entry: Backlog | None, now: datetime) -> float:
    return 0 if entry is None else max((now - entry.oldest).total_seconds(), 0)


def _level(triage: Json) -> str:
    """The code of the level of a triage Observation; "none" where it reached none."""
    if "valueCodeableConcept" not in triage:
        return "none"
    return str(triage["valueCodeableConcept"]["coding"][0]["code"])
