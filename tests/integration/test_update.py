"""Updates of drafts and of complete responses over the API, and the history that they leave."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.bootstrap import Services
from service.fhir.models import model_issues
from service.records.submission import Sender
from tests.integration.answers import MakeResponse, Response, answer_with, issues_of, without

TYPE = "/fhir/QuestionnaireResponse"
CANONICAL = "https://symptom-intake.example/fhir/Questionnaire/muscle-fasciculation"
HEADERS = {"Content-Type": "application/fhir+json"}


@pytest.fixture
def draft(client: FlaskClient, make_response: MakeResponse) -> Response:
    """A draft as it was stored."""
    body = without(make_response(status="in-progress"), "diet")
    answer = client.post(TYPE, data=json.dumps(body), headers=HEADERS)
    assert answer.status_code == 201
    return answer.json


def put(client: FlaskClient, body: Response, id_: str | None = None, **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.put(f"{TYPE}/{id_ or body['id']}", data=json.dumps(body), headers={**HEADERS, **named})


def test_a_draft_grows_until_it_is_complete(
    client: FlaskClient, draft: Response, make_response: MakeResponse, services: Services
) -> None:
    half = put(client, draft, If_Match='W/"1"')
    assert (half.status_code, half.headers["ETag"]) == (200, 'W/"2"')
    whole = put(client, {**make_response(), "id": draft["id"]}, If_Match=half.headers["ETag"])
    assert (whole.status_code, whole.json["status"]) == (200, "completed")
    assert whole.headers["Location"].endswith(f"{TYPE}/{draft['id']}/_history/3")
    found = client.get(f"/fhir/Observation?derived-from=QuestionnaireResponse/{draft['id']}").json
    assert found["total"] > 10
    assert client.get(f"/fhir/Observation/{found['entry'][0]['resource']['id']}").status_code == 200
    assert client.get(f"{TYPE}?status=in-progress").json["total"] == 0
    assert len(services.store.history("QuestionnaireResponse", draft["id"])) == 3


def test_without_if_match_the_newest_is_replaced(client: FlaskClient, draft: Response) -> None:
    longer = {**draft, "authored": "2026-03-15T11:00:00+01:00"}
    assert [put(client, one).headers["ETag"] for one in (draft, longer)] == ['W/"2"', 'W/"3"']


def test_the_same_body_again_is_answered_with_what_stands(client: FlaskClient, draft: Response) -> None:
    assert [put(client, draft, If_Match='W/"1"').headers["ETag"] for _ in range(2)] == ['W/"2"', 'W/"2"']


@pytest.mark.parametrize("told", ['W/"2"', 'W/"0"', '"7"', "*", "1", 'W/"x"', ""])
def test_if_match_must_name_the_newest_version(client: FlaskClient, draft: Response, told: str) -> None:
    answer = put(client, draft, If_Match=told)
    assert answer.status_code == 412
    assert issues_of(answer)
    assert client.get(f"{TYPE}/{draft['id']}").headers["ETag"] == 'W/"1"'


def test_a_strong_entity_tag_is_taken_too(client: FlaskClient, draft: Response) -> None:
    assert put(client, draft, If_Match='"1"').status_code == 200


def test_nothing_is_made_by_an_update(client: FlaskClient, draft: Response) -> None:
    assert put(client, {**draft, "id": "unknown"}).status_code == 404


def test_the_id_of_the_body_is_that_of_the_address(client: FlaskClient, draft: Response) -> None:
    answer = put(client, {**draft, "id": "another"}, draft["id"])
    assert answer.status_code == 400
    assert issues_of(answer)[0]["expression"] == ["QuestionnaireResponse.id"]
    body = {name: value for name, value in draft.items() if name != "id"}
    assert put(client, body, draft["id"]).status_code == 200


@pytest.mark.parametrize("subject", [{"reference": "Patient/2"}, {"reference": "https://other.example/fhir/Patient/1"}])
def test_answers_do_not_move_to_another_record(client: FlaskClient, draft: Response, subject: Any) -> None:
    answer = put(client, {**draft, "subject": subject})
    assert answer.status_code == 422
    assert issues_of(answer)[0]["expression"] == ["QuestionnaireResponse.subject"]


def test_what_is_invalid_is_told_and_the_draft_stays(client: FlaskClient, draft: Response) -> None:
    wrong = answer_with(draft, "frequency", {"valueString": "often"})
    answer = put(client, wrong)
    assert answer.status_code == 422
    assert client.get(f"{TYPE}/{draft['id']}").headers["ETag"] == 'W/"1"'


@pytest.fixture
def complete(client: FlaskClient, make_response: MakeResponse) -> Response:
    """A complete response as it was stored."""
    answer = client.post(TYPE, data=json.dumps(make_response("case-08")), headers=HEADERS)
    assert answer.status_code == 201
    return answer.json


def statuses(client: FlaskClient, kind: str) -> list[str]:
    found = client.get(f"/fhir/{kind}?_count=100").json["entry"]
    return [one["resource"].get("status") for one in found]


def test_a_complete_response_is_amended_and_the_record_follows(
    client: FlaskClient, complete: Response, make_response: MakeResponse
) -> None:
    changed = {**make_response("case-01"), "id": complete["id"]}
    answer = put(client, changed, If_Match='W/"1"', Prefer="return=OperationOutcome")
    assert answer.status_code == 200
    assert answer.headers["ETag"] == 'W/"2"'
    assert "kept as amended" in answer.json["issue"][0]["details"]["text"]
    assert statuses(client, "QuestionnaireResponse") == ["amended"]
    assert {"final", "amended", "entered-in-error"} == set(statuses(client, "Observation"))
    for entry in client.get("/fhir/Observation?_count=100").json["entry"]:
        one = entry["resource"]
        history = client.get(f"/fhir/Observation/{one['id']}/_history").json
        assert history["total"] == int(one["meta"]["versionId"])
        assert history["entry"][0]["resource"] == one
        assert model_issues(history) == []
        read = client.get(f"/fhir/Observation/{one['id']}/_history/1")
        assert read.headers["ETag"] == 'W/"1"'


def test_a_retraction_voids_the_record_and_says_why(client: FlaskClient, complete: Response) -> None:
    why = {"resourceType": "Provenance", "reason": [{"text": "Die falsche Patientin: Müller"}]}
    header = json.dumps(why, ensure_ascii=False).encode().decode("latin-1")
    answer = put(client, {**complete, "status": "entered-in-error"}, X_Provenance=header)
    assert answer.status_code == 200
    assert set(statuses(client, "Observation")) == {"entered-in-error"}
    for entry in client.get("/fhir/Condition").json["entry"]:
        assert "clinicalStatus" not in entry["resource"]
        assert entry["resource"]["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    told = client.get(f"/fhir/Provenance?target=QuestionnaireResponse/{complete['id']}").json["entry"][0]["resource"]
    assert told["reason"] == why["reason"]
    assert model_issues(told) == []
    assert put(client, complete).status_code == 422


@pytest.mark.parametrize(
    "told",
    ["", "[]", "no JSON", '{"reason": "text"}', '{"reason": {}}', '{"reason": [{"text": 1}]}', '{"reason": [1]}'],
)
def test_a_reason_that_cannot_be_read_changes_nothing(client: FlaskClient, complete: Response, told: str) -> None:
    answer = put(client, {**complete, "status": "entered-in-error"}, X_Provenance=told)
    assert answer.status_code == 400
    assert issues_of(answer)
    assert client.get(f"{TYPE}/{complete['id']}").headers["ETag"] == 'W/"1"'


def test_a_provenance_without_a_reason_is_no_fault(client: FlaskClient, complete: Response) -> None:
    assert put(client, complete, X_Provenance='{"resourceType": "Provenance"}').status_code == 200


def test_who_did_not_see_that_a_draft_was_completed_is_told_to_read_it_again(
    client: FlaskClient, draft: Response, make_response: MakeResponse
) -> None:
    assert put(client, {**make_response(), "id": draft["id"]}, If_Match='W/"1"').status_code == 200
    answer = put(client, draft, If_Match='W/"1"')
    assert answer.status_code == 412
    assert "completed meanwhile" in issues_of(answer)[0]["details"]["text"]


def test_prefer_minimal(client: FlaskClient, draft: Response) -> None:
    answer = put(client, draft, Prefer="return=minimal")
    assert (answer.status_code, answer.get_data()) == (200, b"")


def test_the_history_is_readable_newest_first(client: FlaskClient, draft: Response) -> None:
    put(client, draft)
    bundle = client.get(f"{TYPE}/{draft['id']}/_history").json
    assert (bundle["type"], bundle["total"]) == ("history", 2)
    assert model_issues(bundle) == []
    assert [entry["request"]["method"] for entry in bundle["entry"]] == ["PUT", "POST"]
    assert [entry["response"]["etag"] for entry in bundle["entry"]] == ['W/"2"', 'W/"1"']
    assert bundle["entry"][1]["resource"] == draft


@pytest.mark.parametrize("kind", ["QuestionnaireResponse", "Observation", "Condition", "Provenance"])
def test_what_is_not_there_has_no_history(client: FlaskClient, kind: str) -> None:
    answer = client.get(f"/fhir/{kind}/unknown/_history")
    assert answer.status_code == 404
    assert issues_of(answer)


def test_the_record_of_a_response_has_a_history_too(client: FlaskClient, make_response: MakeResponse) -> None:
    client.post(TYPE, data=json.dumps(make_response()), headers=HEADERS)
    for kind in ("Observation", "Condition", "Provenance"):
        one = client.get(f"/fhir/{kind}").json["entry"][0]["resource"]
        bundle = client.get(f"/fhir/{kind}/{one['id']}/_history").json
        assert [entry["resource"] for entry in bundle["entry"]] == [one]
        assert model_issues(bundle) == []


def test_it_is_in_the_capability_statement(client: FlaskClient) -> None:
    [rest] = client.get("/fhir/metadata").json["rest"]
    told = next(one for one in rest["resource"] if one["type"] == "QuestionnaireResponse")
    codes = [one["code"] for one in told["interaction"]]
    assert {"update", "history-instance", "vread"} <= set(codes)
    assert told["readHistory"]
    assert not told["updateCreate"]


IDENTIFIER = {"system": "https://app.example/forms", "value": "form|1"}
CONDITION = r"?identifier=https://app.example/forms|form\|1"


class TestByIdentifier:
    def put(self, client: FlaskClient, body: Response, search: str = CONDITION, **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.put(f"{TYPE}{search}", data=json.dumps(body), headers={**HEADERS, **named})

    def test_the_first_is_created_and_the_next_updates_it(
        self, client: FlaskClient, make_response: MakeResponse
    ) -> None:
        body = make_response(status="in-progress", identifier=IDENTIFIER)
        other = make_response("case-03", status="in-progress", identifier=IDENTIFIER)
        first, again, second = (self.put(client, one) for one in (body, body, other))
        assert (first.status_code, again.status_code, second.status_code) == (201, 200, 200)
        assert (again.json, second.json["id"]) == (first.json, first.json["id"])
        assert second.headers["ETag"] == 'W/"2"'
        assert self.put(client, body, If_Match='W/"1"').status_code == 412
        assert client.get(TYPE).json["total"] == 1

    def test_what_was_posted_is_found(self, client: FlaskClient, make_response: MakeResponse) -> None:
        body = make_response(status="in-progress", identifier=IDENTIFIER)
        posted = client.post(TYPE, data=json.dumps(body), headers=HEADERS).json
        whole = self.put(client, {**body, "status": "completed"})
        assert (whole.status_code, whole.json["id"], whole.json["status"]) == (200, posted["id"], "completed")

    def test_another_subjects_form_of_that_name_is_another(
        self, client: FlaskClient, make_response: MakeResponse
    ) -> None:
        for number in "12":
            body = make_response(identifier=IDENTIFIER, subject={"reference": f"Patient/{number}"})
            assert self.put(client, body).status_code == 201

    @pytest.mark.parametrize(
        "search", ["", "?status=completed", "?identifier=form-1", f"{CONDITION}&status=completed", "?identifier=|x"]
    )
    def test_a_condition_is_one_identifier(self, client: FlaskClient, make_response: MakeResponse, search: str) -> None:
        assert self.put(client, make_response(identifier=IDENTIFIER), search).status_code == 412
        assert client.get(TYPE).json["total"] == 0

    @pytest.mark.parametrize(
        ("elements", "place"),
        [
            ({"identifier": {**IDENTIFIER, "value": "form-2"}}, "QuestionnaireResponse.identifier"),
            ({}, "QuestionnaireResponse.identifier"),
            ({"identifier": IDENTIFIER, "subject": None}, "QuestionnaireResponse.subject"),
            ({"identifier": IDENTIFIER, "id": "mine"}, "QuestionnaireResponse.id"),
        ],
    )
    def test_the_body_must_agree(
        self, client: FlaskClient, make_response: MakeResponse, elements: Any, place: str
    ) -> None:
        answer = self.put(client, make_response(**elements))
        assert answer.status_code == 422
        assert issues_of(answer)[0]["expression"] == [place]

    def test_several_matches_are_not_guessed_among(self, client: FlaskClient, services: Services) -> None:
        body = {"resourceType": "QuestionnaireResponse", "status": "in-progress", "identifier": IDENTIFIER}
        for number in "12":
            full = {**body, "questionnaire": CANONICAL, "subject": {"reference": "Patient/1"}}
            services.intake.submit(full, Sender(f"app-{number}"))
        answer = self.put(client, {**body, "questionnaire": CANONICAL, "subject": {"reference": "Patient/1"}})
        assert (answer.status_code, issues_of(answer)[0]["code"]) == (412, "multiple-matches")
