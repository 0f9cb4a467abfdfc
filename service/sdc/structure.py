"""The shape of a QuestionnaireResponse, before anything is asked of its meaning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
    for place in _modified({name: child for name, child in response.items() if name != "contained"}):
        text = "A modifier extension would change the meaning of what it stands on, and none is understood. Remove it."
        issues.append(error(IssueType.EXTENSION, text, f"QuestionnaireResponse{place}", Detail.UNKNOWN_ELEMENT))
    return issues


def _modified(node: Any) -> Iterator[str]:
    """Where modifier extensions stand in and below `node`, as paths from there."""
    if isinstance(node, dict):
        for name, child in node.items():
            if name == "modifierExtension":
                yield f".{name}"
            elif isinstance(child, dict | list):
                yield from (f".{name}{rest}" for rest in _modified(child))
    else:
        for index, child in enumerate(node):
            if isinstance(child, dict | list):
                yield from (f"[{index}]{rest}" for rest in _modified(child))
