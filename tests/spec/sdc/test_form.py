"""How a Questionnaire becomes pages: steps, controls, choices, and what is refused before any patient sees it."""

from __future__ import annotations

from typing import Any

import pytest

from service.sdc.form import Control, choices, control, form_issues, form_steps, is_answerable, takes_own_words
from tests.spec.sdc.questionnaires import CORE, SDC, choice, coding, expression, option, question, questionnaire

HIDDEN = {"url": CORE + "questionnaire-hidden", "valueBoolean": True}
DROP_DOWN = {
    "url": CORE + "questionnaire-itemControl",
    "valueCodeableConcept": {"coding": [{"code": "drop-down"}]},
}


@pytest.mark.parametrize(
    ("items", "steps"),
    [
        ([question("a", "group", text="A"), question("b", "group", text="B")], [("A", ["a"]), ("B", ["b"])]),
        ([question("a", "string"), question("b", "string")], [("Title", ["a", "b"])]),
        (
            [question("a", "string"), question("b", "group", text="B"), question("c", "string")],
            [("Title", ["a"]), ("B", ["b"]), ("Title", ["c"])],
        ),
        ([question("a", "group", text="A", extension=[HIDDEN]), question("b", "group", text="B")], [("B", ["b"])]),
        ([question("a", "group")], [("Title", ["a"])]),
    ],
)
def test_steps(items: list[dict[str, Any]], steps: list[tuple[str, list[str]]]) -> None:
    found = form_steps(questionnaire(*items, title="Title"))
    assert [(step.title, [item.link_id for item in step.items]) for step in found] == steps
    assert [step.number for step in found] == list(range(1, len(steps) + 1))


@pytest.mark.parametrize(
    ("item", "wanted"),
    [
        (question("a", "boolean"), Control.YES_NO),
        (question("a", "integer"), Control.INTEGER),
        (question("a", "decimal"), Control.DECIMAL),
        (question("a", "string"), Control.TEXT),
        (question("a", "text"), Control.TEXT_AREA),
        (question("a", "url"), Control.URL),
        (question("a", "date"), Control.DATE),
        (question("a", "dateTime"), Control.DATE_TIME),
        (question("a", "time"), Control.TIME),
        (question("a", "quantity"), Control.QUANTITY),
        (choice("a", "x", "y"), Control.RADIOS),
        (choice("a", "x", "y", repeats=True), Control.CHECKBOXES),
        (choice("a", "x", "y", extension=[DROP_DOWN]), Control.SELECT),
        (choice("a", *(f"x{number}" for number in range(21))), Control.SELECT),
        (question("a", "open-choice", answerOption=[option("x")]), Control.RADIOS),
        (question("a", "open-choice"), Control.TEXT),
        (question("a", "integer", answerOption=[{"valueInteger": 1}, {"valueInteger": 2}]), Control.RADIOS),
        (question("a", "choice"), None),
        (question("a", "choice", answerValueSet="urn:elsewhere"), None),
        (question("a", "attachment"), None),
        (question("a", "reference"), None),
        (question("a", "question"), None),
    ],
)
def test_controls(item: dict[str, Any], wanted: Control | None) -> None:
    assert control(questionnaire(item).by_link_id["a"]) is wanted


def test_choices_are_named_by_code_where_that_tells_them_apart() -> None:
    other = {"valueCoding": {"system": "urn:other", "code": "x", "display": "Other X"}}
    item = questionnaire(question("a", "choice", answerOption=[option("x"), other, option("y")])).by_link_id["a"]
    assert [(one.value, one.label) for one in choices(item)] == [
        ("urn:codes|x", "X"),
        ("urn:other|x", "Other X"),
        ("y", "Y"),
    ]


def test_choices_are_worded_for_people_where_such_words_are_at_hand() -> None:
    words = {"extension": [{"url": CORE + "rendering-markdown", "valueMarkdown": "In plain words"}]}
    item = questionnaire(question("a", "choice", answerOption=[{"valueCoding": {**coding("x"), "_display": words}}]))
    assert choices(item.by_link_id["a"])[0].label == "In plain words"


def test_own_words_beside_options() -> None:
    asked = questionnaire(question("a", "open-choice", answerOption=[option("x")]), question("b", "open-choice"))
    assert takes_own_words(asked.by_link_id["a"])
    assert not takes_own_words(asked.by_link_id["b"])


@pytest.mark.parametrize(
    ("more", "answerable"),
    [
        ({}, True),
        ({"readOnly": True}, False),
        ({"extension": [HIDDEN]}, False),
        ({"extension": [expression(SDC + "calculatedExpression", "1")]}, False),
    ],
)
def test_what_a_person_answers(more: dict[str, Any], answerable: bool) -> None:
    assert is_answerable(questionnaire(question("a", "integer", **more)).by_link_id["a"]) is answerable


@pytest.mark.parametrize(
    ("items", "refusals"),
    [
        ([question("a", "attachment")], ["pages have no control for the type attachment"]),
        ([question("a", "reference")], ["pages have no control for the type reference"]),
        ([question("a", "choice")], ["it has no options at hand"]),
        ([question("a", "boolean", repeats=True)], ["a yes or no cannot repeat"]),
        ([question("a", "string", item=[question("b", "string")])], ["'b' stands below a question"]),
        ([question("a", "string", item=[question("b", "display", text="Help")])], []),
        ([question("a", "attachment", extension=[HIDDEN])], []),
        ([question("a", "group", extension=[HIDDEN], item=[question("b", "attachment")])], []),
        ([question("a", "attachment", readOnly=True)], []),
        ([question("a", "string", required=True, extension=[HIDDEN])], ["'a' is required but hidden"]),
        ([question("a", "string", required=True, extension=[HIDDEN], initial=[{"valueString": "x"}])], []),
        (
            [
                question(
                    "a", "integer", required=True, extension=[HIDDEN, expression(SDC + "calculatedExpression", "1")]
                )
            ],
            [],
        ),
    ],
)
def test_what_a_form_cannot_ask_fails_the_page(items: list[dict[str, Any]], refusals: list[str]) -> None:
    issues = list(form_issues(questionnaire(*items)))
    assert len(issues) == len(refusals)
    for issue, refusal in zip(issues, refusals, strict=True):
        assert refusal in issue.text
        assert issue.is_error
        assert issue.expression is not None
        assert issue.expression.startswith("Questionnaire.item[0]")
