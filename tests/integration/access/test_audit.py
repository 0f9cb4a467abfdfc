"""Who read or wrote which patient's data is kept, and read by whoever has a scope for it."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from service.adapters import accepting
from service.adapters.database import Database
from service.bootstrap import Services
from service.errors import IssueType, Unavailable, error
from service.fhir.models import model_issues
from service.records.search import parse_query
from service.web.app import create_app
from tests.integration.access.conftest import Api
from tests.integration.answers import MakeResponse

RESPONSES = "/fhir/QuestionnaireResponse"


def _events(api: Api, search: str = "") -> list[Any]:
    return [one["resource"] for one in api.get(f"/fhir/AuditEvent?{search}").json.get("entry", [])]


def _entities(event: Any, role: str) -> list[str]:
    found = [one for one in event["entity"] if one.get("role", {}).get("code") == role]
    return [one["what"]["reference"] if "what" in one else one["query"] for one in found]


def test_writing_is_kept_with_who_and_whose(api: Api, make_response: MakeResponse) -> None:
    mine = api.as_("patient/*.cruds", patient="1", fhirUser="Patient/1", client_id="twitch-app")
    made = mine.post(RESPONSES, make_response(), **{"X-Request-Id": "req-7"})
    (event,) = _events(api)
    assert model_issues(event) == []
    assert (event["action"], event["subtype"][0]["code"], event["outcome"]) == ("C", "create", "0")
    assert _entities(event, "1") == ["Patient/1"]
    assert _entities(event, "4") == [f"QuestionnaireResponse/{made.json['id']}"]
    user, app = event["agent"]
    assert (user["who"], user["requestor"]) == ({"reference": "Patient/1"}, True)
    assert (app["who"], app["requestor"]) == ({"identifier": {"value": "twitch-app"}}, False)
    assert app["network"]["address"] == "127.0.0.1"
    assert event["entity"][-1]["what"]["identifier"]["value"] == "req-7"


def test_every_way_of_reading_is_kept(api: Api, make_response: MakeResponse) -> None:
    place = f"{RESPONSES}/{api.post(RESPONSES, make_response('case-08')).json['id']}"
    provenance = api.get("/fhir/Provenance").json["entry"][0]["resource"]["id"]
    staff = api.as_("user/*.cruds", fhirUser="Practitioner/9")
    for path in (
        place, f"{place}/_history/1", f"{place}/_history", f"{place}/$assess", f"/fhir/Provenance/{provenance}",
        "/fhir/Observation?patient=1",
    ):  # fmt: skip
        assert staff.get(path).status_code == 200
    events = _events(api, "agent=Practitioner/9&patient=1")
    assert [one["subtype"][0]["code"] for one in events] == [
        "read", "vread", "history-instance", "operation", "read", "search-type",
    ]  # fmt: skip
    query = base64.b64decode(_entities(events[-1], "24")[0]).decode()
    assert query == "GET /fhir/Observation?patient=1"
    assert _entities(events[-1], "4") == []


def test_a_search_is_kept_for_each_patient_it_told_of(api: Api, make_response: MakeResponse) -> None:
    for number in "12":
        api.post(RESPONSES, make_response(subject={"reference": f"Patient/{number}"}))
    api.get(f"{RESPONSES}?status=completed")
    api.get(f"{RESPONSES}?patient=none")
    searches = [one for one in _events(api) if one["subtype"][0]["code"] == "search-type"]
    assert [_entities(one, "1") for one in searches] == [["Patient/1"], ["Patient/2"], []]


def test_a_posted_search_is_kept_with_its_form(api: Api) -> None:
    api.client.post(
        f"{RESPONSES}/_search", data={"patient": "1"}, headers={"Authorization": f"Bearer {api.token}"}
    )  # fmt: skip
    (event,) = _events(api)
    assert base64.b64decode(_entities(event, "24")[0]).decode() == f"POST {RESPONSES}/_search?patient=1"


def test_what_was_refused_or_not_found_discloses_nothing(api: Api) -> None:
    api.as_("patient/*.rs", patient="1").get(f"{RESPONSES}/none")
    api.as_("patient/*.rs", patient="1").get(f"{RESPONSES}?patient=2")
    assert _events(api) == []


def test_the_audit_needs_a_scope_that_names_it(api: Api, make_response: MakeResponse) -> None:
    api.post(RESPONSES, make_response())
    assert api.as_("system/*.cruds").get("/fhir/AuditEvent").status_code == 403
    assert api.as_("user/AuditEvent.rs", fhirUser="Practitioner/9").get("/fhir/AuditEvent").json["total"] == 1
    assert api.as_("patient/AuditEvent.rs", patient="2").get("/fhir/AuditEvent").json["total"] == 0
    assert api.as_("patient/AuditEvent.rs", patient="1").get("/fhir/AuditEvent").json["total"] == 2


def test_reading_the_audit_is_kept_too(api: Api, make_response: MakeResponse) -> None:
    api.post(RESPONSES, make_response())
    (first,) = _events(api)
    api.as_("user/AuditEvent.rs", fhirUser="Practitioner/9").get(f"/fhir/AuditEvent/{first['id']}")
    last = _events(api)[-1]
    assert (last["agent"][0]["who"], _entities(last, "1")) == ({"reference": "Practitioner/9"}, ["Patient/1"])


def test_nothing_is_disclosed_that_cannot_be_kept(
    api: Api, make_response: MakeResponse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(database: Database, events: object) -> None:
        raise Unavailable([error(IssueType.TRANSIENT, "The database is busy.")], 5)

    place = f"{RESPONSES}/{api.post(RESPONSES, make_response()).json['id']}"
    monkeypatch.setattr(Database, "keep_audit", busy)
    answer = api.get(place)
    assert answer.status_code == 503
    assert "item" not in answer.json


def test_a_response_stands_with_its_audit_or_not_at_all(
    api: Api, services: Services, make_response: MakeResponse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(connection: object, events: object) -> None:
        raise Unavailable([error(IssueType.TRANSIENT, "The database is busy.")], 5)

    with monkeypatch.context() as fault:
        fault.setattr(accepting, "add_audit", busy)
        assert api.post(RESPONSES, make_response()).status_code == 503
    assert services.store.search(parse_query("QuestionnaireResponse", [])).total == 0

    made = api.post(RESPONSES, make_response()).json
    with monkeypatch.context() as fault:
        fault.setattr(accepting, "add_audit", busy)
        amended = {**made, "authored": "2026-03-16"}
        assert api.call("PUT", f"{RESPONSES}/{made['id']}", amended).status_code == 503
    assert len(services.store.history("QuestionnaireResponse", made["id"])) == 1

    assert api.call("PUT", f"{RESPONSES}/{made['id']}", amended).status_code == 200
    assert [(one["action"], _entities(one, "4")) for one in _events(api)] == [
        ("C", [f"QuestionnaireResponse/{made['id']}"]), ("U", [f"QuestionnaireResponse/{made['id']}"]),
    ]  # fmt: skip


def test_being_told_again_is_kept_too(api: Api, make_response: MakeResponse) -> None:
    for _ in range(2):
        made = api.post(RESPONSES, make_response(), **{"Idempotency-Key": "once"})
    for _ in range(2):
        api.call("PUT", f"{RESPONSES}/{made.json['id']}", {**make_response(), "id": made.json["id"]})
    assert [one["action"] for one in _events(api)] == ["C", "C", "U", "U"]


def test_a_bare_app_is_the_one_who_asked(api: Api) -> None:
    api.as_("system/*.cruds", sub="nightly", client_id="nightly").get(f"{RESPONSES}")
    (event,) = _events(api)
    assert [(one["who"], one["requestor"]) for one in event["agent"]] == [({"identifier": {"value": "nightly"}}, True)]


def test_where_nobody_is_asked_who_they_are_nothing_is_kept(api: Api, services: Services) -> None:
    client = create_app(replace(services.site(), token_check=None)).test_client()
    assert client.get(RESPONSES).status_code == 200
    assert client.get("/fhir/AuditEvent").json["total"] == 0
