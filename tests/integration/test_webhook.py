"""The operator's system is told of an urgent result: once, whatever fails on the way, and without an answer."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from pydantic import SecretStr

from service.bootstrap import Services, start
from service.cli import main
from service.config import load_settings, signing_key
from service.packs import Pack
from service.records.notice import signature_headers
from service.records.outbox import WEBHOOK, State
from service.records.submission import Sender
from service.web.app import create_app
from tests.hapi.service import eventually, serving
from tests.integration.answers import MakeResponse

SECRET = "whsec_" + b64encode(bytes(range(32))).decode()
PUBLIC_URL = "https://intake.example.org"
FHIR_SERVER = "https://fhir.example.org/r4"
URGENT, CALM = "case-08", "case-01"

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")


def _shown_check() -> Callable[[Any, bytes, str], bool]:
    """The check of signatures in README."""
    (code,) = re.findall(r"^```python\n(import base64, hmac\n.*?)^```$", README, re.MULTILINE | re.DOTALL)
    shown: dict[str, Any] = {}
    exec(code, shown)
    return shown["is_ours"]  # type: ignore[no-any-return]


is_ours = _shown_check()


@dataclass
class Receiver:
    """An operator's system, which checks each signature as README shows; answers by `statuses`, else 204."""

    statuses: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    notices: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    url: str = ""

    def take(self, headers: Any, content: bytes) -> tuple[int, dict[str, str]]:
        if not is_ours(headers, content, SECRET):
            return 401, {}
        self.notices.append((headers["webhook-id"], json.loads(content)))
        return self.statuses.popleft() if self.statuses else (204, {})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, headers = receiver.take(self.headers, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *told: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/notices?token=hush"
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()


class Clock:
    """Tells the time it was set to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told(tmp_path: Path, page: Pack, receiver: Receiver, clock: Clock) -> Iterator[Services]:
    """The service with an embedded record alone, and the webhook."""
    settings = load_settings(
        database_url=f"sqlite:///{tmp_path / 'intake.db'}",
        webhook_url=receiver.url,
        webhook_secret=SECRET,
        public_url=PUBLIC_URL,
    )
    services = start(settings, clock, packs=(page,))
    yield services
    services.store.close()


def _client(services: Services) -> FlaskClient:
    return create_app(services.site()).test_client()


def _submit(services: Services, response: dict[str, Any], key: str | None = None) -> str:
    return services.intake.submit(response, Sender("app", idempotency_key=key)).id


def _tell_all(services: Services) -> None:
    worker = services.worker(WEBHOOK)
    while worker.run_once() is not None:
        pass


def test_an_urgent_result_is_told_without_an_answer_or_the_patient(
    told: Services, receiver: Receiver, make_response: MakeResponse
) -> None:
    id_ = _submit(told, make_response(URGENT))
    _tell_all(told)
    [(_, notice)] = receiver.notices
    level = {"system": "https://symptom-intake.example/fhir/CodeSystem/triage-level", "code": "urgent"}
    assert notice == {
        "type": "response.urgent",
        "timestamp": "2026-03-15T09:00:00.000Z",
        "data": {
            "response": f"QuestionnaireResponse/{id_}",
            "version": "1",
            "questionnaire": make_response()["questionnaire"],
            "level": {**level, "display": "Same day or emergency"},
            "summary": f"{PUBLIC_URL}/responses/{id_}/summary",
        },
    }


def test_a_notice_of_another_sender_or_with_another_body_is_known() -> None:
    sent = signature_headers("id", 1, b"{}", signing_key(SecretStr(SECRET)))
    assert is_ours(sent, b"{}", SECRET)
    assert not is_ours(sent, b"{ }", SECRET)
    assert not is_ours({**sent, "webhook-timestamp": "2"}, b"{}", SECRET)
    assert not is_ours(sent, b"{}", "whsec_" + b64encode(bytes(32)).decode())


def test_whatever_fails_on_the_way_it_is_told_once(
    told: Services, receiver: Receiver, make_response: MakeResponse, clock: Clock
) -> None:
    receiver.statuses.extend([(503, {"Retry-After": "60"}), (500, {})])
    _submit(told, make_response(URGENT))
    for _ in range(4):
        _tell_all(told)
        clock.now += timedelta(minutes=5)
    ids = [id_ for id_, _ in receiver.notices]
    assert (len(ids), len(set(ids))) == (3, 1)
    assert [letter.state for letter in told.store.letters()] == [State.DELIVERED]


def test_a_worker_that_died_after_the_send_leaves_the_same_notice_to_its_successor(
    told: Services, receiver: Receiver, make_response: MakeResponse, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _submit(told, make_response(URGENT))
    with monkeypatch.context() as dying:
        dying.setattr(type(told.store), "change", _die)
        with pytest.raises(KeyboardInterrupt):
            told.worker(WEBHOOK).run_once()
    clock.now += timedelta(hours=1)
    _tell_all(told)
    assert len(receiver.notices) == 2
    assert receiver.notices[0] == receiver.notices[1]


def _die(*named: Any, **others: Any) -> bool:
    raise KeyboardInterrupt


def test_a_submission_sent_twice_is_told_once(told: Services, receiver: Receiver, make_response: MakeResponse) -> None:
    for _ in range(2):
        _submit(told, make_response(URGENT), "key")
    _tell_all(told)
    assert len(receiver.notices) == 1


def test_only_complete_urgent_results_are_told(told: Services, receiver: Receiver, make_response: MakeResponse) -> None:
    _submit(told, make_response(CALM))
    _submit(told, make_response(URGENT, status="in-progress"))
    _submit(told, make_response(URGENT, status="entered-in-error"))
    _tell_all(told)
    assert receiver.notices == []


def test_an_amendment_that_makes_it_urgent_is_told_and_those_after_it_are_not(
    told: Services, receiver: Receiver, make_response: MakeResponse
) -> None:
    id_ = _submit(told, make_response(CALM))
    versions = [make_response(URGENT), make_response(CALM), make_response(URGENT)]
    for number, version in enumerate(versions):
        told.intake.update({**version, "status": "amended", "id": id_}, id_, number + 1)
        _tell_all(told)
    assert [notice["data"]["version"] for _, notice in receiver.notices] == ["2"]


def test_a_form_that_is_sent_is_told_though_its_draft_was_urgent(
    told: Services, receiver: Receiver, make_response: MakeResponse
) -> None:
    told.intake.save(make_response(URGENT, status="in-progress"), "form", 0)
    told.intake.save(make_response(URGENT), "form", 1)
    _tell_all(told)
    assert [notice["data"]["response"] for _, notice in receiver.notices] == ["QuestionnaireResponse/form"]


def test_who_is_told_of_a_result_does_not_have_the_record(
    told: Services, receiver: Receiver, make_response: MakeResponse
) -> None:
    client = _client(told)
    id_ = _submit(told, make_response(URGENT))
    _tell_all(told)
    assert "Delivered" not in client.get(f"/responses/{id_}").text
    assert "webhook" not in client.get(f"/responses/{id_}/summary").text


def test_an_amendment_goes_to_the_fhir_server_and_not_to_the_webhook(
    tmp_path: Path, page: Pack, receiver: Receiver, make_response: MakeResponse, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(
        database_url=f"sqlite:///{tmp_path / 'intake.db'}",
        fhir_server_url=FHIR_SERVER,
        webhook_url=receiver.url,
        webhook_secret=SECRET,
    )
    services = start(settings, packs=(page,))
    try:
        id_ = _submit(services, make_response(URGENT))
        services.intake.update({**make_response(URGENT), "status": "amended", "id": id_}, id_, 1)
        targets = sorted((letter.version, letter.target) for letter in services.store.letters_of(id_))
    finally:
        services.store.close()
    monkeypatch.setenv("SYMPTOM_INTAKE_DATABASE_URL", settings.database_url)
    listed = CliRunner().invoke(main, ["outbox", "list"]).stdout.splitlines()[1:]
    assert [line.endswith("  notice") for line in listed] == [True, False, False]
    assert targets == [(1, FHIR_SERVER), (1, WEBHOOK), (2, FHIR_SERVER)]


def test_a_wrong_address_is_a_warning_and_nobody_reads_it(
    told: Services, receiver: Receiver, make_response: MakeResponse, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses.append((410, {}))
    _submit(told, make_response(URGENT))
    _tell_all(told)
    client = _client(told)
    ready = client.get("/health/ready")
    [check] = [one for one in ready.json["checks"] if one["status"] != "pass"]
    assert (ready.status_code, check["name"], check["status"]) == (200, "webhook", "warn")
    assert "deliveries that wait: 1. Nobody takes notices at its address (HTTP 410)." in check["reason"]
    metrics = client.get("/metrics").text
    assert 'symptom_intake_target_held{target="webhook"} 1.0' in metrics
    for text in (ready.text, metrics, caplog.text, *(str(one.problem) for one in told.store.letters())):
        assert "hush" not in text
        assert receiver.url not in text


def test_notices_that_nobody_sends_any_more_are_a_warning(
    told: Services, page: Pack, make_response: MakeResponse
) -> None:
    _submit(told, make_response(URGENT))
    unset = start(load_settings(database_url=told.settings.database_url), packs=(page,))
    try:
        ready = _client(unset).get("/health/ready").json
    finally:
        unset.store.close()
    [check] = [one for one in ready["checks"] if one["status"] != "pass"]
    assert check["reason"] == "Notices of urgent results that wait: 1. No webhook is set."


def test_serve_tells_without_a_fhir_server(tmp_path: Path, receiver: Receiver, make_response: MakeResponse) -> None:
    with serving(tmp_path, None, WEBHOOK_URL=receiver.url, WEBHOOK_SECRET=SECRET) as service:
        created = service.fhir.create(make_response(URGENT))
        eventually(lambda: receiver.notices)
        service.await_outbox(delivered=1)
        assert receiver.notices[0][1]["data"]["response"] == f"QuestionnaireResponse/{created['id']}"
        assert "Your webhook is told of urgent results." in service.log.read_text()
