"""What this server says of itself: its CapabilityStatement, and the definitions of its own operations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from service.fhir.json import Json

CANONICAL_BASE = "https://symptom-intake.example/fhir"
ASSESS_ID = "QuestionnaireResponse-assess"
_VALIDATE = "http://hl7.org/fhir/OperationDefinition/Resource-validate"
_EXTRACT = "http://hl7.org/fhir/uv/sdc/OperationDefinition/QuestionnaireResponse-extract"
_ASSESS = f"{CANONICAL_BASE}/OperationDefinition/{ASSESS_ID}"
_POPULATE = "http://hl7.org/fhir/uv/sdc/OperationDefinition/Questionnaire-populate"
PACKAGE_ID = "Questionnaire-package"
_PACKAGE = f"{CANONICAL_BASE}/OperationDefinition/{PACKAGE_ID}"
OPERATIONS: Mapping[str, Mapping[str, str]] = {
    "Questionnaire": {"populate": _POPULATE, "questionnaire-package": _PACKAGE},
    "QuestionnaireResponse": {"validate": _VALIDATE, "assess": _ASSESS, "extract": _EXTRACT},
}
"""The operations on each type, and the canonicals of their definitions."""


@dataclass(frozen=True, slots=True)
class ResourceCapability:
    """What a resource type offers: interactions, search parameters with their types, reverse includes."""

    type: str
    interactions: tuple[str, ...]
    parameters: Mapping[str, str]
    reverse_includes: tuple[str, ...]
    documentation: str


def capability_statement(
    base: str, version: str, started: str, security: Json, resources: Iterable[ResourceCapability]
) -> Json:
    """The CapabilityStatement of the server at `base`, software `version`, running since `started` (a dateTime)."""
    return {
        "resourceType": "CapabilityStatement",
        "id": "symptom-intake",
        "url": f"{CANONICAL_BASE}/CapabilityStatement/symptom-intake",
        "version": version,
        "name": "SymptomIntake",
        "title": "Symptom Intake",
        "status": "active",
        "experimental": True,
        "date": started,
        "publisher": "Symptom Intake",
        "description": "Takes symptom questionnaires, triages them by red flags, writes the record to a FHIR server.",
        "kind": "instance",
        "software": {"name": "symptom-intake", "version": version},
        "implementation": {"description": "Symptom Intake", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "JSON only. Every error is an OperationOutcome.",
                "security": security,
                "resource": [_resource(resource) for resource in resources],
            }
        ],
    }


def operation_definitions() -> tuple[Json, ...]:
    """The definitions of this project's own operations."""
    return (_assess_definition(), _package_definition())


def _resource(capability: ResourceCapability) -> Json:
    entry: Json = {
        "type": capability.type,
        "documentation": capability.documentation,
        "interaction": [{"code": code} for code in capability.interactions],
        "versioning": "versioned" if "vread" in capability.interactions else "no-version",
        "readHistory": "history-instance" in capability.interactions,
        "updateCreate": False,
        "conditionalRead": "not-match",
    }
    if "create" in capability.interactions:
        entry |= {"conditionalCreate": True, "conditionalUpdate": True}
    if capability.reverse_includes:
        entry["searchRevInclude"] = list(capability.reverse_includes)
    if capability.parameters:
        entry["searchParam"] = [{"name": name, "type": kind} for name, kind in capability.parameters.items()]
    operations = OPERATIONS.get(capability.type, {})
    if operations:
        entry["operation"] = [{"name": name, "definition": canonical} for name, canonical in operations.items()]
    return entry


def _assess_definition() -> Json:
    return {
        "resourceType": "OperationDefinition",
        "id": ASSESS_ID,
        "url": _ASSESS,
        "version": "1.0.0",
        "name": "QuestionnaireResponseAssess",
        "title": "Triage a response by the red flags of its page",
        "status": "active",
        "kind": "operation",
        "experimental": True,
        "publisher": "Symptom Intake",
        "description": (
            "Judges the answers of a QuestionnaireResponse, drafts included, by the red-flag rules published with its "
            "Questionnaire, and answers the triage result. Nothing is stored."
        ),
        "affectsState": False,
        "code": "assess",
        "resource": ["QuestionnaireResponse"],
        "system": False,
        "type": True,
        "instance": True,
        "parameter": list(_assess_parameters()),
    }


def _assess_parameters() -> Iterator[Json]:
    yield {
        "name": "questionnaire-response",
        "use": "in",
        "min": 0,
        "max": "1",
        "documentation": (
            "The response to judge, where the operation is called on the type; it may also be the bare body. "
            "Its `questionnaire` names a published page."
        ),
        "type": "QuestionnaireResponse",
    }
    yield {
        "name": "return",
        "use": "out",
        "min": 1,
        "max": "1",
        "documentation": (
            "The triage: the level in valueCodeableConcept; one component for each rule that fired, with the rule's id "
            "as its code and its level as value; rules that could not be judged are named in note. A draft is "
            "preliminary, and has no level unless an urgent rule fired."
        ),
        "type": "Observation",
    }


def _package_definition() -> Json:
    return {
        "resourceType": "OperationDefinition",
        "id": PACKAGE_ID,
        "url": _PACKAGE,
        "version": "1.0.0",
        "name": "QuestionnairePackage",
        "title": "A published Questionnaire with all that it needs",
        "status": "active",
        "kind": "operation",
        "experimental": True,
        "publisher": "Symptom Intake",
        "description": (
            "Answers a Bundle of the type collection: the Questionnaire first, then its value sets, code systems, "
            "concept maps and the rules that judge its responses."
        ),
        "affectsState": False,
        "code": "questionnaire-package",
        "resource": ["Questionnaire"],
        "system": False,
        "type": True,
        "instance": True,
        "parameter": [
            {
                "name": "url",
                "use": "in",
                "min": 0,
                "max": "1",
                "documentation": "The Questionnaire's canonical, where the operation is called on the type.",
                "type": "canonical",
            },
            {
                "name": "version",
                "use": "in",
                "min": 0,
                "max": "1",
                "documentation": "Its version; without it, the newest active one.",
                "type": "string",
            },
            {
                "name": "return",
                "use": "out",
                "min": 1,
                "max": "1",
                "documentation": "The package.",
                "type": "Bundle",
            },
        ],
    }
