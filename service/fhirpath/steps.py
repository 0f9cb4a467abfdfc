"""Closures for the steps of a path: elements, functions, variables and tests of type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.fhirpath import lookups
from service.fhirpath.code import BOOLEAN, Code, Place, Run, from_run, from_test
from service.fhirpath.environment import Scope
from service.fhirpath.errors import Fault
from service.fhirpath.functions.filtering import choose
from service.fhirpath.functions.signature import Function, Result, Style
from service.fhirpath.nodes import navigate
from service.fhirpath.statics import Types, TypeTest, child_types, merged
from service.fhirpath.syntax import Call
from service.fhirpath.values import EMPTY, Collection


def called(syntax: Call, function: Function, source: Code, arguments: tuple[Code, ...], place: Place) -> Code:
    """A function applied to its source: by an index, without $this of its own, or as its style asks."""
    found = lookups.indexed(syntax, source.run, arguments, place) if syntax.name == "where" else None
    if found is not None:
        return from_run(found, source.types, place)
    if syntax.name == "iif" and syntax.source is None:
        return from_run(_choice(arguments, place), merged(*(a.types for a in arguments[1:])), place)
    call = _invocation(function, source.run, arguments, place)
    if function.predicate:
        return from_test(call)
    return from_run(call, _result_types(syntax, function, source, arguments), place)


def _invocation(function: Function, source: Run, arguments: tuple[Code, ...], place: Place) -> Callable[[Scope], Any]:
    apply = function.apply
    runs = tuple(argument.run for argument in arguments)

    def of_input(scope: Scope) -> Any:
        items = source(scope)
        try:
            return apply(items)
        except Fault as fault:
            raise place.error(fault) from None

    def of_values(scope: Scope) -> Any:
        items = source(scope)
        values = [run(scope) for run in runs]
        try:
            return apply(items, *values)
        except Fault as fault:
            raise place.error(fault) from None

    def of_scope(scope: Scope) -> Any:
        items = source(scope)
        values = [run(scope) for run in runs]
        try:
            return apply(scope, items, *values)
        except Fault as fault:
            raise place.error(fault) from None

    def of_arguments(scope: Scope) -> Any:
        items = source(scope)
        try:
            return apply(scope, items, *arguments)
        except Fault as fault:
            raise place.error(fault) from None

    match function.style:
        case Style.VALUES:
            return of_values if runs else of_input
        case Style.SCOPED:
            return of_scope
        case _:
            return of_arguments


def _result_types(syntax: Call, function: Function, source: Code, arguments: tuple[Code, ...]) -> Types:
    match function.result:
        case Result.UNKNOWN:
            return child_types(source.types) if syntax.name == "children" else None
        case Result.INPUT:
            return source.types
        case Result.ARGUMENT:
            return arguments[0].types
        case Result.INPUT_AND_ARGUMENTS:
            return merged(source.types, *(argument.types for argument in arguments))
        case Result.BRANCHES:
            return merged(*(argument.types for argument in arguments[1:]))
        case name:
            return frozenset({name})


def _choice(arguments: tuple[Code, ...], place: Place) -> Run:
    if arguments[0].types == BOOLEAN:
        return _plain_choice(*arguments)

    def run(scope: Scope) -> Collection:
        try:
            return choose(scope, *arguments)
        except Fault as fault:
            raise place.error(fault) from None

    return run


def _plain_choice(criterion: Code, then: Code, otherwise: Code | None = None) -> Run:
    test, run_then = criterion.test, then.run
    run_otherwise = (lambda scope: EMPTY) if otherwise is None else otherwise.run
    return lambda scope: run_then(scope) if test(scope) is True else run_otherwise(scope)


def navigation(source: Run, name: str, place: Place) -> Run:
    """The elements called `name` of the source."""

    def run(scope: Scope) -> Collection:
        items = source(scope)
        try:
            return navigate(items, name)
        except Fault as fault:
            raise place.error(fault) from None

    return run


def variable(name: str, types: Types, place: Place) -> Code:
    """The environment's collection called `name`."""

    def default(scope: Scope) -> Collection:
        try:
            return scope.default(name)
        except Fault as fault:
            raise place.error(fault) from None

    def run(scope: Scope) -> Collection:
        try:
            return scope.environment.variables[name]
        except KeyError:
            return default(scope)

    return from_run(run, types, place)


def type_check(operand: Code, tested: TypeTest, place: Place) -> Code:
    """`operand is type`."""
    run = operand.run

    def test(scope: Scope) -> bool | None:
        items = run(scope)
        if len(items) > 1:
            raise place.error(Fault(f"'is' expects one item at most, found {len(items)}"))
        return tested.matches(items[0]) if items else None

    return from_test(test)


def type_cast(operand: Code, tested: TypeTest, place: Place) -> Code:
    """`operand as type`."""
    run = operand.run

    def checked(scope: Scope) -> Collection:
        items = run(scope)
        if len(items) > 1:
            raise place.error(Fault(f"'as' expects one item at most, found {len(items)}"))
        return items if items and tested.matches(items[0]) else EMPTY

    return from_run(checked, tested.types, place)
