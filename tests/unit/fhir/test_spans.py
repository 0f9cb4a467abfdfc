"""The spans of time that FHIR dates cover."""

from datetime import UTC, datetime

import pytest

from service.fhir.spans import span


def milliseconds(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2026", milliseconds(2026, 1, 1), milliseconds(2027, 1, 1)),
        ("2026-12", milliseconds(2026, 12, 1), milliseconds(2027, 1, 1)),
        ("2026-02", milliseconds(2026, 2, 1), milliseconds(2026, 3, 1)),
        ("2028-02-29", milliseconds(2028, 2, 29), milliseconds(2028, 3, 1)),
        ("2026-03-15T10:00:00+01:00", milliseconds(2026, 3, 15, 9), milliseconds(2026, 3, 15, 9, 0, 1)),
        ("2026-03-15T10:00:00-05:30", milliseconds(2026, 3, 15, 15, 30), milliseconds(2026, 3, 15, 15, 30, 1)),
        ("2026-03-15T10:00Z", milliseconds(2026, 3, 15, 10), milliseconds(2026, 3, 15, 10, 1)),
        ("2026-03-15T10:00:00.5Z", milliseconds(2026, 3, 15, 10) + 500, milliseconds(2026, 3, 15, 10) + 501),
        ("1969-12-31T23:59:59.9999Z", -1, 0),
        ("1969-12-31T23:59:60Z", -1000, 0),
    ],
)
def test_a_date_covers_all_its_moments(text: str, low: int, high: int) -> None:
    assert span(text) == (low, high)


def test_the_last_year_has_an_end() -> None:
    assert span("9999")[1] > milliseconds(9999, 12, 31)


@pytest.mark.parametrize(
    "text", ["", "26", "2026-13", "2026-02-30", "2026-03-15T25:00Z", "yesterday", "2026-03-15 10:00"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no FHIR date"):
        span(text)
