"""Equality, order, membership, math and quantities (FHIRPath 2.0, section 6)."""

from collections.abc import Callable

import pytest


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 = 1.0", "true"),
        ("1.10 = 1.1", "true"),
        ("0.1 + 0.2 = 0.3", "true"),
        ("1 = '1'", "false"),
        ("1 = true", "false"),
        ("1 = {}", "{}"),
        ("{} = {}", "{}"),
        ("(1 | 2) = (1 | 2)", "true"),
        ("(1 | 2) = (2 | 1)", "false"),
        ("(1 | 2) = 1", "false"),
        ("1 != 2", "true"),
        ("1 != {}", "{}"),
        ("{} ~ {}", "true"),
        ("1 ~ {}", "false"),
        ("(1 | 2) ~ (2 | 1)", "true"),
        ("'ABC' ~ 'abc'", "true"),
        ("'a b' ~ 'a\\tb'", "true"),
        ("1.004 ~ 1.0", "true"),
        ("2.5 ~ 3", "true"),
        ("1 !~ 2", "true"),
        ("1 < 2", "true"),
        ("'abc' < 'abd'", "true"),
        ("2 >= 2.0", "true"),
        ("1 < {}", "{}"),
        ("1 < 'a'", "error"),
        ("true < false", "error"),
        ("(1 | 2) < 3", "error"),
        ("1 in (1 | 2)", "true"),
        ("{} in (1 | 2)", "{}"),
        ("1 in {}", "false"),
        ("(1 | 2) contains 3", "false"),
        ("{} contains 1", "false"),
        ("(1 | 2) contains {}", "{}"),
        ("(1 | 2) in (1 | 2)", "error"),
        ("@2026-03 in (@2026-03-15 | @2026-03)", "true"),
    ],
)
def test_comparison(evaluate: Callable[[str], str], expression: str, expected: str) -> None:
    assert evaluate(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("-2 + 3", "1"),
        ("-(2 + 3)", "-5"),
        ("5 / 2", "2.5"),
        ("3 / 0.005", "600"),
        ("-5 div 2", "-2"),
        ("-5 mod 3", "-2"),
        ("5.5 mod 2", "1.5"),
        ("1 / 0", "{}"),
        ("1 div 0", "{}"),
        ("1 mod 0", "{}"),
        ("1 + {}", "{}"),
        ("2147483647 + 1", "{}"),
        ("'a' + 'b'", "'ab'"),
        ("'a' + {}", "{}"),
        ("'a' & {}", "'a'"),
        ("{} & {}", "''"),
        ("'a' & 1", "error"),
        ("'a' + 1", "error"),
        ("'a' - 'b'", "error"),
        ("true + 1", "error"),
        ("(1 | 2) + 1", "error"),
        ("-'a'", "error"),
        ("2147483648", "refused"),
    ],
)
def test_math(evaluate: Callable[[str], str], expression: str, expected: str) -> None:
    assert evaluate(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 'g' = 1000 'mg'", "true"),
        ("10 'mg/dL' > 0.05 'g/L'", "true"),
        ("37 'Cel' = 310.15 'K'", "true"),
        ("98.6 '[degF]' = 37 'Cel'", "true"),
        ("120 'mm[Hg]' > 15 'kPa'", "true"),
        ("5 '10*9/L' = 5000 '10*6/L'", "true"),
        ("1 '[in_i]' = 2.54 'cm'", "true"),
        ("1 '{tablet}' = 1 '1'", "true"),
        ("1 'mg' = 1 'cm'", "{}"),
        ("1 'mg' < 1 'unheard-of'", "{}"),
        ("1 'unheard-of' = 1 'unheard-of'", "true"),
        ("7 days = 1 week", "true"),
        ("1 day = 24 hours", "true"),
        ("1 year = 12 months", "true"),
        ("1 year = 1 'a'", "{}"),
        ("1 year ~ 1 'a'", "true"),
        ("4 'g' ~ 4040 'mg'", "true"),
        ("1 'g' + 500 'mg'", "1.5 'g'"),
        ("1 'g' - 1 'm'", "{}"),
        ("2 'cm' * 3 'cm' = 0.0006 'm2'", "true"),
        ("6 'g' / 2 'mg'", "3000 '1'"),
        ("6 'g' / 2", "3 'g'"),
        ("6 'g' / 0 'g'", "{}"),
        ("-(5 'mg')", "-5 'mg'"),
        ("5 'mg' mod 2 'mg'", "error"),
        ("5 'mg' > 'a'", "error"),
        ("1 'cm'.comparable(1 '[in_i]')", "true"),
        ("1 'cm'.comparable(1 's')", "false"),
    ],
)
def test_quantities(evaluate: Callable[[str], str], expression: str, expected: str) -> None:
    assert evaluate(expression) == expected
