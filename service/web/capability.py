"""What this server says of itself: its CapabilityStatement, and the definitions of its own operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files

from service.fhir.json import Json, parse
from service.records.searchable import PARAMETERS, PATIENT_PARAMETERS
from service.web.publications import PUBLISHED_PARAMETERS, PUBLISHED_TYPES

CANONICAL_BASE = "https://symptom-intake.example/fhir"
_VALIDATE = "http://hl7.org/fhir/OperationDefinition/Resource-validate"
_EXTRACT = "http://hl7.org/fhir/uv/sdc/OperationDefinition/QuestionnaireResponse-extract"
_ASSESS = f"{CANONICAL_BASE}/OperationDefinition/QuestionnaireResponse-assess"
_POPULATE = "http://hl7.org/fhir/uv/sdc/OperationDefinition/Questionnaire-populate"
_PACKAGE = f"{CANONICAL_BASE}/OperationDefinition/Questionnaire-package"
OPERATIONS: Mapping[str, Mapping[str, str]] = {
    "Questionnaire": {"populate": _POPULATE, "questionnaire-package": _PACKAGE},
    "QuestionnaireResponse": {"validate": _VALIDATE, "assess": _ASSESS, "extract": _EXTRACT},
}
"""The operations on each type, and the canonicals of their definitions."""


RESPONSE_TYPE = "QuestionnaireResponse"
RECORD_TYPES = tuple(PARAMETERS)
_RECORD_INTERACTIONS = ("read", "vread", "history-instance", "search-type")
_PROVENANCE = "Provenance:target"
_DOCUMENTATION = {
    RESPONSE_TYPE: "Responses to the published pages: in-progress, completed, amended, entered-in-error.",
    "AuditEvent": "Who read or wrote which patient's data, where tokens are asked for. A scope must name it.",
}
_PUBLISHED_DOCUMENTATION = (
    "The artifacts of the published pages; a Questionnaire's id is its folder's name. `_language`, or Accept-Language, "
    "asks for a copy in another language; without it a resource has its translations inside."
)
_DEFINITION_DOCUMENTATION = "The operations of this service's own."
_RECORD_DOCUMENTATION = "What this service extracted from responses, as delivered or waiting for delivery."


@dataclass(frozen=True, slots=True)
class ResourceCapability:
    """What a resource type offers: interactions, search parameters with their types, reverse includes."""

    type: str
    interactions: tuple[str, ...]
    parameters: Mapping[str, str]
    reverse_includes: tuple[str, ...]
    documentation: str


def capabilities() -> Iterator[ResourceCapability]:
    """What each resource type offers, as the CapabilityStatement tells it."""
    read_only = ("read", "search-type")
    for resource_type in PUBLISHED_TYPES:
        yield ResourceCapability(resource_type, read_only, PUBLISHED_PARAMETERS, (), _PUBLISHED_DOCUMENTATION)
    yield ResourceCapability("OperationDefinition", ("read",), {}, (), _DEFINITION_DOCUMENTATION)
    for resource_type in RECORD_TYPES:
        is_response = resource_type == RESPONSE_TYPE
        yield ResourceCapability(
            type=resource_type,
            interactions=(*_RECORD_INTERACTIONS, "create", "update") if is_response else _RECORD_INTERACTIONS,
            parameters=record_parameters(resource_type),
            reverse_includes=() if resource_type in ("Provenance", "AuditEvent") else (_PROVENANCE,),
            documentation=_DOCUMENTATION.get(resource_type, _RECORD_DOCUMENTATION),
        )


def record_parameters(resource_type: str) -> Mapping[str, str]:
    """The search parameters of a type of the record, with their types."""
    types = {"_id": "token"}
    types |= dict.fromkeys(PATIENT_PARAMETERS.get(resource_type, ()), "reference")
    # FHIR calls a search by canonical a search by reference.
    for name, parameter in PARAMETERS[resource_type].items():
        types[name] = "reference" if parameter.kind.value == "canonical" else parameter.kind.value
    return types


def capability_statement(base: str, version: str, started: str, security: Json) -> Json:
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
                "resource": [_resource(resource) for resource in capabilities()],
            }
        ],
    }


def operation_definitions() -> tuple[Json, ...]:
    """The definitions of this project's own operations."""
    return tuple(parse(files("service.web").joinpath("operation-definitions.json").read_bytes()))


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
