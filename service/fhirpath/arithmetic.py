"""The operators + - * / div mod and the signs (FHIRPath 2.0, section 6.6 and 6.7).

An operand that is empty gives an empty result, as do division by zero and overflow. Numbers are exact to 28 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Context, Decimal, DecimalException
from types import MappingProxyType
from typing import Final

from service.fhirpath.errors import Fault
from service.fhirpath.quantity import Quantity, calendar_unit, compare, convert, decimal_of, measure
from service.fhirpath.syntax import Operator
from service.fhirpath.temporal import Date, DateTime, Time, shift
from service.fhirpath.values import (
    EMPTY,
    MAX_INTEGER,
    MAX_STRING_LENGTH,
    MIN_INTEGER,
    Collection,
    Item,
    is_number,
    one,
    system_type,
)

Number = int | Decimal
Operation = Callable[[Item, Item], Item | None]
_CONTEXT: Final = Context(prec=28, Emax=999, Emin=-999)


def calculate(operation: Operation, left: Collection, right: Collection) -> Collection:
    """The result of an operation between the only items of two collections."""
    one_value, other = one(left), one(right)
    if one_value is None or other is None:
        return EMPTY
    try:
        return result(operation(one_value, other))
    except DecimalException:
        return EMPTY


def result(found: Item | None) -> Collection:
    """A result as a collection; empty for None and for an Integer that has more than 32 bits."""
    if found is None or (isinstance(found, int) and not MIN_INTEGER <= found <= MAX_INTEGER):
        return EMPTY
    return (found,)


def add(left: Item, right: Item) -> Item | None:
    """Numbers, strings, quantities; a date or time and a duration."""
    match left, right:
        case str(), str():
            if len(left) + len(right) > MAX_STRING_LENGTH:
                raise Fault(f"a string grows beyond {MAX_STRING_LENGTH} characters")
            return left + right
        case Date() | DateTime() | Time(), Quantity():
            return _moved(left, right, 1)
        case _:
            return _numbers("+", left, right, lambda a, b: a + b, _CONTEXT.add, _sum)


def subtract(left: Item, right: Item) -> Item | None:
    """Numbers, quantities; a date or time and a duration."""
    match left, right:
        case Date() | DateTime() | Time(), Quantity():
            return _moved(left, right, -1)
        case _:
            return _numbers("-", left, right, lambda a, b: a - b, _CONTEXT.subtract, lambda a, b: _sum(a, negated(b)))


def multiply(left: Item, right: Item) -> Item | None:
    """Numbers and quantities."""
    return _numbers("*", left, right, lambda a, b: a * b, _CONTEXT.multiply, _product)


def divide(left: Item, right: Item) -> Item | None:
    """A Decimal, also of Integers; quantities give a quantity."""

    def quotient(one_value: Number, other: Number) -> Decimal | None:
        return None if other == 0 else _quotient_of(Decimal(one_value), Decimal(other))

    return _numbers("/", left, right, quotient, quotient, _quotient)


def div(left: Item, right: Item) -> Item | None:
    """The whole part of the quotient."""

    def whole(one_value: Number, other: Number) -> int | None:
        return None if other == 0 else int(_CONTEXT.divide_int(Decimal(one_value), Decimal(other)))

    return _numbers("div", left, right, whole, whole, None)


def mod(left: Item, right: Item) -> Item | None:
    """What `div` leaves over, with the sign of the dividend."""

    def rest(one_value: Number, other: Number) -> Number | None:
        if other == 0:
            return None
        found = _CONTEXT.remainder(Decimal(one_value), Decimal(other))
        return int(found) if isinstance(one_value, int) and isinstance(other, int) else found

    return _numbers("mod", left, right, rest, rest, None)


ARITHMETIC: Final[Mapping[Operator, Operation]] = MappingProxyType(
    {
        Operator.ADD: add,
        Operator.SUBTRACT: subtract,
        Operator.MULTIPLY: multiply,
        Operator.DIVIDE: divide,
        Operator.DIV: div,
        Operator.MOD: mod,
    }
)


def sign(operand: Collection, negative: bool) -> Collection:
    """`-operand` or `+operand`, of a number or a quantity."""
    value = one(operand)
    if value is None:
        return EMPTY
    if isinstance(value, Quantity):
        return (negated(value) if negative else value,)
    if not is_number(value):
        raise Fault(f"a sign cannot stand before a {system_type(value)}")
    return result(-value if negative else value)  # type: ignore[operator]


def negated(quantity: Quantity) -> Quantity:
    """The quantity with the other sign."""
    return Quantity(-quantity.value, quantity.unit, quantity.calendar)


def _numbers(
    symbol: str,
    left: Item,
    right: Item,
    integers: Callable[[int, int], Item | None],
    decimals: Callable[[Decimal, Decimal], Item | None],
    quantities: Callable[[Quantity, Quantity], Item | None] | None,
) -> Item | None:
    if is_number(left) and is_number(right):
        if isinstance(left, int) and isinstance(right, int):
            return integers(left, right)
        return decimals(Decimal(left), Decimal(right))  # type: ignore[arg-type]
    if quantities is not None:
        one_quantity, other = _as_quantity(left), _as_quantity(right)
        if one_quantity is not None and other is not None:
            return quantities(one_quantity, other)
    raise Fault(f"'{symbol}' is not defined between {system_type(left)} and {system_type(right)}")


def _as_quantity(value: Item) -> Quantity | None:
    if isinstance(value, Quantity):
        return value
    return Quantity(Decimal(value)) if is_number(value) else None  # type: ignore[arg-type]


def _moved(value: Date | DateTime | Time, duration: Quantity, direction: int) -> Item | None:
    unit = calendar_unit(duration)
    if unit is None:
        raise Fault(f"'{duration.unit}' is no calendar duration: a date moves by years, months, weeks, days and so on")
    return shift(value, duration.value * direction, unit)


def _sum(left: Quantity, right: Quantity) -> Quantity | None:
    if compare(left, right) is None:
        return None
    if (left.unit, left.calendar) == (right.unit, right.calendar):
        return Quantity(_CONTEXT.add(left.value, right.value), left.unit, left.calendar)
    converted = convert(right, left)
    return None if converted is None else Quantity(_CONTEXT.add(left.value, decimal_of(converted)), left.unit)


def _product(left: Quantity, right: Quantity) -> Quantity | None:
    value = _CONTEXT.multiply(left.value, right.value)
    if right.unit == "1":
        return Quantity(value, left.unit, left.calendar)
    if left.unit == "1":
        return Quantity(value, right.unit, right.calendar)
    return Quantity(value, f"{_factor(left)}.{_factor(right)}")


def _quotient(left: Quantity, right: Quantity) -> Quantity | None:
    if right.value == 0:
        return None
    one_measure, other = measure(left), measure(right)
    if right.unit != "1" and one_measure is not None and other is not None and one_measure[1] == other[1]:
        return Quantity(decimal_of(one_measure[0] / other[0]))
    value = _quotient_of(left.value, right.value)
    if right.unit == "1":
        return Quantity(value, left.unit, left.calendar)
    return Quantity(value, f"{_factor(left)}/{_factor(right)}")


def _factor(quantity: Quantity) -> str:
    code = quantity.ucum_code
    return f"({code})" if "/" in code or "." in code else code


def _quotient_of(left: Decimal, right: Decimal) -> Decimal:
    found = _CONTEXT.divide(left, right)
    # Digits, not powers of ten: 600, not 6E+2.
    return Decimal(f"{found:f}") if int(found.as_tuple().exponent) > 0 else found
