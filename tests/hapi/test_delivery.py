"""Delivery to a FHIR server that does its part: nothing twice, nothing lost, and what it refuses is told."""

from __future__ import annotations

import contextlib
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.hapi.cases import CASE, ONE_RECORD, case, response_to
from tests.hapi.client import TEST_TAG_SYSTEM, FhirClient, Json, SyntheticPatient, synthetic_patient
from tests.hapi.record import Record, identity_search
from tests.hapi.service import Service


def kinds(record: Record) -> Counter[str]:
    return Counter(one["resourceType"] for one in record.all)


def submit(service: Service, response: Json, **headers: str) -> requests.Response:
    return service.fhir.request("POST", "QuestionnaireResponse", response, **headers)


@pytest.fixture
def own_service(fhir_server: str, tmp_path: Path) -> Iterator[Service]:
    """A service for this test alone, not started yet."""
    service = Service(tmp_path, fhir_server)
    yield service
    service.close()


SAME_AGAIN: dict[str, Callable[[str], tuple[str | None, dict[str, str]]]] = {
    "identifier": lambda key: (key, {}),
    "Idempotency-Key": lambda key: (None, {"Idempotency_Key": key}),
    "If-None-Exist": lambda key: (key, {"If_None_Exist": f"identifier={TEST_TAG_SYSTEM}|{key}"}),
}


@pytest.mark.parametrize("means", SAME_AGAIN)
def test_posting_again_gives_the_first_receipt_and_leaves_one_of_each(
    service: Service, fhir: FhirClient, patient: SyntheticPatient, means: str
) -> None:
    key, headers = SAME_AGAIN[means](str(uuid.uuid4()))
    response = response_to(CASE, patient.reference, key)

    first = submit(service, response, **headers)
    service.await_settled()
    second = submit(service, response, **headers)
    service.await_settled()

    assert (first.status_code, second.status_code) == (201, 200)
    assert (second.headers["Location"], second.headers["ETag"]) == (first.headers["Location"], first.headers["ETag"])
    assert second.json() == first.json()
    record = Record.of(fhir, patient.reference)
    assert kinds(record) == ONE_RECORD
    assert record.versions == {"1"}


def test_posting_at_once_under_one_identifier_leaves_one_of_each(
    service: Service, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    response = response_to(CASE, patient.reference, str(uuid.uuid4()))

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: submit(service, response), range(6)))
    service.await_settled()

    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert kinds(Record.of(fhir, patient.reference)) == ONE_RECORD


def test_the_same_answers_given_twice_are_two_responses(
    service: Service, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    for _ in range(2):
        assert submit(service, response_to(CASE, patient.reference)).status_code == 201
    service.await_settled()

    record = Record.of(fhir, patient.reference)
    assert kinds(record) == ONE_RECORD + ONE_RECORD
    assert len(set(record.identities)) == len(record.all)


def test_another_body_under_the_same_identifier_is_refused_and_changes_nothing(
    service: Service, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    key = str(uuid.uuid4())
    assert submit(service, response_to(CASE, patient.reference, key)).status_code == 201

    other = submit(service, response_to(case("case-01"), patient.reference, key))
    service.await_settled()

    assert other.status_code == 409
    record = Record.of(fhir, patient.reference)
    assert kinds(record) == ONE_RECORD
    assert record.versions == {"1"}


@pytest.mark.parametrize("system", [{}, {"system": TEST_TAG_SYSTEM}], ids=["without system", "with system"])
def test_a_form_number_is_no_identity_between_patients(
    service: Service, fhir: FhirClient, patient: SyntheticPatient, system: Json
) -> None:
    with synthetic_patient(fhir) as other:
        for reference in (patient.reference, other.reference):
            response = response_to(CASE, reference) | {"identifier": {**system, "value": "form-1"}}
            assert submit(service, response).status_code == 201
        service.await_settled()

        records = [Record.of(fhir, reference) for reference in (patient.reference, other.reference)]
        assert [kinds(record) for record in records] == [ONE_RECORD, ONE_RECORD]


def test_a_response_read_from_the_record_and_sent_again_is_a_new_one(
    service: Service, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    assert submit(service, response_to(CASE, patient.reference)).status_code == 201
    service.await_settled()
    (stored,) = Record.of(fhir, patient.reference).responses

    assert submit(service, stored).status_code == 201
    service.await_settled()

    record = Record.of(fhir, patient.reference)
    assert kinds(record) == ONE_RECORD + ONE_RECORD
    for one in record.responses:
        assert [found["id"] for found in fhir.search("QuestionnaireResponse", **identity_search(one))] == [one["id"]]


def test_someone_who_answered_for_the_patient_may_be_contained_in_the_response(
    service: Service, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    mother = {"resourceType": "RelatedPerson", "id": "mother", "patient": {"reference": patient.reference}}
    response = response_to(CASE, patient.reference) | {"contained": [mother], "source": {"reference": "#mother"}}

    assert submit(service, response).status_code == 201
    service.await_settled()

    record = Record.of(fhir, patient.reference)
    assert kinds(record) == ONE_RECORD
    for one in record.observations:
        assert one["performer"] == [{"reference": "#" + one["contained"][0]["id"].removeprefix("#")}]
        assert one["contained"][0]["patient"] == {"reference": patient.reference}


def test_a_draft_is_kept_here_and_not_delivered(service: Service, fhir: FhirClient, patient: SyntheticPatient) -> None:
    draft = response_to(CASE, patient.reference) | {"status": "in-progress"}

    assert submit(service, draft).status_code == 201
    service.await_settled()

    assert [one["status"] for one in Record.of(service.fhir, patient.reference).all] == ["in-progress"]
    assert Record.of(fhir, patient.reference).all == []


def test_the_servers_own_address_before_a_reference_is_the_reference(
    service: Service, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    assert submit(service, response_to(CASE, f"{fhir.base_url}/{patient.reference}")).status_code == 201
    service.await_settled()

    record = Record.of(fhir, patient.reference)
    assert kinds(record) == ONE_RECORD
    assert {one["subject"]["reference"] for one in record.observations} == {patient.reference}


@pytest.mark.parametrize("value", ["MRN 12-3", "a,b|c$d\\e", "R&D+1=2?x#y%20/z", "Grüße; „so“"])
def test_a_patient_known_by_identifier_alone_is_found_on_the_server(
    service: Service, fhir: FhirClient, patient: SyntheticPatient, value: str
) -> None:
    identifier = {"system": TEST_TAG_SYSTEM, "value": f"{value} {uuid.uuid4()}"}
    stored = fhir.read(patient.reference)
    fhir.request("PUT", patient.reference, {**stored, "identifier": [identifier]}).raise_for_status()

    response = response_to(CASE, patient.reference) | {"subject": {"identifier": identifier}}
    assert submit(service, response).status_code == 201
    assert service.await_settled()["dead"] == 0

    record = Record.of(fhir, patient.reference)
    assert kinds(record) == ONE_RECORD
    assert {one["reference"] for observation in record.observations for one in observation["performer"]} == {
        patient.reference
    }


def test_many_workers_on_one_database_deliver_each_response_once(
    own_service: Service, fhir: FhirClient, patient: SyntheticPatient, database_url: str
) -> None:
    own_service.settings["DATABASE_URL"] = database_url
    own_service.start()
    with contextlib.ExitStack() as others:
        for _ in range(2):
            worker = own_service.spawn("deliver")
            others.callback(worker.wait)
            others.callback(worker.send_signal, signal.SIGTERM)
        with ThreadPoolExecutor(4) as threads:
            answers = threads.map(lambda _: submit(own_service, response_to(CASE, patient.reference)), range(12))
            assert [answer.status_code for answer in answers] == [201] * 12
        own_service.await_outbox(delivered=12)

    record = Record.of(fhir, patient.reference)
    assert kinds(record) == Counter({kind: 12 * count for kind, count in ONE_RECORD.items()})
    assert record.versions == {"1"}


@contextlib.contextmanager
def absent(fhir: FhirClient, kind: str) -> Iterator[str]:
    """A reference to something that is not on the server; whatever is there at the end is deleted."""
    reference = f"{kind}/{uuid.uuid4()}"
    yield reference
    if fhir.request("GET", reference).status_code == 200:
        fhir.request("DELETE", reference).raise_for_status()


MISSING: dict[str, Json] = {
    "author": {"resourceType": "Practitioner"},
    "encounter": {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
    },
}


@pytest.mark.parametrize("element", MISSING)
def test_what_the_server_lacks_is_named_and_the_response_delivered_once_it_is_there(
    service: Service, fhir: FhirClient, element: str
) -> None:
    missing = MISSING[element]
    with absent(fhir, missing["resourceType"]) as reference, synthetic_patient(fhir) as patient:
        accepted = submit(service, response_to(CASE, patient.reference) | {element: {"reference": reference}})
        assert accepted.status_code == 201
        service.await_settled()
        assert Record.of(fhir, patient.reference).all == []
        line = service.outbox_line(accepted.json()["id"])
        letter = service.letter(line.id)
        assert (line.state, letter["problem"]["reason"]) == ("dead", "missing-reference")
        assert reference in letter["problem"]["text"]

        fhir.request("PUT", reference, {**missing, "id": reference.partition("/")[2]}).raise_for_status()
        service.command("outbox", "retry", str(line.id))
        service.await_settled()

        assert service.outbox_line(accepted.json()["id"]).state == "delivered"
        assert kinds(Record.of(fhir, patient.reference)) == ONE_RECORD


@pytest.mark.parametrize("subject", ["reference", "identifier"])
def test_an_unknown_patient_is_named(service: Service, subject: str) -> None:
    unknown = str(uuid.uuid4())
    stated: Json = (
        {"reference": f"Patient/{unknown}"}
        if subject == "reference"
        else {"identifier": {"system": TEST_TAG_SYSTEM, "value": unknown}}
    )

    accepted = submit(service, response_to(CASE, "Patient/any") | {"subject": stated})
    assert accepted.status_code == 201
    service.await_settled()

    line = service.outbox_line(accepted.json()["id"])
    letter = service.letter(line.id)
    assert (line.state, letter["problem"]["reason"]) == ("dead", "missing-reference")
    assert unknown in letter["problem"]["text"]
