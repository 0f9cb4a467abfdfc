"""The official FHIRPath suite for FHIR R4, read from the archive that tests/run installs.

Source: org.hl7.fhir.testcases:fhir-test-cases (HL7, Apache-2.0), r4/fhirpath/tests-fhir-r4.xml and its inputs.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

from tests.spec.fhirpath.fhir_xml import resource_of

HERE = Path(__file__).parent
ARCHIVE = HERE / ".official" / "fhir-test-cases-1.7.2.jar"
EXCEPTIONS = HERE / "official-exceptions.toml"
_R4 = "org/hl7/fhir/testcases/r4/"


@dataclass(frozen=True, slots=True)
class Case:
    """One case. `outputs`: R4 or System type ("" where the suite names none) and text of each item expected."""

    name: str
    expression: str
    input_file: str | None
    outputs: tuple[tuple[str, str], ...]
    refused: bool
    """An error is expected, of syntax, semantics or execution."""
    predicate: bool
    """The result is judged as true when it is not empty."""
    ordered: bool


def cases() -> tuple[Case, ...]:
    """Every case of the suite. Raises FileNotFoundError when the archive was not installed."""
    with _archive().open(f"{_R4}fhirpath/tests-fhir-r4.xml") as file:
        return tuple(map(_case, ElementTree.parse(file).iter("test")))


@cache
def input_resource(name: str) -> dict[str, Any]:
    """An input by file name, as JSON with decimals exact, converted where it is XML."""
    content = _archive().read(_R4 + name)
    if name.endswith(".xml"):
        return resource_of(ElementTree.fromstring(content))
    resource: dict[str, Any] = json.loads(content, parse_float=Decimal)
    return resource


def exceptions() -> dict[str, str]:
    """The cases that do not pass, by name, each with its reason."""
    return {name: reason for reason, names in _grouped() for name in names}


def _grouped() -> Iterator[tuple[str, list[str]]]:
    for group in tomllib.loads(EXCEPTIONS.read_text(encoding="utf-8"))["exception"]:
        yield group["reason"], group["cases"]


@cache
def _archive() -> ZipFile:
    if not ARCHIVE.exists():
        raise FileNotFoundError(f"{ARCHIVE.name} is not installed in {ARCHIVE.parent}: start the tests with tests/run")
    return ZipFile(ARCHIVE)


def _case(test: ElementTree.Element) -> Case:
    expression = test.find("expression")
    if expression is None:
        raise ValueError(f"{test.get('name')} has no expression")
    return Case(
        name=test.get("name", ""),
        expression=expression.text or "",
        input_file=test.get("inputfile") or test.get("inputFile"),
        outputs=tuple((output.get("type", ""), output.text or "") for output in test.findall("output")),
        refused=expression.get("invalid") is not None,
        predicate=test.get("predicate") == "true",
        ordered=test.get("ordered") != "false",
    )
