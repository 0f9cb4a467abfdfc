"""Rules that look back, over the API: earlier responses of the same patient count, and of nobody else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.integration.answers import MakeResponse, Response, answer_with

TYPE = "/fhir/QuestionnaireResponse"
HEADERS = {"Content-Type": "application/fhir+json"}
CALF = "case-02-calf-after-exercise-day-14"
TODAY = "2026-03-15T10:00:00+01:00"
EARLIER = "2026-02-20T10:00:00+01:00"


@pytest.fixture
def send(client: FlaskClient, make_response: MakeResponse) -> Any:
    """Sends the answers of a person whose calf twitches since that day, self-care by themselves; gives them as kept."""

    def send(authored: str = TODAY, **elements: Any) -> Response:
        response = make_response(CALF, authored=authored, **elements)
        answer_with(response, "first-noticed", {"valueDate": authored[:10]})
        answer = client.post(TYPE, data=json.dumps(response), headers=HEADERS)
        assert answer.status_code == 201, answer.json
        return answer.json

    return send


def rules(observation: Response) -> tuple[str, ...]:
    return tuple(one["code"]["coding"][0]["code"] for one in observation["component"])


def assessed(client: FlaskClient, response: Response) -> Response:
    """What $assess says of a kept response."""
    answer = client.get(f"{TYPE}/{response['id']}/$assess")
    assert answer.status_code == 200
    return answer.json


def recorded(client: FlaskClient, response: Response) -> Response:
    """The triage Observation that was written with a response."""
    source = f"derived-from=QuestionnaireResponse/{response['id']}"
    (entry,) = client.get(f"/fhir/Observation?{source}&code=triage-result").json["entry"]
    return entry["resource"]


def corrected(client: FlaskClient, response: Response, **elements: Any) -> Response:
    answer = client.put(f"{TYPE}/{response['id']}", data=json.dumps({**response, **elements}), headers=HEADERS)
    assert answer.status_code == 200, answer.json
    return answer.json


def test_the_same_muscle_three_weeks_before_makes_a_call(client: FlaskClient, send: Any) -> None:
    first = send(authored=EARLIER)
    then = send()
    assert rules(recorded(client, first)) == ("H1",)
    for told in (recorded(client, then), assessed(client, then)):
        assert rules(told) == ("C10",)
        assert told["valueCodeableConcept"]["coding"][0]["code"] == "routine"
        assert "On 2026-02-20: “Which muscles twitch?" in " ".join(note["text"] for note in told["note"])


@pytest.mark.parametrize(
    "elements",
    [
        {"authored": "2026-03-15T08:00:00+01:00"},
        {"authored": "2026-03-16T10:00:00+01:00"},
        {"authored": EARLIER, "subject": {"reference": "Patient/2"}},
        {"authored": EARLIER, "status": "in-progress"},
        {"authored": EARLIER, "status": "entered-in-error"},
    ],
    ids=["same day", "later", "another patient", "draft", "withdrawn"],
)
def test_no_other_response_counts(client: FlaskClient, send: Any, elements: Any) -> None:
    send(**elements)
    assert rules(recorded(client, send())) == ("H1",)


def test_a_response_sent_along_has_no_record_to_look_back_at(
    client: FlaskClient, send: Any, make_response: MakeResponse
) -> None:
    send(authored=EARLIER)
    answer = client.post(f"{TYPE}/$assess", data=json.dumps(make_response(CALF)), headers=HEADERS)
    assert rules(answer.json) == ("H1",)


def test_a_response_never_looks_back_at_itself_when_it_is_corrected(client: FlaskClient, send: Any) -> None:
    right = corrected(client, send(authored=EARLIER), authored=TODAY, status="amended")
    assert rules(recorded(client, right)) == ("C1",)


def test_a_corrected_response_is_judged_with_the_look_back_of_its_own_time(client: FlaskClient, send: Any) -> None:
    send(authored=EARLIER)
    then = send()
    send(authored="2026-03-20T10:00:00+01:00")
    thigh = {"valueCoding": {"system": "http://snomed.info/sct", "code": "68367000", "display": "Thigh structure"}}
    assert rules(recorded(client, corrected(client, answer_with(then, "muscles", thigh), status="amended"))) == ("H1",)


def test_what_is_withdrawn_later_no_longer_counts_when_a_result_is_opened(client: FlaskClient, send: Any) -> None:
    first = send(authored=EARLIER)
    then = send()
    corrected(client, first, status="entered-in-error")
    assert rules(assessed(client, then)) == ("H1",)
    assert rules(recorded(client, then)) == ("C10",)


def test_the_result_and_the_summary_name_the_date(client: FlaskClient, send: Any) -> None:
    send(authored=EARLIER)
    then = send()
    for path, date in (("", "20 February 2026"), ("/summary", "2026-02-20")):
        shown = client.get(f"/responses/{then['id']}{path}").text
        assert "Twitching in the same place before" in shown
        assert f"On {date}: " in shown
