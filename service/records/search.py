"""FHIR searches read into a Query, which a store answers (http://hl7.org/fhir/R4/search.html)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from service.errors import Invalid, IssueType, error
from service.fhir.json import Json
from service.fhir.spans import span
from service.records.searchable import PARAMETERS, PATIENT_PARAMETERS, Kind

DEFAULT_COUNT: Final = 50
MAX_COUNT: Final = 1000


class Prefix(StrEnum):
    """Prefixes of a date value."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    GT = "gt"
    LE = "le"
    GE = "ge"
    SA = "sa"
    EB = "eb"
    AP = "ap"


@dataclass(frozen=True, slots=True)
class TermTest:
    """One alternative for a term; None for a part that does not matter."""

    value: str | None
    system: str | None


@dataclass(frozen=True, slots=True)
class SpanTest:
    """One alternative for a date: the span asked for, and how the resource's own must lie to it."""

    prefix: Prefix
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class TermCriterion:
    """The resource has a term of `parameter` that meets one of `tests`."""

    parameter: str
    tests: tuple[TermTest, ...]


@dataclass(frozen=True, slots=True)
class SpanCriterion:
    """The resource has a span of `parameter` that meets one of `tests`."""

    parameter: str
    tests: tuple[SpanTest, ...]


@dataclass(frozen=True, slots=True)
class PatientCriterion:
    """The resource's subject is one of `references`."""

    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IdCriterion:
    """The resource's id is one of `ids`."""

    ids: tuple[str, ...]


Criterion = TermCriterion | SpanCriterion | PatientCriterion | IdCriterion

Bounds = tuple[tuple[Criterion, ...], ...]
"""What may be found at all: that which meets every criterion of one of these; without any, nothing."""

EVERYTHING: Final[Bounds] = ((),)
"""The bounds that bound nothing."""


@dataclass(frozen=True, slots=True)
class Query:
    """A search: every criterion must hold. `count` 0 asks for the total alone; `ignored` names unknown parameters.

    `within` bounds what is found, `provenance_within` what comes along.
    """

    resource_type: str
    criteria: tuple[Criterion, ...]
    count: int = DEFAULT_COUNT
    offset: int = 0
    newest_first: bool = False
    include_provenance: bool = False
    ignored: tuple[str, ...] = ()
    within: Bounds = EVERYTHING
    provenance_within: Bounds = EVERYTHING


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search: `total` over all pages, its matches, and what was asked to come along."""

    total: int
    matches: tuple[Json, ...]
    included: tuple[Json, ...] = ()


# What a bare id means in a reference parameter that has one target type.
_SOLE_TARGET: Final[Mapping[str, str]] = {
    "patient": "Patient",
    "subject": "Patient",
    "derived-from": "QuestionnaireResponse",
}


def parse_query(resource_type: str, parameters: Iterable[tuple[str, str]], own_bases: Sequence[str] = ()) -> Query:
    """The Query of a search for `resource_type` by (name, value) pairs, decoded but with FHIR's escapes as sent.

    A repeated parameter is a further criterion; commas part alternatives. References below `own_bases` (base URLs
    without a trailing slash) are taken as relative. Parameters not known here are named in `ignored`. Raises Invalid
    when a date, `_count` or `_offset` cannot be read.
    """
    criteria: list[Criterion] = []
    ignored: list[str] = []
    settings: dict[str, Any] = {}
    for name, value in parameters:
        known = PARAMETERS.get(resource_type, {}).get(name)
        if name in PATIENT_PARAMETERS.get(resource_type, ()):
            criteria.append(PatientCriterion(tuple(_reference(name, one, own_bases) for one in split_or(value))))
        elif known is not None:
            criteria.append(_criterion(name, known.kind, value, own_bases))
        elif name == "_id":
            criteria.append(IdCriterion(split_or(value)))
        elif (setting := _setting(name, value)) is not None:
            settings.update(setting)
        else:
            ignored.append(name)
    return Query(resource_type, tuple(criteria), ignored=tuple(ignored), **settings)


def split_or(value: str) -> tuple[str, ...]:
    """The alternatives of a search value: parted at commas that no backslash escapes; escapes are resolved."""
    return tuple(unescape(part) for part in _split(value, ","))


def unescape(text: str) -> str:
    """`text` without FHIR's search escapes."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _split(value: str, separator: str) -> list[str]:
    parts = [""]
    escaped = False
    for character in value:
        if character == separator and not escaped:
            parts.append("")
            continue
        parts[-1] += character
        escaped = character == "\\" and not escaped
    return parts


def split_token(value: str) -> tuple[str | None, str]:
    """(system, code) of one token value: system None when none is asked for, "" for `|code`; escapes are resolved."""
    parts = _split(value, "|")
    if len(parts) == 1:
        return None, unescape(parts[0])
    return unescape(parts[0]), unescape("|".join(parts[1:]))


def _criterion(name: str, kind: Kind, value: str, own_bases: Sequence[str]) -> Criterion:
    alternatives = _split(value, ",")
    match kind:
        case Kind.TOKEN:
            return TermCriterion(name, tuple(_token_test(one) for one in alternatives))
        case Kind.REFERENCE:
            references = (_reference(name, unescape(one), own_bases) for one in alternatives)
            return TermCriterion(name, tuple(TermTest(reference, "") for reference in references))
        case Kind.CANONICAL:
            return TermCriterion(name, tuple(_canonical_test(one) for one in alternatives))
        case Kind.DATE:
            return SpanCriterion(name, tuple(_span_test(name, unescape(one)) for one in alternatives))


def _token_test(value: str) -> TermTest:
    system, code = split_token(value)
    return TermTest(code or None, system)


def _canonical_test(value: str) -> TermTest:
    # A canonical's "|" parts its version and is no token separator, so senders do not escape it; take both ways.
    url, _, version = unescape(value).partition("|")
    return TermTest(url, version or None)


def _reference(name: str, value: str, own_bases: Sequence[str]) -> str:
    for base in own_bases:
        if value.startswith(base + "/"):
            return value[len(base) + 1 :]
    if "/" not in value and "?" not in value and name in _SOLE_TARGET:
        return f"{_SOLE_TARGET[name]}/{value}"
    return value


def _span_test(name: str, value: str) -> SpanTest:
    prefix = Prefix.EQ
    if value[:2] in set(Prefix):
        prefix, value = Prefix(value[:2]), value[2:]
    try:
        return SpanTest(prefix, *span(value))
    except ValueError as fault:
        text = f"The value of '{name}' is no date: give it as YYYY, YYYY-MM, YYYY-MM-DD or a dateTime."
        raise _refused(name, text) from fault


def _setting(name: str, value: str) -> dict[str, Any] | None:
    match name:
        case "_count":
            return {"count": min(_number(name, value), MAX_COUNT)}
        case "_offset":
            return {"offset": _number(name, value)}
        case "_sort" if value in ("_lastUpdated", "-_lastUpdated"):
            return {"newest_first": value.startswith("-")}
        case "_revinclude" if value == "Provenance:target":
            return {"include_provenance": True}
        case _:
            return None


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise _refused(name, f"The value of '{name}' is no whole number from 0 up.")
    return int(value)


def _refused(name: str, text: str) -> Invalid:
    return Invalid([error(IssueType.VALUE, text, name)])
