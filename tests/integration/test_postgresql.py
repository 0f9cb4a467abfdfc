"""The way of a response with PostgreSQL beneath."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from service.bootstrap import Services, start
from service.cli import main
from service.config import load_settings
from service.packs import Pack
from tests.databases import PostgresqlServer
from tests.integration.answers import MakeResponse

TARGET = "https://ehr.example/fhir"
RESPONSES = "/fhir/QuestionnaireResponse"


@pytest.fixture
def services(postgresql_url: str, page: Pack) -> Iterator[Services]:
    services = start(load_settings(database_url=postgresql_url, fhir_server_url=TARGET), packs=(page,))
    with closing(services.store):
        yield services


def test_a_response_is_accepted_once_triaged_found_and_waits_for_delivery(
    client: FlaskClient, make_response: MakeResponse
) -> None:
    response = make_response("case-08", identifier={"system": "urn:forms", "value": "1"})
    created, again = (client.post(RESPONSES, json=response) for _ in range(2))
    assert (created.status_code, again.status_code) == (201, 200)
    assert created.json == again.json
    found = client.get("/fhir/Observation?patient=1&_revinclude=Provenance:target").json
    assert found is not None
    assert {one["resource"]["resourceType"] for one in found["entry"]} == {"Observation", "Provenance"}
    assert client.get("/health/ready").json == {"status": "pass", "checks": [{"name": "database", "status": "pass"}]}
    assert f'outbox_letters{{state="pending",target="{TARGET}"}} 1.0' in client.get("/metrics").text


def test_while_the_database_is_gone_nothing_is_acknowledged_and_senders_are_told_to_come_back(
    client: FlaskClient, postgresql: PostgresqlServer, postgresql_url: str, make_response: MakeResponse
) -> None:
    response = make_response("case-08", identifier={"system": "urn:forms", "value": "1"})
    with postgresql.closed(postgresql_url):
        refused = client.post(RESPONSES, json=response)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert client.get(RESPONSES).status_code == 503
        assert client.get("/health/ready").status_code == 503
        assert "database_up 0.0" in client.get("/metrics").text
    assert client.post(RESPONSES, json=response).status_code == 201
    assert client.get("/health/ready").status_code == 200


def test_a_draft_is_replaced_and_completed(client: FlaskClient, make_response: MakeResponse) -> None:
    draft = client.post(RESPONSES, json=make_response("case-08", status="in-progress")).json
    assert draft is not None
    address = f"{RESPONSES}/{draft['id']}"
    completed = client.put(address, json=make_response("case-08"), headers={"If-Match": 'W/"1"'})
    late = client.put(address, json=make_response("case-01"), headers={"If-Match": 'W/"1"'})
    assert (completed.status_code, late.status_code) == (200, 412)
    history = client.get(f"{address}/_history").json
    assert history is not None
    assert history["total"] == 2


@pytest.mark.parametrize(
    "address",
    [
        "/fhir/Observation/%00",
        "/fhir/Observation?_id=%00",
        "/fhir/Observation?patient=%00&code=%00|a%00",
        f"{RESPONSES}?identifier=%00|%00",
        f"{RESPONSES}/%00/_history",
        f"{RESPONSES}/%00/_history/1",
        f"{RESPONSES}/%00/$assess",
        "/responses/%00",
        "/forms/muscle-fasciculation/%00",
        f"/fhir/Observation?patient={'a' * 9000}",
    ],
)
def test_addresses_that_nothing_can_have_find_nothing(client: FlaskClient, address: str) -> None:
    assert client.get(address).status_code in (200, 404)


def test_keys_that_nothing_can_have_find_nothing(client: FlaskClient, make_response: MakeResponse) -> None:
    assert client.put(f"{RESPONSES}/%00", json=make_response()).status_code == 404
    odd = {"If-None-Exist": "identifier=urn:forms|%00"}
    assert client.post(RESPONSES, json=make_response(), headers=odd).status_code == 201


def test_the_command_for_the_database_does_not_tell_its_password(
    monkeypatch: pytest.MonkeyPatch, postgresql_url: str
) -> None:
    monkeypatch.setenv("SYMPTOM_INTAKE_DATABASE_URL", postgresql_url.replace("tests@", "tests:sesame@"))
    told = CliRunner().invoke(main, ["db", "upgrade"])
    assert (told.exit_code, told.stderr) == (0, "")
    assert told.stdout.startswith("The database has the schema of this release: postgresql://tests:***@/test_")


def test_a_database_that_cannot_be_reached_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMPTOM_INTAKE_DATABASE_URL", "postgresql://ada:sesame@127.0.0.1:1/intake")
    told = CliRunner().invoke(main, ["db", "upgrade"])
    assert told.exit_code == 2
    assert "SYMPTOM_INTAKE_DATABASE_URL: 'intake' cannot be opened" in told.stderr
    assert "sesame" not in told.output


def test_keys_need_the_setting_that_all_processes_share(monkeypatch: pytest.MonkeyPatch, postgresql_url: str) -> None:
    monkeypatch.setenv("SYMPTOM_INTAKE_DATABASE_URL", postgresql_url)
    told = CliRunner().invoke(main, ["keys", "rotate"])
    assert told.exit_code == 2
    assert "SYMPTOM_INTAKE_SECRET_KEY: with PostgreSQL set a key" in told.stderr
