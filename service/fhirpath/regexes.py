"""Regular expressions that cannot run away: a pattern is refused where backtracking could take exponential time."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from service.fhirpath.errors import Fault
from service.fhirpath.values import MAX_STRING_LENGTH

MAX_PATTERN_LENGTH: Final = 1_000
MAX_TEXT_LENGTH: Final = 20_000
"""Longest text that a pattern with an unbounded repetition is tried on."""


def matches(text: str, pattern: str) -> bool:
    """True when the pattern matches somewhere in the text."""
    return _compiled(pattern).search(_bounded(text)) is not None


def matches_full(text: str, pattern: str) -> bool:
    """True when the pattern matches the whole text."""
    return _compiled(pattern).fullmatch(_bounded(text)) is not None


def replace_matches(text: str, pattern: str, substitution: str) -> str:
    """Every match replaced; `$1` or `${name}` in the substitution stand for groups of the match."""
    compiled = _compiled(pattern)
    if not pattern:
        return text
    replaced = compiled.sub(lambda match: _expanded(match, substitution), _bounded(text))
    if len(replaced) > MAX_STRING_LENGTH:
        raise Fault("the result of replaceMatches() is too long")
    return replaced


_GROUP: Final = re.compile(r"\\(.)|\$(?:(\d+)|\{(\w+)\})", re.DOTALL)


def _expanded(match: re.Match[str], substitution: str) -> str:
    def group(found: re.Match[str]) -> str:
        escaped, number, name = found.groups()
        if escaped is not None:
            return str(escaped)
        try:
            return match[int(number)] or "" if number else match[name] or ""
        except IndexError:
            raise Fault(f"the pattern has no group {found[0]}") from None

    return _GROUP.sub(group, substitution)


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT_LENGTH:
        raise Fault(f"a text of more than {MAX_TEXT_LENGTH} characters is not matched with a pattern")
    return text


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise Fault(f"a pattern is longer than {MAX_PATTERN_LENGTH} characters")
    if _repeats_a_repetition(pattern):
        raise Fault("the pattern repeats a group that holds a repetition or a choice: it could take exponential time")
    try:
        return re.compile(re.sub(r"\(\?<(?=[A-Za-z])", "(?P<", pattern), re.DOTALL)
    except (re.error, OverflowError, RecursionError) as fault:
        raise Fault(f"no regular expression: {fault}") from None


_PART: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[*+]|\{\d*,?\d*\}|[()|]|.", re.DOTALL)


def _repeats_a_repetition(pattern: str) -> bool:
    open_groups = [False]
    closed_risky = False
    for part in _PART.findall(pattern):
        repeats = part in ("*", "+") or (part[0] == "{" and len(part) > 1 and part[-2] == ",")
        if repeats and closed_risky:
            return True
        closed_risky = False
        if part == "(":
            open_groups.append(False)
        elif part == ")" and len(open_groups) > 1:
            closed_risky = open_groups.pop()
            open_groups[-1] |= closed_risky
        elif repeats or part == "|" or (part[0] == "{" and len(part) > 1):
            open_groups[-1] = True
    return False
