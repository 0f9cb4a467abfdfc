"""OperationOutcomes, and the published codes of their details."""

from __future__ import annotations

from service.errors import Detail, Issue, IssueType, Severity
from service.fhir.models import model_issues
from service.fhir.outcome import ISSUE_SYSTEM, issue_code_system, operation_outcome, outcome_texts

ISSUE = Issue(Severity.ERROR, IssueType.REQUIRED, "Say it.", "QuestionnaireResponse.item[0]", Detail.REQUIRED_MISSING)


def test_an_issue_tells_its_place_its_text_and_its_code() -> None:
    outcome = operation_outcome([ISSUE])
    assert model_issues(outcome) == []
    assert outcome["issue"] == [
        {
            "severity": "error",
            "code": "required",
            "details": {"coding": [{"system": ISSUE_SYSTEM, "code": "required-missing"}], "text": "Say it."},
            "diagnostics": "Say it.",
            "expression": ["QuestionnaireResponse.item[0]"],
        }
    ]
    assert outcome_texts(outcome) == ["error: Say it. (QuestionnaireResponse.item[0])"]


def test_without_an_issue_the_outcome_says_that_all_is_well() -> None:
    assert [issue["severity"] for issue in operation_outcome([])["issue"]] == ["information"]


def test_the_published_code_system_has_exactly_the_codes_in_use() -> None:
    published = issue_code_system()
    assert published["url"] == ISSUE_SYSTEM
    assert model_issues(published) == []
    assert [concept["code"] for concept in published["concept"]] == [detail.value for detail in Detail]
