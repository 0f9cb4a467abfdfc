"""Syntax tree to closures. What is not supported, and every name that cannot be, is an error here and not later."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar, cast

from service.fhirpath.arithmetic import sign
from service.fhirpath.code import Code, Place, constant, from_run
from service.fhirpath.environment import Scope
from service.fhirpath.errors import Fault, FhirPathError
from service.fhirpath.functions import FUNCTIONS
from service.fhirpath.functions.collections import at
from service.fhirpath.functions.signature import Function, Style
from service.fhirpath.model import definition, is_type
from service.fhirpath.operators import binary
from service.fhirpath.statics import (
    Types,
    TypeTest,
    filtered_by_type_name,
    known_types,
    member_types,
    merged,
    type_test,
)
from service.fhirpath.steps import called, navigation, type_cast, type_check, variable
from service.fhirpath.syntax import (
    Binary,
    Call,
    Index,
    Indexer,
    Literal,
    Member,
    Polarity,
    Syntax,
    This,
    Total,
    TypeName,
    TypeOperation,
    Variable,
)
from service.fhirpath.values import Collection, system_type

T = TypeVar("T")
_NO_SCOPE: Final = cast("Scope", None)
"""Constants read no scope."""
_CONSTANTS: Final = (
    ("sct", "http://snomed.info/sct"),
    ("loinc", "http://loinc.org"),
    ("ucum", "http://unitsofmeasure.org"),
)
_PREFIXES: Final = (
    ("vs-", "http://hl7.org/fhir/ValueSet/"),
    ("ext-", "http://hl7.org/fhir/StructureDefinition/"),
)
_ALWAYS: Final = frozenset({"context", "resource", "rootResource"})
_TYPE_FUNCTIONS: Final = frozenset({"is", "as", "ofType"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known at a part of an expression, before it runs."""

    this: Types
    defined: frozenset[str] = frozenset()
    at_root: bool = True
    """The focus is still the one that was given: a path may begin with its type."""
    in_fold: bool = False
    """Inside of aggregate(), where $total has a value."""

    def inside(self, this: Types, function: Function) -> Surroundings:
        """The same for an argument that a function evaluates for each item."""
        return replace(self, this=this, at_root=False, in_fold=self.in_fold or function.style is Style.FOLD)


class Compiler:
    """Compiles one expression; afterwards `variables` holds the names it reads behind %."""

    def __init__(
        self, text: str, context_type: str | None, variables: Container[str] | None, types: Mapping[str, str]
    ) -> None:
        self._text = text
        self._allowed = variables
        resource = _resource_types(context_type)
        named = {name: known_types(one) for name, one in types.items()}
        self._types = {"resource": resource, "rootResource": resource, **named}
        self._surroundings = Surroundings(known_types(context_type))
        self._following = False
        self.variables: set[str] = set()

    def compile(self, syntax: Syntax) -> Code:
        """The code of the whole expression. Raises FhirPathError."""
        return self._code(syntax, self._surroundings)

    def _code(self, syntax: Syntax, near: Surroundings) -> Code:
        place = Place(self._text, syntax.position)
        match syntax:
            case Literal():
                types = frozenset(f"System.{system_type(item)}" for item in syntax.value)
                return constant(syntax.value, types, place)
            case Variable():
                return self._variable(syntax, near, place)
            case This():
                return from_run(lambda scope: scope.this, near.this, place)
            case Index():
                return from_run(lambda scope: (scope.index,), frozenset({"System.Integer"}), place)
            case Total():
                if not near.in_fold:
                    raise FhirPathError(self._text, syntax.position, "$total has a value inside of aggregate() only")
                return from_run(lambda scope: scope.total, None, place)
            case Member():
                return self._member(syntax, near, place)
            case Call():
                return self._call(syntax, near, place)
            case Indexer():
                return self._indexer(syntax, near, place)
            case Polarity():
                return self._polarity(syntax, near, place)
            case Binary():
                left, right = self._code(syntax.left, near), self._code(syntax.right, near)
                return _folded(binary(syntax.operator, left, right, place), (left, right), place)
            case TypeOperation():
                operand = self._code(syntax.operand, near)
                tested = self._type_test(syntax.type_name)
                return type_cast(operand, tested, place) if syntax.cast else type_check(operand, tested, place)

    def _variable(self, syntax: Variable, near: Surroundings, place: Place) -> Code:
        name = syntax.name
        if name in near.defined:
            return from_run(lambda scope: scope.variables[name], None, place)
        value = _fixed_variable(name)
        if value is not None and not (self._allowed is not None and name in self._allowed):
            return constant((value,), frozenset({"System.String"}), place)
        if self._allowed is not None and name not in self._allowed and name not in _ALWAYS:
            raise FhirPathError(self._text, syntax.position, f"there is no variable %{name} here")
        self.variables.add(name)
        return variable(name, self._types.get(name), place)

    def _member(self, syntax: Member, near: Surroundings, place: Place) -> Code:
        name = syntax.name
        if syntax.source is None and near.at_root and name[0].isupper() and is_type(name):
            types = self._checked(syntax.position, lambda: filtered_by_type_name(near.this, name))
            tested = TypeTest(name, None)
            return from_run(lambda scope: [item for item in scope.this if tested.matches(item)], types, place)
        if syntax.source is None:
            types = self._checked(syntax.position, lambda: member_types(near.this, name))
            return from_run(navigation(lambda scope: scope.this, name, place), types, place)
        source = self._code(syntax.source, near)
        types = self._checked(syntax.position, lambda: member_types(source.types, name))
        return from_run(navigation(source.run, name, place), types, place, source.defined)

    def _call(self, syntax: Call, near: Surroundings, place: Place) -> Code:
        if syntax.name in _TYPE_FUNCTIONS:
            return self._type_call(syntax, near, place)
        function = FUNCTIONS.get(syntax.name)
        if function is None:
            raise FhirPathError(self._text, syntax.position, f"there is no function {syntax.name}()")
        self._check_count(syntax, function.minimum, function.maximum)
        source = self._source(syntax, near, place)
        after = replace(near, defined=near.defined | source.defined)
        arguments = self._arguments(syntax, function, source, after)
        defined = source.defined | self._definition(syntax, after)
        return replace(called(syntax, function, source, arguments, place), defined=defined)

    def _source(self, syntax: Call, near: Surroundings, place: Place) -> Code:
        if syntax.source is None:
            return from_run(lambda scope: scope.this, near.this, place)
        return self._code(syntax.source, near)

    def _arguments(self, syntax: Call, function: Function, source: Code, near: Surroundings) -> tuple[Code, ...]:
        if function.style in (Style.VALUES, Style.SCOPED):
            return tuple(self._code(argument, near) for argument in syntax.arguments)
        if syntax.name == "iif" and syntax.source is None:
            return tuple(self._code(argument, near) for argument in syntax.arguments)
        inner = near.inside(self._types_visited(syntax, source, near, function), function)
        if syntax.name == "sort":
            return tuple(self._sort_key(argument, inner) for argument in syntax.arguments)
        return tuple(
            self._code(argument, near if place == function.outside else inner)
            for place, argument in enumerate(syntax.arguments)
        )

    def _types_visited(self, syntax: Call, source: Code, near: Surroundings, function: Function) -> Types:
        """The types $this may have. repeat() also visits what it finds, so its types are followed to their end."""
        types = source.types
        if syntax.name != "repeat" or types is None:
            return types
        if self._following:
            # A repeat() within: following each again for every step of the outer one would take exponential time.
            return None
        self._following = True
        try:
            while types is not None:
                found = self._code(syntax.arguments[0], near.inside(types, function)).types
                if found is not None and found <= types:
                    return types
                types = merged(types, found)
        finally:
            self._following = False
        return types

    def _sort_key(self, argument: Syntax, near: Surroundings) -> Code:
        if isinstance(argument, Polarity) and argument.negative:
            return replace(self._code(argument.operand, near), descending=True)
        return self._code(argument, near)

    def _definition(self, syntax: Call, near: Surroundings) -> frozenset[str]:
        if syntax.name != "defineVariable":
            return frozenset()
        name = syntax.arguments[0]
        if not isinstance(name, Literal) or len(name.value) != 1 or not isinstance(name.value[0], str):
            raise FhirPathError(self._text, name.position, "defineVariable() expects a name as a string")
        called = name.value[0]
        if called in near.defined or called in _ALWAYS or _fixed_variable(called) is not None:
            raise FhirPathError(self._text, name.position, f"%{called} is already defined")
        return frozenset({called})

    def _type_call(self, syntax: Call, near: Surroundings, place: Place) -> Code:
        self._check_count(syntax, 1, 1)
        tested = self._type_test(self._type_name(syntax.arguments[0]))
        source = self._source(syntax, near, place)
        match syntax.name:
            case "is":
                code = type_check(source, tested, place)
            case "as":
                code = type_cast(source, tested, place)
            case _:
                run = source.run
                code = from_run(lambda scope: [i for i in run(scope) if tested.matches(i)], tested.types, place)
        return replace(code, defined=source.defined)

    def _type_name(self, syntax: Syntax) -> TypeName:
        match syntax:
            case Member(position=position, source=None, name=name):
                return TypeName(position, None, name)
            case Member(source=Member(position=position, source=None, name=namespace), name=name):
                return TypeName(position, namespace, name)
        raise FhirPathError(self._text, syntax.position, "expected the name of a type")

    def _type_test(self, type_name: TypeName) -> TypeTest:
        return self._checked(type_name.position, lambda: type_test(type_name.namespace, type_name.name))

    def _indexer(self, syntax: Indexer, near: Surroundings, place: Place) -> Code:
        source, index = self._code(syntax.source, near), self._code(syntax.index, near)
        run, run_index = source.run, index.run

        def indexed(scope: Scope) -> Collection:
            items, place_in_items = run(scope), run_index(scope)
            try:
                return at(items, place_in_items)
            except Fault as fault:
                raise place.error(fault) from None

        return from_run(indexed, source.types, place, source.defined)

    def _polarity(self, syntax: Polarity, near: Surroundings, place: Place) -> Code:
        operand, negative = self._code(syntax.operand, near), syntax.negative
        run = operand.run

        def signed(scope: Scope) -> Collection:
            items = run(scope)
            try:
                return sign(items, negative)
            except Fault as fault:
                raise place.error(fault) from None

        return _folded(from_run(signed, operand.types, place), (operand,), place)

    def _check_count(self, syntax: Call, minimum: int, maximum: int) -> None:
        count = len(syntax.arguments)
        if not minimum <= count <= maximum:
            expected = str(minimum) if minimum == maximum else f"{minimum} to {maximum}"
            reason = f"{syntax.name}() takes {expected} argument{'' if expected == '1' else 's'}, not {count}"
            raise FhirPathError(self._text, syntax.position, reason)

    def _checked(self, position: int, check: Callable[[], T]) -> T:
        try:
            return check()
        except Fault as fault:
            raise FhirPathError(self._text, position, fault.reason) from None


def _folded(code: Code, operands: tuple[Code, ...], place: Place) -> Code:
    """A constant where all operands are: an error stays until the expression runs, as the specification has it."""
    if any(operand.constant is None for operand in operands):
        return code
    try:
        value = code.run(_NO_SCOPE)
    except FhirPathError:
        return code
    return constant(value, code.types, place)


def _fixed_variable(name: str) -> str | None:
    for fixed, value in _CONSTANTS:
        if name == fixed:
            return value
    for prefix, base in _PREFIXES:
        if name.startswith(prefix):
            return base + name.removeprefix(prefix)
    return None


def _resource_types(context_type: str | None) -> Types:
    root = None if context_type is None else context_type.partition(".")[0]
    types = known_types(root)
    return types if root is not None and definition(root).is_resource else None
