"""Math (FHIRPath 2.0, section 5.7). Of nothing, nothing; of no number, an error; no real result, an empty one."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, DecimalException
from types import MappingProxyType
from typing import Final

from service.fhirpath.arithmetic import result
from service.fhirpath.errors import Fault
from service.fhirpath.functions.signature import Function, Functions, Result
from service.fhirpath.quantity import Quantity
from service.fhirpath.values import EMPTY, Collection, Item, integer, is_number, one, system_type

Number = int | Decimal
_CONTEXT: Final = Context(prec=28, Emax=999, Emin=-999)
_ONE: Final = Decimal(1)


def _number(items: Collection) -> Number | None:
    value = one(items)
    if value is None or is_number(value):
        return value  # type: ignore[return-value]
    raise Fault(f"expected a number, found {system_type(value)}")


def _of_number(operation: Callable[[Decimal], Item | None]) -> Callable[[Collection], Collection]:
    def apply(items: Collection) -> Collection:
        number = _number(items)
        return EMPTY if number is None else _guarded(lambda: operation(Decimal(number)))

    return apply


def _guarded(operation: Callable[[], Item | None]) -> Collection:
    try:
        return result(operation())
    except DecimalException:
        return EMPTY


def absolute(items: Collection) -> Collection:
    """The value without its sign, of a number or a quantity."""
    value = one(items)
    if isinstance(value, Quantity):
        return (Quantity(abs(value.value), value.unit, value.calendar),)
    number = _number(items)
    return EMPTY if number is None else result(-number if number < 0 else number)


def power(items: Collection, exponent: Collection) -> Collection:
    """An Integer if both operands are and the exponent is not negative, else a Decimal."""
    base, raised = _number(items), _number(exponent)
    if base is None or raised is None:
        return EMPTY

    def operation() -> Number:
        found = _CONTEXT.power(Decimal(base), Decimal(raised))
        return int(found) if isinstance(base, int) and isinstance(raised, int) and raised >= 0 else found

    return EMPTY if base == 0 and raised < 0 else _guarded(operation)


def logarithm(items: Collection, base: Collection) -> Collection:
    """The logarithm to a base."""
    number, to_base = _number(items), _number(base)
    if number is None or to_base is None or number <= 0 or to_base <= 0 or to_base == 1:
        return EMPTY
    return _guarded(lambda: _tidy(_CONTEXT.divide(_CONTEXT.ln(Decimal(number)), _CONTEXT.ln(Decimal(to_base)))))


def rounded(items: Collection, precision: Collection | None = None) -> Collection:
    """To a number of decimal places (0 by default); halves away from zero."""
    number = _number(items)
    places = 0 if precision is None else integer(precision)
    if number is None:
        return EMPTY
    if places is None or not 0 <= places <= 28:
        raise Fault("round() expects a precision from 0 to 28")
    if -int(Decimal(number).as_tuple().exponent) <= places:
        return (Decimal(number),)
    return _guarded(lambda: Decimal(number).quantize(_ONE.scaleb(-places), ROUND_HALF_UP, _CONTEXT))


def _tidy(number: Decimal) -> Decimal:
    """Digits that only the rounding of two logarithms made are taken away."""
    return Context(prec=26).plus(number).normalize()


def _square_root(number: Decimal) -> Decimal | None:
    return None if number < 0 else _CONTEXT.sqrt(number)


def _natural_logarithm(number: Decimal) -> Decimal | None:
    return None if number <= 0 else _CONTEXT.ln(number)


_INTEGER: Final = "System.Integer"
_DECIMAL: Final = "System.Decimal"
FUNCTIONS: Final[Functions] = MappingProxyType(
    {
        "abs": Function(absolute, result=Result.INPUT),
        "ceiling": Function(_of_number(lambda number: int(number.to_integral_value(ROUND_CEILING))), result=_INTEGER),
        "floor": Function(_of_number(lambda number: int(number.to_integral_value(ROUND_FLOOR))), result=_INTEGER),
        "truncate": Function(_of_number(int), result=_INTEGER),
        "exp": Function(_of_number(_CONTEXT.exp), result=_DECIMAL),
        "ln": Function(_of_number(_natural_logarithm), result=_DECIMAL),
        "sqrt": Function(_of_number(_square_root), result=_DECIMAL),
        "log": Function(logarithm, 1, 1, _DECIMAL),
        "power": Function(power, 1, 1),
        "round": Function(rounded, 0, 1, _DECIMAL),
    }
)
