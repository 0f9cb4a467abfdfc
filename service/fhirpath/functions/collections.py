"""Subsetting and combining collections (FHIRPath 2.0, sections 5.3 and 5.4)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from service.fhirpath.comparison import distinct, key
from service.fhirpath.errors import Fault
from service.fhirpath.functions.signature import Function, Functions, Result
from service.fhirpath.values import EMPTY, Collection, integer


def single(items: Collection) -> Collection:
    """The only item; an error when there are several."""
    if len(items) > 1:
        raise Fault(f"single() expects one item at most, found {len(items)}")
    return items


def skip(items: Collection, number: Collection) -> Collection:
    """All but the first `number` items."""
    return items[max(0, _number(number, "skip")) :]


def take(items: Collection, number: Collection) -> Collection:
    """The first `number` items."""
    return items[: max(0, _number(number, "take"))]


def at(items: Collection, index: Collection) -> Collection:
    """The item at an index from 0; none beyond the end."""
    place = integer(index)
    if place is None or not 0 <= place < len(items):
        return EMPTY
    return (items[place],)


def union(items: Collection, others: Collection) -> Collection:
    """All items of both, without repetitions."""
    return distinct([*items, *others])


def combine(items: Collection, others: Collection) -> Collection:
    """All items of both, repetitions kept."""
    return [*items, *others]


def intersect(items: Collection, others: Collection) -> Collection:
    """The items that are in both, without repetitions."""
    theirs = {key(item) for item in others}
    return distinct([item for item in items if key(item) in theirs])


def exclude(items: Collection, others: Collection) -> Collection:
    """The items that are not among the others; order and repetitions kept."""
    theirs = {key(item) for item in others}
    return [item for item in items if key(item) not in theirs]


def _number(argument: Collection, function: str) -> int:
    number = integer(argument)
    if number is None:
        raise Fault(f"{function}() expects a number")
    return number


FUNCTIONS: Final[Functions] = MappingProxyType(
    {
        "single": Function(single, result=Result.INPUT),
        "first": Function(lambda items: items[:1], result=Result.INPUT),
        "last": Function(lambda items: items[-1:], result=Result.INPUT),
        "tail": Function(lambda items: items[1:], result=Result.INPUT),
        "skip": Function(skip, 1, 1, Result.INPUT),
        "take": Function(take, 1, 1, Result.INPUT),
        "distinct": Function(distinct, result=Result.INPUT),
        "union": Function(union, 1, 1, Result.INPUT_AND_ARGUMENTS),
        "combine": Function(combine, 1, 1, Result.INPUT_AND_ARGUMENTS),
        "intersect": Function(intersect, 1, 1, Result.INPUT),
        "exclude": Function(exclude, 1, 1, Result.INPUT),
    }
)
