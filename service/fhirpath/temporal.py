"""Date, DateTime and Time of FHIRPath, with their precision: a part that was not given is None, never guessed.

Semantics: FHIRPath 2.0, sections 5.5 to 6.7 (literals, equality, comparison, date/time arithmetic).
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from service.fhirpath.errors import Fault

_DATE: Final = r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?"
_TIME: Final = r"(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?"
_DATE_TEXT: Final = re.compile(_DATE, re.ASCII)
_TIME_TEXT: Final = re.compile(_TIME, re.ASCII)
_DATETIME_TEXT: Final = re.compile(rf"{_DATE}(?:T(?:{_TIME}(Z|[+-]\d\d:\d\d)?)?)?", re.ASCII)
_EASTERNMOST: Final = 14 * 60
_WESTERNMOST: Final = -12 * 60
_MINUTES_A_DAY: Final = 24 * 60
_SECONDS_A_DAY: Final = 24 * 60 * 60
_LAST_DAY: Final = date.max.toordinal()

Parts = tuple[int | Decimal, ...]
"""What is known of a moment, most significant first: shorter means less precise."""


@dataclass(frozen=True, slots=True)
class Date:
    """A calendar date, as precise as given: year, month or day."""

    year: int
    month: int | None = None
    day: int | None = None

    @staticmethod
    def parse(text: str) -> Date:
        """The date written as `YYYY`, `YYYY-MM` or `YYYY-MM-DD`. Raises Fault when there is no such date."""
        match = _DATE_TEXT.fullmatch(text)
        if match is None:
            raise Fault(f"'{text}' is no date such as 2026-03-15")
        year, month, day = (None if part is None else int(part) for part in match.groups())
        return Date(*_checked_date(text, year, month, day))

    def parts(self) -> Parts:
        """Year, month, day, as far as known."""
        return _known(self.year, self.month, self.day)

    def __str__(self) -> str:
        return "-".join(_digits(part, 4 if place == 0 else 2) for place, part in enumerate(self.parts()))


@dataclass(frozen=True, slots=True)
class Time:
    """A time of day, as precise as given: hour, minute or second (with its fraction)."""

    hour: int
    minute: int | None = None
    second: Decimal | None = None

    @staticmethod
    def parse(text: str) -> Time:
        """The time written as `hh`, `hh:mm` or `hh:mm:ss` with a fraction. Raises Fault when there is no such time."""
        match = _TIME_TEXT.fullmatch(text)
        if match is None:
            raise Fault(f"'{text}' is no time such as 14:30:00")
        return Time(*_checked_time(text, *match.groups()))

    def parts(self) -> Parts:
        """Hour, minute, second, as far as known."""
        return _known(self.hour, self.minute, self.second)

    def __str__(self) -> str:
        return ":".join(_digits(part, 2) for part in self.parts())


@dataclass(frozen=True, slots=True)
class DateTime:
    """A date with time, as precise as given (year to second with fraction); `offset` is minutes east of UTC."""

    year: int
    month: int | None = None
    day: int | None = None
    hour: int | None = None
    minute: int | None = None
    second: Decimal | None = None
    offset: int | None = None

    @staticmethod
    def parse(text: str) -> DateTime:
        """The date with time written as in FHIR or in FHIRPath. Raises Fault when there is no such moment."""
        match = _DATETIME_TEXT.fullmatch(text)
        if match is None:
            raise Fault(f"'{text}' is no date with time such as 2026-03-15T14:30:00Z")
        *day, hour, minute, second, zone = match.groups()
        year, month, day_of_month = (None if part is None else int(part) for part in day)
        known_date = _checked_date(text, year, month, day_of_month)
        if hour is None:
            return DateTime(*known_date)
        if day_of_month is None:
            raise Fault(f"'{text}' has a time but no day")
        return DateTime(*known_date, *_checked_time(text, hour, minute, second), _offset(text, zone))

    @staticmethod
    def of(moment: datetime) -> DateTime:
        """`moment` (aware) to the millisecond, in its own offset."""
        offset = moment.utcoffset()
        if offset is None:
            raise ValueError("an aware datetime is needed")
        second = Decimal(moment.second * 1000 + moment.microsecond // 1000).scaleb(-3)
        day = (moment.year, moment.month, moment.day)
        return DateTime(*day, moment.hour, moment.minute, second, int(offset.total_seconds()) // 60)

    def parts(self) -> Parts:
        """Year to second, as far as known."""
        return _known(self.year, self.month, self.day, self.hour, self.minute, self.second)

    def date(self) -> Date:
        """The calendar date in the moment's own offset."""
        return Date(self.year, self.month, self.day)

    def time(self) -> Time | None:
        """The time of day in the moment's own offset; None when no hour is known."""
        return None if self.hour is None else Time(self.hour, self.minute, self.second)

    def __str__(self) -> str:
        time = self.time()
        if time is None:
            return str(self.date())
        return f"{self.date()}T{time}{zone_text(self.offset)}"


Temporal = Date | DateTime | Time


def zone_text(offset: int | None) -> str:
    """An offset in minutes as `Z`, `+hh:mm` or `-hh:mm`; nothing for None."""
    if offset is None:
        return ""
    hours, minutes = divmod(abs(offset), 60)
    return "Z" if offset == 0 else f"{'-' if offset < 0 else '+'}{hours:02}:{minutes:02}"


def compare(left: Temporal, right: Temporal) -> int | None:
    """-1, 0 or 1 as `left` is before, the same as or after `right`; None where what is known does not tell.

    Two offsets are brought to one. Where only one operand has an offset, the answer stands only if it holds for every
    offset in use on earth (-12:00 to +14:00); a bare calendar date is compared with the other's own calendar date.
    """
    if isinstance(left, DateTime) and isinstance(right, DateTime) and None not in (left.hour, right.hour):
        return _compare_across_offsets(left, right)
    return _compare_parts(left.parts(), right.parts())


def _compare_across_offsets(left: DateTime, right: DateTime) -> int | None:
    if left.offset == right.offset:
        return _compare_parts(left.parts(), right.parts())
    if left.offset is not None and right.offset is not None:
        return _compare_parts(_utc_parts(left, left.offset), _utc_parts(right, right.offset))
    if left.offset is None:
        order = _compare_across_offsets(right, left)
        return None if order is None else -order
    known = _utc_parts(left, left.offset)
    earliest = _compare_parts(known, _utc_parts(right, _EASTERNMOST))
    latest = _compare_parts(known, _utc_parts(right, _WESTERNMOST))
    return earliest if earliest == latest and earliest != 0 else None


def _compare_parts(left: Parts, right: Parts) -> int | None:
    for one, other in zip(left, right, strict=False):
        if one != other:
            return -1 if one < other else 1
    return 0 if len(left) == len(right) else None


def _utc_parts(moment: DateTime, offset: int) -> Parts:
    day = date(moment.year, moment.month or 1, moment.day or 1).toordinal()
    minutes = day * _MINUTES_A_DAY + (moment.hour or 0) * 60 + (moment.minute or 0) - offset
    if moment.minute is None:
        return (minutes // 60,)
    return _known(minutes // 60, minutes % 60, moment.second)


def instant_parts(moment: DateTime) -> Parts:
    """Parts that are the same for the same moment in any offset; local ones where the offset or the hour is unknown."""
    if moment.offset is None or moment.hour is None:
        return moment.parts()
    return _utc_parts(moment, moment.offset)


def shift(value: Temporal, amount: Decimal, unit: str) -> Temporal | None:
    """`value` moved by `amount` (negative: back) of a calendar `unit` (year ... millisecond); None beyond year 1..9999.

    A fraction counts for seconds and milliseconds only. A unit finer than the precision of `value` is turned into whole
    units of that precision; a day that the target month lacks becomes its last. A Time wraps around midnight.
    """
    if isinstance(value, Time):
        return _shift_time(value, amount, unit)
    moved = _shift_moment(_as_datetime(value), amount, unit)
    return moved.date() if moved is not None and isinstance(value, Date) else moved


_SECONDS: Final = {
    "week": Decimal(7 * _SECONDS_A_DAY),
    "day": Decimal(_SECONDS_A_DAY),
    "hour": Decimal(3600),
    "minute": Decimal(60),
    "second": Decimal(1),
    "millisecond": Decimal("0.001"),
}
_FRACTIONAL: Final = frozenset({"second", "millisecond"})
_DAYS_A_MONTH: Final = 30
_DAYS_A_YEAR: Final = 365


def _shift_moment(moment: DateTime, amount: Decimal, unit: str) -> DateTime | None:
    if unit in ("year", "month"):
        months = int(amount) * (12 if unit == "year" else 1)
        return _shift_months(moment, months if moment.month is not None else _toward_zero(months, 12) * 12)
    seconds = _seconds(amount, unit)
    if moment.day is None:
        days = _toward_zero(seconds, _SECONDS_A_DAY)
        if moment.month is None:
            return _shift_months(moment, _toward_zero(days, _DAYS_A_YEAR) * 12)
        return _shift_months(moment, _toward_zero(days, _DAYS_A_MONTH))
    return _shift_seconds(moment, moment.day, seconds)


def _shift_months(moment: DateTime, months: int) -> DateTime | None:
    year, month = divmod(moment.year * 12 + (moment.month or 1) - 1 + months, 12)
    if not 1 <= year <= 9999:
        return None
    day = None if moment.day is None else min(moment.day, monthrange(year, month + 1)[1])
    return replace(moment, year=year, month=None if moment.month is None else month + 1, day=day)


def _shift_seconds(moment: DateTime, day: int, seconds: Decimal) -> DateTime | None:
    ordinal = date(moment.year, moment.month or 1, day).toordinal()
    if moment.hour is None:
        days, time = _toward_zero(seconds, _SECONDS_A_DAY), None
    else:
        days, time = _shift_clock(Time(moment.hour, moment.minute, moment.second), seconds)
    if not 1 <= ordinal + days <= _LAST_DAY:
        return None
    moved = date.fromordinal(ordinal + days)
    known = (moved.year, moved.month, moved.day)
    if time is None:
        return DateTime(*known)
    return DateTime(*known, time.hour, time.minute, time.second, moment.offset)


def _shift_time(time: Time, amount: Decimal, unit: str) -> Time:
    if unit not in ("hour", "minute", "second", "millisecond"):
        raise Fault(f"a Time cannot be moved by a {unit}")
    return _shift_clock(time, _seconds(amount, unit))[1]


def _shift_clock(time: Time, seconds: Decimal) -> tuple[int, Time]:
    if time.minute is None:
        days, hour = divmod(time.hour + _toward_zero(seconds, 3600), 24)
        return days, Time(hour)
    if time.second is None:
        days, minute = divmod(time.hour * 60 + time.minute + _toward_zero(seconds, 60), _MINUTES_A_DAY)
        return days, Time(minute // 60, minute % 60)
    total = Decimal(time.hour * 3600 + time.minute * 60) + time.second + seconds
    days = int(total // _SECONDS_A_DAY) - (1 if total < 0 and total % _SECONDS_A_DAY else 0)
    rest = total - days * _SECONDS_A_DAY
    minutes, second = divmod(rest, 60)
    return days, Time(int(minutes) // 60, int(minutes) % 60, second)


def _seconds(amount: Decimal, unit: str) -> Decimal:
    whole = amount if unit in _FRACTIONAL else Decimal(int(amount))
    return whole * _SECONDS[unit]


def _toward_zero(amount: Decimal | int, divisor: int) -> int:
    return int(Decimal(amount) / divisor)


def _as_datetime(value: Date | DateTime) -> DateTime:
    return value if isinstance(value, DateTime) else DateTime(value.year, value.month, value.day)


def to_datetime(value: Date) -> DateTime:
    """The same calendar date as a DateTime without a time (the implicit conversion of FHIRPath)."""
    return DateTime(value.year, value.month, value.day)


def _checked_date(
    text: str, year: int | None, month: int | None, day: int | None
) -> tuple[int, int | None, int | None]:
    if not year or (month is not None and not 1 <= month <= 12):
        raise Fault(f"there is no date {text}")
    if day is not None and not 1 <= day <= monthrange(year, month or 1)[1]:
        raise Fault(f"there is no date {text}")
    return year, month, day


def _checked_time(
    text: str, hour: str, minute: str | None, second: str | None
) -> tuple[int, int | None, Decimal | None]:
    # FHIR allows a leap second, :60.
    if int(hour) > 23 or int(minute or 0) > 59 or Decimal(second or 0) >= 61:
        raise Fault(f"there is no time {text}")
    return int(hour), None if minute is None else int(minute), None if second is None else Decimal(second)


def _offset(text: str, zone: str | None) -> int | None:
    if zone is None:
        return None
    if zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:])
    if hours > 14 or minutes > 59 or (hours == 14 and minutes):
        raise Fault(f"there is no time zone {zone} ({text})")
    return -(hours * 60 + minutes) if zone[0] == "-" else hours * 60 + minutes


def _known(*parts: int | Decimal | None) -> Parts:
    return tuple(part for part in parts if part is not None)


def _digits(part: int | Decimal, width: int) -> str:
    whole, point, fraction = str(part).partition(".")
    return f"{whole:0>{width}}{point}{fraction}"
