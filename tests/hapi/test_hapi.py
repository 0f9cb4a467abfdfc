"""The HAPI that tests start: what they may expect of it when they stop it, start it again, or die."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.hapi.client import TEST_TAG_SYSTEM, FhirClient
from tests.hapi.hapi import Hapi


def test_it_is_gone_when_stopped_and_back_with_its_data_when_started(own_hapi: Hapi) -> None:
    own_hapi.start()
    client = FhirClient(own_hapi.base_url)
    kept = client.create({"resourceType": "Patient", "identifier": [{"system": TEST_TAG_SYSTEM, "value": "kept"}]})
    base_url = own_hapi.base_url

    own_hapi.stop()
    with pytest.raises(requests.ConnectionError):
        client.read("metadata")

    own_hapi.start()
    assert own_hapi.base_url == base_url
    assert client.read(f"Patient/{kept['id']}")["identifier"] == kept["identifier"]
    client.close()


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from tests.hapi.hapi import Hapi\n"
        "hapi = Hapi(Path(sys.argv[1])); hapi.start(); print(hapi.pid, flush=True); time.sleep(600)"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=root, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        hapi = os.pidfd_open(int(starter.stdout.readline()))
        starter.kill()
    try:
        ended, _, _ = select.select([hapi], [], [], 60)
        if not ended:
            signal.pidfd_send_signal(hapi, signal.SIGKILL)
    finally:
        os.close(hapi)

    assert ended, "HAPI outlived the process that started it by a minute"
