"""Closures for the binary operators (FHIRPath 2.0, section 6). Logic is three-valued and stops as soon as it can."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from service.fhirpath import comparison
from service.fhirpath.arithmetic import ARITHMETIC, Operation, calculate
from service.fhirpath.code import Code, Place, Test, from_run, from_test
from service.fhirpath.environment import Scope
from service.fhirpath.errors import Fault
from service.fhirpath.functions.strings import concatenate
from service.fhirpath.nodes import Node
from service.fhirpath.statics import Types, merged
from service.fhirpath.syntax import Operator
from service.fhirpath.values import Collection


def binary(operator: Operator, left: Code, right: Code, place: Place) -> Code:
    """Code for `left operator right`."""
    if operator in _LOGIC:
        return from_test(_LOGIC[operator](left.test, right.test))
    if operator in _TESTS:
        return from_test(_shortcut(operator, left, right) or _both(_TESTS[operator], left, right, place))
    return _calculation(operator, left, right, place)


def _both(compare: Callable[[Collection, Collection], bool | None], left: Code, right: Code, place: Place) -> Test:
    run_left, run_right = left.run, right.run

    def test(scope: Scope) -> bool | None:
        one, other = run_left(scope), run_right(scope)
        try:
            return compare(one, other)
        except Fault as fault:
            raise place.error(fault) from None

    return test


def _calculation(operator: Operator, left: Code, right: Code, place: Place) -> Code:
    run_left, run_right = left.run, right.run
    operate: Callable[[Collection, Collection], Collection]
    types: Types = None
    if operator is Operator.UNION:
        operate, types = _union, merged(left.types, right.types)
    elif operator is Operator.CONCATENATE:
        operate, types = concatenate, frozenset({"System.String"})
    else:
        operate = _calculated(ARITHMETIC[operator])

    def run(scope: Scope) -> Collection:
        one, other = run_left(scope), run_right(scope)
        try:
            return operate(one, other)
        except Fault as fault:
            raise place.error(fault) from None

    return from_run(run, types, place)


def _calculated(operation: Operation) -> Callable[[Collection, Collection], Collection]:
    return lambda left, right: calculate(operation, left, right)


def _union(left: Collection, right: Collection) -> Collection:
    return comparison.distinct([*left, *right])


def _and(left: Test, right: Test) -> Test:
    def test(scope: Scope) -> bool | None:
        one = left(scope)
        if one is False:
            return False
        other = right(scope)
        return other if one is True or other is False else None

    return test


def _or(left: Test, right: Test) -> Test:
    def test(scope: Scope) -> bool | None:
        one = left(scope)
        if one is True:
            return True
        other = right(scope)
        return other if one is False or other is True else None

    return test


def _xor(left: Test, right: Test) -> Test:
    def test(scope: Scope) -> bool | None:
        one, other = left(scope), right(scope)
        return None if one is None or other is None else one is not other

    return test


def _implies(left: Test, right: Test) -> Test:
    def test(scope: Scope) -> bool | None:
        one = left(scope)
        if one is False:
            return True
        other = right(scope)
        return other if one is True or other is True else None

    return test


def _not_equal(left: Collection, right: Collection) -> bool | None:
    same = comparison.equal(left, right)
    return None if same is None else not same


def _ordered(accepts: Callable[[int], bool]) -> Callable[[Collection, Collection], bool | None]:
    def test(left: Collection, right: Collection) -> bool | None:
        order = comparison.order(left, right)
        return None if order is None else accepts(order)

    return test


def _is_in(left: Collection, right: Collection) -> bool | None:
    if not left:
        return None
    if len(left) > 1:
        raise Fault(f"expected one item to look for, found {len(left)}")
    return comparison.contains(right, left[0])


def _shortcut(operator: Operator, left: Code, right: Code) -> Test | None:
    """The commonest comparisons of packs, with a string that stands in the expression, without conversions."""
    literal = right.constant
    if literal is None or len(literal) != 1 or not isinstance(literal[0], str):
        return None
    wanted, run = literal[0], left.run
    if operator is Operator.EQUAL:

        def equals(scope: Scope) -> bool | None:
            found = run(scope)
            if not found:
                return None
            item = found[0]
            if (
                len(found) == 1
                and type(item) is Node
                and item.definition.system == "String"
                and type(item.value) is str
            ):
                return item.value == wanted
            return comparison.equal(found, literal)

        return equals
    if operator is Operator.CONTAINS:

        def contains(scope: Scope) -> bool | None:
            return comparison.contains(run(scope), wanted)

        return contains
    return None


_LOGIC: Final[Mapping[Operator, Callable[[Test, Test], Test]]] = MappingProxyType(
    {Operator.AND: _and, Operator.OR: _or, Operator.XOR: _xor, Operator.IMPLIES: _implies}
)
_TESTS: Final[Mapping[Operator, Callable[[Collection, Collection], bool | None]]] = MappingProxyType(
    {
        Operator.EQUAL: comparison.equal,
        Operator.NOT_EQUAL: _not_equal,
        Operator.EQUIVALENT: comparison.equivalent,
        Operator.NOT_EQUIVALENT: lambda left, right: not comparison.equivalent(left, right),
        Operator.LESS: _ordered(lambda order: order < 0),
        Operator.LESS_OR_EQUAL: _ordered(lambda order: order <= 0),
        Operator.GREATER: _ordered(lambda order: order > 0),
        Operator.GREATER_OR_EQUAL: _ordered(lambda order: order >= 0),
        Operator.IN: _is_in,
        Operator.CONTAINS: lambda left, right: _is_in(right, left),
    }
)
