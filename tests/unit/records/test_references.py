"""Of which server a reference speaks, and whose record a response belongs to."""

from typing import Any

import pytest

from service.records.references import localised, references_in, subject_issues

BASE = "https://ehr.example/fhir"


def test_references_below_the_target_become_relative_everywhere() -> None:
    resource = {
        "subject": {"reference": f"{BASE}/Patient/1"},
        "basedOn": [{"reference": f"{BASE}/ServiceRequest/2"}, {"reference": "https://other.example/fhir/Task/3"}],
        "note": {"text": f"{BASE}/Patient/1"},
    }
    assert localised(resource, BASE + "/") == {
        "subject": {"reference": "Patient/1"},
        "basedOn": [{"reference": "ServiceRequest/2"}, {"reference": "https://other.example/fhir/Task/3"}],
        "note": {"text": f"{BASE}/Patient/1"},
    }


def test_a_longer_name_is_another_server() -> None:
    resource = {"subject": {"reference": f"{BASE}2/Patient/1"}}
    assert localised(resource, BASE) == resource


def test_without_a_target_all_stays() -> None:
    resource = {"subject": {"reference": f"{BASE}/Patient/1"}}
    assert localised(resource, None) == resource


def test_every_reference_is_found() -> None:
    resource = {"a": [{"reference": "A/1"}], "b": {"c": {"reference": "B/2"}}, "reference": {"reference": "C/3"}}
    assert list(references_in(resource)) == ["A/1", "B/2", "C/3"]


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Patient/a-1.b"},
        {"reference": "https://other.example/fhir/r4/Patient/1"},
        {"identifier": {"system": "urn:mrn", "value": "1"}},
        {"identifier": {"system": "urn:mrn", "value": "1"}, "type": "Patient"},
    ],
)
def test_subjects_that_name_a_patient(subject: dict[str, Any]) -> None:
    assert subject_issues({"subject": subject}) == []


@pytest.mark.parametrize(
    ("response", "detail"),
    [
        ({}, "required-missing"),
        ({"subject": "Patient/1"}, "malformed"),
        ({"subject": {}}, "invalid-value"),
        ({"subject": {"reference": "Group/1"}}, "invalid-value"),
        ({"subject": {"reference": "#patient"}}, "invalid-value"),
        ({"subject": {"reference": "Patient/1/_history/2"}}, "invalid-value"),
        ({"subject": {"reference": "ftp://other.example/Patient/1"}}, "invalid-value"),
        ({"subject": {"reference": "Patient?identifier=a|b"}}, "invalid-value"),
        ({"subject": {"identifier": {"value": "1"}}}, "invalid-value"),
        ({"subject": {"identifier": {"system": "s", "value": "1"}, "type": "Group"}}, "invalid-value"),
        ({"subject": {"reference": 1}}, "invalid-value"),
    ],
)
def test_subjects_that_do_not(response: dict[str, Any], detail: str) -> None:
    [issue] = subject_issues(response)
    assert (issue.expression, issue.detail, issue.is_error) == ("QuestionnaireResponse.subject", detail, True)
