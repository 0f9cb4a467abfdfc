"""What the compiler makes of a part of an expression: closures, and what is known of their result beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.fhirpath.environment import Scope
from service.fhirpath.errors import EvaluationError, Fault
from service.fhirpath.statics import Types
from service.fhirpath.values import Collection, boolean, truth

Run = Callable[[Scope], Collection]
Test = Callable[[Scope], bool | None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which expression a part stands, to say so in errors."""

    text: str
    position: int

    def error(self, fault: Fault) -> EvaluationError:
        """The fault, with its place."""
        return EvaluationError(self.text, self.position, fault.reason)


@dataclass(frozen=True, slots=True)
class Code:
    """One compiled part: `run` gives its collection, `test` the same as a Boolean (None: empty)."""

    run: Run
    test: Test
    types: Types = None
    """The types its items may have; None where that is not known before it runs."""
    constant: Collection | None = None
    """Its collection, where that does not depend on anything."""
    defined: frozenset[str] = frozenset()
    """Variables that defineVariable() has made for what follows this part."""
    descending: bool = False
    """Of a key of sort(): the order is reversed."""


def from_run(run: Run, types: Types, place: Place, defined: frozenset[str] = frozenset()) -> Code:
    """Code of a part that gives a collection."""

    def test(scope: Scope) -> bool | None:
        found = run(scope)
        if not found:
            return None
        if len(found) == 1 and (found[0] is True or found[0] is False):
            return found[0]
        try:
            return truth(found)
        except Fault as fault:
            raise place.error(fault) from None

    return Code(run, test, types, defined=defined)


def from_test(test: Test) -> Code:
    """Code of a part that gives a Boolean or nothing."""
    return Code(lambda scope: boolean(test(scope)), test, BOOLEAN)


def constant(value: Collection, types: Types, place: Place) -> Code:
    """Code that always gives the same."""
    try:
        known = truth(value)
    except Fault:
        return from_run(lambda scope: value, types, place)
    return Code(lambda scope: value, lambda scope: known, types, constant=value)


BOOLEAN: Types = frozenset({"System.Boolean"})
