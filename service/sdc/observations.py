"""Observation-based population: which Observation answers a question (SDC STU4, populate.html#observation-based).

An Observation counts that is final, amended or corrected, about the subject itself, taken within the link period, and
coded like the question. Of those, the newest whose value the question takes.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from service.fhir.elements import search_escaped
from service.fhir.json import Json
from service.fhir.primitives import is_datetime

STATUSES: Final = ("final", "amended", "corrected")
_SECONDS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86400, "wk": 604800}
_MONTHS: Final = {"mo": 1, "a": 12}
Codes = frozenset[tuple[str, str]]
"""(system, code) pairs, each an acceptable code of an Observation."""


def period_start(now: datetime, period: Json) -> datetime | None:
    """The beginning of a link period (a Duration in UCUM units) that ends at `now`; None when it cannot be told."""
    value, unit = period.get("value"), period.get("code", period.get("unit"))
    if not isinstance(value, int | Decimal) or isinstance(value, bool) or value < 0:
        return None
    try:
        if unit in _SECONDS:
            return now - timedelta(seconds=float(value) * _SECONDS[unit])
        return _months_before(now, int(value * _MONTHS[unit])) if unit in _MONTHS else None
    except (OverflowError, ValueError):
        # Longer than the calendar goes back: every Observation is within it.
        return datetime.min.replace(tzinfo=UTC)


def observation_query(subject: str, codes: Codes, start: datetime) -> str:
    """The search for the Observations of `subject` ("Patient/1") with one of `codes`, since `start`, newest first."""
    tokens = ",".join(
        quote(f"{search_escaped(system)}|{search_escaped(code)}", safe="") for system, code in sorted(codes)
    )
    since = f"&date=ge{start.date().isoformat()}" if start.year > 1 else ""
    return (
        f"Observation?subject={quote(search_escaped(subject), safe='')}&code={tokens}&status={','.join(STATUSES)}"
        f"{since}&_sort=-date"
    )


def candidates(observations: Sequence[Json], subject: str | None, codes: Codes, start: datetime) -> list[Json]:
    """Those of `observations` that may answer a question with `codes`, newest first."""
    timed = [
        (effective, one)
        for one in observations
        if one.get("resourceType") == "Observation"
        and one.get("status") in STATUSES
        and is_coded(one, codes)
        and _is_about(one, subject)
        and (effective := _effective(one)) is not None
        and effective >= start
    ]
    return [one for _, one in sorted(timed, key=lambda pair: pair[0], reverse=True)]


def is_coded(element: Json, codes: Codes) -> bool:
    """True when the `code` of an Observation or component is one of `codes`."""
    codings = element.get("code", {}).get("coding", [])
    return any((str(coding.get("system")), str(coding.get("code"))) in codes for coding in codings)


def value_of(element: Json) -> tuple[str, Any] | None:
    """The value of an Observation or component: its property's name, and the value; None without one."""
    if "dataAbsentReason" in element:
        return None
    return next(((key, value) for key, value in element.items() if key.startswith("value")), None)


def members(panel: Json, observations: Sequence[Json]) -> Iterator[Json]:
    """The components of `panel`, and those of `observations` that it has as members."""
    yield from panel.get("component", [])
    named = {reference.get("reference") for reference in panel.get("hasMember", [])}
    for one in observations:
        if f"Observation/{one.get('id')}" in named and one.get("status") in STATUSES:
            yield one


def _is_about(observation: Json, subject: str | None) -> bool:
    """Its subject is the response's, and so is its focus, if it has one: not a mother's record of her fetus."""
    about = observation.get("subject", {}).get("reference")
    if subject is not None and not _same(about, subject):
        return False
    return all(_same(focus.get("reference"), subject or about) for focus in observation.get("focus", []))


def _same(reference: str | None, other: str | None) -> bool:
    if reference is None or other is None:
        return False
    return reference == other or reference.endswith(f"/{other}") or other.endswith(f"/{reference}")


def _effective(observation: Json) -> datetime | None:
    period = observation.get("effectivePeriod", {})
    moments = (observation.get("effectiveDateTime"), observation.get("effectiveInstant"))
    text = next((one for one in (*moments, period.get("end"), period.get("start")) if one is not None), None)
    if not is_datetime(text):
        return None
    whole = str(text)
    if len(whole) < len("2026-01-01"):
        whole = f"{whole}-01-01"[: len("2026-01-01")] if len(whole) == len("2026") else f"{whole}-01"
    moment = datetime.fromisoformat(whole.replace(":60", ":59"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _months_before(now: datetime, months: int) -> datetime:
    index = now.year * 12 + now.month - 1 - months
    year, month = divmod(index, 12)
    return now.replace(year=year, month=month + 1, day=min(now.day, monthrange(year, month + 1)[1]))
