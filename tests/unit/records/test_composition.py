"""What is added to extracted resources before they stand in the record."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from service.fhir.models import model_issues
from service.records.composition import Activity, compose, provenance
from service.records.identity import IDENTITY_SYSTEM, identified, identity_query, resource_id
from service.records.narrative import with_narrative
from service.sdc.extraction import Extracted

NOW = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)
RESPONSE = {
    "resourceType": "QuestionnaireResponse",
    "id": "7f1d2c7e-0a58-4c80-9b43-6f3f25d7a001",
    "meta": {"versionId": "1"},
    "questionnaire": "https://pages.example/q|1.0",
    "status": "completed",
    "subject": {"reference": "Patient/1"},
    "author": {"reference": "Practitioner/9"},
    "authored": "2026-03-15T10:00:00+01:00",
}
TRIAGE = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "urn:page", "code": "triage"}]},
    "subject": {"reference": "Patient/1"},
    "valueCodeableConcept": {"text": "routine"},
    "derivedFrom": [{"reference": f"QuestionnaireResponse/{RESPONSE['id']}"}],
}


def observation(**elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Which muscles twitch?"},
        "subject": {"reference": "Patient/1"},
        **elements,
    }


def condition(**elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {"text": "Muscle fasciculation"},
        "subject": {"reference": "Patient/1"},
        **elements,
    }


def extracted(resource: dict[str, Any], answer_key: str | None = None, full_url: str = "urn:uuid:a") -> Extracted:
    return Extracted(resource, "template", "muscles", answer_key, full_url, {"method": "POST"})


def composed(*found: Extracted) -> tuple[dict[str, Any], ...]:
    return compose(RESPONSE, found, TRIAGE, NOW)


def test_the_same_response_gives_the_same_record_whatever_urls_the_extraction_allocated() -> None:
    def record(first: str, second: str) -> tuple[dict[str, Any], ...]:
        linked = observation(hasMember=[{"reference": first}])
        return composed(extracted(observation(), "calf", first), extracted(linked, "arm", second))

    assert record("urn:uuid:1", "urn:uuid:2") == record("urn:uuid:3", "urn:uuid:4")


def test_identity_is_by_answer_and_not_by_place_in_the_list() -> None:
    calf, arm = extracted(observation(), "calf", "urn:uuid:1"), extracted(observation(), "arm", "urn:uuid:2")
    ids = [one["id"] for one in composed(calf, arm)]
    assert [one["id"] for one in composed(arm, calf)] == [ids[1], ids[0], *ids[2:]]
    assert len(set(ids)) == 3


def test_answers_alike_in_everything_are_still_two() -> None:
    twice = composed(extracted(observation(), "calf", "urn:uuid:1"), extracted(observation(), "calf", "urn:uuid:2"))
    assert len({one["id"] for one in twice}) == 3


def test_another_response_is_another_record() -> None:
    other = {**RESPONSE, "id": "7f1d2c7e-0a58-4c80-9b43-6f3f25d7a002"}
    here = {one["id"] for one in composed(extracted(observation()))}
    there = {one["id"] for one in compose(other, [extracted(observation())], TRIAGE, NOW)}
    assert not here & there


def test_order_and_references() -> None:
    diagnosis = extracted(condition(evidence=[{"code": [{"text": "told"}]}]), None, "urn:uuid:c")
    finding = extracted(observation(focus=[{"reference": "urn:uuid:c"}]), "calf", "urn:uuid:o")
    first, triage, second = composed(diagnosis, finding)
    assert [one["resourceType"] for one in (first, triage, second)] == ["Observation", "Observation", "Condition"]
    assert first["focus"] == [{"reference": f"Condition/{second['id']}"}]
    assert second["evidence"] == [
        {"code": [{"text": "told"}]},
        {"detail": [{"reference": f"Observation/{first['id']}"}]},
    ]


def test_what_is_added_to_an_observation() -> None:
    [first, triage] = composed(extracted(observation(derivedFrom=[{"reference": "DocumentReference/1"}])))
    source = {"reference": f"QuestionnaireResponse/{RESPONSE['id']}"}
    assert first["identifier"] == [{"system": IDENTITY_SYSTEM, "value": first["id"]}]
    assert first["issued"] == "2026-03-15T09:00:00.000Z"
    assert first["derivedFrom"] == [{"reference": "DocumentReference/1"}, source]
    assert first["text"]["status"] == "generated"
    assert triage["derivedFrom"] == [source]
    assert triage["id"] == resource_id(str(RESPONSE["id"]), "triage")


def test_what_is_added_to_a_condition() -> None:
    [_, first] = composed(extracted(condition()))
    assert first["recordedDate"] == "2026-03-15T09:00:00.000Z"
    assert "evidence" not in first
    [_, second] = composed(extracted(condition(recordedDate="2026-01-01")))
    assert second["recordedDate"] == "2026-01-01"


def test_the_provenance_tells_who_and_whence() -> None:
    targets = composed(extracted(observation()))
    made = provenance(RESPONSE, targets, Activity.CREATE, NOW)
    assert [one["reference"] for one in made["target"]] == [f"Observation/{one['id']}" for one in targets]
    assert "reason" not in made
    assert made["meta"]["tag"] == [{"system": IDENTITY_SYSTEM, "code": made["id"]}]
    assert made["recorded"] == "2026-03-15T09:00:00.000Z"
    assert made["activity"]["coding"][0]["code"] == "CREATE"
    assert made["entity"] == [{"role": "source", "what": {"reference": f"QuestionnaireResponse/{RESPONSE['id']}"}}]
    assert [(one["type"]["coding"][0]["code"], one["who"]) for one in made["agent"]] == [
        ("informant", {"reference": "Practitioner/9"}),
        ("assembler", {"display": "Symptom Intake"}),
    ]


def test_each_version_and_activity_has_a_provenance_of_its_own() -> None:
    later = {**RESPONSE, "meta": {"versionId": "2"}}
    made = [provenance(one, [RESPONSE], kind, NOW) for one in (RESPONSE, later) for kind in Activity]
    assert len({one["id"] for one in made}) == 6


def test_every_resource_is_valid_and_the_input_is_left_alone() -> None:
    found = [extracted(observation(), "calf", "urn:uuid:1"), extracted(condition(), None, "urn:uuid:2")]
    before = deepcopy(found)
    assert [issue for one in composed(*found) for issue in model_issues(one)] == []
    assert found == before


def test_an_identity_is_a_version_5_uuid_of_the_whole_key() -> None:
    assert UUID(resource_id("r", "a", "b")).version == 5
    assert resource_id("r", "a", "b") == resource_id("r", "a", "b")
    assert len({resource_id("r", *key) for key in [("ab",), ("a", "b"), ("a", None), ("a", "None"), ("a", 1)]}) == 5


@pytest.mark.parametrize(
    ("kind", "query"),
    [
        ("Observation", "identifier=https%3A%2F%2Fsymptom-intake.example%2Ffhir%2Fidentity%7Cu"),
        ("Condition", "identifier=https%3A%2F%2Fsymptom-intake.example%2Ffhir%2Fidentity%7Cu"),
        ("Provenance", "_tag=https%3A%2F%2Fsymptom-intake.example%2Ffhir%2Fidentity%7Cu"),
        ("QuestionnaireResponse", "_tag=https%3A%2F%2Fsymptom-intake.example%2Ffhir%2Fidentity%7Cu"),
    ],
)
def test_the_search_that_finds_an_identity(kind: str, query: str) -> None:
    assert identity_query(kind, "u") == query


def test_identity_is_added_to_what_is_there() -> None:
    tag = {"system": "urn:t", "code": "keep"}
    tagged = identified({"resourceType": "Provenance", "meta": {"tag": [tag], "profile": ["p"]}}, "u")
    assert tagged["meta"] == {"tag": [tag, {"system": IDENTITY_SYSTEM, "code": "u"}], "profile": ["p"]}
    named = identified({"resourceType": "Condition", "identifier": [{"value": "keep"}]}, "u")
    assert [one["value"] for one in named["identifier"]] == ["keep", "u"]


CODED = {"coding": [{"code": "a"}, {"display": "later"}]}


@pytest.mark.parametrize(
    ("resource", "sentence"),
    [
        (observation(valueString="<b> & more"), "Which muscles twitch? &lt;b&gt; &amp; more"),
        (observation(valueBoolean=False), "Which muscles twitch? no"),
        (
            observation(valueCodeableConcept=CODED, bodySite={"text": "left calf"}),
            "Which muscles twitch? a (left calf)",
        ),
        (observation(valueQuantity={"comparator": "<", "value": 3, "unit": "d"}), "Which muscles twitch? &lt; 3 d"),
        (observation(dataAbsentReason={"text": "asked"}), "Which muscles twitch? no value (asked)"),
        (observation(code={"text": "Triage"}, valueInteger=3), "Triage: 3"),
        (observation(component=[]), "Which muscles twitch? see the coded content"),
        (
            condition(verificationStatus={"coding": [{"code": "unconfirmed"}]}, onsetDateTime="2026-03"),
            "Muscle fasciculation, unconfirmed, since 2026-03",
        ),
        (RESPONSE, "Answers to https://pages.example/q|1.0, completed, authored 2026-03-15T10:00:00+01:00."),
        ({"resourceType": "Provenance", "recorded": "2026"}, "Recorded 2026 from answers to a questionnaire."),
        ({"resourceType": "Goal"}, "Goal made from answers to a questionnaire."),
    ],
)
def test_narratives(resource: dict[str, Any], sentence: str) -> None:
    assert with_narrative(resource)["text"] == {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{sentence}</p></div>',
    }


def test_a_narrative_of_the_sender_stays() -> None:
    resource = {"resourceType": "Goal", "text": {"status": "additional", "div": "<div/>"}}
    assert with_narrative(resource) is resource


def test_what_the_response_contains_stands_in_each_resource_that_refers_to_it() -> None:
    mother = {"resourceType": "RelatedPerson", "id": "mother", "patient": {"reference": "Patient/1"}}
    office = {"resourceType": "Organization", "id": "office"}
    role = {"resourceType": "PractitionerRole", "id": "role", "organization": {"reference": "#office"}}
    response = {**RESPONSE, "source": {"reference": "#mother"}, "contained": [mother, office, role]}
    told_by_mother = observation(performer=[{"reference": "#mother"}])
    told_by_office = observation(performer=[{"reference": "#role"}])

    first, second, triage = compose(
        response,
        [extracted(told_by_mother, "a"), extracted(told_by_office, "b", "urn:uuid:b")],
        deepcopy(TRIAGE),
        NOW,
    )

    assert first["contained"] == [mother]
    assert second["contained"] == [role, office]
    assert "contained" not in triage
    assert provenance(response, [first], Activity.CREATE, NOW)["contained"] == [mother]


def test_an_identity_of_ours_that_came_with_a_resource_gives_way() -> None:
    other = {"system": "urn:other", "code": "kept"}
    sent = {"resourceType": "QuestionnaireResponse", "meta": {"tag": [other, {"system": IDENTITY_SYSTEM, "code": "a"}]}}

    assert identified(sent, "b")["meta"]["tag"] == [other, {"system": IDENTITY_SYSTEM, "code": "b"}]
    once = identified(observation(), "b")
    assert identified(once, "b") == once
