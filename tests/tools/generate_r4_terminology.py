"""Writes service/fhir/r4-terminology.json: the code systems and value sets that FHIR R4 itself defines and lists.

    python tests/tools/generate_r4_terminology.py valuesets.xml v3-codesystems.xml iso_3166-1.json \
        > service/fhir/r4-terminology.json

The two XML files are part of the FHIR R4 (4.0.1) definitions (HL7, CC0); the Maven artifact
ca.uhn.hapi.fhir:hapi-fhir-validation-resources-r4 holds them under org/hl7/fhir/r4/model/valueset. The third is the
country list of Debian's package iso-codes, of which only the codes are taken.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

F = "{http://hl7.org/fhir}"
COUNTRIES = "urn:iso:std:iso:3166"
LICENSED = ("http://snomed.info/sct", "http://loinc.org")
COUNTRY_VALUE_SETS = {"alpha_2": "iso3166-1-2", "alpha_3": "iso3166-1-3", "numeric": "iso3166-1-N"}

Part = tuple[str, list[str] | None]
"""A system, and the codes of it that are listed; None for all of them."""


def main(paths: list[str]) -> None:
    resources = [element for path in paths[:2] for element in ElementTree.parse(path).iter()]
    systems = dict(code_systems(resources))
    sets = {url: parts for url, parts in value_sets(resources) if all(known(part, systems) for part in parts)}
    for field, name in COUNTRY_VALUE_SETS.items():
        countries = json.loads(Path(paths[2]).read_text(encoding="utf-8"))["3166-1"]
        codes = [country[field] for country in countries]
        sets[f"http://hl7.org/fhir/ValueSet/{name}"] = [(COUNTRIES, codes)]
    used = {system for parts in sets.values() for system, codes in parts if codes is None}
    kept = {url: codes for url, codes in systems.items() if url in used}
    lines = [f'"codeSystems": {{\n{lines_of(kept)}\n}}', f'"valueSets": {{\n{lines_of(sets)}\n}}']
    sys.stdout.write("{" + ",\n".join(lines) + "}\n")


def code_systems(resources: list[ElementTree.Element]) -> Iterator[tuple[str, list[str]]]:
    for resource in resources:
        if resource.tag == f"{F}CodeSystem" and value(resource, "content") == "complete":
            yield (
                value(resource, "url"),
                [code.get("value", "") for code in resource.iterfind(f".//{F}concept/{F}code")],
            )


def value_sets(resources: list[ElementTree.Element]) -> Iterator[tuple[str, list[Part]]]:
    """Those that are made of whole systems and listed codes, without filters, imports and exclusions."""
    for resource in resources:
        compose = resource.find(f"{F}compose")
        if resource.tag != f"{F}ValueSet" or compose is None or compose.find(f"{F}exclude") is not None:
            continue
        includes = compose.findall(f"{F}include")
        if any(include.find(F + name) is not None for include in includes for name in ("filter", "valueSet")):
            continue
        yield value(resource, "url"), [part_of(include) for include in includes]


def part_of(include: ElementTree.Element) -> Part:
    codes = [code.get("value", "") for code in include.iterfind(f"{F}concept/{F}code")]
    return value(include, "system"), codes or None


def known(part: Part, systems: dict[str, list[str]]) -> bool:
    """True for what may be listed here: codes under other terms than HL7's stay out."""
    system, codes = part
    return system not in LICENSED and (codes is not None or system in systems)


def value(parent: ElementTree.Element, name: str) -> str:
    found = parent.find(F + name)
    return "" if found is None else found.get("value", "")


def lines_of(entries: dict[str, Any]) -> str:
    return ",\n".join(
        f"{json.dumps(url)}: {json.dumps(entry, separators=(',', ':'), ensure_ascii=False)}"
        for url, entry in sorted(entries.items())
    )


if __name__ == "__main__":
    main(sys.argv[1:])
