"""The shape of FHIR R4 resources: each fault names its element."""

from __future__ import annotations

from typing import Any

import pytest

from service.fhir.structure import structure_issues

RESPONSE: dict[str, Any] = {
    "resourceType": "QuestionnaireResponse",
    "id": "a-1",
    "meta": {"tag": [{"system": "urn:x", "code": "t"}]},
    "status": "completed",
    "subject": {"reference": "Patient/1"},
    "authored": "2026-03-15T10:00:00+01:00",
    "item": [{"linkId": "a", "answer": [{"valueCoding": {"system": "urn:x", "code": "c"}}]}],
}


def test_a_right_resource_has_no_fault() -> None:
    assert structure_issues(RESPONSE) == []


@pytest.mark.parametrize(
    ("change", "place", "detail"),
    [
        ({"colour": "red"}, "QuestionnaireResponse.colour", "unknown-element"),
        ({"status": 1}, "QuestionnaireResponse.status", "invalid-value"),
        ({"status": " completed"}, "QuestionnaireResponse.status", "invalid-value"),
        ({"subject": "Patient/1"}, "QuestionnaireResponse.subject", "wrong-type"),
        ({"subject": [{"reference": "Patient/1"}]}, "QuestionnaireResponse.subject", "wrong-type"),
        ({"subject": {}}, "QuestionnaireResponse.subject", "empty-element"),
        ({"subject": None}, "QuestionnaireResponse.subject", "empty-element"),
        ({"item": []}, "QuestionnaireResponse.item", "empty-element"),
        ({"item": {"linkId": "a"}}, "QuestionnaireResponse.item", "wrong-type"),
        ({"item": ["a"]}, "QuestionnaireResponse.item[0]", "wrong-type"),
        ({"item": [{"linkId": 1}]}, "QuestionnaireResponse.item[0].linkId", "invalid-value"),
        ({"item": [{"linkId": "a", "answer": [None]}]}, "QuestionnaireResponse.item[0].answer", "empty-element"),
        (
            {"item": [{"linkId": "a", "answer": [{"valueString": "x"}, None]}]},
            "QuestionnaireResponse.item[0].answer[1]",
            "wrong-type",
        ),
        ({"authored": "2026-02-30"}, "QuestionnaireResponse.authored", "invalid-value"),
        ({"authored": "2026-03-15T10:00:00"}, "QuestionnaireResponse.authored", "invalid-value"),
        ({"authored": "2026-03T10:00:00Z"}, "QuestionnaireResponse.authored", "invalid-value"),
        ({"id": "a_1"}, "QuestionnaireResponse.id", "invalid-value"),
        ({"contained": [{"id": "x"}]}, "QuestionnaireResponse.contained[0].resourceType", "unknown-element"),
        ({"_subject": {"id": "x"}}, "QuestionnaireResponse._subject", "unknown-element"),
        (
            {"item": [{"linkId": "a", "answer": [{"valueString": "x", "valueInteger": 1}]}]},
            "QuestionnaireResponse.item[0].answer[0].valueInteger",
            "wrong-type",
        ),
        (
            {"item": [{"linkId": "a", "answer": [{"valueDate": "04/03/2026"}]}]},
            "QuestionnaireResponse.item[0].answer[0].valueDate",
            "invalid-value",
        ),
        (
            {"item": [{"linkId": "a", "answer": [{"valueAddress": {"city": "X"}}]}]},
            "QuestionnaireResponse.item[0].answer[0].valueAddress",
            "unknown-element",
        ),
    ],
)
def test_a_fault_names_its_element(change: dict[str, Any], place: str, detail: str) -> None:
    issues = structure_issues(RESPONSE | change)
    assert [(issue.expression, issue.detail) for issue in issues] == [(place, detail)]


def test_a_primitive_may_have_extensions_beside_or_instead_of_its_value() -> None:
    extension = {"extension": [{"url": "urn:x", "valueString": "y"}]}
    assert structure_issues(RESPONSE | {"_authored": extension}) == []
    without = {key: value for key, value in RESPONSE.items() if key != "authored"}
    assert structure_issues(without | {"_authored": extension}) == []


@pytest.mark.parametrize("resource", ["text", [], {}, {"resourceType": 1}, {"resourceType": "Coding", "code": "a"}])
def test_what_is_no_resource_is_said(resource: Any) -> None:
    assert structure_issues(resource)[0].is_error
