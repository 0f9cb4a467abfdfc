"""Amendments and retractions on a FHIR server: the same resources, each once, and nobody else's change undone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hapi.amending import (
    AMENDED_RECORD,
    ARM,
    CALF,
    accepted,
    activities,
    amended,
    assert_as_here,
    kinds,
    retracted,
    states,
)
from tests.hapi.cases import ONE_RECORD
from tests.hapi.client import FhirClient, Json, SyntheticPatient
from tests.hapi.record import Record, codes
from tests.hapi.service import Service


@pytest.fixture
def own_service(fhir_server: str, tmp_path: Path) -> Iterator[Service]:
    """A service for this test alone, not started yet."""
    service = Service(tmp_path, fhir_server)
    yield service
    service.close()


def muscles(record: Record) -> dict[str, tuple[str, str]]:
    """Version and status of the Observation of each muscle, by its code."""
    return {
        code: (one["meta"]["versionId"], one["status"])
        for one in record.observations
        for code in codes(one.get("bodySite"))
    }


def test_an_amendment_changes_what_changed_and_nothing_else(
    service: Service, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    stored = accepted(service, patient.reference)
    service.await_settled()
    before = muscles(Record.of(fhir, patient.reference))

    newest = amended(service, stored, ARM, If_Match='W/"1"')
    assert service.await_settled()["dead"] == 0

    record = assert_as_here(service, fhir, patient.reference)
    assert newest["status"] == record.responses[0]["status"] == "amended"
    assert kinds(record) == AMENDED_RECORD
    assert activities(record) == ["CREATE", "CREATE", "NULLIFY", "UPDATE"]
    assert muscles(record) == dict.fromkeys(before, ("2", "entered-in-error")) | {"53120007": ("1", "final")}
    # The triage result quotes the answers; what else was said stays at its first version.
    assert states(record) == {"final": 15, "amended": 1, "entered-in-error": 1}
    assert {one["meta"]["versionId"] for one in record.observations if one["status"] == "final"} == {"1"}


def test_what_is_said_again_comes_back_and_amendments_stay_in_order(
    service: Service, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    stored = accepted(service, patient.reference)
    for said in ((CALF,), (ARM,), (CALF, ARM)):
        stored = amended(service, stored, *said)
    assert service.await_settled()["dead"] == 0

    record = assert_as_here(service, fhir, patient.reference)
    found = muscles(record)
    assert {found["53120007"][1], found["53840002"][1]} <= {"final", "amended"}
    assert record.responses[0]["meta"]["versionId"] == "4"


def test_a_retraction_voids_every_resource_and_a_condition_has_no_clinical_status(
    service: Service, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    stored = accepted(service, patient.reference)
    service.await_settled()

    retracted(service, stored)
    assert service.await_settled()["dead"] == 0

    record = assert_as_here(service, fhir, patient.reference)
    assert kinds(record) == ONE_RECORD + Counter(Provenance=1)
    assert activities(record) == ["CREATE", "NULLIFY"]
    assert [one["status"] for one in record.responses] == ["entered-in-error"]
    assert states(record) == {"entered-in-error": 16}
    (condition,) = record.conditions
    assert "clinicalStatus" not in condition
    assert codes(condition["verificationStatus"]) == {"entered-in-error"}


def test_a_clinicians_change_is_not_overwritten_and_the_conflict_names_it(
    own_service: Service, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    own_service.start()
    stored = accepted(own_service, patient.reference)
    own_service.await_outbox(delivered=1)
    (condition,) = Record.of(fhir, patient.reference).conditions
    confirmed: Json = {"coding": [{**condition["verificationStatus"]["coding"][0], "code": "confirmed"}]}
    place = f"Condition/{condition['id']}"
    fhir.request("PUT", place, {**condition, "verificationStatus": confirmed}).raise_for_status()

    retracted(own_service, amended(own_service, stored))

    # The retraction waits until somebody has looked at the amendment.
    own_service.await_outbox(delivered=1, dead=1, pending=1)
    record = Record.of(fhir, patient.reference)
    assert kinds(record) == ONE_RECORD
    assert states(record) == {"final": 16}
    assert codes(record.conditions[0]["verificationStatus"]) == {"confirmed"}
    letter = own_service.letter(2)
    assert (letter["problem"]["reason"], letter["version"]) == ("conflict", 2)
    assert place in letter["problem"]["text"]


def test_what_was_deleted_on_the_server_is_not_brought_back(
    own_service: Service, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    own_service.start()
    stored = accepted(own_service, patient.reference)
    own_service.await_outbox(delivered=1)
    (condition,), made = (getattr(Record.of(fhir, patient.reference), kind) for kind in ("conditions", "provenances"))
    for one in (*made, condition):
        fhir.request("DELETE", f"{one['resourceType']}/{one['id']}").raise_for_status()

    retracted(own_service, stored)

    own_service.await_outbox(delivered=1, dead=1)
    letter = own_service.letter(2)
    assert letter["problem"]["reason"] == "conflict"
    assert f"Condition/{condition['id']} was deleted" in letter["problem"]["text"]
    assert Record.of(fhir, patient.reference).conditions == []
