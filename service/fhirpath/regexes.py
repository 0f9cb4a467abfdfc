"""Regular expressions that cannot run away.

RE2 takes time in proportion to the text, whatever the pattern. The few patterns it does not know (lookaround,
references back) go to Python's engine where their cost can be bounded; what could take too long is an error, not an
answer. In both, `.` is any character, and `\\d`, `\\w` and `\\s` are of ASCII, as in PCRE, ECMAScript and
Java.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import re2

from service.fhirpath.backtracking import Backtracking
from service.fhirpath.errors import Fault
from service.fhirpath.values import MAX_STRING_LENGTH

MAX_PATTERN_LENGTH: Final = 1_000
MAX_COST: Final = 100_000_000
"""Steps of an engine, estimated from above: about a second at worst."""
_PATTERN_BYTES: Final = 1024 * 1024
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SUBSTITUTE: Final = re.compile(r"\\(.)|\$(?:(\d+)|\{(\d+)\}|\{(\w+)\})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Linear:
    """A pattern that RE2 compiled. `compiled` has the methods of re.Pattern."""

    compiled: Any

    def cost(self, length: int, *, whole: bool) -> int:
        """Steps at most for a text of `length` characters: each of the program at each character."""
        size: int = self.compiled.programsize
        return size * (length + 1)


def matches(text: str, pattern: str) -> bool:
    """True when the pattern matches somewhere in the text."""
    return _affordable(pattern, text, whole=False).compiled.search(text) is not None


def matches_full(text: str, pattern: str) -> bool:
    """True when the pattern matches the whole text."""
    return _affordable(pattern, text, whole=True).compiled.fullmatch(text) is not None


def replace_matches(text: str, pattern: str, substitution: str) -> str:
    """Every match replaced; `$1` or `${name}` in the substitution stand for groups of the match."""
    known = _affordable(pattern, text, whole=False)
    if not pattern:
        return text
    pieces: list[str] = []
    done = length = cost = 0
    for match in known.compiled.finditer(text):
        # RE2 may look at all the rest of the text for each match.
        cost += known.cost(len(text) - done, whole=True)
        piece = text[done : match.start()] + _expanded(match, substitution)
        length += len(piece)
        if cost > MAX_COST or length > MAX_STRING_LENGTH:
            raise Fault("replaceMatches() replaces too much in a text of this length")
        pieces.append(piece)
        done = match.end()
    return "".join(pieces) + text[done:]


def _expanded(match: re.Match[str], substitution: str) -> str:
    def group(found: re.Match[str]) -> str:
        escaped, *numbers, name = found.groups()
        if escaped is not None:
            return str(escaped)
        try:
            return match[name or int(numbers[0] or numbers[1])] or ""
        except IndexError:
            raise Fault(f"the pattern has no group {found[0]}") from None

    return _SUBSTITUTE.sub(group, substitution)


def _affordable(pattern: str, text: str, *, whole: bool) -> Linear | Backtracking:
    _check_characters(text)
    known = _compiled(pattern)
    if known.cost(len(text), whole=whole) > MAX_COST:
        raise Fault("the pattern could take too long on a text of this length")
    return known


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Linear | Backtracking:
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise Fault(f"a pattern is longer than {MAX_PATTERN_LENGTH} characters")
    _check_characters(pattern)
    options = re2.Options()
    options.max_mem = _PATTERN_BYTES
    options.dot_nl = True
    options.log_errors = False
    try:
        return Linear(re2.compile(pattern, options))
    except re2.error:
        return Backtracking.of(pattern)


def _check_characters(text: str) -> None:
    if not text.isascii() and _SURROGATE.search(text):
        raise Fault("half of a surrogate pair is no character")
