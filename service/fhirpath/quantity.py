"""Quantities of FHIRPath: a value with a UCUM unit or a calendar duration (FHIRPath 2.0, sections 4.1.9 and 6.1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from service.fhirpath.ucum import Powers, unit

CALENDAR_UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        name: singular
        for singular in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
        for name in (singular, f"{singular}s")
    }
)
"""The calendar durations as one writes them, to their singular."""

UCUM_OF_CALENDAR: Final[Mapping[str, str]] = MappingProxyType(
    {
        "year": "a",
        "month": "mo",
        "week": "wk",
        "day": "d",
        "hour": "h",
        "minute": "min",
        "second": "s",
        "millisecond": "ms",
    }
)
_CALENDAR_OF_UCUM: Final = MappingProxyType({code: name for name, code in UCUM_OF_CALENDAR.items()})
_CONTEXT: Final = Context(prec=28)
_INDEFINITE: Final = frozenset({"year", "month"})


@dataclass(frozen=True, slots=True)
class Quantity:
    """`value` times `unit`: a UCUM code ("1" for none), or the singular of a calendar duration when `calendar`."""

    value: Decimal
    unit: str = "1"
    calendar: bool = False

    @property
    def ucum_code(self) -> str:
        """The unit in UCUM, also of a calendar duration."""
        return UCUM_OF_CALENDAR[self.unit] if self.calendar else self.unit

    def __str__(self) -> str:
        if self.calendar:
            return f"{self.value:f} {self.unit if self.value == 1 else self.unit + 's'}"
        return f"{self.value:f} '{self.unit}'"


Measure = tuple[Fraction, Powers]
"""A quantity in base units: amount, and powers of the base units."""


def measure(quantity: Quantity) -> Measure | None:
    """`quantity` in base units; None when its unit is not known, or a calendar year or month."""
    if is_indefinite(quantity):
        return None
    known = unit(quantity.ucum_code)
    if known is None:
        return None
    return Fraction(quantity.value) * known.factor + known.offset, known.powers


def compare(left: Quantity, right: Quantity) -> int | None:
    """-1, 0 or 1; None where the units are of different kinds, unknown, or no fixed ratio joins them."""
    if left.unit == right.unit and left.calendar == right.calendar:
        return (left.value > right.value) - (left.value < right.value)
    if is_indefinite(left) and is_indefinite(right):
        return _order(months(left), months(right))
    one, other = measure(left), measure(right)
    if one is None or other is None or one[1] != other[1]:
        return None
    return _order(one[0], other[0])


def convert(quantity: Quantity, target: Quantity) -> Fraction | None:
    """The value of `quantity` in the unit of `target`; None where no fixed ratio joins the units."""
    if is_indefinite(quantity) and is_indefinite(target):
        return months(quantity) / (12 if target.unit == "year" else 1)
    have, want = measure(quantity), unit(target.ucum_code)
    if have is None or want is None or have[1] != want.powers or is_indefinite(target):
        return None
    return (have[0] - want.offset) / want.factor


def decimal_of(amount: Fraction) -> Decimal:
    """A fraction as a Decimal of 28 digits."""
    return _CONTEXT.divide(Decimal(amount.numerator), Decimal(amount.denominator))


def _order(one: Fraction, other: Fraction) -> int:
    return (one > other) - (one < other)


def is_indefinite(quantity: Quantity) -> bool:
    """True of calendar years and months, which have no fixed length."""
    return quantity.calendar and quantity.unit in _INDEFINITE


def months(quantity: Quantity) -> Fraction:
    """A number of calendar years or months, in months."""
    return Fraction(quantity.value) * (12 if quantity.unit == "year" else 1)


def definite(quantity: Quantity) -> Quantity:
    """A calendar duration as the UCUM unit it is equivalent to; any other quantity as it is."""
    return Quantity(quantity.value, quantity.ucum_code)


def calendar_unit(quantity: Quantity) -> str | None:
    """The calendar unit by which date arithmetic moves for `quantity`; None when it is no duration usable for that.

    UCUM's `a` and `mo` are no calendar durations: they have a fixed length that no calendar knows.
    """
    if quantity.calendar:
        return quantity.unit
    named = _CALENDAR_OF_UCUM.get(quantity.unit)
    return None if named in _INDEFINITE else named


def of_fhir(value: Decimal, code: str | None, system: str | None, display: str | None) -> Quantity:
    """The FHIR Quantity as FHIRPath sees it (FHIR R4, FHIRPath page: UCUM time units become calendar durations).

    Without a code the printed `display` unit is used: it still equals itself, but converts to nothing unless it is
    the same text as a UCUM code.
    """
    if system == "http://unitsofmeasure.org" and code is not None and code in _CALENDAR_OF_UCUM:
        return Quantity(value, _CALENDAR_OF_UCUM[code], calendar=True)
    return Quantity(value, code or display or "1")
