"""Patterns that only a backtracking engine understands (lookaround, references back), with a bound on their cost.

A hostile pattern or text could keep such an engine busy for ever, so the ways it could split the text are estimated
from above before it runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from service.fhirpath.errors import Fault

_UNBOUNDED: Final = -1
_PART: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(?P<open>\((?:\?(?:[:=!]|<[=!]|P?<\w+>))?)|(?P<close>\))"
    r"|(?P<many>[*+]|\{\d*,\d*\}|\{\d+\})|(?P<maybe>\?)|(?P<choice>\|)|.",
    re.DOTALL,
)
_NAMED_GROUP: Final = re.compile(r"\(\?<(?=[A-Za-z_])")


@dataclass(frozen=True, slots=True)
class Backtracking:
    """A pattern, and how its cost grows."""

    compiled: re.Pattern[str]
    repetitions: tuple[int, ...]
    """For each repetition the number of lengths it can take, or _UNBOUNDED."""
    anchored: bool

    @staticmethod
    def of(pattern: str) -> Backtracking:
        """Raises Fault when it is no pattern, or one whose cost can grow exponentially."""
        try:
            compiled = re.compile(_NAMED_GROUP.sub("(?P<", pattern), re.DOTALL | re.ASCII)
        except (re.error, OverflowError, RecursionError) as fault:
            raise Fault(f"no regular expression: {fault}") from None
        return Backtracking(compiled, _repetitions(pattern), pattern.startswith("^"))

    def cost(self, length: int, *, whole: bool) -> int:
        """The ways to split a text of `length` characters, from above; `whole` when the match begins at its start."""
        places = length + 1
        ways = 1 if whole or self.anchored else places
        for lengths in self.repetitions:
            ways *= places if lengths == _UNBOUNDED else min(lengths, places)
        return ways


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
            raise Fault(
                "the pattern has lookaround or references back, and repeats a group that can itself match in several "
                "ways: it could take too long"
            )
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
