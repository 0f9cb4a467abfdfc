"""Told to end, a process finishes what is under way, gives back what takes too long, and exits with 0."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import requests

from tests.hapi.service import Service, eventually
from tests.integration.answers import MakeResponse

Json = dict[str, Any]


class SlowServer(ThreadingHTTPServer):
    """A FHIR server that takes transactions, and keeps its answers to all but `metadata` until `go` is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked, self.go = Event(), Event()
        self.bundles: list[Json] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/fhir"


class _Handler(BaseHTTPRequestHandler):
    server: SlowServer

    def do_GET(self) -> None:
        if self.path.endswith("/metadata"):
            self._answer({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"})
            return
        self._keep()
        self._answer({"resourceType": "Bundle", "type": "searchset"})

    def do_POST(self) -> None:
        bundle = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bundles.append(bundle)
        self._keep()
        entries = [
            {
                "response": {
                    "status": "201 Created",
                    "location": f"{entry['resource']['resourceType']}/{number}/_history/1",
                }
            }
            for number, entry in enumerate(bundle["entry"], 1)
        ]
        self._answer({"resourceType": "Bundle", "type": "transaction-response", "entry": entries})

    def _keep(self) -> None:
        self.server.asked.set()
        self.server.go.wait()

    def _answer(self, resource: Json) -> None:
        content = json.dumps(resource).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def server() -> Iterator[SlowServer]:
    with SlowServer() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.go.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def service(tmp_path: Path, server: SlowServer) -> Iterator[Service]:
    with closing(Service(tmp_path, server.url, STOP_SECONDS=60)) as service:
        yield service
        assert "Traceback" not in service.log.read_text()


def submit(service: Service, make_response: MakeResponse) -> None:
    answer = requests.post(f"{service.address}/fhir/QuestionnaireResponse", json=make_response(), timeout=60)
    assert answer.status_code == 201


def ends(service: Service) -> bool:
    return "Stopping: " in service.log.read_text()


def test_a_request_that_is_under_way_is_answered_and_no_other_begins(service: Service, server: SlowServer) -> None:
    service.start("--no-deliver")
    local = {"name": "local", "valueBoolean": True}
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "subject", "valueReference": {"reference": "Patient/1"}}, local],
    }
    address = f"{service.address}/fhir/Questionnaire/muscle-fasciculation/$populate"
    kept = requests.Session()
    assert kept.get(f"{service.address}/health/ready", timeout=60).status_code == 200
    with ThreadPoolExecutor(2) as threads:
        asked = threads.submit(requests.post, address, json=body, timeout=60)
        assert server.asked.wait(60)
        stopped = threads.submit(service.stop)
        eventually(lambda: ends(service))
        told = kept.get(f"{service.address}/health/ready", timeout=60)
        assert (told.status_code, told.json()["checks"][0]["name"]) == (503, "process")
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{service.address}/health/live", timeout=60)
        server.go.set()
        assert asked.result().status_code == 200
        assert stopped.result() == 0


@pytest.mark.parametrize("command", ["serve", "deliver"])
def test_a_delivery_that_is_under_way_is_finished(
    service: Service, server: SlowServer, make_response: MakeResponse, command: str
) -> None:
    service.start(*([] if command == "serve" else ["--no-deliver"]))
    submit(service, make_response)
    worker = service.spawn("deliver") if command == "deliver" else None
    assert server.asked.wait(60)
    with ThreadPoolExecutor(1) as threads:
        if worker is None:
            stopped = threads.submit(service.stop)
        else:
            worker.terminate()
            stopped = threads.submit(worker.wait, 60)
        eventually(lambda: ends(service))
        server.go.set()
        assert stopped.result() == 0
    assert service.outbox() == {"delivered": 1}
    assert len(server.bundles) == 1


def test_a_delivery_that_takes_too_long_is_given_back_and_taken_by_another_at_once(
    service: Service, server: SlowServer, make_response: MakeResponse
) -> None:
    service.settings |= {"STOP_SECONDS": 0, "DELIVERY_LEASE_SECONDS": 3600}
    service.start()
    submit(service, make_response)
    assert server.asked.wait(60)
    assert service.stop() == 0
    assert service.outbox() == {"pending": 1}

    server.go.set()
    service.command("deliver", "--once")
    assert service.outbox() == {"delivered": 1}
    first, second = server.bundles
    assert first == second


def test_a_process_that_was_frozen_for_a_while_goes_on(service: Service) -> None:
    service.start("--no-deliver")
    os.kill(service.pid, signal.SIGSTOP)
    os.kill(service.pid, signal.SIGCONT)
    assert requests.get(f"{service.address}/health/live", timeout=60).status_code == 200
    assert service.stop() == 0


def test_told_twice_it_ends_at_once(service: Service, server: SlowServer, make_response: MakeResponse) -> None:
    service.start("--no-deliver")
    submit(service, make_response)
    worker = service.spawn("deliver")
    assert server.asked.wait(60)
    worker.terminate()
    eventually(lambda: ends(service))
    worker.terminate()
    assert worker.wait(60) == -signal.SIGTERM
