"""Every route but the public ones refuses whoever has no right, and says so as an OperationOutcome."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import ECKey
from werkzeug.test import TestResponse

from service.bootstrap import Services
from service.web.app import create_app
from service.web.auth import PUBLIC
from tests.integration.access.conftest import EVERYTHING, Api
from tests.integration.answers import FHIR_JSON, MakeResponse, issues_of

ALL_OF_ONE = "patient/*.cruds patient/AuditEvent.rs"


@dataclass(frozen=True)
class Call:
    """One way to call a route, about Patient/2."""

    name: str
    method: str
    path: str
    body: Any


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(services.site())


@pytest.fixture
def calls(api: Api, app: Flask, make_response: MakeResponse) -> list[Call]:
    """A call of each protected route and method; what they name belongs to Patient/2."""
    theirs = make_response("case-08", subject={"reference": "Patient/2"})
    draft = api.post("/fhir/QuestionnaireResponse", {**theirs, "status": "in-progress"})
    assert draft.status_code == 201
    made = api.post("/fhir/QuestionnaireResponse", theirs)
    assert made.status_code == 201
    ids = {"QuestionnaireResponse": draft.json["id"]}
    for kind in ("Observation", "Condition", "Provenance", "AuditEvent"):
        ids[kind] = api.get(f"/fhir/{kind}?_count=1").json["entry"][0]["resource"]["id"]
    return list(_calls(app, ids, theirs))


def _calls(app: Flask, ids: dict[str, str], theirs: Any) -> Iterator[Call]:
    for rule in app.url_map.iter_rules():
        if rule.endpoint in PUBLIC:
            continue
        types = re.search(r"<any\(([^)]+)\):[^>]+>", rule.rule)
        for kind in types[1].split(",") if types else ["QuestionnaireResponse"]:
            named = "muscle-fasciculation" if rule.endpoint.startswith("questionnaire_") else ids[kind]
            path = rule.rule.replace(types[0], kind) if types else rule.rule
            path = path.replace("<resource_id>", named).replace("<version>", "1")
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield Call(rule.endpoint, method, path + _search(rule.endpoint, kind), _body(path, method, theirs))


def _search(endpoint: str, kind: str) -> str:
    if endpoint == "fhir.conditional_update":
        return "?identifier=urn:forms|new"
    if endpoint != "fhir.search_recorded":
        return ""
    return "?target=QuestionnaireResponse/x" if kind == "Provenance" else "?patient=Patient/2"


def _body(path: str, method: str, theirs: Any) -> Any:
    if method == "GET" or path.endswith("_search"):
        return None
    if "$populate" in path:
        subject = {"name": "subject", "valueReference": {"reference": "Patient/2"}}
        page = {"name": "canonical", "valueCanonical": theirs["questionnaire"]}
        return {"resourceType": "Parameters", "parameter": [subject, page]}
    if re.search(r"/[^/]+/\$", path.removeprefix("/fhir/QuestionnaireResponse")):
        return {"resourceType": "Parameters"}
    if (method, path) == ("PUT", "/fhir/QuestionnaireResponse"):
        return {**theirs, "identifier": {"system": "urn:forms", "value": "new"}}
    return theirs


def _expect_refusal(answer: TestResponse, status: int, call: Call) -> None:
    assert answer.status_code == status, (call, answer.json)
    assert answer.content_type == FHIR_JSON
    assert issues_of(answer)[0]["severity"] == "error"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")


def test_there_are_routes_to_protect(calls: list[Call]) -> None:
    names = {call.name for call in calls}
    assert {"fhir.create", "fhir.update", "fhir.search_recorded", "fhir.history", "operations.assess_type"} <= names
    assert len(calls) > 30


def test_public_routes_exist_and_say_why(app: Flask) -> None:
    assert set(PUBLIC) <= {rule.endpoint for rule in app.url_map.iter_rules()}
    assert all(PUBLIC.values())


def test_public_routes_of_the_api_need_no_token(api: Api, app: Flask) -> None:
    for path in ("/fhir/metadata", "/fhir/Questionnaire", "/fhir/.well-known/smart-configuration", "/health/live"):
        assert api.client.get(path).status_code == 200, path


def test_without_a_token(api: Api, calls: list[Call]) -> None:
    for call in calls:
        answer = api.client.open(call.path, method=call.method, json=call.body)
        _expect_refusal(answer, 401, call)
        assert issues_of(answer)[0]["code"] == "login"
        assert "error=" not in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://elsewhere.example/fhir"},
        {"aud": None},
        {"iss": "https://elsewhere.example"},
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"nbf": int(time.time()) + 3600},
        {"key": ECKey.generate_key("P-256", {"kid": "k1"})},
    ],
    ids=["audience", "no-audience", "issuer", "expired", "no-expiry", "not-yet", "key"],
)
def test_with_a_token_that_is_not_good(api: Api, calls: list[Call], claims: Any) -> None:
    caller = api.as_(EVERYTHING, **claims)
    for call in calls:
        answer = caller.call(call.method, call.path, call.body)
        _expect_refusal(answer, 401, call)
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer a b", "Bearer a.b.c", "token x"]
)
def test_with_what_is_no_token(api: Api, calls: list[Call], header: str) -> None:
    for call in calls[:3]:
        answer = api.call(call.method, call.path, call.body, Authorization=header)
        _expect_refusal(answer, 401, call)


@pytest.mark.parametrize("scope", ["", "openid fhirUser", "patient/Patient.rs", "patient/Encounter.cruds launch"])
def test_with_too_small_a_scope(api: Api, calls: list[Call], scope: str) -> None:
    caller = api.as_(scope, patient="2")
    for call in calls:
        if call.name == "fhir.refuse_bundle":
            continue
        answer = caller.call(call.method, call.path, call.body)
        _expect_refusal(answer, 403, call)
        assert 'error="insufficient_scope", scope="' in answer.headers["WWW-Authenticate"]


def test_with_the_token_of_another_patient(api: Api, calls: list[Call]) -> None:
    caller = api.as_(ALL_OF_ONE, patient="1")
    for call in calls:
        answer = caller.call(call.method, call.path, call.body)
        if call.name == "fhir.refuse_bundle":
            assert answer.status_code == 422
        elif "target=" in call.path:
            assert answer.json["total"] == 0
        else:
            assert answer.status_code in (403, 404), (call, answer.json)
            assert answer.json["resourceType"] == "OperationOutcome"


def test_with_the_token_of_this_patient(api: Api, calls: list[Call]) -> None:
    caller = api.as_(ALL_OF_ONE, patient="2")
    for call in calls:
        if call.name != "fhir.refuse_bundle":
            answer = caller.call(call.method, call.path, call.body)
            assert answer.status_code in (200, 201), (call, answer.json)


def test_an_address_that_nobody_serves_is_not_found(api: Api) -> None:
    assert api.client.get("/fhir/Encounter/1").status_code == 404
