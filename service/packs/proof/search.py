"""Looks for an input that makes a formula true, among all combinations of independent groups of answers.

Facts are decided one after the other. Where the facts decided so far settle the formula, all inputs below are settled
at once and none of them is visited; where they do not, the search goes on, so it misses nothing. An answer of "none"
stands for every combination.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from service.packs.proof.formula import (
    EMPTY,
    FALSE,
    TRUE,
    VALUES,
    Atom,
    Combined,
    Constant,
    Formula,
    Mapped,
    is_true,
)


@dataclass(frozen=True, slots=True)
class Domain:
    """What one group of questions can give: `size` entries, of which each gives all facts of the group at once.

    `masks` holds for each fact the entries, as bits, for which it is false, true and empty.
    """

    size: int
    masks: Mapping[str, tuple[int, int, int]]

    @classmethod
    def of(cls, names: Sequence[str], entries: Sequence[Sequence[int]]) -> Domain:
        """The domain of `entries`, each the values of the facts called `names`."""
        masks: dict[str, tuple[int, int, int]] = {}
        for position, name in enumerate(names):
            column = [entry[position] for entry in reversed(entries)]
            masks[name] = _bits(column, FALSE), _bits(column, TRUE), _bits(column, EMPTY)
        return cls(len(entries), masks)

    @property
    def all(self) -> int:
        """Every entry."""
        return (1 << self.size) - 1


Choice = Mapping[str, int]
"""The entries, as bits, that are left of each domain."""


@dataclass(slots=True)
class Search:
    """Searches over the product of `domains`, by name. `visited` counts the places where a formula was looked at."""

    domains: Mapping[str, Domain]
    visited: int = 0
    _home: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._home = {fact: name for name, domain in self.domains.items() for fact in domain.masks}

    @property
    def combinations(self) -> int:
        """How many combinations of entries there are."""
        return prod(domain.size for domain in self.domains.values())

    def find(self, formula: Formula) -> dict[str, int] | None:
        """One entry of each domain, by number, for which `formula` is true; None when there is no such combination."""
        choice = self._find(is_true(formula), {name: domain.all for name, domain in self.domains.items()})
        return None if choice is None else {name: _lowest(entries) for name, entries in choice.items()}

    def values(self, formula: Formula, entries: Mapping[str, int]) -> int:
        """The one value of `formula` for an entry of each domain."""
        return self._value(formula, {name: 1 << number for name, number in entries.items()}, {})

    def _find(self, goal: Formula, choice: dict[str, int]) -> dict[str, int] | None:
        self.visited += 1
        known: dict[int, int] = {}
        found = self._value(goal, choice, known)
        if found == TRUE:
            return choice
        if not found & TRUE:
            return None
        fact = self._undecided(goal, known)
        home = self._home[fact]
        false, true, empty = self.domains[home].masks[fact]
        # Most goals ask only whether something is true: false and empty are told apart where that is not enough.
        for mask in (true, false | empty) if choice[home] & true else (false, empty):
            left = choice[home] & mask
            if left:
                answer = self._find(goal, {**choice, home: left})
                if answer is not None:
                    return answer
        return None

    def _value(self, formula: Formula, choice: Choice, known: dict[int, int]) -> int:
        key = id(formula)
        value = known.get(key)
        if value is not None:
            return value
        match formula:
            case Combined(table=table, start=value, parts=parts):
                for part in parts:
                    value = table[value][self._value(part, choice, known)]
            case Mapped(table=mapping, part=part):
                value = mapping[self._value(part, choice, known)]
            case Atom(name=name):
                home = self._home[name]
                value = _possible(choice[home], self.domains[home].masks[name])
            case Constant(value=value):
                pass
        known[key] = value
        return value

    def _undecided(self, formula: Formula, known: Mapping[int, int]) -> str:
        """A fact that is not decided yet, in a part that is not."""
        match formula:
            case Atom(name=name):
                return name
            case Mapped(part=part):
                return self._undecided(part, known)
            case Combined(parts=parts):
                return self._undecided(next(part for part in parts if known[id(part)] not in VALUES), known)
            case Constant():
                raise AssertionError("a constant is decided")


def _bits(column: Sequence[int], value: int) -> int:
    return int("".join("1" if one == value else "0" for one in column) or "0", 2)


def _possible(entries: int, masks: tuple[int, int, int]) -> int:
    found = 0
    for value, mask in zip((FALSE, TRUE, EMPTY), masks, strict=True):
        if entries & mask:
            found |= value
    return found


def _lowest(entries: int) -> int:
    return (entries & -entries).bit_length() - 1
