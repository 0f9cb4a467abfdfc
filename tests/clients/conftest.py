"""One authorization server for all clients."""

from collections.abc import Iterator

import pytest

from tests.clients.ordering import PATIENT
from tests.smart.ehr import Ehr


@pytest.fixture(scope="session")
def authorization_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ehr]:
    """npm's oidc-provider, where the user of an app may choose the one patient."""
    server = Ehr(tmp_path_factory.mktemp("authorization-server"), None)
    try:
        server.start()
        server.offer_patients({PATIENT: "Synthetic test patient"})
        yield server
    finally:
        server.stop()
