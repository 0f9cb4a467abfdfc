"""A real HAPI FHIR server for the tests of this folder, or any other with `--fhir-server URL`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hapi.client import FhirClient, SyntheticPatient, synthetic_patient, warm_up
from tests.hapi.hapi import Hapi


@pytest.fixture(scope="session")
def fhir_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """FHIR base of the server under test: one HAPI for the whole run, or the one named by `--fhir-server`."""
    named: str | None = request.config.getoption("--fhir-server")
    if named is not None:
        yield named.rstrip("/")
        return
    hapi = Hapi(tmp_path_factory.mktemp("hapi"))
    try:
        hapi.start()
        client = FhirClient(hapi.base_url)
        warm_up(client)
        client.close()
        yield hapi.base_url
    finally:
        hapi.stop()


@pytest.fixture
def fhir(fhir_server: str) -> Iterator[FhirClient]:
    """A client of the server under test."""
    client = FhirClient(fhir_server)
    yield client
    client.close()


@pytest.fixture
def patient(fhir: FhirClient) -> Iterator[SyntheticPatient]:
    """A Patient for this test alone, deleted with all that points to it when the test ends."""
    with synthetic_patient(fhir) as patient:
        yield patient


@pytest.fixture
def own_hapi(tmp_path: Path) -> Iterator[Hapi]:
    """A HAPI for this test alone, not started yet, with its data in a file: for tests that stop and start it."""
    hapi = Hapi(tmp_path, database=tmp_path / "database")
    yield hapi
    hapi.stop()
