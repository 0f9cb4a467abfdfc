"""Conditions of rules as formulas over facts, in three-valued logic, evaluated for many inputs at once.

A value here is a set of possible truth values, as bits: what a formula may come to when its facts may each be several.
The set is never too small; it may be too large where facts hang together, and is exact where every fact is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

FALSE: Final = 1
TRUE: Final = 2
EMPTY: Final = 4
ANYTHING: Final = FALSE | TRUE | EMPTY
VALUES: Final = (FALSE, TRUE, EMPTY)


@dataclass(frozen=True, slots=True, eq=False)
class Atom:
    """A fact, by name."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """One truth value."""

    value: int


@dataclass(frozen=True, slots=True, eq=False)
class Combined:
    """Parts joined by a binary operation; `table` gives its values for two sets of values, `start` that of no parts."""

    table: Sequence[Sequence[int]]
    start: int
    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Mapped:
    """A formula whose value is translated, such as by not(), exists() or a look at whether it is true."""

    table: Sequence[int]
    part: Formula


Formula = Atom | Constant | Combined | Mapped


def _and(left: int, right: int) -> int:
    if FALSE in (left, right):
        return FALSE
    return EMPTY if EMPTY in (left, right) else TRUE


def _or(left: int, right: int) -> int:
    if TRUE in (left, right):
        return TRUE
    return EMPTY if EMPTY in (left, right) else FALSE


def _xor(left: int, right: int) -> int:
    if EMPTY in (left, right):
        return EMPTY
    return FALSE if left == right else TRUE


def _not(value: int) -> int:
    return {FALSE: TRUE, TRUE: FALSE, EMPTY: EMPTY}[value]


def _members(values: int) -> Iterator[int]:
    return (value for value in VALUES if values & value)


def _binary(operation: Callable[[int, int], int]) -> tuple[tuple[int, ...], ...]:
    def of(left: int, right: int) -> int:
        found = 0
        for one in _members(left):
            for other in _members(right):
                found |= operation(one, other)
        return found

    return tuple(tuple(of(left, right) for right in range(ANYTHING + 1)) for left in range(ANYTHING + 1))


def _unary(operation: Callable[[int], int]) -> tuple[int, ...]:
    found = []
    for values in range(ANYTHING + 1):
        result = 0
        for value in _members(values):
            result |= operation(value)
        found.append(result)
    return tuple(found)


_AND: Final = _binary(_and)
_OR: Final = _binary(_or)
_XOR: Final = _binary(_xor)
_NOT: Final = _unary(_not)


def conjunction(*parts: Formula) -> Formula:
    """FHIRPath's `and`; true for no parts."""
    return Combined(_AND, TRUE, parts)


def disjunction(*parts: Formula) -> Formula:
    """FHIRPath's `or`; false for no parts."""
    return Combined(_OR, FALSE, parts)


def exclusive(left: Formula, right: Formula) -> Formula:
    """FHIRPath's `xor`."""
    return Combined(_XOR, FALSE, (left, right))


def negation(part: Formula) -> Formula:
    """FHIRPath's `not()`."""
    return Mapped(_NOT, part)


def among(part: Formula, values: int) -> Formula:
    """True where `part` has one of `values`, else false; never empty."""
    return Mapped(_unary(lambda value: TRUE if value & values else FALSE), part)


def is_true(part: Formula) -> Formula:
    return among(part, TRUE)


def is_not_true(part: Formula) -> Formula:
    return among(part, FALSE | EMPTY)


def renamed(formula: Formula, names: Mapping[str, str], known: dict[int, Formula]) -> Formula:
    """The formula with other facts in place of those in `names`; itself where it has none of these.

    `known` holds, by id, what was renamed before.
    """
    found = known.get(id(formula))
    if found is None:
        match formula:
            case Atom(name=name) if name in names:
                found = Atom(names[name])
            case Combined(table=table, start=start, parts=parts):
                others = tuple(renamed(part, names, known) for part in parts)
                is_same = all(one is other for one, other in zip(parts, others, strict=True))
                found = formula if is_same else Combined(table, start, others)
            case Mapped(table=mapping, part=part):
                other = renamed(part, names, known)
                found = formula if other is part else Mapped(mapping, other)
            case _:
                found = formula
        known[id(formula)] = found
    return found
