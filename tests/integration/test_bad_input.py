"""Bad input: a clear OperationOutcome each time, never a 500, and nothing stored."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.config import Settings
from tests.integration.answers import MakeResponse, answer_with, detail, issues_of, item, path_of, without

CREATE = "/fhir/QuestionnaireResponse"
JSON = {"Content-Type": "application/fhir+json"}


def _post(client: FlaskClient, body: Any, path: str = CREATE, **headers: str) -> TestResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(path, data=data, headers={**JSON, **headers})


def _refused(client: FlaskClient, answer: TestResponse, status: int) -> list[dict[str, Any]]:
    issues = issues_of(answer)
    assert answer.status_code == status
    assert all(issue["severity"] in ("fatal", "error") for issue in issues)
    assert all(len(issue["details"]["text"]) > 10 for issue in issues)
    assert client.get(f"{CREATE}?_summary=count").json["total"] == 0
    assert client.get("/fhir/Observation?_summary=count").json["total"] == 0
    return issues


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "no body"),
        (b"not json", "not JSON"),
        (b'{"resourceType": "QuestionnaireResponse"', "not JSON"),
        (b'{"resourceType": "QuestionnaireResponse", "status": "completed", "status": "in-progress"}', "stands twice"),
        (b'["QuestionnaireResponse"]', "JSON object"),
        (b'"QuestionnaireResponse"', "JSON object"),
        (b'{"resourceType": "QuestionnaireResponse", "a": NaN}', "not a JSON number"),
        (b"\xff\xfe{}", "not UTF-8"),
    ],
)
def test_bodies_that_are_no_fhir_json(client: FlaskClient, body: bytes, text: str) -> None:
    assert text in _refused(client, _post(client, body), 400)[0]["details"]["text"]


@pytest.mark.parametrize("kind", ["Patient", "Bundle", "questionnaireresponse", None, 7, ["QuestionnaireResponse"]])
def test_another_resource_type(client: FlaskClient, make_response: MakeResponse, kind: object) -> None:
    issues = _refused(client, _post(client, {**make_response(), "resourceType": kind}), 400)
    assert issues[0]["expression"] == ["resourceType"]


def test_an_unknown_questionnaire(client: FlaskClient, make_response: MakeResponse) -> None:
    body = make_response(questionnaire="https://elsewhere.example/Questionnaire/x")
    (issue,) = _refused(client, _post(client, body), 422)
    assert detail(issue) == "unknown-questionnaire"
    assert issue["expression"] == ["QuestionnaireResponse.questionnaire"]


def test_an_unknown_version_of_a_questionnaire(client: FlaskClient, make_response: MakeResponse) -> None:
    body = make_response()
    body["questionnaire"] = body["questionnaire"].partition("|")[0] + "|99.0"
    assert detail(_refused(client, _post(client, body), 422)[0]) == "unknown-questionnaire"


def test_no_questionnaire(client: FlaskClient, make_response: MakeResponse) -> None:
    issues = _refused(client, _post(client, make_response(questionnaire=None)), 422)
    assert issues[0]["expression"] == ["QuestionnaireResponse.questionnaire"]


def test_no_subject(client: FlaskClient, make_response: MakeResponse) -> None:
    issues = _refused(client, _post(client, make_response(subject=None)), 422)
    assert issues[0]["expression"] == ["QuestionnaireResponse.subject"]


def test_an_unknown_question(client: FlaskClient, make_response: MakeResponse) -> None:
    body = make_response()
    item(body, "muscles")["linkId"] = "shoe-size"
    found = {detail(issue): issue["expression"] for issue in _refused(client, _post(client, body), 422)}
    assert found["unknown-link-id"][0].startswith(path_of(body, "shoe-size"))


def test_an_answer_that_is_no_option(client: FlaskClient, make_response: MakeResponse) -> None:
    wrong = {"valueCoding": {"system": "http://snomed.info/sct", "code": "0"}}
    body = answer_with(make_response(), "frequency", wrong)
    (issue,) = _refused(client, _post(client, body), 422)
    assert detail(issue) == "not-an-option"
    assert issue["expression"][0].startswith(f"{path_of(body, 'frequency')}.answer[0]")


def test_an_answer_of_another_type(client: FlaskClient, make_response: MakeResponse) -> None:
    body = answer_with(make_response(), "first-noticed", {"valueString": "last week"})
    assert detail(_refused(client, _post(client, body), 422)[0]) == "wrong-type"


@pytest.mark.parametrize("value", ["2026-02-30", "yesterday", "2026-3-1", 20260301])
def test_a_date_that_is_none(client: FlaskClient, make_response: MakeResponse, value: object) -> None:
    body = answer_with(make_response(), "first-noticed", {"valueDate": value})
    (issue,) = _refused(client, _post(client, body), 422)
    assert issue["expression"][0].startswith(path_of(body, "first-noticed"))


def test_a_date_in_the_future(client: FlaskClient, make_response: MakeResponse) -> None:
    body = answer_with(make_response(), "first-noticed", {"valueDate": "2999-01-01"})
    (issue,) = _refused(client, _post(client, body), 422)
    assert issue["expression"][0].startswith(path_of(body, "first-noticed"))


def test_a_missing_required_answer(client: FlaskClient, make_response: MakeResponse) -> None:
    (issue,) = _refused(client, _post(client, without(make_response(), "weakness")), 422)
    assert detail(issue) == "required-missing"
    assert issue["code"] == "required"


def test_an_exclusive_option_beside_another(client: FlaskClient, make_response: MakeResponse) -> None:
    body = make_response()
    other = next(answer for answer in item(make_response("case-10"), "medicines")["answer"])
    item(body, "medicines")["answer"].append(other)
    found = {detail(issue) for issue in _refused(client, _post(client, body), 422)}
    assert "exclusive-option-combined" in found


def test_an_unknown_element(client: FlaskClient, make_response: MakeResponse) -> None:
    (issue,) = _refused(client, _post(client, make_response(shoeSize=42)), 422)
    assert issue["expression"] == ["QuestionnaireResponse.shoeSize"]


@pytest.mark.parametrize("elements", [{"item": []}, {"item": {}}, {"item": "x"}, {"status": "bogus"}, {"status": 1}])
def test_elements_of_another_shape(client: FlaskClient, make_response: MakeResponse, elements: dict[str, Any]) -> None:
    _refused(client, _post(client, make_response(**elements)), 422)


def test_a_body_of_20_mb(client: FlaskClient) -> None:
    body = b'{"resourceType": "QuestionnaireResponse", "id": "' + b"x" * 20_000_000 + b'"}'
    (issue,) = _refused(client, _post(client, body), 413)
    assert issue["code"] == "too-long"
    assert str(Settings.model_fields["max_body_bytes"].default) in issue["details"]["text"]


@pytest.mark.parametrize("depth", [300, 5_000, 100_000])
def test_deep_nesting(client: FlaskClient, depth: int) -> None:
    body = b'{"resourceType": "QuestionnaireResponse", "item": ' + b"[" * depth + b"]" * depth + b"}"
    assert _refused(client, _post(client, body), 413)[0]["code"] == "too-costly"


def test_deep_nesting_of_items(client: FlaskClient, make_response: MakeResponse) -> None:
    nested: dict[str, Any] = {"linkId": "muscles"}
    for _ in range(90):
        nested = {"linkId": "muscles", "item": [nested]}
    _refused(client, _post(client, make_response(item=[nested])), 422)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/fhir+xml",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/fhir+json; fhirVersion=5.0",
    ],
)
def test_a_body_that_is_not_said_to_be_json(
    client: FlaskClient, make_response: MakeResponse, content_type: str
) -> None:
    answer = _post(client, make_response(), **{"Content-Type": content_type})
    text = _refused(client, answer, 415)[0]["details"]["text"]
    assert text == f"The request has '{content_type}'. Send FHIR R4 as JSON: 'Content-Type: application/fhir+json'."


def test_a_client_that_takes_xml_alone_is_refused_before_anything_is_stored(
    client: FlaskClient, make_response: MakeResponse
) -> None:
    _refused(client, _post(client, make_response(), Accept="application/fhir+xml"), 406)


@pytest.mark.parametrize("condition", ["", "identifier=x", "status=completed", "%"])
def test_a_condition_that_names_no_one_identifier(
    client: FlaskClient, make_response: MakeResponse, condition: str
) -> None:
    answer = _post(client, make_response(), **{"If-None-Exist": condition})
    assert answer.status_code in (400, 412)
    _refused(client, answer, answer.status_code)


@pytest.mark.parametrize("operation", ["$assess", "$extract"])
def test_operations_refuse_what_cannot_be_read(
    client: FlaskClient, make_response: MakeResponse, operation: str
) -> None:
    wrong = {"valueCoding": {"system": "http://snomed.info/sct", "code": "0"}}
    body = answer_with(make_response(), "frequency", wrong)
    issues = _refused(client, _post(client, body, f"{CREATE}/{operation}"), 422)
    assert [detail(issue) for issue in issues] == ["not-an-option"]


@pytest.mark.parametrize("operation", ["$validate", "$assess", "$extract"])
@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Parameters"},
        {"resourceType": "Parameters", "parameter": {}},
        {"resourceType": "Parameters", "parameter": [1]},
        {"resourceType": "Parameters", "parameter": [{"name": "resource"}, {"name": "questionnaire-response"}]},
    ],
)
def test_parameters_without_a_response(client: FlaskClient, operation: str, body: dict[str, Any]) -> None:
    issues = _refused(client, _post(client, body, f"{CREATE}/{operation}"), 400)
    assert issues[0]["expression"][0].startswith("Parameters.parameter")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/fhir/Patient/1", 404),
        ("GET", "/fhir/Questionnaire/nothing", 404),
        ("GET", "/fhir/QuestionnaireResponse/nothing", 404),
        ("GET", "/fhir/QuestionnaireResponse/nothing/_history/1", 404),
        ("POST", "/fhir/QuestionnaireResponse/nothing/$assess", 404),
        ("DELETE", "/fhir/QuestionnaireResponse/nothing", 405),
        ("PUT", "/fhir/QuestionnaireResponse/nothing", 415),
        ("PUT", "/fhir/Observation/nothing", 405),
        ("POST", "/fhir/Questionnaire", 405),
        ("POST", "/fhir", 422),
        ("GET", "/fhir/Observation?date=soon", 400),
        ("GET", "/fhir/Observation?_count=many", 400),
        ("GET", "/fhir/Observation?patient:identifier=1", 400),
    ],
)
def test_requests_that_cannot_be_met(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method)
    _refused(client, answer, status)
    assert status != 405 or "GET" in answer.headers["Allow"]
