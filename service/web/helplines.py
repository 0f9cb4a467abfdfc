"""The numbers that a person in danger is told to call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from service.fhir.json import parse_object

_BY_COUNTRY: Final[Mapping[str, Mapping[str, str]]] = parse_object(
    files("service.web").joinpath("helplines.json").read_bytes()
)
COUNTRIES: Final = tuple(sorted(_BY_COUNTRY))
"""ISO 3166-1 codes of the countries whose numbers are at hand."""


@dataclass(frozen=True, slots=True)
class Helplines:
    """Telephone numbers as people write them; None: each person's own, which the page then says in words."""

    emergency: str | None
    poison: str | None


def helplines(country: str | None, emergency: str | None, poison: str | None) -> Helplines:
    """The numbers of `country` (one of COUNTRIES), with those given standing over them."""
    known = _BY_COUNTRY[country] if country is not None else {}
    return Helplines(emergency or known.get("emergency"), poison or known.get("poison"))


def dialled(number: str) -> str:
    """`number` as the address of a telephone link."""
    return "tel:" + "".join(character for character in number if character.isdigit() or character == "+")
