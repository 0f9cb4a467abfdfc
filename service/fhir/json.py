"""Strict FHIR JSON: duplicate keys are refused, decimals stay exact.

FHIR R4 JSON (http://hl7.org/fhir/R4/json.html): property names are unique, and a decimal keeps its digits
("0.010" is not "0.01"), so decimals are read as `decimal.Decimal` and written back as they came.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

from service.errors import Detail, IssueType, Malformed, TooLarge, error

Json = dict[str, Any]
"""A JSON object in memory: dict, list, str, bool, int, Decimal; never float."""

MAX_DEPTH = 200
MAX_NUMBER_LENGTH = 64


class _NotStrict(ValueError):
    """What the strict reader refuses, said for the sender."""


def parse(text: bytes | str) -> Any:
    """The JSON value in `text` (UTF-8 when bytes).

    Raises Malformed when the text is no JSON, repeats a key in one object, or holds what FHIR strings and numbers
    cannot; TooLarge when it is nested deeper than `MAX_DEPTH`.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        value = json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_float=_exact_number(Decimal),
            parse_int=_exact_number(int),
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError as fault:
        raise _malformed(f"The body is not UTF-8 (byte {fault.start}). Send it as UTF-8.") from fault
    except json.JSONDecodeError as fault:
        place = f"line {fault.lineno}, column {fault.colno}"
        raise _malformed(f"The body is not JSON: {fault.msg} at {place}.") from fault
    except _NotStrict as fault:
        raise _malformed(str(fault)) from fault
    except RecursionError as fault:
        raise _too_deep() from fault
    _check_strings_and_depth(value)
    return value


def parse_object(text: bytes | str) -> Json:
    """The JSON object in `text`; raises as `parse`, and Malformed when it is another kind of value."""
    value = parse(text)
    if not isinstance(value, dict):
        raise _malformed("A FHIR resource is a JSON object: begin with '{' and give its resourceType.")
    return value


def dumps(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON text with every Decimal's digits kept; compact, or pretty-printed by `indent` spaces."""
    if indent is None:
        try:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        except TypeError:
            # The C encoder knows no Decimal; only the few documents that hold one pay for the slower writer.
            return "".join(_encode(value, "", ""))
    return "".join(_encode(value, "\n", " " * indent))


def _encode(value: Any, newline: str, step: str) -> Iterator[str]:
    match value:
        case dict() if value:
            inner = newline + step
            colon = ": " if step else ":"
            opening = "{" + inner
            for key, child in value.items():
                yield f"{opening}{encode_basestring(key)}{colon}"
                yield from _encode(child, inner, step)
                opening = "," + inner
            yield newline + "}"
        case list() | tuple() if value:
            inner = newline + step
            opening = "[" + inner
            for child in value:
                yield opening
                yield from _encode(child, inner, step)
                opening = "," + inner
            yield newline + "]"
        case str():
            yield encode_basestring(value)
        case Decimal():
            yield str(value)
        case dict() | list() | tuple() | bool() | int() | None:
            yield json.dumps(value)
        case _:
            raise TypeError(f"{type(value).__name__} is not FHIR JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> Json:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _NotStrict(f"The property '{twice}' stands twice in one object. Keep one of them.")
    return members


def _exact_number(make: type[Decimal] | type[int]) -> Any:
    def read(digits: str) -> Decimal | int:
        if len(digits) > MAX_NUMBER_LENGTH:
            raise _NotStrict(f"A number has more than {MAX_NUMBER_LENGTH} characters. Shorten it.")
        number = make(digits)
        if isinstance(number, Decimal) and abs(number.adjusted()) > MAX_NUMBER_LENGTH:
            raise _NotStrict(f"The number {digits} is beyond what FHIR can carry.")
        return number

    return read


def _refuse_constant(name: str) -> Any:
    raise _NotStrict(f"{name} is not a JSON number. Leave the element out.")


def _check_strings_and_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for node in level:
            children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else (node,)
            for child in children:
                if isinstance(child, str):
                    _check_string(child)
                elif isinstance(child, dict | list):
                    deeper.append(child)
        if not deeper:
            return
        level = deeper
    raise _too_deep()


def _check_string(text: str) -> None:
    if text.isascii() and text.isprintable():
        return
    for character in text:
        if "\ud800" <= character <= "\udfff":
            raise _malformed("A string holds half of a surrogate pair, which is no Unicode text.")
        if character < " " and character not in "\t\n\r":
            raise _malformed(f"A string holds the control character U+{ord(character):04X}, which FHIR does not allow.")


def _malformed(text: str) -> Malformed:
    return Malformed([error(IssueType.STRUCTURE, text, detail=Detail.MALFORMED)])


def _too_deep() -> TooLarge:
    return TooLarge(
        [error(IssueType.TOO_COSTLY, f"The body is nested deeper than {MAX_DEPTH} levels.", None, Detail.MALFORMED)]
    )
