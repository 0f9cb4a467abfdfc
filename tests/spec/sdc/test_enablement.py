"""When a question is shown: every operator of R4, unanswered too, nested, in groups that repeat, by expression."""

from __future__ import annotations

from typing import Any

import pytest

from service.sdc.context import read_response
from service.sdc.questionnaire import Questionnaire
from tests.spec.sdc.questionnaires import (
    NOW,
    SDC,
    answered,
    choice,
    coding,
    expression,
    findings,
    group,
    question,
    questionnaire,
    response,
    when,
)


def hidden(asked: Questionnaire, *items: dict[str, Any]) -> list[Any]:
    return list(read_response(asked, response(*items), NOW).environment.variables["hidden"])


OPERATORS: list[tuple[str, str, dict[str, Any], dict[str, Any] | None, bool]] = [
    ("choice", "exists", {"answerBoolean": True}, {"valueCoding": coding("a")}, True),
    ("choice", "exists", {"answerBoolean": True}, None, False),
    ("choice", "exists", {"answerBoolean": False}, None, True),
    ("choice", "exists", {"answerBoolean": False}, {"valueCoding": coding("a")}, False),
    ("choice", "=", {"answerCoding": coding("a")}, {"valueCoding": {**coding("a"), "display": "Other"}}, True),
    ("choice", "=", {"answerCoding": coding("a")}, {"valueCoding": coding("b")}, False),
    ("choice", "=", {"answerCoding": coding("a")}, None, False),
    ("choice", "!=", {"answerCoding": coding("a")}, {"valueCoding": coding("b")}, True),
    ("choice", "!=", {"answerCoding": coding("a")}, {"valueCoding": coding("a")}, False),
    ("choice", "!=", {"answerCoding": coding("a")}, None, True),
    ("boolean", "=", {"answerBoolean": False}, {"valueBoolean": False}, True),
    ("boolean", "=", {"answerBoolean": False}, None, False),
    ("integer", ">", {"answerInteger": 3}, {"valueInteger": 4}, True),
    ("integer", ">", {"answerInteger": 3}, {"valueInteger": 3}, False),
    ("integer", ">=", {"answerInteger": 3}, {"valueInteger": 3}, True),
    ("integer", "<", {"answerInteger": 3}, None, False),
    ("decimal", "<=", {"answerDecimal": 3}, {"valueDecimal": 3}, True),
    ("date", "<", {"answerDate": "2026-03-02"}, {"valueDate": "2026-03-01"}, True),
    ("date", "<", {"answerDate": "2026-03-02"}, {"valueDate": "2026-03"}, False),
    ("date", "<", {"answerDate": "2026-03-02"}, {"valueDate": "2026-02"}, True),
    ("string", "=", {"answerString": "x"}, {"valueString": "x"}, True),
    (
        "quantity",
        ">",
        {"answerQuantity": {"value": 1, "code": "kg", "system": "http://unitsofmeasure.org"}},
        {"valueQuantity": {"value": 1500, "code": "g", "system": "http://unitsofmeasure.org"}},
        True,
    ),
]


@pytest.mark.parametrize(("kind", "operator", "wanted", "answer", "shown"), OPERATORS)
def test_an_operator(
    kind: str, operator: str, wanted: dict[str, Any], answer: dict[str, Any] | None, shown: bool
) -> None:
    asked = questionnaire(question("q", kind), choice("r", "a", enableWhen=[when("q", operator, **wanted)]))
    items = [] if answer is None else [answered("q", answer)]
    assert (hidden(asked, *items) == []) is shown


@pytest.mark.parametrize(("behavior", "shown"), [("all", False), ("any", True)])
def test_several_conditions_hold_together_or_one_of_them(behavior: str, shown: bool) -> None:
    conditions = [when("q", "=", answerCoding=coding("a")), when("s", "=", answerCoding=coding("a"))]
    asked = questionnaire(
        choice("q", "a"), choice("s", "a", "b"), choice("r", "a", enableWhen=conditions, enableBehavior=behavior)
    )
    assert (hidden(asked, answered("q", "a"), answered("s", "b")) == []) is shown


def test_one_of_several_answers_is_enough() -> None:
    asked = questionnaire(
        choice("q", "a", "b", repeats=True), choice("r", "a", enableWhen=[when("q", "=", answerCoding=coding("b"))])
    )
    assert hidden(asked, answered("q", "a", "b")) == []


def test_an_answer_below_a_hidden_question_does_not_count() -> None:
    asked = questionnaire(
        choice("q", "a", "b"),
        choice("r", "a", enableWhen=[when("q", "=", answerCoding=coding("a"))]),
        choice("s", "a", enableWhen=[when("r", "=", answerCoding=coding("a"))]),
    )
    assert hidden(asked, answered("q", "b"), answered("r", "a"), answered("s", "a")) == ["r", "s"]
    assert findings(asked, answered("q", "b"), answered("r", "a"), answered("s", "a")) == [
        ("answer-not-enabled", "item[1]"),
        ("answer-not-enabled", "item[2]"),
    ]


def test_a_hidden_group_hides_what_stands_in_it() -> None:
    asked = questionnaire(
        choice("q", "a", "b"),
        question("g", "group", enableWhen=[when("q", "=", answerCoding=coding("a"))], item=[choice("r", "a")]),
    )
    assert hidden(asked, answered("q", "b")) == ["r"]
    assert hidden(asked, answered("q", "a")) == []


def test_in_a_group_that_repeats_the_answer_of_the_same_repetition_decides() -> None:
    inner = [choice("q", "a", "b"), choice("r", "x", enableWhen=[when("q", "=", answerCoding=coding("a"))])]
    asked = questionnaire(question("g", "group", repeats=True, item=inner))
    first, second = group("g", answered("q", "a")), group("g", answered("q", "b"), answered("r", "x"))
    assert findings(asked, first, second) == [("answer-not-enabled", "item[1].item[1]")]
    assert findings(asked, group("g", answered("q", "a"), answered("r", "x")), group("g", answered("q", "b"))) == []


def test_a_question_elsewhere_is_found_from_within_a_group() -> None:
    asked = questionnaire(
        question("g", "group", item=[choice("q", "a", "b")]),
        question("h", "group", item=[choice("r", "a", enableWhen=[when("q", "=", answerCoding=coding("a"))])]),
    )
    assert hidden(asked, group("g", answered("q", "a"))) == []
    assert hidden(asked, group("g", answered("q", "b"))) == ["r"]


def test_conditions_that_lead_in_a_circle_hide_instead_of_never_ending() -> None:
    asked = questionnaire(
        choice("q", "a", enableWhen=[when("r", "exists", answerBoolean=True)]),
        choice("r", "a", enableWhen=[when("q", "exists", answerBoolean=True)]),
    )
    assert hidden(asked, answered("q", "a"), answered("r", "a")) == ["q", "r"]


def test_an_expression_decides_and_empty_is_not_true() -> None:
    text = "%resource.item.where(linkId = 'q').answer.value.code = 'a'"
    asked = questionnaire(
        choice("q", "a", "b"), choice("r", "a", extension=[expression(SDC + "enableWhenExpression", text)])
    )
    assert hidden(asked, answered("q", "a")) == []
    assert hidden(asked, answered("q", "b")) == ["r"]
    assert hidden(asked) == ["r"]


def test_an_expression_does_not_see_answers_below_hidden_questions() -> None:
    text = "%resource.item.where(linkId = 'r').answer.exists()"
    asked = questionnaire(
        choice("q", "a", "b"),
        choice("r", "a", enableWhen=[when("q", "=", answerCoding=coding("a"))]),
        choice("s", "a", extension=[expression(SDC + "enableWhenExpression", text)]),
    )
    assert hidden(asked, answered("q", "a"), answered("r", "a")) == []
    assert hidden(asked, answered("q", "b"), answered("r", "a"), answered("s", "a")) == ["r", "s"]


def test_what_counts_is_without_hidden_answers_and_without_an_exclusive_option_beside_another() -> None:
    none = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/questionnaire-optionExclusive"}]}
    none["extension"][0]["valueBoolean"] = True  # type: ignore[assignment]
    options = [{"valueCoding": coding("a")}, {**none, "valueCoding": coding("none")}]
    asked = questionnaire(
        question("q", "choice", repeats=True, answerOption=options),
        choice("r", "a", enableWhen=[when("q", "=", answerCoding=coding("x"))]),
    )
    sent = response(answered("q", "a", "none"), answered("r", "a"))
    context = read_response(asked, sent, NOW)
    assert context.counted["item"] == [answered("q", "a")]
    assert list(context.environment.variables["exclusiveConflicts"]) == ["q"]
    assert sent == response(answered("q", "a", "none"), answered("r", "a"))
