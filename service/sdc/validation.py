"""Judges a QuestionnaireResponse against its Questionnaire: every fault an issue that points to its element.

FHIR R4 QuestionnaireResponse and Questionnaire (http://hl7.org/fhir/R4/questionnaireresponse.html) with SDC STU4. What
is missing matters only where the response says that it is complete; what is wrong always does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from service.errors import Issue, IssueType, Severity, error
from service.fhir.json import Json
from service.fhirpath import Environment, FhirPathError, Node
from service.sdc.answers import answer_issues
from service.sdc.context import ResponseContext, read_response
from service.sdc.items import Entry, Scope, missing_group
from service.sdc.questionnaire import Constraint, Item, ItemType, Questionnaire
from service.sdc.structure import response_structure_issues

COMPLETE_STATUSES = frozenset({"completed", "amended"})
"""The statuses of a response in which nothing required may be missing."""


def validate(questionnaire: Questionnaire, response: Json, now: datetime) -> list[Issue]:
    """All findings about `response` at the time `now` (aware), errors and warnings; empty when there is none."""
    issues = response_structure_issues(response)
    if any(issue.is_error for issue in issues):
        return issues
    try:
        context = read_response(questionnaire, response, now)
    except FhirPathError as fault:
        text = f"Whether a question is shown cannot be told: {fault}"
        return [*issues, error(IssueType.EXCEPTION, text, "QuestionnaireResponse", "expression-failed")]
    return [*issues, *context_issues(context)]


def context_issues(context: ResponseContext) -> list[Issue]:
    """The findings about a response whose shape is already checked."""
    questionnaire = context.questionnaire
    root = context.paired.root
    found = [*questionnaire.issues, *_status_issues(questionnaire), *context.paired.issues]
    for entry in context.paired.entries():
        found.extend(_entry_issues(context, entry))
    if context.response["status"] in COMPLETE_STATUSES:
        found.extend(_missing(context, root))
    focus = Node.of_resource(context.response)
    found.extend(_constraint_issues(questionnaire.constraints, focus, context.environment, root.path))
    return found


def _status_issues(questionnaire: Questionnaire) -> Iterator[Issue]:
    if questionnaire.status in ("draft", "retired"):
        text = f"The Questionnaire is {questionnaire.status}, not active."
        yield _warning(IssueType.BUSINESS_RULE, text, "QuestionnaireResponse.questionnaire", "not-active")


def _entry_issues(context: ResponseContext, entry: Entry) -> Iterator[Issue]:
    item, node, path = entry.item, entry.node, entry.path
    if item.text and node.get("text", item.text) != item.text:
        text = f"The text of '{item.link_id}' differs from the Questionnaire's."
        yield _warning(IssueType.BUSINESS_RULE, text, f"{path}.text", "text-differs")
    if not item.is_question:
        return
    if entry in context.disabled:
        if entry.answers:
            text = f"'{item.link_id}' is not asked after these answers, so it takes none. Remove the item."
            yield error(IssueType.BUSINESS_RULE, text, path, "answer-not-enabled")
        return
    if len(entry.answers) > 1 and not item.repeats:
        complete = context.response["status"] != "in-progress"
        text = f"'{item.link_id}' takes one answer, not {len(entry.answers)}."
        severity = Severity.ERROR if complete else Severity.WARNING
        yield Issue(severity, IssueType.STRUCTURE, text, f"{path}.answer", "too-many-answers")
    yield from answer_issues(item, entry.answers, path)
    if entry in context.exclusive_conflicts:
        text = f"An answer of '{item.link_id}' stands alone, but others stand beside it. Keep it, or the others."
        yield error(IssueType.BUSINESS_RULE, text, f"{path}.answer", "exclusive-option-combined")
    yield from _entry_constraint_issues(context, entry)


def _missing(context: ResponseContext, scope: Scope) -> Iterator[Issue]:
    """What a complete response must answer and does not, in and below `scope`."""
    for item in scope.definitions:
        if not context.enablement.is_enabled(item, scope):
            continue
        entries: Sequence[Entry] = scope.entries.get(item.link_id, ())
        if item.is_question:
            if item.required and not any(entry.answers for entry in entries):
                yield _required(item, entries[0].path if entries else scope.path)
        elif not entries and item.type is ItemType.GROUP:
            yield from _missing_below_absent_group(context, item, scope)
        for entry in entries:
            for below in entry.scopes:
                yield from _missing(context, below)


def _missing_below_absent_group(context: ResponseContext, group: Item, scope: Scope) -> Iterator[Issue]:
    # A group that repeats may stand there no time at all; any other is shown with its questions, sent or not.
    if group.repeats and not group.required:
        return
    found = list(_missing(context, missing_group(group, scope)))
    yield from found
    if group.required and not found:
        yield _required(group, scope.path)


def _required(item: Item, path: str) -> Issue:
    asked = f" ({item.text})" if item.text else ""
    text = f"'{item.link_id}'{asked} needs an answer before the response is complete."
    return error(IssueType.REQUIRED, text, path, "required-missing")


def _entry_constraint_issues(context: ResponseContext, entry: Entry) -> Iterator[Issue]:
    constraints = entry.item.constraints
    if constraints:
        focus = Node.of(entry.node, "QuestionnaireResponse.item")
        yield from _constraint_issues(constraints, focus, context.environment_of(entry), entry.path)


def _constraint_issues(
    constraints: Sequence[Constraint], focus: Node, environment: Environment, path: str
) -> Iterator[Issue]:
    for constraint in constraints:
        try:
            held = constraint.expression.test([focus], environment)
        except FhirPathError as fault:
            text = f"The constraint {constraint.key} cannot be evaluated: {fault}"
            yield Issue(constraint.severity, IssueType.EXCEPTION, text, path, "expression-failed")
            continue
        if held is False:
            yield Issue(constraint.severity, IssueType.INVARIANT, constraint.human, path, "constraint-violated")


def _warning(code: IssueType, text: str, path: str, detail: str) -> Issue:
    return Issue(Severity.WARNING, code, text, path, detail)
