"""kill -9 at every step between the 201 and the record: after the restart the server has one of each."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.faults.proxy import FaultProxy, Request, any_request, transactions
from tests.hapi.cases import case, response_to
from tests.hapi.client import FhirClient, SyntheticPatient
from tests.hapi.record import Record, identity, identity_search
from tests.hapi.service import Service, eventually

CASE = case("case-08")
ONE_RECORD = Counter(QuestionnaireResponse=1, Observation=16, Condition=1, Provenance=1)


@pytest.fixture(autouse=True)
def short_leases(service: Service) -> None:
    """What a killed worker held is taken up as soon as settings allow."""
    service.settings |= {"FHIR_SERVER_TIMEOUT_SECONDS": 1, "DELIVERY_LEASE_SECONDS": 3}


def submit(service: Service, patient: SyntheticPatient, key: str | None = None) -> requests.Response:
    return service.fhir.request("POST", "QuestionnaireResponse", response_to(CASE, patient.reference, key))


def assert_record(service: Service, fhir: FhirClient, patient: SyntheticPatient, responses: int = 1) -> None:
    """`responses` records stand on the server, each resource once, found by identity, and as our own record has it."""
    record = Record.of(fhir, patient.reference)
    assert Counter(one["resourceType"] for one in record.all) == Counter(
        {kind: responses * count for kind, count in ONE_RECORD.items()}
    )
    assert record.versions == {"1"}
    own = Record.of(service.fhir, patient.reference)
    assert record.identities == own.identities
    assert len(set(own.identities)) == len(own.all)
    for one in own.all[:: max(1, responses)]:
        found = fhir.search(one["resourceType"], **identity_search(one))
        assert [identity(match) for match in found] == [identity(one)]


def test_killed_before_any_delivery_was_tried(service: Service, fhir: FhirClient, patient: SyntheticPatient) -> None:
    service.start("--no-deliver")
    assert submit(service, patient).status_code == 201
    service.kill()
    assert Record.of(fhir, patient.reference).all == []

    service.start()
    service.await_outbox(delivered=1)
    assert_record(service, fhir, patient)


def test_killed_while_the_server_was_down(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    server_proxy.stop()
    service.start()
    assert submit(service, patient).status_code == 201
    eventually(service.reasons)
    service.kill()

    server_proxy.start()
    service.start()
    service.await_outbox(delivered=1)
    assert_record(service, fhir, patient)


@pytest.mark.parametrize(
    ("step", "already_there"),
    [(any_request, 0), (transactions, ONE_RECORD.total())],
    ids=["before the transaction is sent", "after the server did its work"],
)
def test_killed_while_the_server_has_not_answered_yet(
    service: Service,
    server_proxy: FaultProxy,
    fhir: FhirClient,
    patient: SyntheticPatient,
    step: Callable[[Request], bool],
    already_there: int,
) -> None:
    held = server_proxy.hold(step)
    service.start()
    assert submit(service, patient).status_code == 201
    held.await_arrival()
    service.kill()
    assert len(Record.of(fhir, patient.reference).all) == already_there
    held.release()

    service.start()
    service.await_outbox(delivered=1)
    bundles = {one.request.body for one in server_proxy.exchanges if transactions(one.request)}
    assert len(bundles) == 1
    assert_record(service, fhir, patient)


def test_asked_to_end_while_the_server_has_not_answered_yet(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    held = server_proxy.hold(transactions)
    service.start()
    assert submit(service, patient).status_code == 201
    held.await_arrival()

    assert service.stop() == 0
    held.release()

    service.start()
    service.await_outbox(delivered=1)
    assert_record(service, fhir, patient)


def test_a_worker_that_was_frozen_past_its_lease_undoes_nothing_of_its_successors_work(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient, database_url: str
) -> None:
    service.settings["DATABASE_URL"] = database_url
    held = server_proxy.hold(transactions)
    service.start()
    assert submit(service, patient).status_code == 201
    held.await_arrival()
    os.kill(service.pid, signal.SIGSTOP)
    try:
        successor = Service(service.log.parent, server_proxy.base_url)
        successor.settings.update(service.settings)
        with contextlib.closing(successor):
            successor.start()
            successor.await_outbox(delivered=1)
            held.release()
            os.kill(service.pid, signal.SIGCONT)
            # The first one goes on, and has its next delivery to prove it.
            assert submit(service, patient).status_code == 201
            service.await_outbox(delivered=2)
    finally:
        os.kill(service.pid, signal.SIGCONT)

    assert_record(service, fhir, patient, responses=2)


def test_killed_again_and_again_under_load(
    service: Service, fhir: FhirClient, patient: SyntheticPatient, database_url: str
) -> None:
    service.settings["DATABASE_URL"] = database_url
    keys = [str(uuid.uuid4()) for _ in range(24)]
    moments = random.Random(20261124)
    service.start()

    def insist(key: str) -> int:
        """Post until there is an answer, as a sender does who heard nothing; its status."""

        def attempt() -> int | None:
            try:
                return submit(service, patient, key).status_code
            except requests.ConnectionError:
                return None

        return eventually(attempt) or 0

    with ThreadPoolExecutor(3) as threads:
        answers = [threads.submit(insist, key) for key in keys]
        for _ in range(3):
            threading.Event().wait(moments.uniform(0.05, 0.4))
            service.kill()
            service.start()
        statuses = Counter(answer.result() for answer in answers)

    # 200 where the answer was lost after the commit.
    assert statuses.keys() <= {200, 201}
    service.await_outbox(delivered=len(keys))
    assert sorted(one["identifier"]["value"] for one in Record.of(fhir, patient.reference).responses) == sorted(keys)
    assert_record(service, fhir, patient, responses=len(keys))
