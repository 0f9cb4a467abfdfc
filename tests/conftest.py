"""What concerns every test: a run's options, one FHIR server for all of it, and that CI never passes by skipping."""

import os
from collections.abc import Iterator

import pytest

from tests.hapi.client import FhirClient, SyntheticPatient, synthetic_patient, warm_up
from tests.hapi.hapi import Hapi

pytest_plugins = ["tests.browser.chromium", "tests.databases"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fhir-server",
        metavar="URL",
        help="run the tests of tests/hapi and tests/faults against this FHIR R4 server instead of starting HAPI",
    )
    parser.addoption(
        "--kill-rounds",
        metavar="NUMBER",
        type=int,
        default=50,
        help="how often tests/faults kills the processes of the service at random moments (default 50)",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where the run is split (-n), what needs the FHIR server shares one; everything else is split by file."""
    for item in items:
        needs_server = "fhir_server" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("fhir-server" if needs_server else str(item.path)))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("CI") or reporter is None or not reporter.stats.get("skipped"):
        return
    reporter.write_line("")
    reporter.write_line("CI is set and tests were skipped: that counts as a failure.", red=True)
    if exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


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
