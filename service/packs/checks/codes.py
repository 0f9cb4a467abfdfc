"""Codes say the same everywhere: displays agree with the page's lists, and each code system's licence is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from service.errors import Issue, IssueType, error
from service.fhir.elements import objects
from service.fhir.json import Json
from service.fhir.terminology import concepts
from service.packs.page import README_FILE, Page

Code = tuple[str, str]
"""A system and a code."""

_WITHOUT_NOTE: Final = ("http://hl7.org/fhir/", "http://terminology.hl7.org/", "http://unitsofmeasure.org")
"""Systems that come with FHIR itself, whose licence (CC0) asks for nothing, and its units."""
_NAMES: Final = {
    "http://snomed.info/sct": "SNOMED CT",
    "http://loinc.org": "LOINC",
    "http://www.whocc.no/atc": "ATC",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD-10-CM",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
}
"""What people call a code system, in a licence note."""


def code_issues(page: Page) -> Iterator[Issue]:
    """Displays that differ from the page's lists, codes that its own systems lack, systems without a licence note.

    And a CodeSystem that counts other concepts than it has: FHIR servers refuse it.
    """
    listed = dict(_listed(page.pack.artifacts))
    own = {artifact["url"] for artifact in page.pack.artifacts if artifact["resourceType"] == "CodeSystem"}
    first: dict[Code, tuple[str, str]] = {}
    systems: dict[str, str] = {}
    for artifact in page.pack.artifacts:
        for path, coding in objects(artifact, f"{artifact['resourceType']}/{artifact['id']}"):
            code = _code(coding)
            if code is None:
                continue
            systems.setdefault(code[0], path)
            if code[0] in own and code not in listed:
                yield error(IssueType.CODE_INVALID, f"The CodeSystem has no concept '{code[1]}'.", path)
            display = coding.get("display")
            if display is None:
                continue
            known, place = (listed[code], "its list") if code in listed else first.setdefault(code, (display, path))
            if display != known:
                text = f"'{code[1]}' is called '{display}' here, but '{known}' in {place}. Call it the same."
                yield error(IssueType.VALUE, text, f"{path}.display")
    yield from _licence_issues(page, systems, own)
    yield from _count_issues(page.pack.artifacts)


def _count_issues(artifacts: tuple[Json, ...]) -> Iterator[Issue]:
    for artifact in artifacts:
        if artifact["resourceType"] == "CodeSystem" and "count" in artifact:
            number = sum(1 for _ in concepts(artifact))
            if artifact["count"] != number:
                text = f"It has {number} concepts, but says {artifact['count']}. Write {number}."
                yield error(IssueType.VALUE, text, f"CodeSystem/{artifact['id']}.count")


def _licence_issues(page: Page, systems: Mapping[str, str], own: set[str]) -> Iterator[Issue]:
    copyright_text = str(page.pack.questionnaire.definition.get("copyright", ""))
    for system, path in systems.items():
        if system in own or (system not in _NAMES and system.startswith(_WITHOUT_NOTE)):
            continue
        name = _NAMES.get(system, system)
        for text, place in ((page.readme, README_FILE), (copyright_text, "Questionnaire.copyright")):
            if name.lower() not in text.lower():
                said = f"Codes of {name} are used (first in {path}). Name {name} and the terms of its use here."
                yield error(IssueType.BUSINESS_RULE, said, place)


def _listed(artifacts: tuple[Json, ...]) -> Iterator[tuple[Code, str]]:
    """The display of each code in the page's CodeSystems, and in the concept lists of its ValueSets."""
    for artifact in artifacts:
        if artifact["resourceType"] == "ValueSet":
            for part in artifact.get("compose", {}).get("include", []):
                for concept in part.get("concept", []):
                    if "display" in concept:
                        yield (part["system"], concept["code"]), concept["display"]
    for artifact in artifacts:
        if artifact["resourceType"] == "CodeSystem":
            for concept in concepts(artifact):
                yield (artifact["url"], concept["code"]), str(concept.get("display", concept["code"]))


def _code(element: Json) -> Code | None:
    system, code = element.get("system"), element.get("code")
    return (system, code) if isinstance(system, str) and isinstance(code, str) else None
