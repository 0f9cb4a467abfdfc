"""A patient's record as an EHR holds it, and a FHIR server that answers with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.records.ports import Answer, Unreachable

Json = dict[str, Any]

SUBJECT = {"reference": "Patient/1"}
ATC, RXNORM = "http://www.whocc.no/atc", "http://www.nlm.nih.gov/research/umls/rxnorm"
SCT, ICD10 = "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10-cm"


def patient(**more: Any) -> Json:
    return {"resourceType": "Patient", "id": "1", **more}


def concept(system: str, code: str, **more: Any) -> Json:
    return {"coding": [{"system": system, "code": code}], **more}


def request_for(identity: str, medicine: Json, **more: Any) -> Json:
    head = {"resourceType": "MedicationRequest", "id": identity, "status": "active", "intent": "order"}
    return {**head, "subject": SUBJECT, "medicationCodeableConcept": medicine, **more}


def statement_for(identity: str, medicine: Json, **more: Any) -> Json:
    head = {"resourceType": "MedicationStatement", "id": identity, "status": "active", "subject": SUBJECT}
    return {**head, "medicationCodeableConcept": medicine, **more}


def condition(identity: str, code: Json, clinical: str | None = "active", verification: str | None = None) -> Json:
    statuses = {"clinicalStatus": ("clinical", clinical), "verificationStatus": ("ver-status", verification)}
    coded = {
        name: concept(f"http://terminology.hl7.org/CodeSystem/condition-{system}", status)
        for name, (system, status) in statuses.items()
        if status is not None
    }
    return {"resourceType": "Condition", "id": identity, "subject": SUBJECT, "code": code, **coded}


def pregnancy(identity: str, taken: str, code: Json, **more: Any) -> Json:
    head = {
        "resourceType": "Observation",
        "id": identity,
        "status": "final",
        "subject": SUBJECT,
        "code": concept("http://loinc.org", "82810-3"),
    }
    return {**head, "effectiveDateTime": taken, "valueCodeableConcept": code, **more}


class FakeServer:
    """Answers GETs by the beginning of their path, and remembers them."""

    base_url = "https://ehr.example/fhir"

    def __init__(self, answers: Mapping[str, Json | None]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def send(
        self, method: str, path: str, body: Json | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        assert method == "GET"
        assert body is None
        self.asked.append(path)
        for beginning, found in self.answers.items():
            if path.startswith(beginning):
                if found is None:
                    raise Unreachable("refused")
                return Answer(200, {}, found)
        return Answer(404, {}, {"resourceType": "OperationOutcome", "issue": []})


def bundle(*resources: Json, following: str | None = None) -> Json:
    made = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in resources]}
    return {**made, "link": [{"relation": "next", "url": following}]} if following else made
