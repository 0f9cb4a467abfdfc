"""Partial dates, time zones and date arithmetic (FHIRPath 2.0, sections 6.1, 6.2 and 6.7)."""

from collections.abc import Callable

import pytest


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # What is known decides; where it does not, the answer is empty.
        ("@2026-03 = @2026-03", "true"),
        ("@2026-03 = @2026-04", "false"),
        ("@2026-03 = @2026-03-15", "{}"),
        ("@2026 < @2027-01-01", "true"),
        ("@2026-03 < @2026-03-15", "{}"),
        ("@2026-03 <= @2026-03-15", "{}"),
        ("@2026-03-15 > @2026-02", "true"),
        ("@2026-03 ~ @2026-03-15", "false"),
        ("@2026-03-15 != @2026-03-15T10:00:00Z", "{}"),
        ("@2026-03-14 != @2026-03-15T10:00:00Z", "true"),
        ("@T10:30 = @T10:30:00", "{}"),
        ("@T10:30 < @T10:31:59", "true"),
        ("@T10:30:00 = @T10:30:00.000", "true"),
        # Offsets are brought to one.
        ("@2026-03-15T10:00:00+01:00 = @2026-03-15T09:00:00Z", "true"),
        ("@2026-03-15T23:30:00-05:00 > @2026-03-16T04:00:00Z", "true"),
        # One without an offset is compared only where no offset on earth would change the answer.
        ("@2026-03-15T10:00:00 = @2026-03-15T10:00:00Z", "{}"),
        ("@2026-03-15T10:00:00 < @2026-03-15T20:00:00Z", "{}"),
        ("@2026-03-15T10:00:00 < @2026-03-17T10:00:00Z", "true"),
        ("@2026-03-17T10:00:00Z <= @2026-03-15T10:00:00", "false"),
        # A date and a time have nothing in common.
        ("@2026-03-15 = @T10:00", "false"),
        ("@2026-03-15 < @T10:00", "error"),
        ("@2026-03-15 = '2026-03-15'", "false"),
        ("@2026-03-15 < '2026-03-16'", "error"),
    ],
)
def test_comparison(evaluate: Callable[[str], str], expression: str, expected: str) -> None:
    assert evaluate(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("@2026-03-15 - 14 days", "@2026-03-01"),
        ("@2026-03-01 - 1 day", "@2026-02-28"),
        ("@2024-02-29 + 1 year", "@2025-02-28"),
        ("@2026-01-31 + 1 month", "@2026-02-28"),
        ("@2026-03-31 - 13 months", "@2025-02-28"),
        ("@2026-03-15 + 2 weeks", "@2026-03-29"),
        ("@2026-03-15 + 1.9 days", "@2026-03-16"),
        ("@2026-03-15 + 36 hours", "@2026-03-16"),
        ("@2026 + 25 months", "@2028"),
        ("@2026 + 364 days", "@2026"),
        ("@2026-03 - 61 days", "@2026-01"),
        ("@2026-03-15T23:30:00+01:00 + 45 minutes", "@2026-03-16T00:15:00+01:00"),
        ("@2026-03-15T00:00:00Z - 1 second", "@2026-03-14T23:59:59Z"),
        ("@2026-03-15T10:00:00.000Z + 10 milliseconds", "@2026-03-15T10:00:00.010Z"),
        ("@2026-03-15T10 + 90 minutes", "@2026-03-15T11"),
        ("@T23:30 + 1 hour", "@T00:30"),
        ("@T00:15:00 - 1 hour", "@T23:15:00"),
        ("@2026-03-15 + 1 'wk'", "@2026-03-22"),
        ("@2026-03-15 - {}", "{}"),
        ("@9999-12-31 + 1 day", "{}"),
        ("@0001-01-01 - 1 day", "{}"),
        # UCUM's year and month have a fixed length that no calendar knows.
        ("@2026-03-15 + 1 'mo'", "error"),
        ("@2026-03-15 + 1 'mg'", "error"),
        ("@2026-03-15 + 7", "error"),
        ("@T10:00 + 1 day", "error"),
    ],
)
def test_arithmetic(evaluate: Callable[[str], str], expression: str, expected: str) -> None:
    assert evaluate(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("now()", "@2026-03-15T10:30:15.250Z"),
        ("today()", "@2026-03-15"),
        ("timeOfDay()", "@T10:30:15.250"),
        ("today() - 30 days", "@2026-02-13"),
        ("@2024.lowBoundary()", "@2024-01-01"),
        ("@2024-02.highBoundary()", "@2024-02-29"),
        ("@2024.highBoundary(6)", "@2024-12"),
        ("@2026-03-15T08.lowBoundary()", "@2026-03-15T08:00:00.000+14:00"),
        ("@2026-03-15T08:05Z.highBoundary()", "@2026-03-15T08:05:59.999Z"),
        ("@T10:30.highBoundary()", "@T10:30:59.999"),
        ("@2024.highBoundary(5)", "{}"),
        ("1.587.lowBoundary()", "1.58650000"),
        ("1.587.highBoundary(2)", "1.59"),
        ("5 'mg'.lowBoundary(1)", "4.5 'mg'"),
        ("true.lowBoundary()", "error"),
        ("@2024-02.precision()", "6"),
        ("@T10:30:00.000.precision()", "9"),
        ("1.580.precision()", "3"),
    ],
)
def test_clock_and_boundaries(evaluate: Callable[[str], str], expression: str, expected: str) -> None:
    assert evaluate(expression) == expected
