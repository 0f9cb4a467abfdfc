"""A patient's record on a FHIR server: what stands there because of what was delivered, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.hapi.client import FhirClient, Json

IDENTITY_SYSTEM = "https://symptom-intake.example/fhir/identity"


@dataclass(frozen=True, slots=True)
class Record:
    """Everything about one patient, by kind."""

    responses: list[Json]
    observations: list[Json]
    conditions: list[Json]
    provenances: list[Json]

    @classmethod
    def of(cls, client: FhirClient, patient: str) -> Record:
        """The record of `patient` (`Patient/id`), as it is stored now."""
        found: list[Json] = []
        for kind in ("QuestionnaireResponse", "Observation", "Condition"):
            found += client.search(kind, patient=patient, _revinclude="Provenance:target")
        # A Provenance comes once with each of the types that it is about.
        once = {f"{one['resourceType']}/{one['id']}": one for one in found}.values()
        return cls(*([one for one in once if one["resourceType"] == kind] for kind in KINDS))

    @property
    def all(self) -> list[Json]:
        """Every resource."""
        return [*self.responses, *self.observations, *self.conditions, *self.provenances]

    @property
    def versions(self) -> set[str]:
        """The versions that the resources stand at: {"1"} where nothing was ever written twice."""
        return {one["meta"]["versionId"] for one in self.all}

    @property
    def identities(self) -> list[str]:
        """What each resource is told apart by, whoever stores it."""
        return sorted(identity(one) for one in self.all)

    @property
    def triage(self) -> Json:
        """The triage result of a record with one response."""
        (found,) = [one for one in self.observations if codes(one["code"]) == {"triage-result"}]
        return found


KINDS = ("QuestionnaireResponse", "Observation", "Condition", "Provenance")


def identity(resource: Json) -> str:
    """The UUID that delivery gave to `resource`. Raises ValueError unless there is exactly one."""
    identifiers = [(one.get("system"), one.get("value")) for one in as_list(resource.get("identifier"))]
    tags = [(one.get("system"), one.get("code")) for one in resource.get("meta", {}).get("tag", [])]
    (value,) = [value for system, value in (*identifiers, *tags) if system == IDENTITY_SYSTEM]
    return str(value)


def identity_search(resource: Json) -> dict[str, str]:
    """The search that finds `resource`, and nothing else, on any server."""
    name = "identifier" if resource["resourceType"] in {"Observation", "Condition"} else "_tag"
    return {name: f"{IDENTITY_SYSTEM}|{identity(resource)}"}


def as_list(value: Any) -> list[Any]:
    """`value` as a list, whether it is one, a single element, or absent."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def codes(concept: Json | None) -> set[str]:
    """The codes of a CodeableConcept."""
    return {coding["code"] for coding in (concept or {}).get("coding", [])}


def references(value: Any) -> Iterator[str]:
    """Every `reference` in a resource."""
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)
