"""The shape of a QuestionnaireResponse, before anything is asked of its meaning."""

from __future__ import annotations

from service.errors import Detail, Issue, IssueType, error
from service.fhir.json import Json
from service.fhir.structure import structure_issues

_STATUSES = ("in-progress", "completed", "amended", "entered-in-error", "stopped")


def response_structure_issues(response: Json) -> list[Issue]:
    """The findings about the shape of `response`; without an error it can be paired with a Questionnaire."""
    kind = response.get("resourceType")
    if kind != "QuestionnaireResponse":
        text = f"This is a {kind}. Send a QuestionnaireResponse."
        return [error(IssueType.INVALID, text, "QuestionnaireResponse.resourceType", Detail.MALFORMED)]
    issues = structure_issues(response)
    status = response.get("status")
    if status not in _STATUSES:
        text = f"The status must be one of {', '.join(_STATUSES)}."
        code = IssueType.REQUIRED if status is None else IssueType.CODE_INVALID
        issues.append(error(code, text, "QuestionnaireResponse.status", Detail.INVALID_STATUS))
    if "modifierExtension" in response:
        text = "A modifier extension would change the meaning of the response, and none is understood here. Remove it."
        issues.append(
            error(IssueType.EXTENSION, text, "QuestionnaireResponse.modifierExtension", Detail.UNKNOWN_ELEMENT)
        )
    return issues
