"""A database that is locked, full or gone, and comes back: what is not kept is not acknowledged, nothing doubles."""

from __future__ import annotations

import resource
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from service.adapters.database import Database
from service.bootstrap import start
from service.config import load_settings
from service.web.app import create_app
from tests.faults.proxy import FaultProxy, transactions
from tests.hapi.amending import accepted
from tests.hapi.cases import CASE, ONE_RECORD, page, response_to
from tests.hapi.client import FhirClient, SyntheticPatient
from tests.hapi.record import Record
from tests.hapi.service import Service, eventually

Fault = Callable[[Service], AbstractContextManager[None]]
# Room for the log, and less than one acceptance writes.
FULL_BYTES = 100_000


def database_folder(service: Service) -> Path:
    return service.log.parent / "data"


@contextmanager
def locked(service: Service) -> Iterator[None]:
    """Another process writes, and does not end."""
    with closing(sqlite3.connect(database_folder(service) / "intake.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def full(service: Service) -> Iterator[None]:
    """No file of the service may grow."""
    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))
    yield
    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextmanager
def gone(service: Service) -> Iterator[None]:
    """The folder of the database has another name."""
    elsewhere = database_folder(service).rename(service.log.parent / "elsewhere")
    yield
    elsewhere.rename(database_folder(service))


FAULTS = pytest.mark.parametrize("fault", [locked, full])


@pytest.fixture(autouse=True)
def started(service: Service) -> None:
    database = f"sqlite:///{database_folder(service) / 'intake.db'}"
    service.settings |= {"DATABASE_URL": database, "FHIR_SERVER_TIMEOUT_SECONDS": 1, "DELIVERY_LEASE_SECONDS": 3}
    service.start()


def assert_one_record(fhir: FhirClient, patient: SyntheticPatient, responses: int = 1) -> None:
    record = Record.of(fhir, patient.reference)
    found = Counter(one["resourceType"] for one in record.all)
    assert found == Counter({kind: responses * count for kind, count in ONE_RECORD.items()})
    assert len(set(record.identities)) == len(record.all)
    assert record.versions == {"1"}


@FAULTS
def test_what_cannot_be_kept_is_not_acknowledged_and_can_be_sent_again(
    service: Service, fhir: FhirClient, patient: SyntheticPatient, fault: Fault
) -> None:
    accepted(service, patient.reference)
    service.await_outbox(delivered=1)
    response = response_to(CASE, patient.reference, patient.tag)
    with fault(service):
        refused = service.fhir.request("POST", "QuestionnaireResponse", response)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert service.ready()[0] == 503
        # What was kept before is still read.
        assert len(service.fhir.search("QuestionnaireResponse", patient=patient.reference)) == 1

    assert service.fhir.request("POST", "QuestionnaireResponse", response).status_code == 201
    service.await_outbox(delivered=2)
    assert service.ready()[0] == 200
    assert_one_record(fhir, patient, responses=2)


@FAULTS
def test_an_answer_that_cannot_be_noted_is_asked_for_again(
    service: Service, server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient, fault: Fault
) -> None:
    held = server_proxy.hold(transactions)
    accepted(service, patient.reference)
    held.await_arrival()
    with fault(service):
        held.release()
        eventually(lambda: "outbox unavailable" in service.log.read_text())

    service.await_outbox(delivered=1)
    assert len({one.request.body for one in server_proxy.exchanges if transactions(one.request)}) == 1
    assert_one_record(fhir, patient)


def test_a_database_that_was_moved_away_and_back_has_all_that_was_acknowledged(
    service: Service, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    response = response_to(CASE, patient.reference, patient.tag)
    accepted(service, patient.reference)
    with gone(service):
        # Where the file is held open it is written on; where not, the sender is told.
        meanwhile = service.fhir.request("POST", "QuestionnaireResponse", response).status_code
        assert meanwhile in (201, 503)
        service.kill()
    service.start()

    again = service.fhir.request("POST", "QuestionnaireResponse", response).status_code
    assert (meanwhile, again) in [(201, 200), (503, 201)]
    service.await_outbox(delivered=2)
    assert_one_record(fhir, patient, responses=2)


def test_a_database_that_may_not_be_written_acknowledges_nothing(
    server_proxy: FaultProxy, fhir: FhirClient, patient: SyntheticPatient, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'own' / 'intake.db'}"
    services = start(load_settings(database_url=url, fhir_server_url=server_proxy.base_url), packs=(page(),))
    client = create_app(services.site()).test_client()
    response = response_to(CASE, patient.reference)
    with closing(services.store):
        set_read_only(services.store, on=True)
        refused = client.post("/fhir/QuestionnaireResponse", json=response)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        set_read_only(services.store, on=False)
        assert client.get(f"/fhir/QuestionnaireResponse?patient={patient.reference}").json["total"] == 0

        assert client.post("/fhir/QuestionnaireResponse", json=response).status_code == 201
        assert services.delivery(server_proxy.base_url).run_once() is not None
    assert_one_record(fhir, patient)


def set_read_only(store: Database, *, on: bool) -> None:
    with store._engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if on else 'OFF'}")
