"""Our service, and what a real FHIR server must know to judge what it is sent."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hapi.cases import page
from tests.hapi.client import FhirClient
from tests.hapi.hapi import Hapi
from tests.hapi.published import publish, withdraw
from tests.hapi.service import Service, serving


@pytest.fixture
def own_hapi(tmp_path: Path) -> Iterator[Hapi]:
    """A HAPI for this test alone, not started yet, with its data in a file: for tests that stop and start it."""
    hapi = Hapi(tmp_path, database=tmp_path / "database")
    yield hapi
    hapi.stop()


@pytest.fixture(scope="module")
def service(fhir_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Our service, delivering to the server under test; one for all tests of a module."""
    with serving(tmp_path_factory.mktemp("service"), fhir_server) as service:
        yield service


@pytest.fixture(scope="session")
def judge(fhir_server: str) -> Iterator[FhirClient]:
    """A client of the server under test, which knows the page's artifacts: its $validate then judges by them."""
    client = FhirClient(fhir_server)
    try:
        published = publish(client, page().artifacts)
        yield client
        withdraw(client, published)
    finally:
        client.close()
