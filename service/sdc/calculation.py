"""Calculated answers: what a calculatedExpression gives, compared with what a response says.

SDC STU4, http://hl7.org/fhir/uv/sdc/behavior.html#calculations. A form filler may have left a calculated answer out, or
kept one that its inputs no longer give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from service.errors import Detail, Issue, IssueType, Severity, error
from service.fhir.elements import choice_key
from service.fhir.json import Json
from service.fhirpath import Environment, Expression, FhirPathError, Item, Node, json_value
from service.sdc.comparison import ordered, value_node
from service.sdc.questionnaire import Item as Question


def calculated_issues(
    question: Question, expression: Expression, node: Json, path: str, environment: Environment, *, is_complete: bool
) -> Iterator[Issue]:
    """The findings about the answers in `node`, the response item of a question that `expression` calculates."""
    try:
        expected = expression.evaluate([Node.of(node, "QuestionnaireResponse.item")], environment)
    except FhirPathError as fault:
        text = f"The calculated answer of '{question.link_id}' cannot be computed: {fault}"
        yield error(IssueType.EXCEPTION, text, path, Detail.EXPRESSION_FAILED)
        return
    answers: Sequence[Json] = node.get("answer", [])
    if not answers and expected:
        severity = Severity.ERROR if question.required and is_complete else Severity.WARNING
        text = f"'{question.link_id}' is calculated from other answers, but is missing. Send the calculated answer."
        yield Issue(severity, IssueType.REQUIRED, text, path, Detail.CALCULATED_MISSING)
    elif len(answers) != len(expected) or not all(map(_agrees, answers, expected)):
        text = f"'{question.link_id}' is calculated from other answers, which give another value. Calculate it anew."
        yield error(IssueType.INVARIANT, text, path, Detail.CALCULATED_DIFFERS)


def _agrees(answer: Json, expected: Item) -> bool:
    key = choice_key(answer)
    if key is None:
        return False
    value, wanted = answer[key], json_value(expected)
    if key == "valueCoding" and isinstance(wanted, dict):
        return bool(value.get("code") == wanted.get("code") and value.get("system") == wanted.get("system"))
    if key == "valueCoding":
        return bool(value.get("code") == wanted)
    if key == "valueQuantity" and not isinstance(wanted, dict):
        # A number calculated for a quantity takes the unit of its question.
        return bool(value.get("value") == wanted)
    return ordered(value_node(key, value), "=", expected) is True
