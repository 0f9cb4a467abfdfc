"""Filtering and projection, aggregates and tracing (FHIRPath 2.0, sections 5.2, 5.5.1, 5.9 and 7)."""

from __future__ import annotations

from functools import cmp_to_key
from types import MappingProxyType
from typing import Final

from service.fhirpath.comparison import Seen, order
from service.fhirpath.environment import Scope
from service.fhirpath.errors import Fault
from service.fhirpath.functions.signature import Argument, Function, Functions, Result, Style
from service.fhirpath.values import EMPTY, Collection, Item, one, string, system_type

MAX_ROUNDS: Final = 1_000
"""Levels that repeat() follows: far more than any resource is deep."""


def where(scope: Scope, items: Collection, criteria: Argument) -> Collection:
    """The items that meet the criteria."""
    if not items:
        return EMPTY
    scope.spend(len(items))
    inner = scope.inner(items)
    found = []
    for inner.index, item in enumerate(items):
        inner.this = (item,)
        if criteria.test(inner) is True:
            found.append(item)
    return found


def select(scope: Scope, items: Collection, projection: Argument) -> Collection:
    """What the projection gives for each item, in one collection."""
    scope.spend(len(items))
    inner = scope.inner(items)
    found: list[Item] = []
    for inner.index, item in enumerate(items):
        inner.this = (item,)
        found.extend(projection.run(inner))
    return found


def repeat(scope: Scope, items: Collection, projection: Argument) -> Collection:
    """The projection of the items, of its results, and so on, until nothing new (by equality) is found."""
    found: list[Item] = []
    seen = Seen()
    for _ in range(MAX_ROUNDS):
        fresh = [item for item in select(scope, items, projection) if seen.is_new(item)]
        if not fresh:
            return found
        found.extend(fresh)
        items = fresh
    raise Fault(f"repeat() found no end after {MAX_ROUNDS} rounds")


def aggregate(scope: Scope, items: Collection, step: Argument, start: Argument | None = None) -> Collection:
    """The step applied to each item in turn, with what came before as $total."""
    scope.spend(len(items))
    inner = scope.inner(items)
    inner.total = EMPTY if start is None else start.run(scope)
    for inner.index, item in enumerate(items):
        inner.this = (item,)
        inner.total = step.run(inner)
    return inner.total


def if_else(
    scope: Scope, items: Collection, criterion: Argument, then: Argument, otherwise: Argument | None = None
) -> Collection:
    """One of the two branches; the other is not evaluated. An empty criterion counts as false."""
    if len(items) > 1:
        raise Fault(f"iif() expects one item at most, found {len(items)}")
    return choose(scope.inner(items), criterion, then, otherwise)


def choose(scope: Scope, criterion: Argument, then: Argument, otherwise: Argument | None = None) -> Collection:
    """As `if_else`, with the focus left as it is: for an iif() that follows nothing."""
    found = one(criterion.run(scope))
    if found is True:
        return then.run(scope)
    if found is False or found is None:
        return EMPTY if otherwise is None else otherwise.run(scope)
    raise Fault(f"the criterion of iif() is a {system_type(found)}, not a Boolean")


def trace(scope: Scope, items: Collection, name: Argument, projection: Argument | None = None) -> Collection:
    """The items unchanged; the environment's port is told of them."""
    port = scope.environment.trace
    if port is not None:
        told = items if projection is None else select(scope, items, projection)
        port(string(name.run(scope)) or "", told)
    return items


def define_variable(scope: Scope, items: Collection, name: Argument, value: Argument | None = None) -> Collection:
    """The items unchanged; from here on, `%name` is the value, or the items themselves."""
    called = string(name.run(scope))
    if called is None:
        raise Fault("defineVariable() expects a name")
    scope.variables = {**scope.variables, called: items if value is None else value.run(scope.inner(items))}
    return items


def sort(scope: Scope, items: Collection, *keys: Argument) -> Collection:
    """The items in the order of the keys (of their own values without keys); a minus before a key reverses it."""
    scope.spend(len(items))
    rows = []
    for item in items:
        inner = scope.inner((item,))
        rows.append((item, [one(sort_key.run(inner)) for sort_key in keys] or [one((item,))]))
    descending = [getattr(sort_key, "descending", False) for sort_key in keys] or [False]

    def compare(left: tuple[Item, list[Item | None]], right: tuple[Item, list[Item | None]]) -> int:
        for reverse, mine, theirs in zip(descending, left[1], right[1], strict=True):
            found = _order_with_empty_first(mine, theirs)
            if found:
                return -found if reverse else found
        return 0

    return [item for item, _ in sorted(rows, key=cmp_to_key(compare))]


def _order_with_empty_first(left: Item | None, right: Item | None) -> int:
    if left is None or right is None:
        return (left is not None) - (right is not None)
    return order((left,), (right,)) or 0


FUNCTIONS: Final[Functions] = MappingProxyType(
    {
        "where": Function(where, 1, 1, Result.INPUT, Style.LOOP),
        "select": Function(select, 1, 1, Result.ARGUMENT, Style.LOOP),
        "repeat": Function(repeat, 1, 1, Result.ARGUMENT, Style.LOOP),
        "aggregate": Function(aggregate, 1, 2, style=Style.FOLD, outside=1),
        "iif": Function(if_else, 2, 3, Result.BRANCHES, Style.LOOP),
        "trace": Function(trace, 1, 2, Result.INPUT, Style.LOOP, outside=0),
        "defineVariable": Function(define_variable, 1, 2, Result.INPUT, Style.LOOP, outside=0),
        "sort": Function(sort, 0, 20, Result.INPUT, Style.LOOP),
    }
)
