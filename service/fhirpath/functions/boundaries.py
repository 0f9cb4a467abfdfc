"""lowBoundary(), highBoundary() and precision(): what a value says about the range it stands for (FHIRPath 2.0 STU).

A precision is a number of decimal places, or of digits of a date or time: 4 year, 6 month, 8 day, 10 hour, 12 minute,
14 second, 17 millisecond; of a Time 2, 4, 6 and 9.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from types import MappingProxyType
from typing import Any, Final, TypeVar

from service.fhirpath.errors import Fault
from service.fhirpath.functions.signature import Function, Functions, Result
from service.fhirpath.quantity import Quantity
from service.fhirpath.temporal import Date, DateTime, Time
from service.fhirpath.values import EMPTY, Collection, Item, integer, one, system_type

T = TypeVar("T")
_CONTEXT: Final = Context(prec=60)
_MAX_PLACES: Final = 28
_MOMENT_DIGITS: Final = (4, 6, 8, 10, 12, 14, 17)
_TIME_DIGITS: Final = (2, 4, 6, 9)
_EASTERNMOST: Final = 14 * 60
_WESTERNMOST: Final = -12 * 60


def low_boundary(items: Collection, precision: Collection | None = None) -> Collection:
    """The least value that, rounded, is written as the item is."""
    return _boundary(items, precision, high=False)


def high_boundary(items: Collection, precision: Collection | None = None) -> Collection:
    """The greatest value that, rounded, is written as the item is."""
    return _boundary(items, precision, high=True)


def precision(items: Collection) -> Collection:
    """The decimal places of a number, or the digits of a date or time."""
    value = one(items)
    match value:
        case None:
            return EMPTY
        case bool():
            pass
        case int() | Decimal():
            return (_places(Decimal(value)),)
        case Date() | DateTime():
            return (_digits_known(value, _MOMENT_DIGITS),)
        case Time():
            return (_digits_known(value, _TIME_DIGITS),)
    raise Fault(f"precision() is not defined for {system_type(value)}")


def _boundary(items: Collection, precision: Collection | None, *, high: bool) -> Collection:
    value = one(items)
    if value is None:
        return EMPTY
    wanted = None if precision is None else integer(precision)
    found = _boundary_of(value, wanted, high)
    return EMPTY if found is None else (found,)


def _boundary_of(value: Item, wanted: int | None, high: bool) -> Item | None:
    match value:
        case bool():
            pass
        case int() | Decimal():
            return _number_boundary(Decimal(value), wanted, high)
        case Quantity():
            number = _number_boundary(value.value, wanted, high)
            return None if number is None else Quantity(number, value.unit, value.calendar)
        case Date():
            parts = _filled_date(value.parts(), high)
            return _cut(Date, parts, wanted, 8, _MOMENT_DIGITS[:3])
        case DateTime():
            return _datetime_boundary(value, wanted, high)
        case Time():
            return _cut(Time, _filled_clock(value.parts(), high), wanted, 9, _TIME_DIGITS)
    raise Fault(f"a {system_type(value)} has no boundaries")


def _number_boundary(value: Decimal, wanted: int | None, high: bool) -> Decimal | None:
    places = 8 if wanted is None else wanted
    if not 0 <= places <= _MAX_PLACES:
        return None
    half = Decimal(5).scaleb(-_places(value) - 1)
    bound = _CONTEXT.add(value, half if high else -half)
    return bound.quantize(Decimal(1).scaleb(-places), ROUND_CEILING if high else ROUND_FLOOR, _CONTEXT)


def _datetime_boundary(value: DateTime, wanted: int | None, high: bool) -> Item | None:
    parts = value.parts()
    filled = _filled_date(parts[:3], high) + _filled_clock(parts[3:], high)
    found = _cut(DateTime, filled, wanted, 17, _MOMENT_DIGITS)
    if found is None or found.hour is None:
        return found
    unknown = _WESTERNMOST if high else _EASTERNMOST
    clock = (found.hour, found.minute, found.second)
    return DateTime(found.year, found.month, found.day, *clock, unknown if value.offset is None else value.offset)


def _filled_date(parts: tuple[Any, ...], high: bool) -> tuple[Any, ...]:
    year, month, day = (*parts, None, None)[:3]
    month = month or (12 if high else 1)
    return (year, month, day or (monthrange(year, month)[1] if high else 1))


def _filled_clock(parts: tuple[Any, ...], high: bool) -> tuple[Any, ...]:
    least, most = (0, 0, Decimal("0.000")), (23, 59, Decimal("59.999"))
    known = (*parts, *(most if high else least)[len(parts) :])
    second = known[2]
    whole = isinstance(second, Decimal) and second == int(second) and high and len(parts) == 3
    filled = second + Decimal("0.999") if whole and _places(second) == 0 else second
    return (known[0], known[1], filled.quantize(Decimal("0.001"), ROUND_FLOOR))


def _cut(
    make: Callable[..., T], parts: tuple[Any, ...], wanted: int | None, default: int, digits: tuple[int, ...]
) -> T | None:
    count = default if wanted is None else wanted
    if count not in digits:
        return None
    kept = parts[: digits.index(count) + 1]
    if isinstance(kept[-1], Decimal) and count != digits[-1]:
        kept = (*kept[:-1], Decimal(int(kept[-1])))
    return make(*kept)


def _digits_known(value: Date | DateTime | Time, digits: tuple[int, ...]) -> int:
    parts = value.parts()
    fraction = isinstance(parts[-1], Decimal) and _places(parts[-1]) > 0
    return digits[len(parts) - 1 + (1 if fraction else 0)]


def _places(number: Decimal) -> int:
    return max(0, -int(number.as_tuple().exponent))


FUNCTIONS: Final[Functions] = MappingProxyType(
    {
        "lowBoundary": Function(low_boundary, 0, 1, Result.INPUT),
        "highBoundary": Function(high_boundary, 0, 1, Result.INPUT),
        "precision": Function(precision, result="System.Integer"),
    }
)
