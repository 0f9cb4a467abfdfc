"""Our service with a proxy between it and the FHIR server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.proxy import FaultProxy
from tests.hapi.service import Service


@pytest.fixture
def server_proxy(fhir_server: str) -> Iterator[FaultProxy]:
    """A proxy in front of the FHIR server under test, for this test alone."""
    with FaultProxy(fhir_server) as proxy:
        yield proxy


@pytest.fixture
def service(server_proxy: FaultProxy, tmp_path: Path) -> Iterator[Service]:
    """Our service, delivering through the proxy; not started yet.

    Its leases are as short as settings allow, so that what a killed worker held is taken up soon.
    """
    service = Service(tmp_path, server_proxy.base_url, FHIR_SERVER_TIMEOUT_SECONDS=2, DELIVERY_LEASE_SECONDS=6)
    try:
        yield service
        assert "Traceback" not in service.log.read_text()
    finally:
        service.close()
