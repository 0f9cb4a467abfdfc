"""`deliver --once` and `outbox`: what became of deliveries, as an operator sees and mends it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.bootstrap import start
from service.cli import main
from service.config import load_settings
from service.packs import Pack
from service.records.submission import Sender
from tests.integration.answers import MakeResponse


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

    (letter,) = _run("outbox", "list", "--state", "dead").stdout.splitlines()[1:]
    assert letter.split()[:4] == ["1", "dead", "1", accepted]
    assert letter.endswith("(400)")

    shown = json.loads(_run("outbox", "show", "1").stdout)
    assert shown["outcome"]["issue"][0]["diagnostics"] == "Patient/1 is not known"
    assert (shown["state"], shown["target"], shown["locations"]) == ("dead", fhir_server_url, [])

    assert _run("outbox", "retry", "1").stdout == "1 deliveries are due again.\n"
    assert json.loads(_run("outbox", "show", "1").stdout)["state"] == "pending"
    assert _run("deliver", "--once").exit_code == 1
    assert _run("outbox", "retry", "--all").stdout == "1 deliveries are due again.\n"


def test_nothing_due_is_no_failure(accepted: str) -> None:
    _run("deliver", "--once")
    assert _run("deliver", "--once").exit_code == 0


def test_what_is_not_there_cannot_be_retried(accepted: str) -> None:
    missing = _run("outbox", "retry", "7")
    assert missing.exit_code == 1
    assert "There is no delivery 7" in missing.stderr
