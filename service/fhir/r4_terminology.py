"""The value sets that FHIR R4 itself lists, countries (ISO 3166), and units (UCUM): known without a terminology server.

Source of the data: HL7's definitions of FHIR R4 (4.0.1), CC0, and ISO 3166-1 codes as Debian's iso-codes lists them;
written by tests/tools/generate_r4_terminology.py. Value sets of SNOMED CT and LOINC codes are not among them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from service.fhir.json import Json
from service.fhirpath.ucum import unit

UCUM = "http://unitsofmeasure.org"
_ALL_UNITS = "http://hl7.org/fhir/ValueSet/ucum-units"


def listed_codings(url: str) -> tuple[Json, ...] | None:
    """The Codings (system and code, no display) of an R4 value set; None when R4 does not list it."""
    parts = _data()["valueSets"].get(url)
    if parts is None:
        return None
    return tuple(
        coding
        for system, codes in parts
        for coding in (_codings(system, codes) if codes is not None else system_codings(system) or ())
    )


def system_codings(url: str) -> tuple[Json, ...] | None:
    """The Codings of a code system of R4; None when it is not one that a listed value set takes in whole."""
    codes = _data()["codeSystems"].get(url)
    return None if codes is None else _codings(url, codes)


def _codings(system: str, codes: Sequence[str]) -> tuple[Json, ...]:
    return tuple({"system": system, "code": code} for code in codes)


def is_unit_of(url: str, coding: Json) -> bool | None:
    """Whether `coding` is in the value set of all UCUM units; None when `url` is another value set."""
    if url != _ALL_UNITS:
        return None
    return coding.get("system") == UCUM and unit(str(coding.get("code", ""))) is not None


@cache
def _data() -> dict[str, Any]:
    text = files(__package__).joinpath("r4-terminology.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data
