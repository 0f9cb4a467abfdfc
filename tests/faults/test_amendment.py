"""Amendments whose answers are lost: what a server has of our own work is told from what others made of it."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.faults.proxy import Answer, FaultProxy, Request, transactions
from tests.hapi.amending import AMENDED_RECORD, accepted, amended, assert_as_here, kinds, retracted, states
from tests.hapi.client import FhirClient, Json, SyntheticPatient
from tests.hapi.record import Record
from tests.hapi.service import Service, eventually

OUTCOME: Json = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "transient"}]}
BATCH_ONLY: Json = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "rest": [{"mode": "server", "interaction": [{"code": "batch"}]}],
}


@pytest.fixture(autouse=True)
def started(service: Service) -> None:
    service.start()


def versions(record: Record) -> Counter[str]:
    return Counter(one["meta"]["versionId"] for one in record.all)


@pytest.mark.parametrize(
    "told", [None, Answer.of_json(500, OUTCOME), Answer.of_json(412, OUTCOME)], ids=["cut", "500", "412"]
)
def test_an_amendment_whose_answer_was_lost_is_written_once(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient, told: Answer | None
) -> None:
    stored = accepted(service, patient.reference)
    service.await_outbox(delivered=1)
    if told is None:
        server_proxy.cut(transactions, after_bytes=400)
    else:
        server_proxy.replace(told, transactions)

    amended(service, stored)
    service.await_outbox(delivered=2)

    first, *again = [one.request.body for one in server_proxy.exchanges if transactions(one.request)][1:]
    assert set(again) <= {first}
    record = assert_as_here(service, fhir, patient.reference)
    assert kinds(record) == AMENDED_RECORD
    # The response, the triage result, the muscle taken back and the Condition; all else was written once.
    assert versions(record) == {"1": AMENDED_RECORD.total() - 4, "2": 4}


def test_what_was_changed_before_its_first_answer_came_is_not_overwritten_later(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    server_proxy.replace(Answer.of_json(503, OUTCOME, Retry_After="1800"), transactions)
    stored = accepted(service, patient.reference)
    eventually(service.reasons)
    (condition,) = Record.of(fhir, patient.reference).conditions
    noted = {**condition, "note": [{"text": "Seen today"}]}
    fhir.request("PUT", f"Condition/{condition['id']}", noted).raise_for_status()
    service.command("outbox", "retry", "1")
    service.await_outbox(delivered=1)

    retracted(service, stored)
    service.await_outbox(delivered=1, dead=1)

    assert service.letter(2)["problem"]["reason"] == "conflict"
    record = Record.of(fhir, patient.reference)
    assert record.conditions[0]["note"] == [{"text": "Seen today"}]
    assert states(record) == {"final": 16}


def test_what_was_there_before_its_answer_came_is_amended_all_the_same(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    server_proxy.cut(transactions)
    stored = accepted(service, patient.reference)
    service.await_outbox(delivered=1)

    amended(service, stored)
    service.await_outbox(delivered=2)

    assert kinds(assert_as_here(service, fhir, patient.reference)) == AMENDED_RECORD


def test_a_server_without_transactions_is_amended_by_single_requests(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    server_proxy.answer(Answer.of_json(200, BATCH_ONLY), lambda one: one.path.endswith("/metadata"), times=1000)
    stored = accepted(service, patient.reference)
    service.await_outbox(delivered=1)

    def update_of_condition(request: Request) -> bool:
        return request.method == "PUT" and "/Condition/" in request.path

    server_proxy.cut(update_of_condition)
    amended(service, stored)
    service.await_outbox(delivered=2)

    record = assert_as_here(service, fhir, patient.reference)
    assert kinds(record) == AMENDED_RECORD
    assert versions(record) == {"1": AMENDED_RECORD.total() - 4, "2": 4}
    retracted(service, stored)
    service.await_outbox(delivered=3)
    assert states(assert_as_here(service, fhir, patient.reference)) == {"entered-in-error": 17}
