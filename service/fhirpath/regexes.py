"""Regular expressions that cannot run away.

Python's engine backtracks, so a hostile pattern or text could keep it busy for ever. Before a pattern runs, the ways it
could split the text are estimated from above; what could take too long is an error, not an answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from service.fhirpath.errors import Fault
from service.fhirpath.values import MAX_STRING_LENGTH

MAX_PATTERN_LENGTH: Final = 1_000
MAX_WAYS: Final = 100_000_000
_UNBOUNDED: Final = -1

_PART: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(?P<open>\((?:\?(?:[:=!]|<[=!]|P?<\w+>))?)|(?P<close>\))"
    r"|(?P<many>[*+]|\{\d*,\d*\}|\{\d+\})|(?P<maybe>\?)|(?P<choice>\|)|.",
    re.DOTALL,
)
_NAMED_GROUP: Final = re.compile(r"\(\?<(?=[A-Za-z_])")
_SUBSTITUTE: Final = re.compile(r"\\(.)|\$(?:(\d+)|\{(\d+)\}|\{(\w+)\})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Pattern:
    compiled: re.Pattern[str]
    repetitions: tuple[int, ...]
    """For each repetition the number of lengths it can take, or _UNBOUNDED."""
    anchored: bool


def matches(text: str, pattern: str) -> bool:
    """True when the pattern matches somewhere in the text."""
    return _affordable(pattern, text, whole=False).search(text) is not None


def matches_full(text: str, pattern: str) -> bool:
    """True when the pattern matches the whole text."""
    return _affordable(pattern, text, whole=True).fullmatch(text) is not None


def replace_matches(text: str, pattern: str, substitution: str) -> str:
    """Every match replaced; `$1` or `${name}` in the substitution stand for groups of the match."""
    compiled = _affordable(pattern, text, whole=False)
    if not pattern:
        return text
    if len(text) * (len(substitution) + 1) > 16 * MAX_STRING_LENGTH:
        raise Fault("the result of replaceMatches() may be too long")
    replaced = compiled.sub(lambda match: _expanded(match, substitution), text)
    if len(replaced) > MAX_STRING_LENGTH:
        raise Fault("the result of replaceMatches() is too long")
    return replaced


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


def _affordable(pattern: str, text: str, *, whole: bool) -> re.Pattern[str]:
    known = _compiled(pattern)
    length = len(text) + 1
    ways = 1 if whole or known.anchored else length
    for lengths in known.repetitions:
        ways *= length if lengths == _UNBOUNDED else min(lengths, length)
        if ways > MAX_WAYS:
            raise Fault("the pattern could take too long on a text of this length")
    return known.compiled


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> _Pattern:
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise Fault(f"a pattern is longer than {MAX_PATTERN_LENGTH} characters")
    try:
        compiled = re.compile(_NAMED_GROUP.sub("(?P<", pattern), re.DOTALL)
    except (re.error, OverflowError, RecursionError) as fault:
        raise Fault(f"no regular expression: {fault}") from None
    return _Pattern(compiled, _repetitions(pattern), pattern.startswith("^"))


def _repetitions(pattern: str) -> tuple[int, ...]:
    """Raises Fault where a repeated group could itself match in several ways: the ways then grow exponentially."""
    found: list[int] = []
    open_groups: list[int] = []
    ways_of_last: int = 0
    after_repetition = False
    for part in _PART.finditer(pattern):
        kind, text = part.lastgroup, part[0]
        if kind in ("many", "maybe") and after_repetition:
            # The mark of a lazy or possessive repetition.
            after_repetition = False
            continue
        after_repetition = kind in ("many", "maybe")
        lengths = _lengths(text) if after_repetition else 1
        if kind == "many" and ways_of_last and text not in ("{0}", "{1}", "{0,1}"):
            raise Fault("the pattern repeats a group that can itself match in several ways: it could take too long")
        if kind == "open":
            open_groups.append(len(found))
        elif kind == "choice":
            found.append(2)
        elif lengths != 1:
            found.append(lengths)
        ways_of_last = len(found) - open_groups.pop() if kind == "close" and open_groups else 0
    return tuple(found)


def _lengths(quantifier: str) -> int:
    if quantifier == "?":
        return 2
    if quantifier in ("*", "+"):
        return _UNBOUNDED
    least, comma, most = quantifier[1:-1].partition(",")
    if not comma:
        return 1
    return int(most) - int(least or 0) + 1 if most else _UNBOUNDED
