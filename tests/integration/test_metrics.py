"""Metrics: what is counted, by which labels, as Prometheus reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import TestResponse

from service.bootstrap import Services
from service.records.drafts import unknown_person
from service.records.ehr import Launch
from service.records.outbox import State
from tests.integration.answers import FHIR_JSON, MakeResponse, Response
from tests.integration.delivering import TARGET, Broken, client_of, deliver, delivering, outcome, submit

RESPONSES = "/fhir/QuestionnaireResponse"
TO = f"target={TARGET}"
PAGE = "page=muscle-fasciculation"


def figures(client: FlaskClient, name: str) -> dict[str, float]:
    """The samples of a metric by its labels, such as "page=cough status=amended"."""
    text = client.get("/metrics").get_data(as_text=True)
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {
        " ".join(f"{label}={value}" for label, value in sorted(one.labels.items())): one.value
        for one in samples
        if one.name == f"symptom_intake_{name}"
    }


def send(client: FlaskClient, body: Response, path: str = RESPONSES, **headers: str) -> TestResponse:
    return client.open(
        path,
        method="POST" if path == RESPONSES else "PUT",
        json=body,
        headers={"Content-Type": "application/fhir+json", **headers},
    )


def test_accepted_versions_and_levels_are_counted(client: FlaskClient, make_response: MakeResponse) -> None:
    urgent = make_response("case-08", identifier={"system": "urn:forms", "value": "1"})
    first = send(client, urgent)
    assert send(client, urgent).status_code == 200
    send(client, make_response("case-01"))
    send(client, make_response("case-08", status="in-progress"))
    place = f"{RESPONSES}/{first.json['id']}"
    amended = make_response("case-01")
    send(client, amended, place)
    send(client, {**amended, "status": "entered-in-error"}, place)

    assert figures(client, "accepted_responses_total") == {
        f"channel=api {PAGE} status=completed": 2,
        f"channel=api {PAGE} status=in-progress": 1,
        f"channel=api {PAGE} status=amended": 1,
        f"channel=api {PAGE} status=entered-in-error": 1,
    }
    assert figures(client, "triage_levels_total") == {f"level=urgent {PAGE}": 1, f"level=self-care {PAGE}": 2}


def test_what_a_form_keeps_is_told_apart_and_what_a_launch_began(
    services: Services, client: FlaskClient, make_response: MakeResponse
) -> None:
    services.store.keep_launch(Launch("launched", TARGET, "1", services.clock()))
    drafts = services.site().drafts
    for draft_id in ("launched", "alone"):
        blank = make_response(status="in-progress", subject=unknown_person(draft_id))
        drafts.revise(draft_id, blank, lambda draft: draft)
    assert figures(client, "accepted_responses_total") == {
        f"channel=launch {PAGE} status=in-progress": 1,
        f"channel=form {PAGE} status=in-progress": 1,
    }


def test_refusals_are_counted_by_reason(client: FlaskClient, make_response: MakeResponse) -> None:
    assert send(client, make_response(questionnaire="urn:other")).status_code == 422
    assert client.get("/fhir/OperationDefinition/none").status_code == 404
    assert client.post(RESPONSES, data="{", content_type=FHIR_JSON).status_code == 400
    assert figures(client, "refusals_total") == {
        f"kind=Invalid reason=unknown-questionnaire route={RESPONSES}": 1,
        "kind=NotFound reason=not-found route=/fhir/OperationDefinition/<resource_id>": 1,
        f"kind=Malformed reason=malformed route={RESPONSES}": 1,
    }


def test_answers_are_counted_and_timed_by_route(client: FlaskClient) -> None:
    for path in ("/health/live", "/health/live", "/fhir/Nothing/1"):
        client.get(path)
    client.open("/health/live", method="SHOUT")
    assert figures(client, "http_requests_total") == {
        "method=GET route=/health/live status=200": 2,
        "method=any route=none status=404": 1,
        "method=any route=none status=405": 1,
    }
    assert figures(client, "http_request_duration_seconds_count")["method=GET route=/health/live"] == 2


def test_attempts_to_deliver_are_counted_by_what_became_of_them(
    services: Services, make_response: MakeResponse
) -> None:
    client = client_of(delivering(services))
    submit(client, make_response)
    services.metrics.count_delivery(deliver(services.store, outcome(400)))
    assert figures(client, "delivery_attempts_total") == {f"reason=refused state=dead {TO}": 1}
    assert figures(client, "delivery_latency_seconds_count") == {}


def test_a_delivery_is_timed_from_its_acceptance(
    services: Services, client: FlaskClient, make_response: MakeResponse
) -> None:
    submit(client_of(delivering(services)), make_response)
    report = deliver(services.store, None)
    waited = replace(
        report.letter,
        state=State.DELIVERED,
        problem=None,
        changed_at=report.letter.created_at.replace(year=report.letter.created_at.year + 1),
    )
    services.metrics.count_delivery(replace(report, letter=waited))
    services.metrics.count_delivery(replace(report, letter=waited, recorded=False))
    assert figures(client, "delivery_attempts_total") == {f"reason= state=delivered {TO}": 1}
    assert figures(client, "delivery_latency_seconds_count") == {TO: 1}
    assert figures(client, "delivery_latency_seconds_sum")[TO] >= 365 * 86_400


def test_the_outbox_is_told_also_while_nothing_waits(services: Services) -> None:
    client = client_of(delivering(services))
    for name in ("outbox_letters", "outbox_oldest_seconds"):
        assert figures(client, name) == {f"state=pending {TO}": 0, f"state=leased {TO}": 0, f"state=dead {TO}": 0}
    assert figures(client, "target_held") == {TO: 0}
    assert figures(client, "database_up") == {"": 1}


def test_what_waits_and_what_was_given_up_is_told(services: Services, make_response: MakeResponse) -> None:
    client = client_of(delivering(services))
    submit(client, make_response)
    submit(client, make_response)
    deliver(services.store, outcome(400))
    deliver(services.store, outcome(401))
    assert figures(client, "outbox_letters") == {
        f"state=pending {TO}": 1,
        f"state=leased {TO}": 0,
        f"state=dead {TO}": 1,
    }
    assert figures(client, "outbox_dead_letters") == {f"reason=refused {TO}": 1}
    assert figures(client, "target_held") == {TO: 1}
    assert figures(client, "outbox_oldest_seconds")[f"state=pending {TO}"] > 0


def test_a_lost_database_is_told_beside_what_the_process_counted(services: Services) -> None:
    client = client_of(replace(services.site(), store=Broken()))
    client.get("/health/live")
    assert figures(client, "database_up") == {"": 0}
    assert figures(client, "http_requests_total")["method=GET route=/health/live status=200"] == 1
    assert figures(client, "outbox_letters") == {}


@pytest.mark.parametrize(
    ("accepted", "format_"),
    [("*/*", "text/plain"), ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text")],
)
def test_it_is_served_in_the_format_that_is_asked_for(client: FlaskClient, accepted: str, format_: str) -> None:
    assert client.get("/metrics", headers={"Accept": accepted}).mimetype == format_
