"""Value sets: composed, expanded, contained in each other, and those that FHIR R4 lists itself."""

from __future__ import annotations

from typing import Any

import pytest

from service.fhir.r4_terminology import is_unit_of
from service.fhir.terminology import Terminology

SYSTEM: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "url": "urn:s",
    "content": "complete",
    "concept": [{"code": "a", "display": "A", "concept": [{"code": "b"}]}, {"code": "c"}],
}


def codes(*resources: dict[str, Any], of: str) -> list[str] | None:
    found = Terminology.of([SYSTEM, *resources]).expand(of)
    return None if found is None else [coding["code"] for coding in found]


def value_set(url: str, *include: dict[str, Any], **compose: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "url": url, "compose": {"include": list(include), **compose}}


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (value_set("urn:v", {"system": "urn:s"}), ["a", "b", "c"]),
        (value_set("urn:v", {"system": "urn:s", "concept": [{"code": "c"}]}), ["c"]),
        (
            value_set("urn:v", {"system": "urn:s"}, exclude=[{"system": "urn:s", "concept": [{"code": "a"}]}]),
            ["b", "c"],
        ),
        (value_set("urn:v", {"system": "urn:unknown"}), None),
        (value_set("urn:v", {"system": "urn:s", "filter": [{"property": "x", "op": "=", "value": "y"}]}), None),
        (value_set("urn:v", {"valueSet": ["urn:unknown"]}), None),
        (value_set("urn:v", {"valueSet": ["urn:v"]}), None),
        (
            {"resourceType": "ValueSet", "url": "urn:v", "expansion": {"contains": [{"system": "urn:s", "code": "z"}]}},
            ["z"],
        ),
    ],
)
def test_what_a_value_set_holds(resource: dict[str, Any], expected: list[str] | None) -> None:
    assert codes(resource, of="urn:v") == expected


def test_value_sets_take_in_and_narrow_each_other() -> None:
    few = value_set("urn:few", {"system": "urn:s", "concept": [{"code": "a"}, {"code": "c"}]})
    assert codes(few, value_set("urn:v", {"valueSet": ["urn:few"]}), of="urn:v") == ["a", "c"]
    part = {"system": "urn:s", "concept": [{"code": "b"}, {"code": "c"}], "valueSet": ["urn:few"]}
    assert codes(few, value_set("urn:v", part), of="urn:v") == ["c"]


def test_a_version_finds_that_version_only() -> None:
    resource = value_set("urn:v", {"system": "urn:s"}) | {"version": "2"}
    assert codes(resource, of="urn:v|2") == ["a", "b", "c"]
    assert codes(resource, of="urn:v|3") is None


@pytest.mark.parametrize(
    ("url", "code", "system"),
    [
        ("http://hl7.org/fhir/ValueSet/item-type", "open-choice", "http://hl7.org/fhir/item-type"),
        ("http://hl7.org/fhir/ValueSet/item-type|4.0.1", "group", "http://hl7.org/fhir/item-type"),
        ("http://hl7.org/fhir/ValueSet/administrative-gender", "other", "http://hl7.org/fhir/administrative-gender"),
        ("http://hl7.org/fhir/ValueSet/iso3166-1-2", "AT", "urn:iso:std:iso:3166"),
        ("http://hl7.org/fhir/ValueSet/iso3166-1-3", "AUT", "urn:iso:std:iso:3166"),
    ],
)
def test_value_sets_of_r4_are_known(url: str, code: str, system: str) -> None:
    found = Terminology.of([]).expand(url)
    assert found is not None
    assert {"system": system, "code": code} in found


def test_any_unit_of_ucum_is_known_and_nothing_else() -> None:
    units = "http://hl7.org/fhir/ValueSet/ucum-units"
    ucum = {"system": "http://unitsofmeasure.org"}
    assert is_unit_of(units, {**ucum, "code": "mg/dL"}) is True
    assert is_unit_of(units, {**ucum, "code": "spoons"}) is False
    assert is_unit_of(units, {"code": "mg"}) is False
    assert is_unit_of("urn:other", {**ucum, "code": "mg"}) is None
