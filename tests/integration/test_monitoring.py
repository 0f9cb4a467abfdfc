"""Probes and metrics."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from flask.testing import FlaskClient

from service.bootstrap import Services, utc_now
from service.errors import IssueType, Unavailable, error
from service.fhir.json import Json
from service.records.delivery import Delivery
from service.records.ports import Answer, Backlog, Store, Unreachable
from service.records.submission import Intake
from service.web.app import create_app
from tests.integration.answers import MakeResponse

TARGET = "https://fhir.example.org/r4"


_CAPABILITY = Answer(
    200, {"content-type": "application/fhir+json"}, {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
)


class _Server:
    """A FHIR server that answers every delivery alike, or cannot be reached."""

    base_url = TARGET

    def __init__(self, answer: Answer | None) -> None:
        self._answer = answer

    def send(
        self, method: str, path: str, body: Json | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        if self._answer is None:
            raise Unreachable("the connection was refused")
        return _CAPABILITY if path == "metadata" and self._answer.status == 400 else self._answer


class _Broken:
    """A store whose database is gone."""

    def check(self) -> None:
        raise Unavailable([error(IssueType.TRANSIENT, "The database cannot be used now.")], 5)

    def backlog(self) -> tuple[Backlog, ...]:
        raise Unavailable([error(IssueType.TRANSIENT, "The database cannot be used now.")], 5)


def _delivering(services: Services) -> FlaskClient:
    intake = replace(services.intake, target_base_url=TARGET)
    assert isinstance(intake, Intake)
    return create_app(replace(services.site(), intake=intake, targets=frozenset({TARGET}))).test_client()


def _submit(client: FlaskClient, make_response: MakeResponse) -> None:
    headers = {"Content-Type": "application/fhir+json"}
    body = json.dumps(make_response())
    assert client.post("/fhir/QuestionnaireResponse", data=body, headers=headers).status_code == 201


def _deliver(store: Store, answer: Answer | None) -> None:
    Delivery(store, _Server(answer), utc_now, lambda: 0.0, "test", lease=timedelta(minutes=1)).run_once()


def _outcome(status: int) -> Answer:
    return Answer(status, {"content-type": "application/fhir+json"}, {"resourceType": "OperationOutcome", "issue": []})


def test_a_new_service_is_alive_and_ready(client: FlaskClient) -> None:
    assert client.get("/health/live").json == {"status": "pass"}
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json["status"]) == (200, "pass")


def test_refused_credentials_make_it_unready_and_say_why(services: Services, make_response: MakeResponse) -> None:
    client = _delivering(services)
    _submit(client, make_response)
    _deliver(services.store, _outcome(401))
    ready = client.get("/health/ready")
    (check,) = (check for check in ready.json["checks"] if check["status"] != "pass")
    assert (ready.status_code, check["name"], check["status"]) == (503, "fhir-server", "fail")
    assert "401" in check["reason"]
    assert "1 deliveries wait" in check["reason"]


def test_an_outage_is_a_warning_because_responses_are_still_accepted(
    services: Services, make_response: MakeResponse
) -> None:
    client = _delivering(services)
    _submit(client, make_response)
    _deliver(services.store, None)
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json["status"]) == (200, "warn")
    assert TARGET in str(ready.json)


def test_a_dead_letter_is_visible(services: Services, make_response: MakeResponse) -> None:
    client = _delivering(services)
    _submit(client, make_response)
    _deliver(services.store, _outcome(400))
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json["status"]) == (200, "warn")
    (check,) = (check for check in ready.json["checks"] if check["name"] == "dead-letters")
    assert f"1 deliveries to {TARGET} were given up (1 refused), the oldest accepted 2" in check["reason"]
    assert "outbox retry" in check["reason"]
    metrics = client.get("/metrics").get_data(as_text=True)
    assert f'symptom_intake_outbox_dead_letters{{target="{TARGET}",reason="refused"}} 1' in metrics
    assert f'symptom_intake_outbox_dead_oldest_seconds{{target="{TARGET}",reason="refused"}} ' in metrics
    assert f'symptom_intake_outbox_letters{{target="{TARGET}",state="dead"}} 1' in metrics


def test_deliveries_for_a_server_that_is_no_longer_set_are_a_warning(
    services: Services, make_response: MakeResponse
) -> None:
    _submit(_delivering(services), make_response)
    ready = create_app(services.site()).test_client().get("/health/ready")
    (check,) = (check for check in ready.json["checks"] if check["status"] != "pass")
    assert (ready.status_code, check["status"]) == (200, "warn")
    assert check["reason"] == f"1 deliveries wait for {TARGET}, which is not the FHIR server that is set."


def test_a_worker_that_stopped_makes_it_unready(services: Services) -> None:
    client = create_app(services.site(lambda: False)).test_client()
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/live").status_code == 200


def test_a_lost_database_is_told_by_probe_and_metrics(services: Services) -> None:
    client = create_app(replace(services.site(), store=_Broken())).test_client()  # type: ignore[arg-type]
    ready = client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json["checks"][0]["reason"] == "The database cannot be used now."
    assert "symptom_intake_database_up 0" in client.get("/metrics").get_data(as_text=True)


def test_metrics_count_answers_by_route(client: FlaskClient) -> None:
    client.get("/fhir/Questionnaire/muscle-fasciculation")
    client.get("/fhir/Nothing/1")
    answer = client.get("/metrics")
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.get_data(as_text=True).splitlines()
    assert any('status="200"' in line and line.endswith(" 1") for line in lines if "Questionnaire" in line)
    assert 'symptom_intake_http_requests_total{method="any",route="none",status="404"} 1' in lines
    names = {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}
    described = {line.split(" ")[2] for line in lines if line.startswith("# TYPE")}
    assert names <= described
