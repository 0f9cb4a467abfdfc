"""The numbers that a person in danger is told to call."""

import pytest

from service.web.helplines import COUNTRIES, Helplines, dialled, helplines


@pytest.mark.parametrize("country", COUNTRIES)
def test_every_country_has_an_emergency_number_that_can_be_dialled(country: str) -> None:
    found = helplines(country, None, None)
    assert found.emergency is not None
    assert dialled(found.emergency)[4:].isdigit()


@pytest.mark.parametrize(
    ("country", "emergency", "poison", "wanted"),
    [
        (None, None, None, Helplines(None, None)),
        ("US", None, None, Helplines("911", "1-800-222-1222")),
        ("US", "112", None, Helplines("112", "1-800-222-1222")),
        (None, None, "0800", Helplines(None, "0800")),
    ],
)
def test_what_is_set_stands_over_the_country(
    country: str | None, emergency: str | None, poison: str | None, wanted: Helplines
) -> None:
    assert helplines(country, emergency, poison) == wanted


def test_a_link_dials_digits_and_a_leading_plus() -> None:
    assert dialled("+1 (800) 222-1222") == "tel:+18002221222"
