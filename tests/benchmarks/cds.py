"""What one call of CDS Hooks costs, beside the floor: an empty route of Flask, called in the same way.

    python -m tests.benchmarks.cds [--rounds 5] [--responses 20]

The chart of a patient with twitching, and with some responses in the record, of which the latest is urgent: one card
with the result, and, where it is old, one that asks again. The floor takes the same body, and gives an empty answer.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from service.bootstrap import Services, start
from service.config import load_settings
from service.packs import Pack, load_pack, shipped_pages
from service.packs.vignettes import load_vignettes, vignette_response
from service.records.submission import Sender
from service.web.app import create_app
from tests.benchmarks.measuring import Contender, medians, timed, verdict

PAGE = "muscle-fasciculation"
CASE = "case-07"
ANSWERED = datetime(2026, 3, 15, tzinfo=UTC)
BUDGET_SECONDS = 0.5
SERVICE = "/cds-services/symptom-intake"
FLOOR, RESULT, BOTH = "empty Flask route", "a result", "a result, and asking again"
SCT, CLINICAL = "http://snomed.info/sct", "http://terminology.hl7.org/CodeSystem/condition-clinical"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; always 0."""
    options = _options(arguments)
    pack = load_pack(shipped_pages() / PAGE)
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; {PAGE}, {CASE}")
    with TemporaryDirectory() as folder:
        now = [ANSWERED]
        services = start(
            load_settings(database_url=f"sqlite:///{Path(folder) / 'intake.db'}"), clock=lambda: now[0], packs=(pack,)
        )
        _fill(services, pack, options.responses)
        client = create_app(services.site()).test_client()

        def called(after: timedelta, cards: int) -> Callable[[], None]:
            def call() -> None:
                now[0] = ANSWERED + after
                answer = _post(client)
                assert len(answer.json["cards"]) == cards, answer.json

            return call

        contenders = [
            Contender(FLOOR, timed(lambda: _post(_floor)), options.repetitions),
            Contender(RESULT, timed(called(timedelta(days=1), 1)), options.repetitions),
            Contender(BOTH, timed(called(timedelta(days=90), 2)), options.repetitions),
        ]
        seconds = medians(contenders, options.rounds)
        services.store.close()
    print(f"{options.responses} responses of the patient; each call is one HTTP request within this process")
    for name, spent in seconds.items():
        print(f"{name:28} {spent * 1e6:10,.0f} µs {spent / seconds[FLOOR]:8.1f} x")
    slowest = max(seconds.values())
    print(verdict(f"a call within {BUDGET_SECONDS * 1000:.0f} ms: {slowest * 1000:.1f}", met=slowest <= BUDGET_SECONDS))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A call of CDS Hooks, timed beside an empty route.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=50)
    parser.add_argument("--responses", type=int, default=20)
    return parser.parse_args(arguments)


def _fill(services: Services, pack: Pack, count: int) -> None:
    vignette = next(one for one in load_vignettes(shipped_pages() / PAGE) if one.name.startswith(CASE))
    response = {**vignette_response(pack, vignette), "subject": {"reference": "Patient/1"}}
    for number in range(count):
        authored = (ANSWERED - timedelta(hours=number)).isoformat()
        services.intake.submit({**response, "authored": authored}, Sender(""))


def _post(client: FlaskClient) -> Any:
    return client.post(SERVICE, data=_BODY, headers={"Content-Type": "application/json"})


def _empty() -> FlaskClient:
    app = Flask(__name__)

    @app.post(SERVICE)
    def call() -> dict[str, list[str]]:
        return {"cards": []}

    return app.test_client()


def _body() -> bytes:
    condition = {
        "resourceType": "Condition",
        "clinicalStatus": {"coding": [{"system": CLINICAL, "code": "active"}]},
        "code": {"coding": [{"system": SCT, "code": "82470000"}]},
        "subject": {"reference": "Patient/1"},
    }
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": condition}]}
    request = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/9", "patientId": "1"},
        "prefetch": {"conditions": bundle},
    }
    return json.dumps(request).encode()


_BODY = _body()
_floor = _empty()

if __name__ == "__main__":
    sys.exit(main())
