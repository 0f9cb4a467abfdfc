"""Issues as the FHIR resource OperationOutcome, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from service.errors import Issue, IssueType, Severity
from service.fhir.elements import objects_in
from service.fhir.json import Json, parse_object

ISSUE_SYSTEM = "https://symptom-intake.example/fhir/CodeSystem/issue"


def issue_code_system() -> Json:
    """The CodeSystem of the issues' details (`service.errors.Detail`), as this service publishes it."""
    return parse_object(files(__package__).joinpath("issue-code-system.json").read_bytes())


def operation_outcome(issues: Iterable[Issue]) -> Json:
    """An OperationOutcome of `issues`; where there is none, one informational issue says that all is well."""
    entries = [_entry(issue) for issue in issues]
    if not entries:
        entries = [_entry(Issue(Severity.INFORMATION, IssueType.INFORMATIONAL, "No issue was found."))]
    return {"resourceType": "OperationOutcome", "issue": entries}


def outcome_texts(outcome: Mapping[str, Any]) -> list[str]:
    """What another server's OperationOutcome says: one line an issue, its severity, text and place.

    It may be no FHIR at all: what cannot be read is passed over.
    """
    lines = []
    for issue in objects_in(outcome.get("issue")):
        details = issue.get("details")
        told = details.get("text") if isinstance(details, dict) else None
        text = issue.get("diagnostics") or told or issue.get("code", "no text")
        places = issue.get("expression") or issue.get("location")
        where = f" ({', '.join(map(str, places))})" if isinstance(places, list) and places else ""
        lines.append(f"{issue.get('severity', 'error')}: {text}{where}")
    return lines


def _entry(issue: Issue) -> Json:
    details: Json = {"text": issue.text}
    if issue.detail is not None:
        details = {"coding": [{"system": ISSUE_SYSTEM, "code": issue.detail}], **details}
    entry: Json = {"severity": issue.severity.value, "code": issue.code.value, "details": details}
    # Many clients show only `diagnostics`; the text is repeated there on purpose.
    entry["diagnostics"] = issue.text
    if issue.expression is not None:
        entry["expression"] = [issue.expression]
    return entry
