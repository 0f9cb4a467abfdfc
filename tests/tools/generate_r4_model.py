"""Writes service/fhirpath/r4-model.json, the element types of FHIR R4, from HL7's own StructureDefinitions.

    python tests/tools/generate_r4_model.py profiles-types.xml profiles-resources.xml > service/fhirpath/r4-model.json

The two files are part of the FHIR R4 (4.0.1) definitions (HL7, CC0); the Maven artifact
ca.uhn.hapi.fhir:hapi-fhir-validation-resources-r4 holds them under org/hl7/fhir/r4/model/profile.
"""

from __future__ import annotations

import json
import sys
from typing import Any
from xml.etree import ElementTree

F = "{http://hl7.org/fhir}"
SYSTEM = "http://hl7.org/fhirpath/System."
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
OPEN_CHOICE = "*"
INLINE = ("BackboneElement", "Element")


def main(paths: list[str]) -> None:
    definitions = [
        definition for path in paths for definition in ElementTree.parse(path).iter(f"{F}StructureDefinition")
    ]
    types: dict[str, Any] = {}
    for definition in definitions:
        if value(definition, "kind") != "logical" and value(definition, "derivation") != "constraint":
            types |= types_of(definition)
    open_choice = types["Extension"]["elements"]["value[x]"]
    for described in types.values():
        for name, element_types in described.get("elements", {}).items():
            if element_types == open_choice:
                described["elements"][name] = OPEN_CHOICE
    # The specification says id (resource.html); its published profile of Resource says string.
    types["Resource"]["elements"]["id"] = "id"
    lines = ",\n".join(map(line, sorted(types.items())))
    sys.stdout.write(f'{{"open": {json.dumps(open_choice)},\n"types": {{\n{lines}\n}}}}\n')


def types_of(definition: ElementTree.Element) -> dict[str, Any]:
    """The type a definition describes, and one more for each element that has elements of its own."""
    name = value(definition, "name")
    elements = definition.findall(f"{F}snapshot/{F}element")
    inherited = {value(e, "path") for e in elements if value(e, "base/{F}path") != value(e, "path")}
    parents = {value(e, "path").rpartition(".")[0] for e in elements if value(e, "path") not in inherited}
    base = value(definition, "baseDefinition").rpartition("/")[2]
    types: dict[str, Any] = {name: {"base": base} if base else {}}
    for element in elements:
        path = value(element, "path")
        parent, _, own_name = path.rpartition(".")
        if parent and path not in inherited:
            if own_name == "value" and value(definition, "kind") == "primitive-type":
                types[name]["system"] = value(element, "type/{F}code").removeprefix(SYSTEM)
                continue
            if path in parents:
                types[path] = {"base": element_types(element)}
            described = path if path in parents else element_types(element)
            types[parent].setdefault("elements", {})[own_name] = described
            if value(element, "max") == "*":
                types[parent].setdefault("repeating", []).append(own_name)
    return types


def element_types(element: ElementTree.Element) -> str:
    """The types an element may have, separated by "|"; of a content reference, the path it refers to."""
    reference = value(element, "contentReference")
    if reference:
        return reference.removeprefix("#")
    codes = [type_code(entry) for entry in element.iterfind(f"{F}type")]
    return "|".join(dict.fromkeys(codes))


def type_code(entry: ElementTree.Element) -> str:
    code = value(entry, "code")
    if not code.startswith(SYSTEM):
        return code
    told = (extension[0].get("value", "") for extension in entry if extension.get("url") == FHIR_TYPE)
    return next(told, "string")


def value(parent: ElementTree.Element, path: str) -> str:
    found = parent.find(F + path.replace("{F}", F))
    return "" if found is None else found.get("value", "")


def line(entry: tuple[str, Any]) -> str:
    return f"{json.dumps(entry[0])}: {json.dumps(entry[1], separators=(',', ':'))}"


if __name__ == "__main__":
    main(sys.argv[1:])
