"""What a patient answers reaches no log, no metric, no probe, and no error but the sender's own answer."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.bootstrap import Services, start, utc_now
from service.config import load_settings
from service.fhir.json import Json
from service.packs import Pack, load_packs, shipped_pages
from service.packs.vignettes import build_response, load_vignettes
from service.records.delivery import Delivery
from service.records.ports import Answer, AnswerLost
from service.records.submission import Intake
from service.web.app import create_app
from tests.integration.forms.browser import Browser

SENTINEL = "Zaphod-saw-green-mice"
PAGE = "muscle-fasciculation"
TARGET = "https://fhir.example.org/r4"


class _TalkativeServer:
    """A FHIR server that repeats what it was sent in whatever it answers."""

    base_url = TARGET

    def __init__(self, status: int | None) -> None:
        self._status = status

    def send(
        self, method: str, path: str, body: Json | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        if path == "metadata":
            return Answer(200, {}, {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"})
        if self._status is None:
            raise AnswerLost("the connection broke")
        issue = {"severity": "error", "code": "processing", "diagnostics": f"refused: {SENTINEL}"}
        outcome: Json = {"resourceType": "OperationOutcome", "issue": [issue]}
        return Answer(self._status, {"content-type": "application/fhir+json"}, outcome)


@pytest.fixture(scope="module")
def page() -> Pack:
    return load_packs(shipped_pages() / PAGE)[0]


@pytest.fixture
def services(tmp_path: Path, page: Pack) -> Iterator[Services]:
    services = start(load_settings(database_url=f"sqlite:///{tmp_path / 'intake.db'}"), packs=(page,))
    yield replace(services, intake=replace(services.intake, target_base_url=TARGET))
    services.store.close()


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services.site()).test_client()


@pytest.fixture
def response(page: Pack) -> Json:
    """A valid response with the sentinel wherever a patient writes freely, as the patient, and as identifier."""
    case = next(one for one in load_vignettes(shipped_pages() / PAGE) if one.name.startswith("case-08"))
    text = {"text": SENTINEL}
    free = {"muscles": [text], "symptoms-other": SENTINEL, "diagnosed-condition": [text], "anything-else": SENTINEL}
    return {
        **build_response(page.questionnaire, {**case.answers, **free}),
        "authored": case.authored,
        "subject": {"reference": f"Patient/{SENTINEL}"},
        "identifier": {"system": "https://app.example", "value": SENTINEL},
    }


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def _post(client: FlaskClient, body: Any, path: str = "") -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body)
    headers = {"Content-Type": "application/fhir+json", "Idempotency-Key": SENTINEL}
    return client.post(f"/fhir/QuestionnaireResponse{path}", data=data, headers=headers)


def _assert_silent(client: FlaskClient, logs: pytest.LogCaptureFixture) -> None:
    told = [client.get(path).get_data(as_text=True) for path in ("/metrics", "/health/ready", "/health/live", "/")]
    assert all(SENTINEL not in text for text in told)
    assert logs.records
    for record in logs.records:
        assert SENTINEL not in logs.handler.format(record)


def test_an_accepted_response(client: FlaskClient, logs: pytest.LogCaptureFixture, response: Json) -> None:
    assert _post(client, response).status_code == 201
    assert _post(client, response).status_code == 200
    assert _post(client, {**response, "language": "en"}).status_code == 409
    for path in ("/$validate", "/$assess", "/$extract"):
        assert _post(client, response, path).status_code == 200
    _assert_silent(client, logs)


def test_reads_and_searches(client: FlaskClient, logs: pytest.LogCaptureFixture, response: Json) -> None:
    created = _post(client, response).json
    for path in (
        f"QuestionnaireResponse/{created['id']}",
        f"Observation?patient={SENTINEL}",
        f"Condition?identifier=x|{SENTINEL}",
        f"Observation?{SENTINEL}=1",
        f"Observation/{SENTINEL}",
        f"{SENTINEL}/1",
        f"Observation?date={SENTINEL}",
    ):
        client.get(f"/fhir/{path}", headers={"X-Request-Id": f"{SENTINEL} {SENTINEL}"})
    _assert_silent(client, logs)


@pytest.mark.parametrize("path", ["", "/$validate", "/$assess", "/$extract"])
def test_a_refused_response(client: FlaskClient, logs: pytest.LogCaptureFixture, response: Json, path: str) -> None:
    for body in (
        {**response, "status": SENTINEL},
        {**response, SENTINEL: 1},
        {**response, "questionnaire": SENTINEL},
        {**response, "item": [{"linkId": SENTINEL}]},
        json.dumps(response)[:-1].encode(),
    ):
        assert _post(client, body, path).status_code in (200, 400, 422)
    _assert_silent(client, logs)


def test_answers_are_not_repeated_in_issues(client: FlaskClient, response: Json) -> None:
    response["item"][0]["item"][0]["answer"] = [{"valueString": SENTINEL}]
    response["status"] = "completed"
    answer = _post(client, response)
    assert answer.status_code == 422
    assert SENTINEL not in answer.get_data(as_text=True)


def test_an_unexpected_failure(
    services: Services, logs: pytest.LogCaptureFixture, response: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(f"cannot handle {SENTINEL}")

    monkeypatch.setattr(Intake, "submit", fail)
    client = create_app(services.site()).test_client()
    answer = _post(client, response)
    assert answer.status_code == 500
    assert answer.json["resourceType"] == "OperationOutcome"
    assert answer.headers["X-Request-Id"] in answer.json["issue"][0]["details"]["text"]
    assert SENTINEL not in answer.get_data(as_text=True)
    assert any("RuntimeError at" in record.getMessage() for record in logs.records)
    _assert_silent(client, logs)


def test_a_form(client: FlaskClient, logs: pytest.LogCaptureFixture) -> None:
    browser = Browser(client.application)
    browser.open(f"/forms/{PAGE}?patient={SENTINEL}")
    browser.send(danger_signs="none")
    wrong = {"first_noticed__day": SENTINEL, "first_noticed__month": "3", "first_noticed__year": "2026"}
    assert browser.send(**wrong).status == 422
    browser.send(first_noticed__day="1", episode_duration="seconds", frequency="daily")
    page = browser.send(muscles__other=SENTINEL, same_location="373066001")
    assert "Step 4 of 6" in page.heading
    browser.client.post(page.action or "", data={SENTINEL: SENTINEL, "key": SENTINEL})
    browser.client.get(f"/forms/{SENTINEL}/{SENTINEL}?key={SENTINEL}")
    browser.client.get(f"/responses/{SENTINEL}")
    # The patient's own name for themselves stands in the address of the first step alone.
    assert all(SENTINEL not in address for address in browser.visited[2:])
    _assert_silent(client, logs)


def test_a_call_of_cds_hooks(client: FlaskClient, logs: pytest.LogCaptureFixture, response: Json) -> None:
    assert (
        _post(client, {**response, "subject": {"reference": f"https://{SENTINEL}.example/Patient/1"}}).status_code
        == 201
    )
    token = {"access_token": SENTINEL, "token_type": "Bearer", "expires_in": 1, "scope": SENTINEL, "subject": SENTINEL}
    call = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": f"Practitioner/{SENTINEL}", "patientId": SENTINEL},
    }
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "x", "diagnostics": SENTINEL}],
    }
    for body, status in (
        ({**call, "fhirServer": f"https://{SENTINEL}.example", "fhirAuthorization": token}, 412),
        ({**call, "prefetch": {"conditions": outcome}}, 412),
        ({**call, "prefetch": {"conditions": None}}, 200),
        ({**call, "hook": SENTINEL}, 400),
    ):
        assert client.post("/cds-services/symptom-intake", json=body).status_code == status
    reported = {"card": SENTINEL, "outcome": "overridden", "outcomeTimestamp": "2026-03-15T09:00:00Z"}
    comment = {"feedback": [{**reported, "overrideReason": {"userComment": SENTINEL}}]}
    headers = {"Authorization": f"Bearer {SENTINEL}"}
    assert client.post("/cds-services/symptom-intake/feedback", json=comment, headers=headers).status_code == 200
    assert client.post(f"/cds-services/{SENTINEL}", json=call).status_code == 404
    _assert_silent(client, logs)


@pytest.mark.parametrize("status", [400, 401, 403, 409, 412, 422, 429, 500, 503, None])
def test_a_failing_delivery(
    services: Services, client: FlaskClient, logs: pytest.LogCaptureFixture, response: Json, status: int | None
) -> None:
    assert _post(client, response).status_code == 201
    server = _TalkativeServer(status)
    report = Delivery(services.store, server, utc_now, lambda: 0.0, "test", lease=timedelta(minutes=1)).run_once()
    assert report is not None
    assert report.letter.problem is not None
    _assert_silent(client, logs)
