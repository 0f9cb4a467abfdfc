"""Three-valued logic (FHIRPath 2.0, section 6.5): every row of the truth tables, {} being "not known"."""

from collections.abc import Callable

import pytest

TRUTH_TABLE = """
left   right   and     or      xor     implies
true   true    true    true    false   true
true   false   false   true    true    false
true   {}      {}      true    {}      {}
false  true    false   true    true    true
false  false   false   false   false   true
false  {}      false   {}      {}      true
{}     true    {}      true    {}      true
{}     false   false   {}      {}      {}
{}     {}      {}      {}      {}      {}
"""
HEAD, *ROWS = [line.split() for line in TRUTH_TABLE.strip().splitlines()]
CASES = [
    (f"{row[0]} {operator} {row[1]}", expected)
    for row in ROWS
    for operator, expected in zip(HEAD[2:], row[2:], strict=True)
]


@pytest.mark.parametrize(("expression", "expected"), CASES)
def test_truth_table(evaluate: Callable[[str], str], expression: str, expected: str) -> None:
    assert evaluate(expression) == expected


@pytest.mark.parametrize(("expression", "expected"), CASES)
def test_the_same_where_nothing_is_known_when_compiled(
    evaluate: Callable[[str], str], expression: str, expected: str
) -> None:
    left, operator, right = expression.split()
    assert evaluate(f"{left}.where(true) {operator} {right}.where(true)") == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("true.not()", "false"),
        ("false.not()", "true"),
        ("{}.not()", "{}"),
        ("(true | false).not()", "error"),
        # A single item of another type counts as true (section 4.5).
        ("'a' and true", "true"),
        ("0.not()", "false"),
        ("(1 | 2) and true", "error"),
        # The criterion of iif() is a Boolean, and empty chooses the second branch; the other is never evaluated.
        ("iif(true, 1, 1 / 'a')", "1"),
        ("iif(false, 1 / 'a', 2)", "2"),
        ("iif({}, 1, 2)", "2"),
        ("iif(false, 1)", "{}"),
        ("iif('yes', 1, 2)", "error"),
        ("(1 | 2).iif(true, 1)", "error"),
    ],
)
def test_not_and_choice(evaluate: Callable[[str], str], expression: str, expected: str) -> None:
    assert evaluate(expression) == expected
