"""Comparison of two answers: codings by system and code, all else by FHIRPath's rules for dates and quantities."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from service.fhirpath import Environment, EvaluationError, Expression, Item, Node, compile_expression

AnswerKey = tuple[str, ...]
"""What makes two answers the same answer: (value key, value), for a Coding (value key, system, code)."""

_NAMES = frozenset({"left", "right"})
_COMPARISONS: MappingProxyType[str, Expression] = MappingProxyType(
    {sign: compile_expression(f"%left {sign} %right", variables=_NAMES) for sign in ("=", "<", ">", "<=", ">=")}
)
# No comparison reads the clock, but an Environment has one.
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def compares(left_key: str, left: Any, sign: str, right_key: str, right: Any) -> bool:
    """True if `left sign right`, each value named by its element ("valueDate"); what cannot be decided is false."""
    if sign == "=" and (left_key == "valueCoding" or right_key == "valueCoding"):
        return answer_key(left_key, left) == answer_key(right_key, right)
    return ordered(value_node(left_key, left), sign, value_node(right_key, right)) is True


def ordered(left: Item, sign: str, right: Item) -> bool | None:
    """`left sign right` by FHIRPath; None when the two cannot be compared, as a month with a day of it."""
    try:
        return _COMPARISONS[sign].test([], Environment(now=_NO_TIME, variables={"left": [left], "right": [right]}))
    except EvaluationError:
        # Values of types that have no order between them.
        return None


def answer_key(value_key: str, value: Any) -> AnswerKey:
    """The identity of an answer by the name of its element ("valueCoding") and its value."""
    if not isinstance(value, dict):
        return value_key, str(value)
    if value_key == "valueCoding":
        return value_key, str(value.get("system", "")), str(value.get("code", value.get("display", "")))
    return value_key, str(value.get("reference", value))


def value_node(key: str, value: Any) -> Node:
    """The value of a choice element as a FHIRPath node, typed by the element's name ("valueDateTime": dateTime)."""
    name = key.removeprefix("value")
    return Node.of(value, name if isinstance(value, dict) else name[0].lower() + name[1:])
