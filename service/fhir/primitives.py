"""The primitive types of FHIR R4 (http://hl7.org/fhir/R4/datatypes.html#primitive): what a JSON value must be."""

from __future__ import annotations

import re
from base64 import b64decode
from calendar import monthrange
from datetime import date, datetime
from decimal import Decimal
from typing import Any

_DATE = re.compile(r"(\d{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01]))?)?")
_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?")
_OFFSET = r"(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))"
_DATETIME = re.compile(rf"({_DATE.pattern})(?:T{_TIME.pattern}{_OFFSET})?")
_URI = re.compile(r"\S+")
_CODE = re.compile(r"\S+( \S+)*")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_REFERENCE = re.compile(
    r"#[A-Za-z0-9\-.]{0,64}"
    r"|urn:(?:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|oid:[0-2](?:\.(?:0|[1-9]\d*))+)"
    r"|(?:https?://[^\s?#]+/)?[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?"
    r"|https?://\S+"
)
_BASE64_BLANKS = re.compile(r"\s+")
_MAX_STRING_BYTES = 1024 * 1024


def is_date(value: Any) -> bool:
    """True for a FHIR date: a day, month or year that the calendar has ("2026-02-29" is none)."""
    match = _DATE.fullmatch(value) if isinstance(value, str) else None
    return match is not None and _in_calendar(match.group(1), match.group(2), match.group(3))


def is_datetime(value: Any) -> bool:
    """True for a FHIR dateTime: a date, or a full date with time and offset."""
    match = _DATETIME.fullmatch(value) if isinstance(value, str) else None
    if match is None or not is_date(match.group(1)):
        return False
    return len(value) <= len("2026-01-01") or len(match.group(1)) == len("2026-01-01")


def is_time(value: Any) -> bool:
    """True for a FHIR time, "hh:mm:ss" with optional fractions and no offset."""
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def is_integer(value: Any) -> bool:
    """True for a whole number of 32 bits; a JSON boolean is none."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31


def is_decimal(value: Any) -> bool:
    """True for a JSON number."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def is_string(value: Any) -> bool:
    """True for a text that is not empty, not only white space, and at most 1 MB."""
    # A character takes at most four bytes: only a very long text needs to be counted.
    if not isinstance(value, str) or value == "" or value.isspace():
        return False
    return len(value) * 4 <= _MAX_STRING_BYTES or len(value.encode()) <= _MAX_STRING_BYTES


def is_uri(value: Any) -> bool:
    """True for a text without white space."""
    return isinstance(value, str) and _URI.fullmatch(value) is not None


def is_instant(value: Any) -> bool:
    """True for a dateTime with its time."""
    return is_datetime(value) and "T" in value


def is_code(value: Any) -> bool:
    """True for a text without leading, trailing or double blanks."""
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def is_id(value: Any) -> bool:
    """True for 1 to 64 letters, digits, hyphens and dots."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def is_reference(value: Any) -> bool:
    """True for the text of a literal reference: Type/id, an absolute URL, urn:uuid, urn:oid, or #id of a contained."""
    return isinstance(value, str) and _REFERENCE.fullmatch(value) is not None


def is_base64(value: Any) -> bool:
    """True for base64 text, which blanks may divide."""
    if not isinstance(value, str) or not value:
        return False
    try:
        b64decode(_BASE64_BLANKS.sub("", value), validate=True)
    except ValueError:
        return False
    return True


def date_of(moment: str) -> date | None:
    """The calendar date of a dateTime in its own offset; None when it is only a month or a year."""
    return date.fromisoformat(moment[:10]) if len(moment) >= len("2026-01-01") else None


def instant(moment: datetime) -> str:
    """`moment` (aware) as a FHIR instant with milliseconds and offset."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_calendar(year: str, month: str | None, day: str | None) -> bool:
    if int(year) < 1:
        return False
    return day is None or month is None or int(day) <= monthrange(int(year), int(month))[1]
