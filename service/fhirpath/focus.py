"""Whether an expression looks at its focus at all: one that does not gives the same for every focus."""

from __future__ import annotations

from typing import Final

from service.fhirpath.functions import FUNCTIONS
from service.fhirpath.functions.signature import Style
from service.fhirpath.parser import parse
from service.fhirpath.syntax import Call, Member, Syntax, This, children

_WITHOUT_INPUT: Final = frozenset({"iif", "now", "today", "timeOfDay"})
"""Functions that, called without an input, leave the focus alone; their arguments may still read it."""
_TYPE_FUNCTIONS: Final = frozenset({"is", "as", "ofType"})
"""Functions whose argument is the name of a type."""


def reads_focus(text: str) -> bool:
    """False when the result of the expression `text` depends on its environment only; when in doubt, True.

    Raises FhirPathError for bad syntax.
    """
    return _reads(parse(text))


def _reads(syntax: Syntax) -> bool:
    match syntax:
        case This() | Member(source=None):
            return True
        case Call(source=None, name=name, arguments=arguments):
            return name not in _WITHOUT_INPUT or any(map(_reads, arguments))
        case Call(source=source, name=name, arguments=arguments) if source is not None:
            return _reads(source) or (not _is_loop(name) and any(map(_reads, arguments)))
        case _:
            return any(map(_reads, children(syntax)))


def _is_loop(name: str) -> bool:
    """True for a function whose arguments see the items of its input, or name types, and never the focus."""
    if name in _TYPE_FUNCTIONS:
        return True
    function = FUNCTIONS.get(name)
    return function is not None and function.style not in (Style.VALUES, Style.SCOPED) and function.outside is None
