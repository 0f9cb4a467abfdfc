"""Units that are read, and texts that are no units known here."""

from fractions import Fraction

import pytest

from service.fhirpath.ucum import unit


@pytest.mark.parametrize(
    ("code", "same_as"),
    [
        ("mg/dL", "10.mg/L"),
        ("mmol/L", "mol/m3"),
        ("10*9/L", "10*12/m3"),
        ("/min", "min-1"),
        ("kg.m/s2", "N"),
        ("kg/(m.s2)", "Pa"),
        ("ug{total}/mL", "mg/L"),
        ("dag", "10.g"),
        ("wk", "168.h"),
        ("%", "10*-2"),
    ],
)
def test_the_same_unit_written_differently(code: str, same_as: str) -> None:
    assert unit(code) is not None
    assert unit(code) == unit(same_as)


def test_factor_and_powers() -> None:
    found = unit("cm2")
    assert found is not None
    assert (found.factor, found.powers) == (Fraction(1, 10_000), frozenset({("m", 2)}))


@pytest.mark.parametrize("code", ["", "{score}"])
def test_no_unit_is_a_plain_number(code: str) -> None:
    assert unit(code) == unit("1")


@pytest.mark.parametrize("code", ["foo", "mg/", "mg dL", "k", "(m", "m)", "1/0", "1:0", "m99", "x" * 200, "k[in_i]"])
def test_unknown_units(code: str) -> None:
    assert unit(code) is None
