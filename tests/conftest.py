"""What concerns every test: the options of a run, and that CI never passes by skipping."""

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fhir-server",
        metavar="URL",
        help="run the tests of tests/hapi against this FHIR R4 server instead of starting HAPI",
    )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("CI") or reporter is None or not reporter.stats.get("skipped"):
        return
    reporter.write_line("")
    reporter.write_line("CI is set and tests were skipped: that counts as a failure.", red=True)
    if exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
