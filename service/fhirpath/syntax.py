"""The syntax tree of a FHIRPath expression. Every part knows its position: the offset of its first own character."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from service.fhirpath.values import Collection


class Operator(StrEnum):
    """The binary operators of FHIRPath 2.0 between two expressions."""

    MULTIPLY = "*"
    DIVIDE = "/"
    DIV = "div"
    MOD = "mod"
    ADD = "+"
    SUBTRACT = "-"
    CONCATENATE = "&"
    UNION = "|"
    LESS_OR_EQUAL = "<="
    LESS = "<"
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    EQUAL = "="
    EQUIVALENT = "~"
    NOT_EQUAL = "!="
    NOT_EQUIVALENT = "!~"
    IN = "in"
    CONTAINS = "contains"
    AND = "and"
    OR = "or"
    XOR = "xor"
    IMPLIES = "implies"


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; `{}` has no value."""

    position: int
    value: Collection


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable such as `%resource`; `name` is without the percent sign."""

    position: int
    name: str


@dataclass(frozen=True, slots=True)
class This:
    """`$this`."""

    position: int


@dataclass(frozen=True, slots=True)
class Index:
    """`$index`."""

    position: int


@dataclass(frozen=True, slots=True)
class Total:
    """`$total`."""

    position: int


@dataclass(frozen=True, slots=True)
class Member:
    """An element by name, of `source`, or of the focus where there is no source."""

    position: int
    source: Syntax | None
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function of `source`, or of the focus where there is no source."""

    position: int
    source: Syntax | None
    name: str
    arguments: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True)
class Indexer:
    """`source[index]`."""

    position: int
    source: Syntax
    index: Syntax


@dataclass(frozen=True, slots=True)
class Polarity:
    """`-operand`, or `+operand` when not `negative`."""

    position: int
    negative: bool
    operand: Syntax


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands and the operator between them."""

    position: int
    operator: Operator
    left: Syntax
    right: Syntax


@dataclass(frozen=True, slots=True)
class TypeName:
    """A type specifier such as `Quantity`, `FHIR.Patient` or `System.String`."""

    position: int
    namespace: str | None
    name: str


@dataclass(frozen=True, slots=True)
class TypeOperation:
    """`operand is type`, or `operand as type` when `cast`."""

    position: int
    cast: bool
    operand: Syntax
    type_name: TypeName


Syntax = Literal | Variable | This | Index | Total | Member | Call | Indexer | Polarity | Binary | TypeOperation


def parts(syntax: Syntax) -> Iterator[Syntax]:
    """`syntax` and all its parts, each before its own."""
    yield syntax
    for child in children(syntax):
        yield from parts(child)


def children(syntax: Syntax) -> tuple[Syntax, ...]:
    """The direct parts of `syntax`, in the order they are written."""
    match syntax:
        case Member(source=source):
            return () if source is None else (source,)
        case Call(source=source, arguments=arguments):
            return arguments if source is None else (source, *arguments)
        case Indexer(source=source, index=index):
            return (source, index)
        case Binary(left=left, right=right):
            return (left, right)
        case Polarity(operand=operand) | TypeOperation(operand=operand):
            return (operand,)
        case _:
            return ()
