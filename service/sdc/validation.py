"""Judges a QuestionnaireResponse against its Questionnaire: every fault an issue that points to its element.

FHIR R4 QuestionnaireResponse and Questionnaire (http://hl7.org/fhir/R4/questionnaireresponse.html) with SDC STU4. What
is missing matters only where the response says that it is complete; what is wrong always does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from service.errors import Detail, Issue, IssueType, Severity, error
from service.fhir.elements import canonical, split_canonical
from service.fhir.json import Json
from service.fhir.primitives import instant
from service.fhir.translation import translations
from service.fhirpath import Environment, FhirPathError, Node
from service.sdc import vocabulary as sdc
from service.sdc.answers import answer_issues, limit_issues
from service.sdc.calculation import calculated_issues
from service.sdc.comparison import ordered, value_node
from service.sdc.context import ResponseContext, read_response
from service.sdc.items import Entry, Scope, missing_group
from service.sdc.questionnaire import Constraint, Item, ItemType, Questionnaire
from service.sdc.references import reference_issues
from service.sdc.structure import response_structure_issues

COMPLETE_STATUSES = frozenset({"completed", "amended"})
"""The statuses of a response in which nothing required may be missing."""


def validate(questionnaire: Questionnaire, response: Json, now: datetime) -> list[Issue]:
    """All findings about `response` at the time `now` (aware), errors and warnings; empty when there is none."""
    return examine(questionnaire, response, now)[0]


def examine(questionnaire: Questionnaire, response: Json, now: datetime) -> tuple[list[Issue], ResponseContext | None]:
    """As `validate`, and the response as it was read to that end; None where it cannot be read."""
    issues = response_structure_issues(response)
    if any(issue.is_error for issue in issues):
        return issues, None
    try:
        context = read_response(questionnaire, response, now)
        return [*issues, *context_issues(context)], context
    except FhirPathError as fault:
        text = f"Whether a question is shown cannot be told: {fault}"
    except RecursionError:
        text = "Questions or variables of the Questionnaire depend on each other in too long a chain."
    return [*issues, error(IssueType.EXCEPTION, text, "QuestionnaireResponse", Detail.EXPRESSION_FAILED)], None


def context_issues(context: ResponseContext) -> list[Issue]:
    """The findings about a response whose shape is already checked."""
    questionnaire = context.questionnaire
    root = context.paired.root
    found = [*reference_issues(context.response, questionnaire.definition.get("subjectType", []))]
    found += [
        *_authored_issues(context),
        *questionnaire.issues,
        *_publication_issues(questionnaire, context.response),
        *context.paired.issues,
    ]
    for entry in context.paired.entries:
        found.extend(_entry_issues(context, entry))
    found.extend(_excess_groups(context, root))
    if _is_complete(context.response):
        found.extend(_missing(context, root))
    focus = Node.of_resource(context.response)
    found.extend(_constraint_issues(questionnaire.constraints, focus, context.environment, root.path))
    return found


def _is_complete(response: Json) -> bool:
    return response["status"] in COMPLETE_STATUSES


def _publication_issues(questionnaire: Questionnaire, response: Json) -> Iterator[Issue]:
    place = "QuestionnaireResponse.questionnaire"
    if questionnaire.status in ("draft", "retired"):
        text = f"The Questionnaire is {questionnaire.status}, not active."
        yield _warning(IssueType.BUSINESS_RULE, text, place, Detail.NOT_ACTIVE)
    named = response.get("questionnaire")
    if named is not None and not _is_named(questionnaire.definition, named):
        text = f"The response names '{named}', but is judged by '{canonical(questionnaire.definition)}'."
        yield _warning(IssueType.BUSINESS_RULE, text, place, Detail.OTHER_QUESTIONNAIRE)
    authored = response.get("authored")
    period = questionnaire.definition.get("effectivePeriod", {})
    if authored is None:
        return
    written = value_node("valueDateTime", authored)
    for name, sign, said in (("start", ">=", "not yet"), ("end", "<=", "no longer")):
        # What cannot be decided, as a year within which the period begins, is no finding.
        if name in period and ordered(written, sign, value_node("valueDateTime", period[name])) is False:
            text = f"The Questionnaire was {said} in effect when the response was authored."
            yield _warning(IssueType.BUSINESS_RULE, text, place, Detail.NOT_IN_EFFECT)


def _is_named(definition: Json, named: str) -> bool:
    """Whether the canonical `named` may mean the Questionnaire: what either leaves open contradicts nothing."""
    if "url" not in definition:
        return True
    url, version = split_canonical(named)
    return definition["url"] == url and version in (None, definition.get("version", version))


def _authored_issues(context: ResponseContext) -> Iterator[Issue]:
    authored = context.response.get("authored")
    tomorrow = context.now + timedelta(days=1)
    if authored is None:
        return
    if ordered(value_node("valueDateTime", authored), "<=", value_node("valueInstant", instant(tomorrow))) is False:
        text = "The response is authored in the future. Check the clock of the device it comes from."
        yield _warning(IssueType.VALUE, text, "QuestionnaireResponse.authored", Detail.AUTHORED_IN_FUTURE)


def _entry_issues(context: ResponseContext, entry: Entry) -> Iterator[Issue]:
    item, node, path = entry.item, entry.node, entry.path
    text = node.get("text", item.text)
    if item.text and text != item.text and text not in translations(item.definition, "text").values():
        text = f"The text of '{item.link_id}' differs from the Questionnaire's."
        yield _warning(IssueType.BUSINESS_RULE, text, f"{path}.text", Detail.TEXT_DIFFERS)
    if entry in context.disabled:
        if entry.answers and item.is_question:
            text = f"'{item.link_id}' is not asked after these answers, so it takes none. Remove the item."
            yield error(IssueType.BUSINESS_RULE, text, path, Detail.ANSWER_NOT_ENABLED)
        return
    if item.is_question:
        yield from answer_issues(item, entry.answers, path)
        yield from _excess_issues(context, item, len(entry.answers), f"{path}.answer")
    if entry in context.exclusive_conflicts:
        text = f"An answer of '{item.link_id}' stands alone, but others stand beside it. Keep it, or the others."
        yield error(IssueType.BUSINESS_RULE, text, f"{path}.answer", Detail.EXCLUSIVE_OPTION_COMBINED)
    if item.limits or item.constraints or item.calculated is not None:
        yield from _expression_issues(context, entry, context.environment_of(entry))


def _expression_issues(context: ResponseContext, entry: Entry, environment: Environment) -> Iterator[Issue]:
    item, node, path = entry.item, entry.node, entry.path
    yield from limit_issues(item, entry.answers, path, environment)
    if item.calculated is not None:
        yield from calculated_issues(
            item, item.calculated, node, path, environment, is_complete=_is_complete(context.response)
        )
    focus = Node.of(node, "QuestionnaireResponse.item")
    yield from _constraint_issues(item.constraints, focus, environment, path)


def _excess_issues(context: ResponseContext, item: Item, number: int, path: str) -> Iterator[Issue]:
    """Too many of an item: answers of a question, repetitions of a group. A draft may still be brought in order."""
    most = item.max_occurs if item.repeats else 1
    if most is not None and number > most:
        is_draft = context.response["status"] == sdc.DRAFT_STATUS
        severity = Severity.WARNING if is_draft else Severity.ERROR
        text = f"'{item.link_id}' takes at most {most}, but {number} are given."
        yield Issue(severity, IssueType.STRUCTURE, text, path, Detail.TOO_MANY_ANSWERS)


def _excess_groups(context: ResponseContext, scope: Scope) -> Iterator[Issue]:
    for item in scope.definitions:
        entries = scope.entries.get(item.link_id, ())
        if item.repeats and not item.is_question:
            yield from _excess_issues(context, item, len(entries), scope.path)
        for entry in entries:
            for below in entry.scopes:
                yield from _excess_groups(context, below)


def _missing(context: ResponseContext, scope: Scope) -> Iterator[Issue]:
    """What a complete response must answer and does not, in and below `scope`."""
    for item in scope.definitions:
        if not context.enablement.is_enabled(item, scope):
            continue
        entries: Sequence[Entry] = scope.entries.get(item.link_id, ())
        if item.is_question:
            yield from _missing_answers(context, item, entries, scope)
        elif item.type is ItemType.GROUP:
            yield from _missing_groups(context, item, entries, scope)
        for entry in entries:
            for below in entry.scopes:
                yield from _missing(context, below)


def _missing_answers(context: ResponseContext, item: Item, entries: Sequence[Entry], scope: Scope) -> Iterator[Issue]:
    number = sum(len(entry.answers) for entry in entries)
    place = entries[0].path if entries else scope.path
    if item.calculated is not None:
        if not entries:
            absent = Entry(item, {"linkId": item.link_id}, scope.path, scope)
            environment = context.environment_of(absent)
            yield from calculated_issues(item, item.calculated, absent.node, absent.path, environment, is_complete=True)
        return
    if number == 0 and item.required:
        yield _required(item, place)
    elif number < item.min_occurs and (number > 0 or item.required):
        yield _too_few(item, number, place)


def _missing_groups(context: ResponseContext, group: Item, entries: Sequence[Entry], scope: Scope) -> Iterator[Issue]:
    if entries:
        if group.required and not any(_has_answer(entry) for entry in entries):
            yield _required(group, entries[0].path)
        elif len(entries) < group.min_occurs:
            yield _too_few(group, len(entries), scope.path)
    # A group that repeats may stand there no time at all; any other is shown with its questions, sent or not.
    elif group.required or not group.repeats:
        found = list(_missing(context, missing_group(group, scope)))
        yield from found
        if group.required and not found:
            yield _required(group, scope.path)


def _has_answer(entry: Entry) -> bool:
    return bool(entry.answers) or any(_has_answer(below) for scope in entry.scopes for below in scope)


def _too_few(item: Item, number: int, path: str) -> Issue:
    text = f"'{item.link_id}' needs at least {item.min_occurs}, but {number} are given."
    return error(IssueType.REQUIRED, text, path, Detail.TOO_FEW_ANSWERS)


def _required(item: Item, path: str) -> Issue:
    asked = f" ({item.text})" if item.text else ""
    text = f"'{item.link_id}'{asked} needs an answer before the response is complete."
    return error(IssueType.REQUIRED, text, path, Detail.REQUIRED_MISSING)


def _constraint_issues(
    constraints: Sequence[Constraint], focus: Node, environment: Environment, path: str
) -> Iterator[Issue]:
    for constraint in constraints:
        try:
            held = constraint.expression.test([focus], environment)
        except FhirPathError as fault:
            text = f"The constraint {constraint.key} cannot be evaluated: {fault}"
            yield Issue(constraint.severity, IssueType.EXCEPTION, text, path, Detail.EXPRESSION_FAILED)
            continue
        if held is False:
            yield Issue(constraint.severity, IssueType.INVARIANT, constraint.human, path, Detail.CONSTRAINT_VIOLATED)


def _warning(code: IssueType, text: str, path: str, detail: Detail) -> Issue:
    return Issue(Severity.WARNING, code, text, path, detail)
