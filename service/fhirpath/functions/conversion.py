"""Conversion (FHIRPath 2.0, section 5.5). What cannot be converted gives nothing; several items are an error."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from types import MappingProxyType
from typing import Final, TypeVar

from service.fhirpath.errors import Fault
from service.fhirpath.functions.signature import Function, Functions
from service.fhirpath.nodes import Node
from service.fhirpath.quantity import CALENDAR_UNITS, Quantity, convert, decimal_of
from service.fhirpath.temporal import Date, DateTime, Time, to_datetime
from service.fhirpath.values import EMPTY, MAX_INTEGER, MIN_INTEGER, Collection, Item, one, string

_INTEGER: Final = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?\d{1,100}(\.\d{1,100})?", re.ASCII)
_QUANTITY: Final = re.compile(r"([+-]?\d{1,100}(?:\.\d{1,100})?)\s*(?:'([^']*)'|([A-Za-z]+))?", re.ASCII)
T = TypeVar("T")
_TRUE: Final = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE: Final = frozenset({"false", "f", "no", "n", "0", "0.0"})


def to_boolean(value: Item) -> bool | None:
    """true and false, 1 and 0, and the words for them."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | Decimal):
        return bool(value) if value in (0, 1) else None
    if isinstance(value, str):
        word = value.lower()
        return True if word in _TRUE else False if word in _FALSE else None
    return None


def to_integer(value: Item) -> int | None:
    """An Integer, a Boolean, or a string of digits."""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value) and MIN_INTEGER <= int(value) <= MAX_INTEGER:
        return int(value)
    return None


def to_decimal(value: Item) -> Decimal | None:
    """A number, a Boolean, or a string of digits with a point."""
    if isinstance(value, int | Decimal):
        return Decimal(value)
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    return None


def to_string(value: Item) -> str | None:
    """Any value of a System type as one writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value:f}"
        case str() | int() | Date() | DateTime() | Time() | Quantity():
            return str(value)
        case _:
            return None


def to_date(value: Item) -> Date | None:
    """A Date, the date of a DateTime, or a string that begins with one."""
    match value:
        case Date():
            return value
        case DateTime():
            return value.date()
        case str():
            moment = to_datetime_value(value)
            return None if moment is None else moment.date()
        case _:
            return None


def to_datetime_value(value: Item) -> DateTime | None:
    """A DateTime, a Date, or a string of either."""
    match value:
        case DateTime():
            return value
        case Date():
            return to_datetime(value)
        case str():
            return _parsed(DateTime.parse, value)
        case _:
            return None


def to_time(value: Item) -> Time | None:
    """A Time or a string of one."""
    if isinstance(value, Time):
        return value
    return _parsed(Time.parse, value) if isinstance(value, str) else None


def to_quantity(value: Item) -> Quantity | None:
    """A Quantity, a number, a Boolean, or a string such as `4 days` or `5.4 'mg'`."""
    match value:
        case Quantity():
            return value
        case int() | Decimal():
            return Quantity(Decimal(value))
        case str():
            return _quantity(value)
        case _:
            return None


def _quantity(text: str) -> Quantity | None:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    number, code, word = match.groups()
    if code is not None:
        return Quantity(Decimal(number), code)
    if word is None:
        return Quantity(Decimal(number))
    return Quantity(Decimal(number), CALENDAR_UNITS[word], calendar=True) if word in CALENDAR_UNITS else None


def _to_quantity_of(items: Collection, unit: Collection | None = None) -> Collection:
    value = one(items)
    found = None if value is None else to_quantity(value)
    if found is None or unit is None:
        return EMPTY if found is None else (found,)
    code = string(unit)
    if code is None:
        return EMPTY
    target = _quantity(f"1 {code}") or Quantity(Decimal(1), code)
    if found.unit == target.unit:
        return (found,)
    converted = convert(found, target)
    return EMPTY if converted is None else (Quantity(decimal_of(converted), target.unit, target.calendar),)


def _converts_to_quantity_of(items: Collection, unit: Collection | None = None) -> bool | None:
    return None if one(items) is None else bool(_to_quantity_of(items, unit))


def _parsed(read: Callable[[str], T], text: str) -> T | None:
    try:
        return read(text)
    except Fault:
        return None


def _conversion(read: Callable[[Item], Item | None], type_name: str) -> dict[str, Function]:
    def to(items: Collection) -> Collection:
        value = one(items)
        found = None if value is None or isinstance(value, Node) else read(value)
        return EMPTY if found is None else (found,)

    def converts(items: Collection) -> bool | None:
        value = one(items)
        return None if value is None else not isinstance(value, Node) and read(value) is not None

    return {
        f"to{type_name}": Function(to, result=f"System.{type_name}"),
        f"convertsTo{type_name}": Function(converts, result="System.Boolean", predicate=True),
    }


FUNCTIONS: Final[Functions] = MappingProxyType(
    {
        **_conversion(to_boolean, "Boolean"),
        **_conversion(to_integer, "Integer"),
        **_conversion(to_decimal, "Decimal"),
        **_conversion(to_string, "String"),
        **_conversion(to_date, "Date"),
        **_conversion(to_datetime_value, "DateTime"),
        **_conversion(to_time, "Time"),
        "toQuantity": Function(_to_quantity_of, 0, 1, "System.Quantity"),
        "convertsToQuantity": Function(_converts_to_quantity_of, 0, 1, "System.Boolean", predicate=True),
    }
)
