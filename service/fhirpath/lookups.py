"""Searches that need not walk: by linkId with the environment's index, and by a string in one element."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from service.fhirpath.code import Code, Place, Run
from service.fhirpath.environment import Scope
from service.fhirpath.errors import Fault
from service.fhirpath.functions.filtering import where
from service.fhirpath.model import definition
from service.fhirpath.nodes import Node
from service.fhirpath.syntax import Binary, Call, Literal, Member, Operator, Syntax, This, Variable, children
from service.fhirpath.values import EMPTY, Collection

_LINK_ID: Final = "linkId"
_COMPARING: Final = frozenset(
    {
        Operator.EQUAL,
        Operator.NOT_EQUAL,
        Operator.EQUIVALENT,
        Operator.NOT_EQUIVALENT,
        Operator.IN,
        Operator.CONTAINS,
    }
)


def link_ids(syntax: Syntax) -> frozenset[str]:
    """The strings that the expression compares with a linkId."""
    return frozenset(_link_ids(syntax))


def _link_ids(syntax: Syntax) -> Iterator[str]:
    for child in children(syntax):
        yield from _link_ids(child)
    match syntax:
        case Binary(operator=operator, left=left, right=right) if operator in _COMPARING:
            pairs = ((left, right), (right, left))
        case _:
            return
    for path, compared in pairs:
        if isinstance(path, Member) and path.name == _LINK_ID:
            yield from _strings(compared)


def _strings(syntax: Syntax) -> Iterator[str]:
    match syntax:
        case Literal(value=value):
            yield from (item for item in value if isinstance(item, str))
        case Binary(operator=Operator.UNION, left=left, right=right):
            yield from _strings(left)
            yield from _strings(right)


def indexed(syntax: Call, source: Run, arguments: tuple[Code, ...], place: Place) -> Run | None:
    """A faster way to `source.where(name = 'text')`; None when the call is not of that form."""
    match syntax.arguments[0]:
        case Binary(_, Operator.EQUAL, Member(_, None, name), Literal(_, (str() as text,))):
            search = _search(source, name, text, arguments[0], place)
            return (_index_lookup(syntax.source, text, search) if name == _LINK_ID else None) or search
    return None


def _index_lookup(source: Syntax | None, link_id: str, search: Run) -> Run | None:
    """`descendants()` or `repeat(item)` by linkId, of `%resource` or the focus; None for any other collection."""
    match source:
        case Call(name="descendants", source=searched, arguments=()):
            everywhere = True
        case Call(name="repeat", source=searched, arguments=(Member(source=None, name="item"),)):
            everywhere = False
        case _:
            return None
    focus = _focus(searched)
    if focus is None:
        return None

    def run(scope: Scope) -> Collection:
        index = scope.environment.items_by_link_id
        if index is None or not index.is_of(focus(scope)):
            return search(scope)
        return (index.anywhere if everywhere else index.under_items).get(link_id, EMPTY)

    return run


def _focus(searched: Syntax | None) -> Run | None:
    match searched:
        case None | This():
            return lambda scope: scope.this
        case Variable(name="resource"):
            return lambda scope: scope.environment.variables.get("resource", EMPTY)
    return None


def _search(source: Run, name: str, text: str, criterion: Code, place: Place) -> Run:
    def run(scope: Scope) -> Collection:
        items = source(scope)
        found = []
        for item in items:
            if type(item) is not Node or type(item.value) is not dict:
                break
            element = item.definition.elements.get(name)
            if element is None:
                continue
            content = item.value.get(name)
            if element.is_choice or type(content) is list or (content is not None and type(content) is not str):
                break
            if content == text and definition(element.properties[name]).system == "String":
                found.append(item)
        else:
            return found
        try:
            return where(scope, items, criterion)
        except Fault as fault:
            raise place.error(fault) from None

    return run
