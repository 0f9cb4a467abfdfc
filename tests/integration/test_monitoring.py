"""Probes: whether responses can be accepted and delivered, and why not."""

from dataclasses import replace
from datetime import timedelta

from flask.testing import FlaskClient

from service.bootstrap import Services
from tests.integration.answers import MakeResponse
from tests.integration.delivering import TARGET, Broken, client_of, deliver, delivering, outcome, submit


def test_a_new_service_is_alive_and_ready(client: FlaskClient) -> None:
    assert client.get("/health/live").json == {"status": "pass"}
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json["status"]) == (200, "pass")


def test_refused_credentials_make_it_unready_and_say_why(services: Services, make_response: MakeResponse) -> None:
    client = client_of(delivering(services))
    submit(client, make_response)
    deliver(services.store, outcome(401))
    ready = client.get("/health/ready")
    (check,) = (check for check in ready.json["checks"] if check["status"] != "pass")
    assert (ready.status_code, check["name"], check["status"]) == (503, "fhir-server", "fail")
    assert "401" in check["reason"]
    assert "deliveries that wait: 1" in check["reason"]


def test_an_outage_is_a_warning_because_responses_are_still_accepted(
    services: Services, make_response: MakeResponse
) -> None:
    client = client_of(delivering(services))
    submit(client, make_response)
    deliver(services.store, None)
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json["status"]) == (200, "warn")
    assert TARGET in str(ready.json)


def test_deliveries_that_get_no_answer_for_an_hour_are_a_warning(
    services: Services, make_response: MakeResponse
) -> None:
    site = delivering(services)
    submit(client_of(site), make_response)
    now = site.clock()
    assert client_of(replace(site, clock=lambda: now + timedelta(minutes=59))).get("/health/ready").json == {
        "status": "pass",
        "checks": [{"name": "database", "status": "pass"}],
    }
    ready = client_of(replace(site, clock=lambda: now + timedelta(minutes=61))).get("/health/ready")
    (check,) = (check for check in ready.json["checks"] if check["status"] != "pass")
    assert (ready.status_code, check["name"], check["status"]) == (200, "fhir-server", "warn")
    assert check["reason"].startswith(f"Deliveries that wait for {TARGET}: 1, the oldest since 2")


def test_a_dead_letter_is_visible(services: Services, make_response: MakeResponse) -> None:
    client = client_of(delivering(services))
    submit(client, make_response)
    deliver(services.store, outcome(400))
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json["status"]) == (200, "warn")
    (check,) = (check for check in ready.json["checks"] if check["name"] == "dead-letters")
    assert f"Deliveries to {TARGET} that were given up: 1 (1 refused), the oldest accepted 2" in check["reason"]
    assert "outbox retry" in check["reason"]


def test_deliveries_for_a_server_that_is_no_longer_set_are_a_warning(
    services: Services, make_response: MakeResponse
) -> None:
    submit(client_of(delivering(services)), make_response)
    ready = client_of(services.site()).get("/health/ready")
    (check,) = (check for check in ready.json["checks"] if check["status"] != "pass")
    assert (ready.status_code, check["status"]) == (200, "warn")
    assert check["reason"] == f"Deliveries that wait for {TARGET}: 1. It is not the FHIR server that is set."


def test_a_worker_that_stopped_makes_it_unready(services: Services) -> None:
    client = client_of(services.site(lambda: False))
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/live").status_code == 200


def test_a_lost_database_makes_it_unready(services: Services) -> None:
    client = client_of(replace(services.site(), store=Broken()))  # type: ignore[arg-type]
    ready = client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json["checks"][0]["reason"] == "The database cannot be used now."
