"""Changing a response that was accepted, and what a FHIR server then has of it."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy

from tests.hapi.cases import CASE, ONE_RECORD, response_to
from tests.hapi.client import FhirClient, Json
from tests.hapi.record import Record, codes, identity_search
from tests.hapi.service import Service
from tests.integration.answers import answer_with, without

# With other muscles: one more taken back, one new, and why.
AMENDED_RECORD = ONE_RECORD + Counter(Observation=1, Provenance=3)
ARM: Json = {"valueCoding": {"system": "http://snomed.info/sct", "code": "53120007", "display": "Arm"}}
CALF: Json = {"valueCoding": {"system": "http://snomed.info/sct", "code": "53840002", "display": "Calf"}}


def accepted(service: Service, patient: str) -> Json:
    """The case about `patient`, as it was stored."""
    answer = service.fhir.request("POST", "QuestionnaireResponse", response_to(CASE, patient))
    assert answer.status_code == 201
    stored: Json = answer.json()
    return stored


def changed(stored: Json, *muscles: Json) -> Json:
    """`stored` with other muscles (an arm) and without its side, as amended."""
    return without(answer_with(deepcopy(stored), "muscles", *(muscles or (ARM,))), "side") | {"status": "amended"}


def amended(service: Service, stored: Json, *muscles: Json, **headers: str) -> Json:
    """`stored` as `changed`, as it was accepted."""
    return put(service, changed(stored, *muscles), **headers)


def retracted(service: Service, stored: Json) -> Json:
    """`stored` as entered in error, as it was accepted."""
    return put(service, {**stored, "status": "entered-in-error"})


def put(service: Service, body: Json, **headers: str) -> Json:
    answer = service.fhir.request("PUT", f"QuestionnaireResponse/{body['id']}", body, **headers)
    assert answer.status_code == 200, answer.text
    stored: Json = answer.json()
    return stored


def kinds(record: Record) -> Counter[str]:
    return Counter(one["resourceType"] for one in record.all)


def states(record: Record) -> Counter[str]:
    """How the Observations stand."""
    return Counter(one["status"] for one in record.observations)


def activities(record: Record) -> list[str]:
    return sorted(code for one in record.provenances for code in codes(one["activity"]))


def assert_as_here(service: Service, fhir: FhirClient, patient: str) -> Record:
    """The record of `patient` on the server, which is ours: each resource once, found by identity, saying the same."""
    own, theirs = Record.of(service.fhir, patient), Record.of(fhir, patient)
    assert theirs.identities == own.identities
    assert len(set(theirs.identities)) == len(theirs.all)
    for one in own.all:
        (found,) = fhir.search(one["resourceType"], **identity_search(one))
        for element in ("status", "clinicalStatus", "verificationStatus", "valueCodeableConcept", "bodySite", "reason"):
            assert found.get(element) == one.get(element), (one["resourceType"], element)
    return theirs
