"""Strict reading and exact writing of FHIR JSON."""

from __future__ import annotations

from decimal import Decimal

import pytest

from service.errors import Malformed, TooLarge
from service.fhir.json import MAX_DEPTH, dumps, parse, parse_object


@pytest.mark.parametrize(
    "text",
    ['{"value":0.010}', '{"a":[1,2.50,{"b":null}],"c":true,"d":"é\\n\\"x\\""}', "[]", '{"n":-1E+2}'],
)
def test_what_is_read_is_written_as_it_came(text: str) -> None:
    assert dumps(parse(text)) == text


def test_decimals_keep_their_digits() -> None:
    assert parse("1.10") == Decimal("1.10")
    assert str(parse("1.10")) == "1.10"


def test_pretty_printing_changes_white_space_only() -> None:
    value = parse('{"a":[1.0,{}],"b":{"c":[]}}')
    assert parse(dumps(value, indent=2)) == value
    assert dumps({"a": [1]}, indent=2) == '{\n  "a": [\n    1\n  ]\n}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ('{"a":1,"a":2}', "'a' stands twice"),
        ('{"a":{"b":1,"b":1}}', "'b' stands twice"),
        ("NaN", "not a JSON number"),
        ("-Infinity", "not a JSON number"),
        ('{"a":"\\u0000"}', "U+0000"),
        ('{"a":"\\ud800"}', "surrogate"),
        ("1" * 65, "64 characters"),
        ("1e999999999", "beyond"),
        (b"\xff", "UTF-8"),
    ],
)
def test_what_is_not_strict_is_refused_with_its_reason(text: str | bytes, said: str) -> None:
    with pytest.raises(Malformed) as refusal:
        parse(text)
    assert said in refusal.value.issues[0].text


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    with pytest.raises(TooLarge):
        parse("[" * depth + "]" * depth)


def test_nesting_up_to_the_limit_is_read() -> None:
    assert parse("[" * (MAX_DEPTH - 1) + "1" + "]" * (MAX_DEPTH - 1))


def test_a_resource_is_an_object() -> None:
    with pytest.raises(Malformed):
        parse_object("[]")
