"""Existence (FHIRPath 2.0, section 5.1)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from service.fhirpath.comparison import distinct, key
from service.fhirpath.environment import Scope
from service.fhirpath.errors import Fault
from service.fhirpath.functions.signature import Argument, Function, Functions, Style
from service.fhirpath.values import Collection, system_type, system_value, truth


def empty(items: Collection) -> bool:
    """True when there is no item."""
    return not items


def exists(scope: Scope, items: Collection, criteria: Argument | None = None) -> bool:
    """True when there is an item, or one that meets the criteria."""
    if criteria is None or not items:
        return bool(items)
    scope.spend(len(items))
    inner = scope.inner(items)
    for inner.index, item in enumerate(items):
        inner.this = (item,)
        if criteria.test(inner) is True:
            return True
    return False


def all_meet(scope: Scope, items: Collection, criteria: Argument) -> bool:
    """True when each item meets the criteria, hence also of no items."""
    scope.spend(len(items))
    inner = scope.inner(items)
    for inner.index, item in enumerate(items):
        inner.this = (item,)
        if criteria.test(inner) is not True:
            return False
    return True


def negation(items: Collection) -> bool | None:
    """The three-valued not()."""
    value = truth(items)
    return None if value is None else not value


def all_true(items: Collection) -> bool:
    """True when every item is true."""
    return all(_booleans(items))


def any_true(items: Collection) -> bool:
    """True when any item is true."""
    return any(_booleans(items))


def all_false(items: Collection) -> bool:
    """True when every item is false."""
    return not any(_booleans(items))


def any_false(items: Collection) -> bool:
    """True when any item is false."""
    return not all(_booleans(items))


def subset_of(items: Collection, others: Collection) -> bool:
    """True when each item is also one of the others."""
    return {key(item) for item in items} <= {key(item) for item in others}


def superset_of(items: Collection, others: Collection) -> bool:
    """True when each of the others is also one of the items."""
    return subset_of(others, items)


def count(items: Collection) -> Collection:
    """The number of items."""
    return (len(items),)


def is_distinct(items: Collection) -> bool:
    """True when no two items are equal."""
    return len(distinct(items)) == len(items)


def _booleans(items: Collection) -> list[bool]:
    found = []
    for item in items:
        value = system_value(item)
        if not isinstance(value, bool):
            raise Fault(f"expected Booleans, found {'nothing' if value is None else system_type(value)}")
        found.append(value)
    return found


_BOOLEAN: Final = "System.Boolean"
FUNCTIONS: Final[Functions] = MappingProxyType(
    {
        "empty": Function(empty, result=_BOOLEAN, predicate=True),
        "exists": Function(exists, maximum=1, result=_BOOLEAN, style=Style.LOOP, predicate=True),
        "all": Function(all_meet, 1, 1, _BOOLEAN, Style.LOOP, predicate=True),
        "not": Function(negation, result=_BOOLEAN, predicate=True),
        "allTrue": Function(all_true, result=_BOOLEAN, predicate=True),
        "anyTrue": Function(any_true, result=_BOOLEAN, predicate=True),
        "allFalse": Function(all_false, result=_BOOLEAN, predicate=True),
        "anyFalse": Function(any_false, result=_BOOLEAN, predicate=True),
        "subsetOf": Function(subset_of, 1, 1, _BOOLEAN, predicate=True),
        "supersetOf": Function(superset_of, 1, 1, _BOOLEAN, predicate=True),
        "count": Function(count, result="System.Integer"),
        "isDistinct": Function(is_distinct, result=_BOOLEAN, predicate=True),
    }
)
