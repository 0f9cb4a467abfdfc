"""What a later version of a response does to the record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.fhir.elements import is_entered_in_error
from service.fhir.models import model_issues
from service.packs.check import invariant_issues
from service.records.amendment import record_changes, with_error_told
from service.records.identity import identified

NOW = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"

Json = dict[str, Any]


def response(version: int, status: str = "completed") -> Json:
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "r1",
        "meta": {"versionId": str(version)},
        "status": status,
        "subject": {"reference": "Patient/1"},
        "authored": "2026-03-15T10:00:00+01:00",
    }


def observation(id_: str, value: str, now: datetime = NOW, **elements: Any) -> Json:
    said = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "muscle"},
        "issued": now.isoformat().replace("+00:00", ".000Z"),
        "valueString": value,
        **elements,
    }
    return identified(said, id_)


def condition(id_: str, code: str = "twitching", now: datetime = NOW, **elements: Any) -> Json:
    told = {
        "resourceType": "Condition",
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
        "verificationStatus": {"coding": [{"system": VERIFIED, "code": "unconfirmed"}]},
        "category": [{"coding": [{"code": "problem-list-item"}]}],
        "code": {"text": code},
        "subject": {"reference": "Patient/1"},
        "recordedDate": now.isoformat().replace("+00:00", ".000Z"),
        **elements,
    }
    return identified(told, id_)


def standing(*said: Json) -> tuple[Json, ...]:
    return record_changes(response(1), (), said, NOW)


def amended(before: tuple[Json, ...], *said: Json, status: str = "amended", **reasons: Any) -> tuple[Json, ...]:
    return record_changes(response(2, status), before, said, LATER, **reasons)


def why(changes: tuple[Json, ...]) -> dict[str, list[str]]:
    """The targets of each Provenance, by activity."""
    told = [one for one in changes if one["resourceType"] == "Provenance"]
    return {one["activity"]["coding"][0]["code"]: [target["reference"] for target in one["target"]] for one in told}


def test_at_first_all_is_created_at_version_1() -> None:
    first, second, made = standing(observation("o1", "calf"), condition("c1"))
    assert [one["meta"]["versionId"] for one in (first, second, made)] == ["1", "1", "1"]
    assert first["meta"]["lastUpdated"] == "2026-03-15T09:00:00.000Z"
    assert why((made,)) == {"CREATE": ["Observation/o1", "Condition/c1"]}


def test_what_did_not_change_is_left_as_it_is() -> None:
    before = standing(observation("o1", "calf"), condition("c1"))
    changes = amended(before, observation("o1", "calf", LATER), condition("c1", now=LATER))
    assert [one["resourceType"] for one in changes] == ["Provenance"]
    assert why(changes) == {"UPDATE": ["QuestionnaireResponse/r1"]}


def test_a_changed_observation_is_amended() -> None:
    [changed, _] = amended(standing(observation("o1", "calf")), observation("o1", "arm", LATER))
    assert (changed["status"], changed["valueString"], changed["meta"]["versionId"]) == ("amended", "arm", "2")
    assert changed["issued"] == "2026-03-15T10:00:00.000Z"
    assert changed["meta"]["lastUpdated"] == "2026-03-15T10:00:00.000Z"


def test_an_amended_observation_that_is_said_again_stays() -> None:
    before = standing(observation("o1", "calf"))
    once = amended(before, observation("o1", "arm", LATER))
    assert len(record_changes(response(3, "amended"), once, [observation("o1", "arm", LATER)], LATER)) == 1


def test_a_status_other_than_final_is_its_templates() -> None:
    before = standing(observation("o1", "calf", status="preliminary"))
    [changed, _] = amended(before, observation("o1", "arm", status="preliminary"))
    assert changed["status"] == "preliminary"


def test_a_changed_condition_was_recorded_when_it_first_was() -> None:
    [changed, _] = amended(standing(condition("c1")), condition("c1", "cramp", LATER))
    assert (changed["code"], changed["meta"]["versionId"]) == ({"text": "cramp"}, "2")
    assert changed["recordedDate"] == "2026-03-15T09:00:00.000Z"


def test_a_template_may_say_when_a_condition_was_recorded() -> None:
    [changed, _] = amended(standing(condition("c1")), condition("c1", recordedDate="2026-01-01"))
    assert changed["recordedDate"] == "2026-01-01"


def test_what_is_new_is_added_and_what_is_no_longer_said_entered_in_error() -> None:
    before = standing(observation("o1", "calf"), observation("o2", "arm"), condition("c1"))
    changes = amended(before, observation("o2", "hand"), observation("o3", "foot"))
    assert [(one["id"], one["meta"]["versionId"]) for one in changes[:4]] == [
        ("o2", "2"),
        ("o3", "1"),
        ("o1", "2"),
        ("c1", "2"),
    ]
    assert [is_entered_in_error(one) for one in changes[:4]] == [False, False, True, True]
    assert why(changes) == {
        "UPDATE": ["QuestionnaireResponse/r1", "Observation/o2"],
        "CREATE": ["Observation/o3"],
        "NULLIFY": ["Observation/o1", "Condition/c1"],
    }


def test_what_is_entered_in_error_is_so_once() -> None:
    once = amended(standing(observation("o1", "calf"), observation("o2", "arm")), observation("o2", "arm"))
    again = record_changes(response(3, "amended"), once, [observation("o2", "arm")], LATER)
    assert "NULLIFY" not in why(again)


def test_what_is_said_again_after_all_is_amended() -> None:
    gone = amended(standing(observation("o1", "calf"), condition("c1")))
    back = record_changes(response(3, "amended"), gone, [observation("o1", "calf"), condition("c1")], LATER)
    assert [(one["meta"]["versionId"], is_entered_in_error(one)) for one in back[:2]] == [("3", False), ("3", False)]
    assert (back[0]["status"], "clinicalStatus" in back[1]) == ("amended", True)


def test_a_retraction_takes_everything_back() -> None:
    before = standing(observation("o1", "calf"), condition("c1"))
    first, second, told = amended(before, status="entered-in-error")
    assert is_entered_in_error(first)
    assert is_entered_in_error(second)
    assert why((told,)) == {"NULLIFY": ["QuestionnaireResponse/r1", "Observation/o1", "Condition/c1"]}


def test_reasons_are_the_senders_where_they_are_told() -> None:
    before = standing(observation("o1", "calf"))
    own = amended(before, observation("o1", "arm"))[-1]
    assert own["reason"] == [{"text": "The answers to the questionnaire were changed."}]
    assert "The answers to the questionnaire were changed." in own["text"]["div"]
    reason = {"text": "The patient named the wrong muscle."}
    assert amended(before, observation("o1", "arm"), reasons=[reason])[-1]["reason"] == [reason]


@pytest.mark.parametrize(
    "resource",
    [
        observation("o1", "calf", text={"status": "generated", "div": "<div>calf</div>"}),
        condition("c1"),
        condition("c1", abatementDateTime="2026-03-01", _abatementDateTime={"id": "x"}),
        identified({"resourceType": "AllergyIntolerance", "patient": {"reference": "Patient/1"}}, "a1"),
        identified({"resourceType": "Procedure", "status": "completed", "subject": {"reference": "Patient/1"}}, "p1"),
    ],
    ids=["Observation", "Condition", "abated Condition", "AllergyIntolerance", "Procedure"],
)
def test_an_error_is_told_in_a_valid_resource_and_its_narrative(resource: Json) -> None:
    void = with_error_told(resource)
    assert is_entered_in_error(void)
    assert not model_issues(void)
    assert not list(invariant_issues(void))
    assert "Entered in error" in void["text"]["div"]
    assert void.get("code") == resource.get("code")


def test_what_has_no_status_stays_as_it_is() -> None:
    person = identified({"resourceType": "RelatedPerson", "patient": {"reference": "Patient/1"}}, "p1")
    changes = amended(standing(person))
    assert [one["resourceType"] for one in changes] == ["Provenance"]
