"""How a function is described to the compiler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from service.fhirpath.environment import Scope
from service.fhirpath.values import Collection


class Argument(Protocol):
    """A compiled argument that a function evaluates itself, as often as it needs to."""

    @property
    def run(self) -> Callable[[Scope], Collection]:
        """Its collection in a scope."""

    @property
    def test(self) -> Callable[[Scope], bool | None]:
        """Its collection in a scope, as a Boolean."""


class Result(StrEnum):
    """Where the static type of a function's result comes from, if it is no type by name."""

    UNKNOWN = ""
    INPUT = "input"
    ARGUMENT = "argument"
    INPUT_AND_ARGUMENTS = "input and arguments"
    BRANCHES = "branches"


class Style(StrEnum):
    """How `apply` is called."""

    VALUES = "values"
    """apply(input, *collections): the arguments are evaluated first, in the scope of the call."""
    SCOPED = "scoped"
    """apply(scope, input, *collections): likewise, and the function reads the scope."""
    LOOP = "loop"
    """apply(scope, input, *arguments): it evaluates its arguments itself, once for each item as $this."""
    FOLD = "fold"
    """As LOOP, and $total may be read."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function. `apply` answers a collection, or bool | None when `predicate`; it raises Fault."""

    apply: Callable[..., Any]
    minimum: int = 0
    maximum: int = 0
    result: Result | str = Result.UNKNOWN
    style: Style = Style.VALUES
    predicate: bool = False
    outside: int | None = None
    """Place of an argument that LOOP and FOLD evaluate once, where the call stands, and not for an item."""


Functions = Mapping[str, Function]
