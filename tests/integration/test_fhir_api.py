"""The FHIR REST API: what a client reads, searches and submits."""

import json
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.bootstrap import Services
from service.fhir.models import model_issues
from service.packs import Pack
from service.web.app import create_app
from tests.integration.answers import FHIR_JSON, MakeResponse, issues_of

CREATE = "/fhir/QuestionnaireResponse"
CANONICAL = "https://symptom-intake.example/fhir/Questionnaire/muscle-fasciculation"


def _post(client: FlaskClient, body: Any, path: str = CREATE, **headers: str) -> TestResponse:
    return client.post(path, data=json.dumps(body), headers={"Content-Type": "application/fhir+json", **headers})


def _total(client: FlaskClient, path: str = CREATE) -> int:
    total: int = client.get(f"{path}?_summary=count").json["total"]
    return total


def test_metadata_is_a_valid_statement_of_what_the_routes_offer(client: FlaskClient) -> None:
    statement = client.get("/fhir/metadata").json
    assert model_issues(statement) == []
    assert statement["implementation"]["url"] == "http://localhost/fhir"
    for resource in statement["rest"][0]["resource"]:
        for interaction in resource["interaction"]:
            path = f"/fhir/{resource['type']}" + ("/none" if interaction["code"] == "read" else "")
            path += "/none/_history/1" if interaction["code"] == "vread" else ""
            method = "POST" if interaction["code"] == "create" else "GET"
            assert client.open(path, method=method).status_code != 405, (resource["type"], interaction)
        for parameter in resource.get("searchParam", []):
            strict = {"Prefer": "handling=strict"}
            value = "2026-01-01" if parameter["type"] == "date" else "x"
            answer = client.get(f"/fhir/{resource['type']}?{parameter['name']}={value}", headers=strict)
            assert answer.status_code == 200, (resource["type"], parameter)
        for operation in resource.get("operation", []):
            assert client.post(f"/fhir/{resource['type']}/${operation['name']}").status_code == 415


def test_the_definition_of_assess_is_served(client: FlaskClient) -> None:
    (operation,) = (
        operation["definition"]
        for resource in client.get("/fhir/metadata").json["rest"][0]["resource"]
        for operation in resource.get("operation", [])
        if operation["name"] == "assess"
    )
    definition = client.get(f"/fhir/OperationDefinition/{operation.rpartition('/')[2]}").json
    assert definition["url"] == operation
    assert model_issues(definition) == []


def test_every_artifact_of_the_page_is_served(client: FlaskClient, page: Pack) -> None:
    for artifact in page.artifacts:
        answer = client.get(f"/fhir/{artifact['resourceType']}/{artifact['id']}")
        assert answer.status_code == 200
        assert {**answer.json, "meta": None} == {**artifact, "meta": None}
        assert answer.headers["ETag"] == f'W/"{answer.json["meta"]["versionId"]}"'


def test_a_questionnaire_is_found_by_its_canonical(client: FlaskClient) -> None:
    bundle = client.get(f"/fhir/Questionnaire?url={CANONICAL}&version=1.1.0").json
    assert bundle["total"] == 1
    assert bundle["entry"][0]["fullUrl"] == "http://localhost/fhir/Questionnaire/muscle-fasciculation"
    assert bundle["entry"][0]["search"] == {"mode": "match"}
    assert client.get(f"/fhir/Questionnaire?url={CANONICAL}&version=9").json["total"] == 0


def test_a_searchset_is_a_valid_bundle(client: FlaskClient) -> None:
    for kind in ("Questionnaire", "PlanDefinition", "ValueSet", "CodeSystem", "Observation"):
        assert model_issues(client.get(f"/fhir/{kind}").json) == []


def test_a_search_may_be_posted_as_a_form(client: FlaskClient) -> None:
    bundle = client.post("/fhir/Questionnaire/_search?status=active", data={"url": CANONICAL}).json
    assert bundle["total"] == 1
    link = bundle["link"][0]["url"]
    assert link.startswith("http://localhost/fhir/Questionnaire?status=active&url=")
    assert client.post("/fhir/Observation/_search", data={"patient": "Patient/1"}).json["total"] == 0


def test_unknown_parameters_are_left_out_or_refused_as_preferred(client: FlaskClient) -> None:
    lenient = client.get("/fhir/Observation?patient=1&shoe=42")
    assert "shoe" not in lenient.json["link"][0]["url"]
    strict = client.get("/fhir/Observation?patient=1&shoe=42", headers={"Prefer": "handling=strict"})
    assert strict.status_code == 400
    assert "shoe" in issues_of(strict)[0]["details"]["text"]


@pytest.mark.parametrize(
    ("search", "parameter"),
    [("Observation?date=soon", "date"), ("Observation?_count=-1", "_count"), ("Questionnaire?_count=-1", "_count")],
)
def test_a_search_value_that_cannot_be_read_is_pointed_to(client: FlaskClient, search: str, parameter: str) -> None:
    answer = client.get(f"/fhir/{search}")
    assert answer.status_code == 400
    assert issues_of(answer)[0]["expression"] == [f"http.{parameter}"]


def test_create_answers_with_place_and_version(client: FlaskClient, make_response: MakeResponse) -> None:
    answer = _post(client, make_response())
    assert answer.status_code == 201
    assert answer.content_type == FHIR_JSON
    assert answer.headers["Location"] == f"http://localhost{CREATE}/{answer.json['id']}/_history/1"
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Last-Modified"].endswith(" GMT")
    assert client.get(f"{CREATE}/{answer.json['id']}").json == answer.json
    assert client.get(answer.headers["Location"]).json == answer.json
    assert client.get(f"{CREATE}/{answer.json['id']}/_history/2").status_code == 404


def test_a_patient_is_the_same_however_this_services_own_address_is_written(
    client: FlaskClient, make_response: MakeResponse
) -> None:
    absolute = "http://localhost/fhir/Patient/1"
    created = _post(client, make_response(subject={"reference": absolute}))
    assert created.json["subject"]["reference"] == "Patient/1"
    for patient in ("1", "Patient/1", absolute):
        assert client.get(f"{CREATE}?patient={patient}").json["total"] == 1
    assert client.get("/fhir/Condition?patient=1").json["total"] == 1


def test_create_answers_with_what_is_preferred(client: FlaskClient, make_response: MakeResponse) -> None:
    minimal = _post(client, make_response(), Prefer="return=minimal")
    assert (minimal.status_code, minimal.data) == (201, b"")
    assert "Location" in minimal.headers
    assert "Content-Type" not in minimal.headers
    outcome = _post(client, make_response(authored=None), Prefer="return=OperationOutcome")
    assert outcome.status_code == 201
    assert [issue["severity"] for issue in issues_of(outcome)] == ["warning"]


def test_what_was_read_is_not_sent_again(client: FlaskClient, make_response: MakeResponse) -> None:
    created = _post(client, make_response())
    path = f"{CREATE}/{created.json['id']}"
    unchanged = client.get(path, headers={"If-None-Match": 'W/"1"'})
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert client.get(path, headers={"If-None-Match": 'W/"2"'}).status_code == 200
    head = client.head(path)
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", 'W/"1"')


IDENTIFIER = {"system": "https://app.example/forms", "value": "form-1"}


@pytest.mark.parametrize(
    ("elements", "headers"),
    [
        ({"identifier": IDENTIFIER}, {}),
        ({}, {"Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}),
        ({"identifier": IDENTIFIER}, {"If-None-Exist": "identifier=https://app.example/forms|form-1"}),
    ],
)
def test_a_submission_sent_twice_is_accepted_once(
    client: FlaskClient, make_response: MakeResponse, elements: dict[str, Any], headers: dict[str, str]
) -> None:
    first = _post(client, make_response(**elements), **headers)
    again = _post(client, make_response(**elements), **headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json == first.json
    assert again.headers["Location"] == first.headers["Location"]
    assert _total(client) == 1
    assert _total(client, "/fhir/Provenance") == 1


def test_one_key_for_two_contents_is_a_conflict(client: FlaskClient, make_response: MakeResponse) -> None:
    _post(client, make_response("case-01"), **{"Idempotency-Key": "one"})
    other = _post(client, make_response("case-08"), **{"Idempotency-Key": "one"})
    assert other.status_code == 409
    assert issues_of(other)[0]["code"] == "duplicate"
    assert _total(client) == 1


def test_the_record_is_found_by_patient_with_its_provenance(client: FlaskClient, make_response: MakeResponse) -> None:
    created = _post(client, make_response("case-08")).json
    _post(client, make_response("case-01", subject={"reference": "Patient/2"}))
    bundle = client.get("/fhir/Observation?patient=1&_revinclude=Provenance:target").json
    matches = [entry["resource"] for entry in bundle["entry"] if entry["search"]["mode"] == "match"]
    included = [entry["resource"] for entry in bundle["entry"] if entry["search"]["mode"] == "include"]
    assert bundle["total"] == len(matches)
    assert {resource["subject"]["reference"] for resource in matches} == {"Patient/1"}
    assert [resource["resourceType"] for resource in included] == ["Provenance"]
    source = {"reference": f"QuestionnaireResponse/{created['id']}"}
    assert all(source in resource["derivedFrom"] for resource in matches)
    assert client.get(f"/fhir/Observation?derived-from={created['id']}").json["total"] == bundle["total"]
    assert client.get("/fhir/Condition?patient=Patient/1").json["total"] == 1
    assert client.get("/fhir/Condition?patient=3").json["total"] == 0


def test_the_record_is_paged(client: FlaskClient, make_response: MakeResponse) -> None:
    _post(client, make_response())
    total = client.get("/fhir/Observation?_count=0").json["total"]
    seen, url = [], "http://localhost/fhir/Observation?_count=4&_sort=_lastUpdated"
    while url is not None:
        bundle = client.get(url).json
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
    assert len(seen) == len(set(seen)) == total > 8


def test_a_draft_is_kept_without_a_record(client: FlaskClient, make_response: MakeResponse) -> None:
    assert _post(client, make_response(status="in-progress")).status_code == 201
    assert client.get(f"{CREATE}?status=in-progress&patient=1").json["total"] == 1
    assert _total(client, "/fhir/Observation") == 0


def test_browser_apps_are_answered_only_from_configured_origins(services: Services) -> None:
    open_site = create_app(replace(services.site(), cors_origins=("https://app.example",))).test_client()
    closed_site = create_app(services.site()).test_client()
    ask = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    preflight = open_site.options(CREATE, headers=ask)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "If-None-Exist" in preflight.headers["Access-Control-Allow-Headers"]
    answer = open_site.get("/fhir/metadata", headers=ask)
    assert "Location" in answer.headers["Access-Control-Expose-Headers"]
    for refused in (
        open_site.get("/fhir/metadata", headers={"Origin": "https://evil.example"}),
        closed_site.get("/fhir/metadata", headers=ask),
    ):
        assert "Access-Control-Allow-Origin" not in refused.headers


def test_answers_are_private_and_cannot_be_framed(client: FlaskClient) -> None:
    headers = client.get("/fhir/Observation").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_requests_carry_an_id(client: FlaskClient) -> None:
    assert client.get("/fhir/metadata", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
    assert client.get("/fhir/metadata", headers={"X-Request-Id": "a b\tc"}).headers["X-Request-Id"] != "a b\tc"


def test_a_foreign_host_name_is_not_answered(client: FlaskClient) -> None:
    assert client.get("/fhir/Observation", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/fhir/metadata", headers={"Host": "127.0.0.1:8000"}).status_code == 200
    assert client.get("/fhir/metadata", headers={"Host": "[::1]:8000"}).status_code == 200


def test_the_start_page_says_what_runs_and_its_links_lead_somewhere(client: FlaskClient) -> None:
    page = client.get("/")
    text = page.get_data(as_text=True)
    assert page.status_code == 200
    assert "Muscle twitching" in text
    assert "not a medical device" in text
    links = [part.partition('"')[0] for part in text.split('href="')[1:]]
    for link in links:
        with client.get(link, follow_redirects=True) as target:
            assert target.status_code == 200
            assert link.startswith("#") or target.get_data() != page.get_data()
