"""$populate from the record on a real FHIR server, which then judges the response."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.hapi.client import FhirClient, Json, SyntheticPatient
from tests.hapi.published import verdict
from tests.hapi.service import Service

ATC, RXNORM = "http://www.whocc.no/atc", "http://www.nlm.nih.gov/research/umls/rxnorm"


def _concept(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


@pytest.fixture
def record(fhir: FhirClient, patient: SyntheticPatient) -> Iterator[dict[str, str]]:
    """A record of the patient; the references of its resources by a name for each."""
    about = {"subject": {"reference": patient.reference}}
    today = datetime.now(UTC).isoformat(timespec="seconds")
    clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    made: dict[str, str] = {}

    def make(name: str, kind: str, **elements: object) -> str:
        stored = fhir.create({"resourceType": kind, **(about if kind != "Medication" else {}), **elements})
        made[name] = f"{kind}/{stored['id']}"
        return made[name]

    medicine = make("medicine", "Medication", code=_concept(RXNORM, "8640"))
    order: Json = {"status": "active", "intent": "order"}
    make("water", "MedicationRequest", **order, medicationCodeableConcept=_concept(ATC, "C03CA01"))
    make("steroid", "MedicationRequest", **order, medicationReference={"reference": medicine})
    make(
        "stopped",
        "MedicationRequest",
        **{**order, "status": "stopped"},
        medicationCodeableConcept=_concept(ATC, "N05AN01"),
    )
    make("stimulant", "MedicationStatement", status="active", medicationCodeableConcept=_concept(RXNORM, "6901"))
    icd10 = _concept("http://hl7.org/fhir/sid/icd-10-cm", "G72.9")
    make("condition", "Condition", clinicalStatus=_concept(clinical, "active"), code=icd10)
    for name, status, answer in (("pregnancy", "final", "LA26683-5"), ("draft", "preliminary", "LA15173-0")):
        value = _concept("http://loinc.org", answer)
        code = _concept("http://loinc.org", "82810-3")
        make(name, "Observation", status=status, code=code, effectiveDateTime=today, valueCodeableConcept=value)
    yield made
    for reference in reversed(made.values()):
        fhir.request("DELETE", reference).raise_for_status()


def _answers(response: Json) -> dict[str, tuple[list[str], list[str]]]:
    """Codes and origins of each answered question."""
    found = {}
    for question in (question for group in response["item"] for question in group["item"]):
        if "answer" in question:
            codes = [answer["valueCoding"]["code"] for answer in question["answer"]]
            origins = [extension["valueReference"]["reference"] for extension in question["extension"]]
            found[question["linkId"]] = (sorted(codes), sorted(origins))
    return found


def test_the_record_on_the_server_populates_the_page(
    service: Service, judge: FhirClient, fhir: FhirClient, patient: SyntheticPatient, record: dict[str, str]
) -> None:
    stored = fhir.read(patient.reference)
    fhir.request("PUT", patient.reference, {**stored, "birthDate": "1980-05-17"}).raise_for_status()
    parameters = [
        {"name": "subject", "valueReference": {"reference": patient.reference}},
        {"name": "local", "valueBoolean": True},
    ]
    answer = service.fhir.request(
        "POST", "Questionnaire/muscle-fasciculation/$populate", {"resourceType": "Parameters", "parameter": parameters}
    )
    assert answer.status_code == 200
    (given,) = answer.json()["parameter"]
    assert given["name"] == "response"
    medicines = sorted(record[name] for name in ("water", "steroid", "stimulant"))
    assert _answers(given["resource"]) == {
        "age-16-or-over": (["373066001"], [patient.reference]),
        "pregnant": (["60001007"], [record["pregnancy"]]),
        "medicines": (["C03", "H02", "N06B"], medicines),
        "diagnosed-condition": (["129565002"], [record["condition"]]),
    }
    assert verdict(judge, given["resource"]) == []
