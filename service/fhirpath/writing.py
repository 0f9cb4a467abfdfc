"""A syntax tree as text again: what `parse` reads as the same tree."""

from __future__ import annotations

from decimal import Decimal

from service.fhirpath.quantity import Quantity
from service.fhirpath.syntax import (
    Binary,
    Call,
    Index,
    Indexer,
    Literal,
    Member,
    Operator,
    Polarity,
    Syntax,
    This,
    Total,
    TypeName,
    TypeOperation,
    Variable,
)
from service.fhirpath.temporal import Date, DateTime, Time
from service.fhirpath.values import Item

_SPECIAL = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f"})

_WORDS = frozenset({*Operator, "is", "as", "true", "false"})


def written(syntax: Syntax) -> str:
    """The text of `syntax`, with parentheses around operations within another."""
    match syntax:
        case Literal(value=value):
            return _literal(value[0]) if value else "{}"
        case Variable(name=name):
            return f"%{_name(name)}"
        case This():
            return "$this"
        case Index():
            return "$index"
        case Total():
            return "$total"
        case Member(source=source, name=name):
            return _after(source, _name(name))
        case Call(source=source, name=name, arguments=arguments):
            return _after(source, f"{name}({', '.join(map(written, arguments))})")
        case Indexer(source=source, index=index):
            return f"{_operand(source)}[{written(index)}]"
        case Polarity(negative=negative, operand=operand):
            return f"{'-' if negative else '+'}{_operand(operand)}"
        case Binary(operator=operator, left=left, right=right):
            # The parser joins from the left: what is joined by the same operator needs no parentheses there.
            joined = isinstance(left, Binary) and left.operator is operator
            return f"{written(left) if joined else _operand(left)} {operator} {_operand(right)}"
        case TypeOperation(cast=cast, operand=operand, type_name=of):
            return f"{_operand(operand)} {'as' if cast else 'is'} {_type(of)}"


def _name(name: str) -> str:
    return name if name.isidentifier() and name not in _WORDS else f"`{name}`"


def _after(source: Syntax | None, text: str) -> str:
    return text if source is None else f"{_operand(source)}.{text}"


def _operand(syntax: Syntax) -> str:
    text = written(syntax)
    return f"({text})" if isinstance(syntax, Binary | TypeOperation | Polarity) else text


def _type(name: TypeName) -> str:
    return name.name if name.namespace is None else f"{name.namespace}.{name.name}"


def _literal(value: Item) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f"'{value.translate(_SPECIAL)}'"
        case Decimal():
            return f"{value:f}"
        case Quantity():
            return str(value)
        case Time():
            return f"@T{value}"
        case DateTime():
            return f"@{value}" if "T" in str(value) else f"@{value}T"
        case Date():
            return f"@{value}"
    return str(value)
