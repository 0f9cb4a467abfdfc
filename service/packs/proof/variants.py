"""Small changes of an expression, one at a time: what a slip of an author's hand would make of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from service.fhirpath import Item, Quantity
from service.fhirpath.syntax import Binary, Call, Indexer, Literal, Member, Operator, Polarity, Syntax, TypeOperation
from service.fhirpath.writing import written

_OTHER: Final = {Operator.AND: Operator.OR, Operator.OR: Operator.AND}


def variants(syntax: Syntax) -> Iterator[tuple[str, Syntax]]:
    """`and` and `or` exchanged, one side of them left out, each number and span of time one more and one less.

    Each comes with a name that says what was changed; names may come twice where the same stands twice.
    """
    match syntax:
        case Binary(operator=operator, left=left, right=right) if operator in _OTHER:
            yield f"{_OTHER[operator]} before {written(right)}", replace(syntax, operator=_OTHER[operator])
            yield f"without {written(right)}", left
            yield f"without {written(left)}", right
        case Literal(value=(value,)):
            for other in _neighbours(value):
                yield f"{other} for {value}", Literal(syntax.position, (other,))
    yield from _within(syntax)


def _neighbours(value: Item) -> Iterator[Item]:
    match value:
        case bool():
            return
        case int():
            yield value + 1
            yield value - 1
        case Quantity():
            yield replace(value, value=value.value + 1)
            yield replace(value, value=value.value - 1)


def _within(syntax: Syntax) -> Iterator[tuple[str, Syntax]]:
    """The variants of each part, in the whole."""
    match syntax:
        case Binary(left=left, right=right):
            yield from ((name, replace(syntax, left=one)) for name, one in variants(left))
            yield from ((name, replace(syntax, right=one)) for name, one in variants(right))
        case Call(source=source, arguments=arguments):
            if source is not None:
                yield from ((name, replace(syntax, source=one)) for name, one in variants(source))
            for place, argument in enumerate(arguments):
                for name, one in variants(argument):
                    yield name, replace(syntax, arguments=(*arguments[:place], one, *arguments[place + 1 :]))
        case Member(source=source) if source is not None:
            yield from ((name, replace(syntax, source=one)) for name, one in variants(source))
        case Indexer(source=source, index=index):
            yield from ((name, replace(syntax, source=one)) for name, one in variants(source))
            yield from ((name, replace(syntax, index=one)) for name, one in variants(index))
        case Polarity(operand=operand) | TypeOperation(operand=operand):
            yield from ((name, replace(syntax, operand=one)) for name, one in variants(operand))
