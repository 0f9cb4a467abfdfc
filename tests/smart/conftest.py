"""One EHR for the whole run, in front of the FHIR server under test."""

from collections.abc import Iterator

import pytest

from tests.smart.ehr import Ehr


@pytest.fixture(scope="session")
def ehr(fhir_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ehr]:
    """The EHR, started."""
    ehr = Ehr(tmp_path_factory.mktemp("ehr"), fhir_server)
    try:
        ehr.start()
        yield ehr
    finally:
        ehr.stop()


@pytest.fixture(autouse=True)
def _as_new(ehr: Ehr) -> None:
    """No test sees the settings, launches and requests of another."""
    ehr.reset()
