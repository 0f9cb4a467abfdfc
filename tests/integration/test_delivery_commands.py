"""`deliver --once` and `outbox`: what became of deliveries, as an operator sees and mends it."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result

from service.bootstrap import start
from service.cli import main
from service.config import load_settings
from service.fhir.models import model_issues
from service.packs import Pack
from service.records.search import parse_query
from service.records.submission import Sender
from tests.hapi.service import eventually
from tests.integration.answers import MakeResponse
from tests.integration.test_processes import COMMAND


class _RefusingFhirServer(BaseHTTPRequestHandler):
    """A FHIR server that has transactions and refuses each with an OperationOutcome."""

    def do_GET(self) -> None:
        self._answer(200, {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        issue = {"severity": "error", "code": "invalid", "diagnostics": "Patient/1 is not known"}
        self._answer(400, {"resourceType": "OperationOutcome", "issue": [issue]})

    def _answer(self, status: int, resource: object) -> None:
        content = json.dumps(resource).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def fhir_server_url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _RefusingFhirServer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/fhir"
        server.shutdown()
        thread.join()


@pytest.fixture
def accepted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, page: Pack, make_response: MakeResponse, fhir_server_url: str
) -> str:
    """The id of a response that waits for its delivery; the environment names the database and the server."""
    monkeypatch.setenv("SYMPTOM_INTAKE_DATABASE_URL", f"sqlite:///{tmp_path / 'intake.db'}")
    monkeypatch.setenv("SYMPTOM_INTAKE_FHIR_SERVER_URL", fhir_server_url)
    services = start(load_settings(), packs=(page,))
    receipt = services.intake.submit(make_response(), Sender(""))
    services.store.close()
    return receipt.id


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_a_refused_delivery_is_given_up_shown_and_retried(accepted: str, fhir_server_url: str) -> None:
    once = _run("deliver", "--once")
    assert once.exit_code == 1
    assert f"QuestionnaireResponse/{accepted}: dead" in once.stdout

    letter, _ = _run("outbox", "list", "--state", "dead").stdout.splitlines()[1:]
    assert letter.split()[:4] == ["1", "dead", "1", accepted]
    assert letter.endswith("(400)")

    shown = json.loads(_run("outbox", "show", "1").stdout)
    assert shown["outcome"]["issue"][0]["diagnostics"] == "Patient/1 is not known"
    assert (shown["state"], shown["target"], shown["locations"]) == ("dead", fhir_server_url, [])

    assert _run("outbox", "retry", "1").stdout == "Deliveries that are due again: 1.\n"
    assert json.loads(_run("outbox", "show", "1").stdout)["state"] == "pending"
    assert _run("deliver", "--once").exit_code == 1
    assert _run("outbox", "retry", "--all").stdout == "Deliveries that are due again: 1.\n"


def test_a_worker_serves_what_it_counts(accepted: str, fhir_server_url: str) -> None:
    command = [*COMMAND, "deliver", "--metrics-port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as worker:
        try:
            assert worker.stdout is not None
            address = worker.stdout.readline().split()[-1]
            counted = f'attempts_total{{reason="missing-reference",state="dead",target="{fhir_server_url}"}} 1.0'
            eventually(lambda: counted in requests.get(address, timeout=20).text)
        finally:
            worker.kill()


def test_what_is_discarded_stays_listed_with_the_reason_and_is_audited(accepted: str, fhir_server_url: str) -> None:
    _run("deliver", "--once")
    listed = _run("outbox", "list").stdout
    assert f"{fhir_server_url}: 1 given up (missing-reference), the oldest accepted 2" in listed

    assert _run("outbox", "discard", "1", "--reason", " Sent by post. ").stdout == "Discarded deliveries: 1.\n"

    shown = json.loads(_run("outbox", "show", "1").stdout)
    assert (shown["state"], shown["discarded"]) == ("discarded", "Sent by post.")
    assert shown["outcome"]["issue"][0]["diagnostics"] == "Patient/1 is not known"
    assert "given up" not in _run("outbox", "list").stdout
    again = _run("outbox", "discard", "1", "--reason", "Twice.")
    assert again.exit_code == 1
    assert "only dead and pending ones" in again.stderr
    services = start(load_settings())
    (event,) = services.store.search(parse_query("AuditEvent", [("patient", "Patient/1")])).matches
    services.store.close()
    assert event["outcomeDesc"] == f"Discarded, so not sent to {fhir_server_url}: Sent by post."
    assert {"reference": f"QuestionnaireResponse/{accepted}"} in [one["what"] for one in event["entity"]]
    assert model_issues(event) == []


@pytest.mark.parametrize("reason", [[], ["--reason", " "]])
def test_nothing_is_discarded_without_a_reason(accepted: str, reason: list[str]) -> None:
    assert _run("outbox", "discard", "1", *reason).exit_code == 2
    assert json.loads(_run("outbox", "show", "1").stdout)["state"] == "pending"


def test_a_later_version_says_which_delivery_it_waits_for(accepted: str, make_response: MakeResponse) -> None:
    _run("deliver", "--once")
    services = start(load_settings())
    services.intake.update(make_response(authored="2026-03-16"), accepted, None)
    services.store.close()
    assert _run("deliver", "--once").exit_code == 0
    (_, later) = _run("outbox", "list").stdout.splitlines()[1:3]
    assert later.endswith("waits for 1")


def test_nothing_due_is_no_failure(accepted: str) -> None:
    _run("deliver", "--once")
    assert _run("deliver", "--once").exit_code == 0


def test_what_is_not_there_cannot_be_retried(accepted: str) -> None:
    missing = _run("outbox", "retry", "7")
    assert missing.exit_code == 1
    assert "There is no delivery 7" in missing.stderr


@pytest.mark.parametrize("number", ["0", "-1", "99999999999999999999", "one"])
def test_what_can_be_no_delivery_is_a_fault_of_the_command(number: str) -> None:
    told = _run("outbox", "show", "--", number)
    assert told.exit_code == 2
    assert "Invalid value for 'ID'" in told.output
