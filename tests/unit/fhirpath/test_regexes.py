"""Patterns match as elsewhere, and none can run away."""

import pytest

from service.fhirpath.errors import Fault
from service.fhirpath.regexes import matches, matches_full, replace_matches


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"^\d{5}(-\d{4})?$", "12345-6789", True),
        (r"^[^@\s]+@[^@\s]+\.[^@\s]+$", "a@b.org", True),
        (r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$", "ann.coe@mail.example", True),
        (r"^[a-z]+(\.[a-z]+)*$", "a.b.c", True),
        (r"^\+?\d{1,3}([ -]?\d{2,4}){2,5}$", "+49 30 123 4567", True),
        (r"^[A-Za-z ]+$", "x" * 5_000, True),
        (r"^\p{L}+$", "Müller", True),
        (r"^\w+$", "Müller", False),
        (r"(?<year>\d{4})", "in 2026", True),
        (r"a.b", "a\nb", True),
        (r"^(ab|cd)$", "abcd", False),
        (r"^ab$", "ab\n", False),
        ("a+?b", "caab", True),
        ("a{2", "a{2", True),
    ],
)
def test_ordinary_patterns(pattern: str, text: str, found: bool) -> None:
    assert matches(text, pattern) is found


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"^(?=.*\d)(?=.*[a-z]).{8,}$", "abcdefg1", True),
        (r"^(?!0+$)\d{10}$", "0000000000", False),
        (r"(\w)\1", "hello", True),
        ("\\u00e9", "é", True),
    ],
)
def test_patterns_beyond_re2(pattern: str, text: str, found: bool) -> None:
    assert matches(text, pattern) is found


HOSTILE = ["(a+)+$", "(a|aa)+$", "([a-z]*)*x", "(a?){40}", "((a+)b?)*", "(?:a+){2,}b", "^(.*)*$", "(a{1,9}){9}b"]


@pytest.mark.parametrize("pattern", [*HOSTILE, ".*.*.*x", "a*a*a*b", "a?" * 30 + "b" * 30])
def test_hostile_patterns_are_answered(pattern: str) -> None:
    assert matches_full("a" * 5_000 + "!", pattern) is (pattern == "^(.*)*$")


@pytest.mark.parametrize("pattern", HOSTILE)
def test_hostile_patterns_with_lookaround_are_refused(pattern: str) -> None:
    with pytest.raises(Fault, match="could take too long"):
        matches("a", f"(?=a){pattern}")


@pytest.mark.parametrize(
    ("pattern", "length"), [("[ab]*a[ab]{900}c", 1_000_000), ("(?=a)a*a*a*b", 5_000), ("(a?){1000}(a?){999}b", 100_000)]
)
def test_what_costs_too_much_on_a_long_text_is_refused(pattern: str, length: int) -> None:
    with pytest.raises(Fault, match="could take too long"):
        matches("a" * length, pattern)


def test_whole_text() -> None:
    assert matches_full("2026", r"\d+")
    assert not matches_full("2026 AD", r"\d+")


def test_substitution() -> None:
    assert replace_matches("a1b2", r"([a-z])(\d)", "$2${2}$1") == "11a22b"
    assert replace_matches("äöü", "ö", "-") == "ä-ü"
    assert replace_matches("aab", "(?=b)", "-") == "aa-b"
    assert replace_matches("ab", "(?P<first>a)", "${first}${first}") == "aab"
    assert replace_matches("abc", "", "x") == "abc"
    assert replace_matches("ab", "x*", "-") == "-a-b-"
    with pytest.raises(Fault, match="no group"):
        replace_matches("abc", "b", "$1")


def test_a_substitution_that_grows_or_looks_ahead_too_far_is_refused() -> None:
    with pytest.raises(Fault, match="too much"):
        replace_matches("a" * 2_000, "a", "b" * 1_000)
    with pytest.raises(Fault, match="too much"):
        replace_matches("a" * 20_000, "a*b|a", "")


@pytest.mark.parametrize("pattern", ["(", "[", "*", "a" * 2_000, r"(?P<n>a)(?P<n>b)(?=c)", "\ud800"])
def test_what_is_no_pattern_or_too_long(pattern: str) -> None:
    with pytest.raises(Fault):
        matches("a", pattern)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(Fault, match="surrogate"):
        matches("\ud800", "a")
