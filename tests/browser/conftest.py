"""Our service as it is served, for tests in a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hapi.service import Service, serving


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Our service with its own record alone; one for the whole run."""
    with serving(tmp_path_factory.mktemp("service"), fhir_server_url=None) as service:
        yield service
