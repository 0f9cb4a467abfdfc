"""Patterns that could run away are refused before they run."""

import pytest

from service.fhirpath.errors import Fault
from service.fhirpath.regexes import matches, matches_full, replace_matches


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"^\d{5}(-\d{4})?$", "12345-6789", True),
        (r"^[^@\s]+@[^@\s]+\.[^@\s]+$", "a@b.org", True),
        (r"^[A-Za-z ]+$", "x" * 5_000, True),
        (r"(?<year>\d{4})", "in 2026", True),
        (r"a.b", "a\nb", True),
        (r"^(ab|cd)$", "abcd", False),
        ("a+?b", "caab", True),
    ],
)
def test_ordinary_patterns(pattern: str, text: str, found: bool) -> None:
    assert matches(text, pattern) is found


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+$", "([a-z]*)*x", "(a?){40}", "((a+)b?)*", "(?:a+){2,}", "^(.*)*$", "(a{1,9}){9}"]
)
def test_repeated_repetitions_are_refused(pattern: str) -> None:
    with pytest.raises(Fault, match="could take too long"):
        matches("a", pattern)


@pytest.mark.parametrize("pattern", [".*.*.*x", "a*a*a*b", "a?" * 30 + "a" * 30])
def test_many_ways_on_a_long_text_are_refused(pattern: str) -> None:
    with pytest.raises(Fault, match="could take too long"):
        matches("a" * 5_000, pattern)


def test_whole_text() -> None:
    assert matches_full("2026", r"\d+")
    assert not matches_full("2026 AD", r"\d+")


def test_substitution() -> None:
    assert replace_matches("a1b2", r"([a-z])(\d)", "$2${2}$1") == "11a22b"
    assert replace_matches("abc", "", "x") == "abc"
    with pytest.raises(Fault, match="no group"):
        replace_matches("abc", "b", "$1")


@pytest.mark.parametrize("pattern", ["(", "a{2", "[", "*", "a" * 2_000, r"(?P<n>a)(?P<n>b)"])
def test_what_is_no_pattern_or_too_long(pattern: str) -> None:
    if pattern == "a{2":
        assert matches("a{2", pattern)
        return
    with pytest.raises(Fault):
        matches("a", pattern)
