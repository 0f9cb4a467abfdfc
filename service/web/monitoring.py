"""Probes and metrics: /health/live, /health/ready, /metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby

from flask import Blueprint, Flask, Response, g, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from service.errors import Unavailable
from service.fhir.json import Json
from service.fhir.primitives import instant
from service.records.outbox import WEBHOOK, Problem, Reason, State, Target
from service.records.ports import Backlog, GivenUp, Store
from service.web.metrics import StoreFigures
from service.web.site import Site

_WAITING = (State.PENDING, State.LEASED)
_LOOKED_AT = 1000
_LONG = timedelta(hours=1)
# An outage ends by itself, and responses are accepted meanwhile; wrong credentials or a wrong address do not.
_NEEDS_PEOPLE = (Reason.UNAUTHORISED, Reason.NOT_FHIR)
_WORDS: Mapping[Reason, str] = {
    Reason.UNAUTHORISED: "It refused the credentials",
    Reason.NOT_FHIR: "No FHIR server answers at this address",
    Reason.WRONG_ADDRESS: "Nobody takes notices at its address",
    Reason.UNREACHABLE: "It cannot be reached",
    Reason.NO_ANSWER: "It did not answer",
    Reason.BUSY: "It is busy",
}


class Health(StrEnum):
    """How a checked part stands; only `fail` makes the service not ready."""

    PASS = "pass"  # noqa: S105 - a state of health, no secret
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One part of readiness and, unless it passes, the reason for people."""

    name: str
    health: Health
    reason: str = ""


_STOPPING = Check("process", Health.FAIL, "This process is stopping; ask another.")


def readiness(
    store: Store, worker_alive: Callable[[], bool | None], targets_set: Collection[str], now: datetime
) -> list[Check]:
    """Whether responses can be accepted, and letters brought to the targets that are set, part by part."""
    try:
        store.check()
        targets, backlog, given_up = store.targets(), store.backlog(), store.given_up()
    except Unavailable as fault:
        return [Check("database", Health.FAIL, str(fault))]
    checks = [Check("database", Health.PASS)]
    if worker_alive() is False:
        checks.append(Check("delivery-worker", Health.FAIL, "The delivery worker of this process has stopped."))
    checks += [_target_check(target, backlog) for target in targets]
    checks += _left_behind(backlog, targets_set)
    launches = dict(_waiting_for_launches(store, backlog))
    checks += launches.values()
    checks += _waiting_long(backlog, now, set(targets_set) - launches.keys() - {target.name for target in targets})
    checks += [_dead_letters(name, entries) for name, entries in _by_target(given_up)]
    return checks


def monitoring_routes(app: Flask, site: Site) -> Blueprint:
    """The routes of probes and metrics; counts every answer of `app`."""
    routes = Blueprint("monitoring", __name__)
    registry = CollectorRegistry()
    registry.register(site.metrics.registry)
    registry.register(StoreFigures(site.store, site.hook_store, site.clock, site.targets))

    @app.after_request
    def count(answer: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "none"
        method = request.method if route != "none" else "any"
        site.metrics.count_answer(method, route, answer.status_code, time.perf_counter() - g.started)
        return answer

    @routes.get("/health/live")
    def live() -> ResponseReturnValue:
        return {"status": Health.PASS.value}

    @routes.get("/health/ready")
    def ready() -> ResponseReturnValue:
        now = site.clock()
        checks = [_STOPPING] if site.is_stopping() else readiness(site.store, site.worker_alive, site.targets, now)
        worst = next((health for health in (Health.FAIL, Health.WARN) if _any(checks, health)), Health.PASS)
        return {"status": worst.value, "checks": [_as_json(check) for check in checks]}, _status(worst)

    @routes.get("/metrics")
    def metrics() -> ResponseReturnValue:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), content_type=content_type)

    return routes


def _target_check(target: Target, backlog: Iterable[Backlog]) -> Check:
    waiting = sum(entry.count for entry in backlog if entry.target == target.name and entry.state in _WAITING)
    problem = target.problem
    needs_people = problem is not None and problem.reason in _NEEDS_PEOPLE
    told = f"{target.name} is held; deliveries that wait: {waiting}."
    reason = f"{told} {_why(problem)} 'symptom-intake outbox list' says more."
    if target.name == WEBHOOK:
        # Where it is at fault, responses are taken all the same.
        return Check("webhook", Health.WARN, reason)
    return Check("fhir-server", Health.FAIL if needs_people else Health.WARN, reason)


def _waiting_long(backlog: Iterable[Backlog], now: datetime, targets: Collection[str]) -> Iterator[Check]:
    """Deliveries to `targets` that nothing is known to hold: no whole answer comes, or no worker looks at them."""
    for entry in backlog:
        is_late = entry.state is State.PENDING and entry.count > 0 and now - entry.oldest > _LONG
        if is_late and entry.target in targets:
            told = f"Deliveries that wait for {entry.target}: {entry.count}, the oldest since {instant(entry.oldest)}."
            name = "webhook" if entry.target == WEBHOOK else "fhir-server"
            yield Check(name, Health.WARN, f"{told} 'symptom-intake outbox list' says why.")


def _waiting_for_launches(store: Store, backlog: Iterable[Backlog]) -> Iterator[tuple[str, Check]]:
    """By target, deliveries that nobody granted a right for (any more)."""
    if not any(entry.state is State.PENDING and entry.count for entry in backlog):
        return
    pending = store.letters(State.PENDING, _LOOKED_AT)
    waiting = [one for one in pending if one.problem is not None and one.problem.reason is Reason.NOT_GRANTED]
    for target in sorted({one.target for one in waiting}):
        number = sum(one.target == target for one in waiting)
        reason = f"Deliveries to {target} that wait for their patients' next launch: {number}. No grant is usable."
        yield target, Check("grants", Health.WARN, reason)


def _left_behind(backlog: Iterable[Backlog], targets_set: Collection[str]) -> Iterator[Check]:
    """Deliveries that no worker looks at, because other servers are set now, or none."""
    for entry in backlog:
        if entry.state in _WAITING and entry.count and entry.target not in targets_set:
            if entry.target == WEBHOOK:
                reason = f"Notices of urgent results that wait: {entry.count}. No webhook is set."
                yield Check("webhook", Health.WARN, reason)
                continue
            reason = f"Deliveries that wait for {entry.target}: {entry.count}. It is not the FHIR server that is set."
            yield Check("fhir-server", Health.WARN, reason)


def _why(problem: Problem | None) -> str:
    # In words of our own: a server's text may quote what a patient answered.
    if problem is None:
        return "It did not take the last delivery."
    status = f" (HTTP {problem.status})" if problem.status is not None else ""
    return f"{_WORDS.get(problem.reason, 'It did not take the last delivery')}{status}."


def _by_target(given_up: Iterable[GivenUp]) -> Iterator[tuple[str, list[GivenUp]]]:
    for name, entries in groupby(given_up, key=lambda one: one.target):
        yield name, list(entries)


def _dead_letters(target: str, entries: Collection[GivenUp]) -> Check:
    why = ", ".join(f"{one.count} {one.reason.value}" for one in entries)
    oldest = instant(min(one.oldest for one in entries))
    number = sum(one.count for one in entries)
    reason = (
        f"Deliveries to {target} that were given up: {number} ({why}), the oldest accepted {oldest}. "
        "See 'symptom-intake outbox list --state dead', mend the cause, then 'symptom-intake outbox retry'."
    )
    return Check("dead-letters", Health.WARN, reason)


def _any(checks: Iterable[Check], health: Health) -> bool:
    return any(check.health is health for check in checks)


def _status(worst: Health) -> int:
    return 503 if worst is Health.FAIL else 200


def _as_json(check: Check) -> Json:
    found: Json = {"name": check.name, "status": check.health.value}
    return {**found, "reason": check.reason} if check.reason else found
