"""What is FHIRPath and what is not, with the place of the fault."""

from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from service.fhirpath import FhirPathError, compile_expression
from service.fhirpath.parser import parse
from service.fhirpath.syntax import Binary, Call, Literal, Member, Operator, Polarity, TypeOperation, Variable
from service.fhirpath.writing import written


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 0, "expected an expression, found the end"),
        ("1 = 1 foo", 6, "unexpected 'foo' after the expression"),
        ("1 +", 3, "expected an expression, found the end"),
        ("(1", 2, "expected ')', found the end"),
        ("a.b(1,)", 6, "expected an expression, found ')'"),
        ("a..b", 2, "expected a name, found '.'"),
        ("a[1", 3, "expected ']', found the end"),
        ("a.and", 2, "expected a name, found 'and'"),
        ("a.$this", 2, "$this cannot follow a dot"),
        ("{ 1 }", 2, "expected '}', found '1'"),
        ("'abc", 0, "the string is not closed with '"),
        ("`abc", 0, "the identifier is not closed with `"),
        ("1 /* never", 2, "the comment is not closed with */"),
        (r"'a\qb'", 2, r"unknown escape \q"),
        (r"1 = '\ud800'", 4, "half of a surrogate pair"),
        ("@2026-13", 0, "there is no date 2026-13"),
        ("@2026-02-30", 0, "there is no date 2026-02-30"),
        ("@T25:00", 0, "there is no time 25:00"),
        ("@2026-03-15T10:00+15:00", 0, "there is no time zone"),
        ("@T10:30Z", 7, "unexpected 'Z' after the expression"),
        ("$that", 0, "'$' begins"),
        ("a ? b", 2, "unexpected character '?'"),
        ("9999999999", 0, "an Integer is at most"),
    ],
)
def test_syntax_error(text: str, position: int, reason: str) -> None:
    with pytest.raises(FhirPathError) as raised:
        parse(text)
    assert raised.value.position == position
    assert raised.value.reason.startswith(reason)


def test_place_is_told_by_line_and_column() -> None:
    with pytest.raises(FhirPathError) as raised:
        parse("1 +\n  2 +\n  ]")
    assert (raised.value.line, raised.value.column) == (3, 3)


@pytest.mark.parametrize(
    ("loose", "explicit"),
    [
        ("1 + 2 * 3", "1 + (2 * 3)"),
        ("1 - 2 - 3", "(1 - 2) - 3"),
        ("a or b and c", "a or (b and c)"),
        ("a implies b or c", "a implies (b or c)"),
        ("a xor b or c", "(a xor b) or c"),
        ("a = b in c", "(a = b) in c"),
        ("a < b = c", "(a < b) = c"),
        ("a | b < c", "(a | b) < c"),
        ("a | b is Patient", "a | (b is Patient)"),
        ("a + b is Patient", "(a + b) is Patient"),
        ("-a.b + c", "(-(a.b)) + c"),
        ("a & b * c", "a & (b * c)"),
    ],
)
def test_precedence(loose: str, explicit: str) -> None:
    assert shape(loose) == shape(explicit)


def test_names_may_be_delimited_or_operators() -> None:
    assert parse("`div`.contains") == Member(6, Member(0, None, "div"), "contains")
    assert parse("a.contains(b)") == Call(2, Member(0, None, "a"), "contains", (Member(11, None, "b"),))
    assert parse("%`a-b`") == parse("%'a-b'") == Variable(0, "a-b")


def test_strings_are_unescaped() -> None:
    assert parse(r"'\'\\\u0041\n\`'") == Literal(0, ("'\\A\n`",))


@pytest.mark.parametrize(
    "text",
    ["(" * 200 + "1" + ")" * 200, "1" + " + 1" * 5_000, "a" + ".first()" * 2_000, "- " * 5_000 + "1", "a" * 30_000],
)
def test_what_is_too_deep_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(FhirPathError, match=r"too deeply|longer than"):
        compile_expression(text)


def test_what_is_as_deep_as_allowed_runs() -> None:
    compile_expression("(" * 140 + "1" + ")" * 140)
    compile_expression("1" + " + 1" * 140)


def shape(text: str) -> str:
    def shown(syntax: object) -> str:
        match syntax:
            case Binary(operator=operator, left=left, right=right):
                return f"({shown(left)} {Operator(operator)} {shown(right)})"
            case Polarity(operand=operand):
                return f"(-{shown(operand)})"
            case TypeOperation(operand=operand, type_name=type_name):
                return f"({shown(operand)} is {type_name.name})"
            case Member(source=source, name=name):
                return name if source is None else f"{shown(source)}.{name}"
            case Literal(value=value):
                return str(value)
        raise AssertionError(syntax)

    return shown(parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "(a or b) and c implies d xor not()",
        "-1 + 2 * (3 - 4.50) & 'it\\'s\\n'",
        "%resource.item.where(linkId = 'x').answer[0].value.ofType(FHIR.Coding).code in ('a' | 'b')",
        "$this is System.Quantity or ($total as Integer) > $index",
        "@2026-03 <= @2026-03-15 + 1 month and @T10:30 < now() and @2026T = 3.5 'mg' or {}.empty() = true",
        "`and`.`a-b`.exists(%`vs-x`.count() != 14 days)",
    ],
)
def test_a_tree_can_be_written_and_read_again(text: str) -> None:
    def shape(syntax: Any) -> Any:
        if not is_dataclass(syntax):
            return tuple(map(shape, syntax)) if isinstance(syntax, tuple) else syntax
        return type(syntax), [shape(getattr(syntax, one.name)) for one in fields(syntax) if one.name != "position"]

    syntax = parse(text)
    assert shape(parse(written(syntax))) == shape(syntax)
