"""The spans of time that FHIR dates cover (http://hl7.org/fhir/R4/search.html#date), to search by and to order by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

BEFORE_ALL: Final = -(1 << 60)
AFTER_ALL: Final = 1 << 60
"""Milliseconds that lie before and after those of every date."""

_DATE = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"(T(?P<hour>\d\d):(?P<minute>\d\d)(:(?P<second>\d\d)(\.(?P<fraction>\d+))?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?"
)


def span(text: str) -> tuple[int, int]:
    """The milliseconds since 1970 (UTC) that a FHIR date, dateTime or instant covers: first, and one past the last.

    What carries no zone is taken as UTC. Raises ValueError when `text` is none of them.
    """
    match = _DATE.fullmatch(text)
    try:
        if match is not None:
            return _covered(match.groupdict())
    except ValueError as fault:
        raise ValueError(f"'{text}' is no FHIR date: {fault}") from fault
    raise ValueError(f"'{text}' is no FHIR date")


def _covered(part: Mapping[str, str | None]) -> tuple[int, int]:
    day = date(int(part["year"] or 0), int(part["month"] or 1), int(part["day"] or 1))
    if part["month"] is None:
        return _milliseconds(day), _milliseconds_of_month(day.year + 1, 1)
    if part["day"] is None:
        return _milliseconds(day), _milliseconds_of_month(day.year + day.month // 12, day.month % 12 + 1)
    if part["hour"] is None:
        return _milliseconds(day), _milliseconds(day) + 86_400_000
    moment = _moment(day, part)
    if part["second"] is None:
        return moment, moment + 60_000
    if part["fraction"] is None:
        return moment, moment + 1000
    return moment, moment + 1


def _moment(day: date, part: Mapping[str, str | None]) -> int:
    seconds = min(int(part["second"] or 0), 59)  # a leap second sorts with the one before it
    milliseconds = int((part["fraction"] or "").ljust(3, "0")[:3])
    clock = time(int(part["hour"] or 0), int(part["minute"] or 0), seconds)
    zone = part["zone"]
    offset = timedelta()
    if zone is not None and zone != "Z":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:])) * (-1 if zone[0] == "-" else 1)
    elapsed = datetime.combine(day, clock, UTC) - datetime(1970, 1, 1, tzinfo=UTC) - offset
    return elapsed // timedelta(milliseconds=1) + milliseconds


def _milliseconds(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400_000


def _milliseconds_of_month(year: int, month: int) -> int:
    # The year after 9999 has no date; what lies before it is all that is asked.
    return AFTER_ALL if year > 9999 else _milliseconds(date(year, month, 1))
