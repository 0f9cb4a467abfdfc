"""$validate, $assess and $extract: on bodies, with Parameters, on stored responses; nothing is kept."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.fhir.models import model_issues
from service.packs import Pack
from service.packs.vignettes import Vignette
from tests.integration.answers import MakeResponse, answer_with, detail, issues_of, without

TYPE = "/fhir/QuestionnaireResponse"
INLINE: dict[str, Any] = {
    "resourceType": "Questionnaire",
    "url": "https://elsewhere.example/Questionnaire/pulse",
    "status": "active",
    "extension": [
        {
            "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-templateExtract",
            "extension": [{"url": "template", "valueReference": {"reference": "#pulse"}}],
        }
    ],
    "contained": [
        {
            "resourceType": "Observation",
            "id": "pulse",
            "status": "final",
            "code": {"text": "Pulse"},
            "valueInteger": 0,
            "_valueInteger": {
                "extension": [
                    {
                        "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-templateExtractValue",
                        "valueString": "item.where(linkId = 'pulse').answer.value",
                    }
                ]
            },
        }
    ],
    "item": [{"linkId": "pulse", "text": "Pulse", "type": "integer", "required": True}],
}


def _pulse(value: object) -> dict[str, Any]:
    item = {"linkId": "pulse", "answer": [{"valueInteger": value}]}
    return {"resourceType": "QuestionnaireResponse", "status": "completed", "item": [item]}


def _parameters(**resources: Any) -> dict[str, Any]:
    entries = [{"name": name.replace("_", "-"), "resource": resource} for name, resource in resources.items()]
    return {"resourceType": "Parameters", "parameter": entries}


def _call(client: FlaskClient, path: str, body: Any) -> TestResponse:
    answer = client.post(f"{TYPE}/{path}", data=json.dumps(body), headers={"Content-Type": "application/fhir+json"})
    assert client.get(f"{TYPE}?_summary=count").json["total"] == 0
    return answer


def _fired(observation: dict[str, Any]) -> list[str]:
    return [component["code"]["coding"][0]["code"] for component in observation.get("component", [])]


def _level(observation: dict[str, Any]) -> str:
    level: str = observation["valueCodeableConcept"]["coding"][0]["code"]
    return level


def test_a_valid_response_has_no_issue(client: FlaskClient, make_response: MakeResponse) -> None:
    answer = _call(client, "$validate", make_response(subject=None))
    assert answer.status_code == 200
    assert [issue["severity"] for issue in issues_of(answer)] == ["information"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_invalid_response_is_a_200_with_its_faults(
    client: FlaskClient, make_response: MakeResponse, wrapped: bool
) -> None:
    body = without(make_response(), "weakness")
    answer = _call(client, "$validate", _parameters(resource=body) if wrapped else body)
    assert answer.status_code == 200
    (issue,) = issues_of(answer)
    assert (issue["severity"], detail(issue)) == ("error", "required-missing")


@pytest.mark.parametrize("body", [{"resourceType": "Patient"}, {}, {"resourceType": "QuestionnaireResponse"}])
def test_what_is_no_legible_response_is_a_200_too(client: FlaskClient, body: dict[str, Any]) -> None:
    answer = _call(client, "$validate", body)
    assert answer.status_code == 200
    assert all(issue["severity"] == "error" for issue in issues_of(answer))


def test_a_body_that_is_no_json_is_a_400(client: FlaskClient) -> None:
    answer = client.post(f"{TYPE}/$validate", data=b"{", headers={"Content-Type": "application/fhir+json"})
    assert answer.status_code == 400


def test_a_response_is_validated_by_the_questionnaire_sent_along(client: FlaskClient) -> None:
    good = _call(client, "$validate", _parameters(resource=_pulse(70), questionnaire=INLINE))
    assert [issue["severity"] for issue in issues_of(good)] == ["information"]
    bad = _call(client, "$validate", _parameters(resource=_pulse("70"), questionnaire=INLINE))
    assert [issue["expression"][0] for issue in issues_of(bad)] == [
        "QuestionnaireResponse.item[0].answer[0].valueInteger"
    ]


@pytest.mark.parametrize(
    "broken",
    [
        {"resourceType": "Questionnaire"},
        {**INLINE, "item": "x"},
        {**INLINE, "item": [{"type": "integer"}]},
        {**INLINE, "item": [{"linkId": "pulse", "type": "bogus"}]},
        {"resourceType": "Patient"},
    ],
)
def test_a_broken_questionnaire_sent_along_is_told(client: FlaskClient, broken: dict[str, Any]) -> None:
    for operation, parameter, status in (
        ("$validate", "resource", (200,)),
        ("$extract", "questionnaire_response", (422,)),
    ):
        answer = _call(client, operation, _parameters(**{parameter: _pulse(70), "questionnaire": broken}))
        assert answer.status_code in status
        assert any(issue["severity"] == "error" for issue in issues_of(answer))


def test_extraction_by_the_questionnaire_sent_along(client: FlaskClient) -> None:
    body = _parameters(questionnaire_response=_pulse(70), questionnaire=INLINE)
    bundle = _call(client, "$extract", body).json
    assert bundle["type"] == "transaction"
    assert [entry["resource"]["valueInteger"] for entry in bundle["entry"]] == [70]
    assert bundle["entry"][0]["request"] == {"method": "POST", "url": "Observation"}


def test_extraction_holds_the_resources_of_the_templates_only(
    client: FlaskClient, make_response: MakeResponse, vignettes: dict[str, Vignette]
) -> None:
    bundle = _call(client, "$extract", make_response("case-08")).json
    assert model_issues(bundle) == []
    kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    expected = vignettes["case-08-lithium-two-days"].resources
    assert {kind: kinds.count(kind) for kind in kinds} == expected
    assert all("derivedFrom" not in entry["resource"] for entry in bundle["entry"])


def test_assess_answers_one_observation_with_the_rules_that_fired(
    client: FlaskClient, make_response: MakeResponse
) -> None:
    for body in (make_response("case-08"), _parameters(questionnaire_response=make_response("case-08"))):
        observation = _call(client, "$assess", body).json
        assert observation["status"] == "final"
        assert _level(observation) == "urgent"
        assert _fired(observation) == ["U7", "C4"]
        assert model_issues(observation) == []


def test_a_draft_is_assessed_for_urgent_rules_alone(client: FlaskClient, make_response: MakeResponse) -> None:
    quiet = _call(client, "$assess", make_response("case-01", status="in-progress")).json
    assert quiet["status"] == "preliminary"
    assert "valueCodeableConcept" not in quiet
    assert quiet["dataAbsentReason"]["coding"][0]["code"] == "temp-unknown"
    urgent = _call(client, "$assess", make_response("case-08", status="in-progress")).json
    assert (_level(urgent), _fired(urgent)) == ("urgent", ["U7"])


def test_a_draft_without_a_date_is_assessed_at_the_time_of_asking(
    client: FlaskClient, make_response: MakeResponse
) -> None:
    observation = _call(client, "$assess", make_response("case-11", status="in-progress", authored=None)).json
    assert (_level(observation), _fired(observation)) == ("urgent", ["U2"])


def test_a_missing_answer_is_never_a_no(client: FlaskClient, make_response: MakeResponse) -> None:
    observation = _call(client, "$assess", without(make_response("case-01"), "danger-signs")).json
    assert _level(observation) == "routine"
    assert _fired(observation) == ["C9"]
    assert any("U1" in note["text"] for note in observation["note"])


def test_an_exclusive_option_beside_another_does_not_hide_it(client: FlaskClient, make_response: MakeResponse) -> None:
    none = {"valueCoding": next(iter(make_response("case-01")["item"]))["item"][0]["answer"][0]["valueCoding"]}
    danger = {"valueCoding": {"system": "http://snomed.info/sct", "code": "249489001", "display": "Choking"}}
    body = answer_with(make_response("case-01"), "danger-signs", none, danger)
    observation = _call(client, "$assess", body).json
    assert (_level(observation), "U10" in _fired(observation)) == ("urgent", True)


def test_a_danger_sign_that_stands_twice_is_seen(client: FlaskClient, make_response: MakeResponse) -> None:
    danger = {"valueCoding": {"system": "http://snomed.info/sct", "code": "249489001", "display": "Choking"}}
    observation = _call(client, "$assess", answer_with(make_response("case-01"), "danger-signs", danger, danger)).json
    assert (_level(observation), "U10" in _fired(observation)) == ("urgent", True)


@pytest.mark.parametrize("operation", ["$validate", "$extract"])
def test_questions_that_depend_on_each_other_in_a_long_chain_are_told(client: FlaskClient, operation: str) -> None:
    number = 1000
    items = [
        {
            "linkId": f"q{one}",
            "type": "boolean",
            "enableWhen": [{"question": f"q{one + 1}", "operator": "exists", "answerBoolean": True}],
        }
        for one in range(number)
    ]
    asked = {**INLINE, "item": [*items, {"linkId": f"q{number}", "type": "boolean"}]}
    told = [{"linkId": f"q{one}", "answer": [{"valueBoolean": True}]} for one in range(number + 1)]
    name = "resource" if operation == "$validate" else "questionnaire-response"
    answer = _call(client, operation, _parameters(**{name: {**_pulse(1), "item": told}, "questionnaire": asked}))
    assert answer.status_code == (200 if operation == "$validate" else 422)
    assert "too long a chain" in issues_of(answer)[0]["details"]["text"]


def test_assess_takes_no_questionnaire_along(client: FlaskClient) -> None:
    answer = _call(client, "$assess", _parameters(questionnaire_response=_pulse(70), questionnaire=INLINE))
    assert answer.status_code == 422
    assert issues_of(answer)[0]["code"] == "not-supported"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_operations_on_a_stored_response(
    client: FlaskClient, make_response: MakeResponse, page: Pack, method: str
) -> None:
    headers = {"Content-Type": "application/fhir+json"}
    stored = client.post(TYPE, data=json.dumps(make_response("case-08")), headers=headers).json
    place = f"{TYPE}/{stored['id']}"
    assert _fired(client.open(f"{place}/$assess", method=method).json) == ["U7", "C4"]
    assert client.open(f"{place}/$extract", method=method).json["type"] == "transaction"
    validated = client.open(f"{place}/$validate", method=method)
    assert [issue["severity"] for issue in issues_of(validated)] == ["information"]
