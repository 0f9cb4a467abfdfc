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
from contextlib import closing
from itertools import count

import pytest
import requests

from tests.faults.forks import Forks
from tests.faults.proxy import Answer, FaultProxy, Request, any_request, transactions
from tests.hapi.amending import AMENDED_RECORD, accepted, amended, assert_as_here, changed, kinds
from tests.hapi.cases import CASE, ONE_RECORD, response_to
from tests.hapi.client import FhirClient, Json, SyntheticPatient
from tests.hapi.record import Record, identity, identity_search
from tests.hapi.service import PATIENCE_SECONDS, Service, eventually

ALWAYS = 100_000


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


def test_killed_while_an_amendment_was_not_answered_yet(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    service.start()
    stored = accepted(service, patient.reference)
    service.await_outbox(delivered=1)
    held = server_proxy.hold(transactions)
    amended(service, stored)
    held.await_arrival()
    service.kill()
    held.release()

    service.start()
    service.await_outbox(delivered=2)
    record = assert_as_here(service, fhir, patient.reference)
    assert kinds(record) == AMENDED_RECORD
    assert Counter(one["meta"]["versionId"] for one in record.all) == {"1": AMENDED_RECORD.total() - 4, "2": 4}


@pytest.mark.parametrize("step", [1, 6, 18], ids=["first", "in between", "last"])
def test_killed_between_single_requests(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient, step: int
) -> None:
    batch_only = {"resourceType": "CapabilityStatement", "rest": [{"interaction": [{"code": "batch"}]}]}
    server_proxy.answer(Answer.of_json(200, batch_only), lambda one: one.path.endswith("/metadata"), times=ALWAYS)
    number = count(1)
    held = server_proxy.hold(lambda one: one.method == "POST" and next(number) == step)
    service.start()
    assert submit(service, patient).status_code == 201
    held.await_arrival()
    service.kill()
    held.release()

    service.start()
    service.await_outbox(delivered=1)
    assert_record(service, fhir, patient)


def test_killed_again_and_again_under_load(
    service: Service, fhir: FhirClient, patient: SyntheticPatient, request: pytest.FixtureRequest, database_url: str
) -> None:
    service.settings["DATABASE_URL"] = database_url
    rounds: int = request.config.getoption("--kill-rounds")
    if database_url.startswith("postgresql:"):
        # What differs is the database's part alone, and each round takes a second.
        rounds = max(1, rounds // 5)
    moments = random.Random(20261124)
    service.settings |= {"RATE_LIMIT": "100000 per minute"}
    service.start("--no-deliver")
    port = service.address.rpartition(":")[2]
    service.kill()
    client = FhirClient(service.fhir.base_url)

    def insist(method: str, path: str, body: Json) -> requests.Response:
        """Ask until there is an answer, as a sender does who heard nothing."""

        def attempt() -> requests.Response | None:
            try:
                return client.request(method, path, body)
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                return None

        answer = eventually(attempt)
        assert answer is not None
        return answer

    def tell(key: str) -> list[int]:
        """Submit a response and amend it; the statuses of both answers."""
        first = insist("POST", "QuestionnaireResponse", response_to(CASE, patient.reference, key))
        body = changed(first.json())
        return [first.status_code, insist("PUT", f"QuestionnaireResponse/{body['id']}", body).status_code]

    commands = {"web": ("serve", "--no-deliver", "--port", port), "worker": ("deliver",)}
    keys = [str(uuid.uuid4()) for _ in range(rounds)]
    with closing(client), Forks(service.environment(), service.log) as forks, ThreadPoolExecutor(3) as threads:
        running = {name: forks.start(*command) for name, command in commands.items()}
        told = []
        for key in keys:
            told.append(threads.submit(tell, key))
            threading.Event().wait(moments.uniform(0, 0.3))
            for victim in moments.choice([("web",), ("worker",), ("web", "worker")]):
                forks.kill(running[victim])
                running[victim] = forks.start(*commands[victim])
        statuses = [answer.result() for answer in told]

    # 200 where the answer was lost after the commit.
    assert {first for first, _ in statuses} <= {200, 201}
    assert {second for _, second in statuses} == {200}
    service.start()

    def outbox() -> Counter[str]:
        """How deliveries stand; one that lost its worker a dozen times is kept for people, who try it again."""
        dead = service.metric("outbox_dead_letters")
        assert all('reason="worker-lost"' in labels for labels in dead)
        if dead:
            service.command("outbox", "retry", "--all")
        return service.outbox()

    delivered = Counter(delivered=2 * len(keys))
    eventually(outbox, lambda found: +found == delivered, PATIENCE_SECONDS + 2 * rounds)
    record = Record.of(fhir, patient.reference)
    assert sorted(one["identifier"]["value"] for one in record.responses) == sorted(keys)
    assert kinds(record) == Counter({kind: len(keys) * number for kind, number in AMENDED_RECORD.items()})
    assert len(set(record.identities)) == len(record.all)
    assert record.identities == Record.of(service.fhir, patient.reference).identities
    assert {(one["meta"]["versionId"], one["status"]) for one in record.responses} == {("2", "amended")}
    assert {one["meta"]["versionId"] for one in record.all} == {"1", "2"}
