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
    """Our service, delivering through the proxy; not started yet. It gives up soon on an answer that does not come."""
    service = Service(tmp_path, server_proxy.base_url, FHIR_SERVER_TIMEOUT_SECONDS=2)
    try:
        yield service
        assert "Traceback" not in service.log.read_text()
    finally:
        service.close()
