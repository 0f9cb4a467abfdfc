"""The processes themselves: serve, deliver and demo as an operator runs them."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.answers import MakeResponse

COMMAND = (sys.executable, "-c", "from service.cli import main; main()")


@contextmanager
def _serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A `serve` process on a free port with a database in `folder`, and its FHIR base address."""
    environment = {**os.environ, "SYMPTOM_INTAKE_DATABASE_URL": f"sqlite:///{folder / 'intake.db'}"}
    with (
        (folder / "log").open("a") as log,
        subprocess.Popen(
            [*COMMAND, "serve", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**environment, "PYTHONUNBUFFERED": "1"},
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"FHIR: (http://127\.0\.0\.1:\d+/fhir)", line)
            assert found, line
            yield process, found.group(1)
        finally:
            process.kill()


def _post(base: str, body: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{base}/QuestionnaireResponse", json.dumps(body).encode(), {"Content-Type": "application/fhir+json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def _get(base: str, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{base}/{path}") as answer:
        return json.load(answer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_in_order_when_told_to(tmp_path: Path, make_response: MakeResponse, number: signal.Signals) -> None:
    with _serving(tmp_path) as (process, base):
        _post(base, make_response())
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
        assert process.stdout is not None
        assert process.stdout.read().splitlines()[-1] == "Stopped."
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_what_was_acknowledged_outlives_kill_9(tmp_path: Path, make_response: MakeResponse) -> None:
    with _serving(tmp_path) as (process, base):
        created = _post(base, make_response("case-08"))
        process.kill()
        process.wait(timeout=30)
    with _serving(tmp_path) as (_, base):
        assert _get(base, f"QuestionnaireResponse/{created['id']}") == created
        assert _get(base, "Observation?_summary=count")["total"] > 0


def test_two_servers_cannot_have_one_port(tmp_path: Path) -> None:
    with _serving(tmp_path) as (_, base):
        port = base.rpartition(":")[2].partition("/")[0]
        environment = {**os.environ, "SYMPTOM_INTAKE_DATABASE_URL": f"sqlite:///{tmp_path / 'intake.db'}"}
        command = [*COMMAND, "serve", "--port", port]
        second = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert second.returncode == 1
    assert "Choose another with --port" in second.stderr
    assert "Traceback" not in second.stderr


def test_the_demo_tells_its_story_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    demo = subprocess.run([*COMMAND, "demo"], capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert (demo.returncode, demo.stderr) == (0, "")
    told = demo.stdout
    for part in ("Triage: Self-care", "H1 ", "Triage: Same day or emergency", "U7 ", "Source: ", "1 Provenance"):
        assert part in told
    assert "symptom-intake serve" in told.splitlines()[-2]
    assert list(tmp_path.iterdir()) == []


def test_the_demo_says_when_a_fhir_server_is_not_there(tmp_path: Path) -> None:
    command = [*COMMAND, "demo", "--fhir-server", "http://127.0.0.1:9"]
    demo = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert demo.returncode == 1
    assert "cannot be reached" in demo.stderr
    assert "Traceback" not in demo.stderr
