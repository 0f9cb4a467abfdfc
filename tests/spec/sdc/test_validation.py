"""What a response may say: each rule of validation with what keeps it and what breaks it."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import Severity
from service.sdc.compilation import compile_questionnaire
from service.sdc.validation import validate
from tests.spec.sdc.questionnaires import (
    CORE,
    NOW,
    answered,
    choice,
    coding,
    constraint,
    findings,
    group,
    option,
    question,
    questionnaire,
    response,
    when,
)
from tests.translating import add_translation

TYPES: list[tuple[str, dict[str, Any], list[dict[str, Any]]]] = [
    ("boolean", {"valueBoolean": False}, [{"valueString": "false"}, {"valueInteger": 0}]),
    ("integer", {"valueInteger": -3}, [{"valueDecimal": 3}, {"valueString": "3"}]),
    ("date", {"valueDate": "2026-03"}, [{"valueDateTime": "2026-03-04"}, {"valueString": "2026-03-04"}]),
    ("dateTime", {"valueDateTime": "2026-03-04T10:00:00Z"}, [{"valueDate": "2026-03-04"}]),
    ("time", {"valueTime": "10:00:00"}, [{"valueString": "10:00:00"}]),
    ("string", {"valueString": "x"}, [{"valueString": "two\nlines"}, {"valueCoding": coding("x")}]),
    ("text", {"valueString": "two\nlines"}, [{"valueInteger": 1}]),
    ("url", {"valueUri": "https://example.org/a"}, [{"valueString": "https://example.org/a"}]),
    ("reference", {"valueReference": {"reference": "Patient/1"}}, [{"valueString": "Patient/1"}]),
    ("quantity", {"valueQuantity": {"value": 1, "unit": "kg"}}, [{"valueDecimal": 1}]),
    ("attachment", {"valueAttachment": {"title": "x"}}, [{"valueString": "x"}]),
]


@pytest.mark.parametrize(("kind", "right", "wrong"), TYPES, ids=[kind for kind, _, _ in TYPES])
def test_an_answer_has_the_type_of_its_question(kind: str, right: dict[str, Any], wrong: list[dict[str, Any]]) -> None:
    asked = questionnaire(question("q", kind))
    assert findings(asked, answered("q", right)) == []
    for answer in wrong:
        key = next(iter(answer))
        assert [place for _, place in findings(asked, answered("q", answer))] == [f"item[0].answer[0].{key}"]


def test_an_option_is_told_by_system_and_code_whatever_its_display() -> None:
    asked = questionnaire(choice("q", "a", "b"))
    assert findings(asked, answered("q", {"valueCoding": {**coding("a"), "display": "Other words"}})) == []
    for wrong in (coding("c"), {"code": "a"}, {"system": "urn:other", "code": "a"}):
        assert findings(asked, answered("q", {"valueCoding": wrong})) == [
            ("not-an-option", "item[0].answer[0].valueCoding")
        ]


@pytest.mark.parametrize(
    ("option", "other"),
    [
        ({"valueInteger": 1}, {"valueInteger": 2}),
        ({"valueDate": "2026-03-01"}, {"valueDate": "2026-03"}),
        ({"valueTime": "10:00:00"}, {"valueTime": "10:00:01"}),
        ({"valueString": "one"}, {"valueString": "One"}),
        ({"valueReference": {"reference": "Patient/1"}}, {"valueReference": {"reference": "Patient/2"}}),
    ],
)
def test_options_may_be_of_any_type(option: dict[str, Any], other: dict[str, Any]) -> None:
    asked = questionnaire(question("q", "choice", answerOption=[option]))
    assert findings(asked, answered("q", option)) == []
    assert findings(asked, answered("q", other))[0][0] == "not-an-option"
    assert findings(asked, answered("q", {"valueCoding": coding("a")}))[0][0] == "wrong-type"


def test_only_an_open_choice_takes_free_text() -> None:
    closed = questionnaire(choice("q", "a"))
    opened = questionnaire(question("q", "open-choice", answerOption=[option("a")]))
    assert findings(opened, answered("q", {"valueString": "something else"})) == []
    assert findings(opened, answered("q", {"valueCoding": coding("c")}))[0][0] == "not-an-option"
    assert findings(closed, answered("q", {"valueString": "a"}))[0][0] == "wrong-type"


def test_options_may_come_from_a_contained_value_set() -> None:
    value_set = {
        "resourceType": "ValueSet",
        "id": "v",
        "compose": {"include": [{"system": "urn:codes", "concept": [{"code": "a"}]}]},
    }
    asked = questionnaire(question("q", "choice", answerValueSet="#v"), contained=[value_set])
    assert findings(asked, answered("q", "a")) == []
    assert findings(asked, answered("q", "b")) == [("not-an-option", "item[0].answer[0].valueCoding")]


def test_a_value_set_that_is_not_at_hand_is_said_and_its_answers_are_not_passed() -> None:
    asked = questionnaire(question("q", "choice", answerValueSet="urn:unknown"))
    details = [detail for detail, _ in findings(asked, answered("q", "a"))]
    assert "value-set-unresolved" in details


def test_what_is_required_may_be_missing_in_a_draft_only() -> None:
    asked = questionnaire(choice("q", "a", required=True))
    assert findings(asked) == [("required-missing", "QuestionnaireResponse")]
    assert findings(asked, {"linkId": "q"}) == [("required-missing", "item[0]")]
    assert findings(asked, status="in-progress") == []
    assert findings(asked, status="amended") == [("required-missing", "QuestionnaireResponse")]


def test_a_question_of_a_missing_group_is_missing() -> None:
    asked = questionnaire(question("g", "group", item=[choice("q", "a", required=True), choice("r", "a")]))
    assert findings(asked) == [("required-missing", "QuestionnaireResponse")]
    assert findings(asked, group("g", answered("r", "a"))) == [("required-missing", "item[0]")]
    assert findings(asked, group("g", answered("q", "a"))) == []


def test_a_repeating_group_may_stand_no_time_but_is_complete_where_it_stands() -> None:
    asked = questionnaire(
        question("g", "group", repeats=True, item=[choice("q", "a", required=True), choice("r", "a")])
    )
    assert findings(asked) == []
    assert findings(asked, group("g", answered("q", "a")), group("g", answered("r", "a"))) == [
        ("required-missing", "item[1]")
    ]


def test_one_answer_unless_the_question_repeats() -> None:
    once, often = questionnaire(choice("q", "a", "b")), questionnaire(choice("q", "a", "b", repeats=True))
    assert findings(often, answered("q", "a", "b")) == []
    assert findings(once, answered("q", "a", "b")) == [("too-many-answers", "item[0].answer")]
    draft = validate(once, response(answered("q", "a", "b"), status="in-progress"), NOW)
    assert [(issue.detail, issue.severity) for issue in draft] == [("too-many-answers", Severity.WARNING)]


def test_the_same_answer_twice_is_a_fault() -> None:
    asked = questionnaire(choice("q", "a", "b", repeats=True))
    assert findings(asked, answered("q", "a", "a")) == [("duplicate-answer", "item[0].answer[1]")]


def test_an_exclusive_option_stands_alone() -> None:
    asked = questionnaire(
        question("q", "open-choice", repeats=True, answerOption=[option("a"), option("none", exclusive=True)])
    )
    assert findings(asked, answered("q", "none")) == []
    for other in ("a", {"valueString": "free"}):
        assert findings(asked, answered("q", other, "none")) == [("exclusive-option-combined", "item[0].answer")]


def test_an_item_is_one_of_the_questionnaires_in_its_place_and_order() -> None:
    asked = questionnaire(question("g", "group", item=[choice("q", "a")]), choice("r", "a"), choice("s", "a"))
    assert findings(asked, answered("x", "a")) == [("unknown-link-id", "item[0].linkId")]
    assert findings(asked, answered("q", "a")) == [("wrong-place", "item[0]")]
    assert findings(asked, answered("s", "a"), answered("r", "a")) == [("wrong-place", "item[1]")]
    assert findings(asked, answered("r", "a"), answered("r", "a")) == [("duplicate-item", "item[1]")]
    assert findings(asked, answered("g", "a")) == [("answer-on-group", "item[0].answer")]


def test_an_item_without_a_link_id_is_a_fault() -> None:
    asked = questionnaire(choice("q", "a"))
    assert findings(asked, {"answer": [{"valueCoding": coding("a")}]}) == [("unknown-link-id", "item[0].linkId")]


def test_nested_items_stand_below_an_answer() -> None:
    asked = questionnaire(choice("q", "a", item=[choice("r", "a")]))
    nested = {"valueCoding": coding("a"), "item": [answered("r", "a")]}
    assert findings(asked, answered("q", nested)) == []
    assert findings(asked, {**answered("q", "a"), "item": [answered("r", "a")]}) == [("wrong-place", "item[0].item")]


def test_a_hidden_question_takes_no_answer_and_needs_none() -> None:
    asked = questionnaire(
        choice("q", "a", "b"), choice("r", "a", required=True, enableWhen=[when("q", "=", answerCoding=coding("b"))])
    )
    assert findings(asked, answered("q", "a")) == []
    assert findings(asked, answered("q", "b")) == [("required-missing", "QuestionnaireResponse")]
    assert findings(asked, answered("q", "a"), answered("r", "a")) == [("answer-not-enabled", "item[1]")]


def test_a_text_that_differs_is_a_warning() -> None:
    asked = questionnaire(choice("q", "a", text="As asked"))
    issues = validate(asked, response({**answered("q", "a"), "text": "Otherwise"}), NOW)
    assert [(issue.severity, issue.detail) for issue in issues] == [(Severity.WARNING, "text-differs")]


def test_a_text_that_equals_a_translation_does_not_differ() -> None:
    question = choice("q", "a", text="As asked")
    add_translation(question, "text", "Como se pregunta")
    spanish = response({**answered("q", "a"), "text": "Como se pregunta"})
    assert validate(questionnaire(question), spanish, NOW) == []


@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        ("answer.value > 0", 1, []),
        ("answer.value > 0", 0, [("constraint-violated", "item[0]")]),
        ("answer.value.where($this > 5) > 0", 1, []),
        ("(1 | 2) > 0", 1, [("expression-failed", "item[0]")]),
    ],
)
def test_a_constraint_passes_unless_it_is_false(text: str, value: int, found: list[tuple[str, str]]) -> None:
    asked = questionnaire(question("q", "integer", extension=[constraint(text)]))
    assert findings(asked, answered("q", {"valueInteger": value})) == found


def test_a_constraint_has_its_own_severity() -> None:
    asked = questionnaire(question("q", "integer", extension=[constraint("answer.value > 0", "warning")]))
    issues = validate(asked, response(answered("q", {"valueInteger": 0})), NOW)
    assert [(issue.severity, issue.text) for issue in issues] == [(Severity.WARNING, "It must hold.")]


@pytest.mark.parametrize("severity", ["warning", "error"])
@pytest.mark.parametrize("expression", ["answer.value >", "answer.value | 1 > 0"])
def test_a_constraint_that_cannot_be_evaluated_has_its_own_severity(severity: str, expression: str) -> None:
    asked = questionnaire(question("q", "integer", extension=[constraint(expression, severity)]))
    issues = validate(asked, response(answered("q", {"valueInteger": 0})), NOW)
    assert [issue.severity for issue in issues] == [severity]


@pytest.mark.parametrize("status", ["draft", "retired"])
def test_a_questionnaire_that_is_not_active_is_a_warning(status: str) -> None:
    asked = questionnaire(choice("q", "a"), status=status)
    issues = validate(asked, response(answered("q", "a")), NOW)
    assert [(issue.severity, issue.detail) for issue in issues] == [(Severity.WARNING, "not-active")]


@pytest.mark.parametrize(
    ("named", "definition", "found"),
    [
        ("urn:q|1", {}, []),
        ("urn:q", {}, []),
        ("urn:q|2", {"version": None}, []),
        ("urn:other|1", {"url": None}, []),
        ("urn:q|2", {}, [("other-questionnaire", "questionnaire")]),
        ("urn:other", {}, [("other-questionnaire", "questionnaire")]),
    ],
)
def test_a_response_to_another_questionnaire_is_a_warning(
    named: str, definition: dict[str, None], found: list[tuple[str, str]]
) -> None:
    whole = {"resourceType": "Questionnaire", "url": "urn:q", "version": "1", "status": "active", **definition}
    present = {name: value for name, value in whole.items() if value is not None}
    asked = compile_questionnaire({**present, "item": [choice("q", "a")]})
    issues = validate(asked, response(answered("q", "a"), questionnaire=named), NOW)
    places = [(issue.detail, (issue.expression or "").removeprefix("QuestionnaireResponse.")) for issue in issues]
    assert places == found
    assert all(issue.severity is Severity.WARNING for issue in issues)


def test_a_broken_expression_of_the_questionnaire_is_one_issue() -> None:
    extension = {"url": CORE + "variable", "valueExpression": {"name": "x", "expression": "1 +"}}
    asked = questionnaire(choice("q", "a"), extension=[extension])
    assert [detail for detail, _ in findings(asked, answered("q", "a"))] == ["questionnaire-unusable"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"resourceType": "Patient"}, "QuestionnaireResponse.resourceType"),
        ({"resourceType": "QuestionnaireResponse"}, "QuestionnaireResponse.status"),
        ({"resourceType": "QuestionnaireResponse", "status": "done"}, "QuestionnaireResponse.status"),
        (response(modifierExtension=[{"url": "urn:x"}]), "QuestionnaireResponse.modifierExtension"),
        (
            response({"linkId": "q", "answer": [{"valueBoolean": True, "modifierExtension": [{"url": "urn:x"}]}]}),
            "QuestionnaireResponse.item[0].answer[0].modifierExtension",
        ),
    ],
)
def test_a_wrong_shape_is_told_before_anything_else(body: dict[str, Any], place: str) -> None:
    issues = validate(questionnaire(choice("q", "a", required=True)), body, NOW)
    assert [issue.expression for issue in issues] == [place]


@pytest.mark.parametrize(
    ("element", "reference", "found"),
    [
        ("subject", {"reference": "Patient/1"}, []),
        ("subject", {"reference": "https://example.org/fhir/Patient/1/_history/2"}, []),
        ("subject", {"identifier": {"system": "urn:x", "value": "1"}}, []),
        ("subject", {"reference": "urn:uuid:9f86d081-884c-4d63-a1a2-0a9f1f3a7e11"}, []),
        ("subject", {"reference": "Group/1"}, [("wrong-target", "subject")]),
        ("subject", {"reference": "Patient/1", "type": "Group"}, [("invalid-reference", "subject.type")]),
        ("author", {"reference": "Device/1"}, []),
        ("author", {"reference": "Observation/1"}, [("wrong-target", "author")]),
        ("author", {"type": "Observation", "display": "x"}, [("wrong-target", "author")]),
        ("source", {"reference": "Device/1"}, [("wrong-target", "source")]),
        ("source", {"reference": "#p"}, []),
        ("source", {"reference": "#q"}, [("invalid-reference", "source")]),
        ("encounter", {"reference": "Encounter 1"}, [("invalid-reference", "encounter")]),
        ("basedOn", [{"reference": "Patient/1"}], [("wrong-target", "basedOn[0]")]),
    ],
)
def test_whom_a_response_speaks_of(element: str, reference: Any, found: list[tuple[str, str]]) -> None:
    asked = questionnaire(choice("q", "a"), subjectType=["Patient"])
    contained = [{"resourceType": "RelatedPerson", "id": "p", "patient": {"reference": "Patient/1"}}]
    assert findings(asked, answered("q", "a"), contained=contained, **{element: reference}) == found


@pytest.mark.parametrize(
    ("authored", "found"),
    [
        ("2026-03-15T12:00:00Z", []),
        ("2026-03-17", [("authored-in-future", "authored")]),
        ("2030", [("authored-in-future", "authored")]),
    ],
)
def test_a_response_of_the_future_is_a_warning(authored: str, found: list[tuple[str, str]]) -> None:
    asked = questionnaire(choice("q", "a"))
    issues = validate(asked, response(answered("q", "a"), authored=authored), NOW)
    assert findings(asked, answered("q", "a"), authored=authored) == found
    assert not any(issue.is_error for issue in issues)
