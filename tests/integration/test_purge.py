"""`purge` as an operator runs it beside a running service, and what senders, readers and patients are told then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient

from service.bootstrap import Services, start
from service.cli import main
from service.config import load_settings
from service.packs import Pack
from service.records import outbox
from service.records.drafts import draft_id
from service.records.ehr import Launch
from service.web.app import create_app
from tests.integration.answers import MakeResponse, issues_of

LONG_AGO = datetime(2020, 3, 15, 9, 0, tzinfo=UTC)
TARGET = "https://ehr.example/fhir"
RESPONSES = "/fhir/QuestionnaireResponse"
IDENTIFIER = {"system": "urn:forms", "value": "1"}
KEYS = {"Idempotency-Key": "k-1"}


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, page: Pack) -> Iterator[Services]:
    """A service of long ago that delivers to a FHIR server; the environment names its database."""
    url = f"sqlite:///{tmp_path / 'intake.db'}"
    monkeypatch.setenv("SYMPTOM_INTAKE_DATABASE_URL", url)
    settings = load_settings(database_url=url, fhir_server_url=TARGET)
    services = start(settings, clock=lambda: LONG_AGO, packs=(page,))
    with closing(services.store):
        yield services


@pytest.fixture
def delivered(client: FlaskClient, services: Services, make_response: MakeResponse) -> str:
    """The id of a response that was delivered."""
    answer = client.post(RESPONSES, json=make_response("case-08", identifier=IDENTIFIER), headers=KEYS)
    assert answer.json is not None
    _deliver(services)
    return str(answer.json["id"])


def _deliver(services: Services) -> None:
    def take(letter: outbox.Letter) -> outbox.Letter:
        return outbox.take(letter, "worker", LONG_AGO, timedelta(minutes=5))

    letter = services.store.lease(TARGET, LONG_AGO, take)
    assert letter is not None
    assert services.store.change(letter, outbox.delivered(letter, LONG_AGO))


def _draft(services: Services, page: Pack, key: str) -> str:
    blank = {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": page.canonical,
        "status": "in-progress",
        "subject": {"reference": "Patient/1"},
        "authored": "2020-03-15T09:00:00Z",
    }
    return services.site().drafts.revise(draft_id(key), blank, lambda response: response).id


def _purge(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["purge", "--older-than", "365", *arguments])


def test_without_yes_it_says_what_it_would_do_and_does_nothing(
    client: FlaskClient, services: Services, delivered: str, make_response: MakeResponse, page: Pack
) -> None:
    client.post(RESPONSES, json=make_response())
    _draft(services, page, "key")
    told = _purge()
    assert told.exit_code == 0
    lines = [line.split("  ") for line in told.stdout.splitlines()]
    assert [(line[0], line[-1].strip()) for line in lines[1:4]] == [
        ("delivered", "to be removed"),
        ("under way", "kept: not delivered yet"),
        ("draft", "kept, unless you say --drafts"),
    ]
    assert told.stdout.endswith("Nothing was changed. With --yes, 1 are removed for good.\n")
    assert client.get(f"{RESPONSES}/{delivered}").status_code == 200


def test_with_yes_it_removes_what_it_said(client: FlaskClient, services: Services, delivered: str, page: Pack) -> None:
    _draft(services, page, "key")
    assert _purge("--yes").stdout.endswith("1 responses were removed.\n")
    assert client.get(f"{RESPONSES}/{delivered}").status_code == 410
    assert _purge("--drafts", "--yes").stdout.endswith("1 responses were removed.\n")
    assert _purge().stdout.startswith("No response is from before 20")


def test_launches_that_nobody_answered_go_with_drafts(services: Services) -> None:
    services.store.keep_launch(Launch("launched", TARGET, "1", LONG_AGO, banner="Ada, 1815-12-10"))
    assert "never answered  1" in _purge().stdout
    assert _purge("--yes").stdout.endswith("0 responses were removed.\n")
    assert _purge("--drafts", "--yes").stdout.endswith("1 responses were removed.\n")
    assert services.store.launch("launched") is None


def test_readers_are_told_that_it_is_gone(client: FlaskClient, delivered: str) -> None:
    found = client.get("/fhir/Observation").json
    assert found is not None
    observation = found["entry"][0]["resource"]["id"]
    _purge("--yes")
    for address in (
        f"{RESPONSES}/{delivered}",
        f"{RESPONSES}/{delivered}/_history",
        f"{RESPONSES}/{delivered}/_history/1",
        f"{RESPONSES}/{delivered}/$assess",
        f"/fhir/Observation/{observation}",
    ):
        answer = client.get(address)
        assert (answer.status_code, issues_of(answer)[0]["code"]) == (410, "deleted"), address
    for address in (f"/responses/{delivered}", f"/responses/{delivered}/summary"):
        assert client.get(address).status_code == 410
    assert client.get(f"{RESPONSES}/another").status_code == 404
    assert client.get("/fhir/Observation?_summary=count").json["total"] == 0  # type: ignore[index]


def test_senders_who_try_again_double_nothing(
    client: FlaskClient, services: Services, delivered: str, make_response: MakeResponse
) -> None:
    _purge("--yes")
    named = make_response("case-08", identifier=IDENTIFIER)
    condition = {"If-None-Exist": "identifier=urn:forms|1"}
    for answer in (
        client.post(RESPONSES, json=make_response("case-08"), headers=KEYS),
        client.post(RESPONSES, json=named),
        client.post(RESPONSES, json=make_response("case-01"), headers=condition),
        client.put(f"{RESPONSES}?identifier=urn:forms|1", json=named),
        client.put(f"{RESPONSES}/{delivered}", json=named),
    ):
        assert (answer.status_code, issues_of(answer)[0]["code"]) == (410, "deleted")
    assert services.store.letters() == ()
    assert client.post(RESPONSES, json=make_response("case-08")).status_code == 201


def test_the_link_to_a_draft_that_was_removed_begins_nothing(
    client: FlaskClient, services: Services, page: Pack
) -> None:
    id_ = _draft(services, page, "key")
    _purge("--drafts", "--yes")
    address = f"/forms/{page.name}/{id_}/1"
    assert client.get(f"{address}?key=key").status_code == 410
    assert client.post(address, data={"key": "key"}).status_code == 410
    assert services.store.read("QuestionnaireResponse", id_) is None


def test_only_copies_are_removed_when_that_is_said(
    client: FlaskClient, services: Services, make_response: MakeResponse
) -> None:
    alone = start(load_settings(), clock=lambda: LONG_AGO)
    with closing(alone.store):
        assert create_app(alone.site()).test_client().post(RESPONSES, json=make_response()).status_code == 201
    assert "kept, unless you say --only-copies" in _purge("--yes").stdout
    assert _purge("--only-copies", "--yes").stdout.endswith("1 responses were removed.\n")
    assert client.get(f"{RESPONSES}?_summary=count").json["total"] == 0  # type: ignore[index]


def test_answers_that_were_removed_are_not_in_the_file_any_more(
    client: FlaskClient, services: Services, tmp_path: Path, make_response: MakeResponse
) -> None:
    sentinel = "urn:sentinel-4711"
    client.post(RESPONSES, json=make_response("case-08", author={"display": sentinel}))
    _deliver(services)
    services.store.close()
    file = tmp_path / "intake.db"
    assert sentinel.encode() in file.read_bytes()
    _purge("--yes")
    assert not any(sentinel.encode() in one.read_bytes() for one in tmp_path.glob("intake.db*"))


@pytest.mark.parametrize("days", ["0", "-1", "many"])
def test_an_age_that_is_none_is_refused(days: str) -> None:
    told = CliRunner().invoke(main, ["purge", "--older-than", days])
    assert (told.exit_code, "--older-than" in told.stderr) == (2, True)
