"""What expressions in a Questionnaire see: variables in their scope, its value sets, its ordinal values, the clock."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from service.fhirpath import compile_expression, json_value
from service.sdc.compilation import compile_questionnaire
from service.sdc.context import read_response
from tests.spec.sdc.questionnaires import (
    CORE,
    NOW,
    SYSTEM,
    answered,
    choice,
    coding,
    constraint,
    findings,
    group,
    question,
    questionnaire,
    response,
)

VALUE_SET = {
    "resourceType": "ValueSet",
    "id": "few",
    "url": "urn:few",
    "compose": {"include": [{"system": SYSTEM, "concept": [{"code": "a"}, {"code": "b"}]}]},
}


def variable(name: str, text: str) -> dict[str, Any]:
    source = {"name": name, "language": "text/fhirpath", "expression": text}
    return {"url": CORE + "variable", "valueExpression": source}


def holds(text: str, *items: dict[str, Any], item: dict[str, Any], **more: Any) -> bool:
    """Whether a constraint on `item` holds; the Questionnaire has no other fault."""
    found = findings(
        questionnaire({**item, "extension": [*item.get("extension", []), constraint(text)]}, **more), *items
    )
    assert [detail for detail, _ in found] in ([], ["constraint-violated"])
    return not found


@pytest.mark.parametrize("url", ["urn:few", "#few"])
@pytest.mark.parametrize(("code", "is_member"), [("a", True), ("c", False)])
def test_member_of_a_contained_value_set(url: str, code: str, is_member: bool) -> None:
    text = f"answer.value.memberOf('{url}')"
    asked = choice("q", "a", "c")
    assert holds(text, answered("q", code), item=asked, contained=[VALUE_SET]) is is_member


def test_member_of_a_value_set_of_r4_and_of_one_that_is_not_at_hand() -> None:
    asked = question("q", "string")
    gender = "answer.value.memberOf('http://hl7.org/fhir/ValueSet/administrative-gender')"
    assert holds(gender, answered("q", {"valueString": "other"}), item=asked)
    assert not holds(gender, answered("q", {"valueString": "purple"}), item=asked)
    unknown = question("q", "string", extension=[constraint("answer.value.memberOf('urn:unknown')")])
    assert findings(questionnaire(unknown), answered("q", {"valueString": "x"})) == [("expression-failed", "item[0]")]


@pytest.mark.parametrize("url", [CORE + "ordinalValue", CORE + "itemWeight"])
@pytest.mark.parametrize("on_coding", [True, False])
def test_ordinal_values_of_options(url: str, on_coding: bool) -> None:
    extension = {"extension": [{"url": url, "valueDecimal": Decimal("2.5")}]}
    option = {"valueCoding": {**coding("a"), **extension}} if on_coding else {**extension, "valueCoding": coding("a")}
    asked = question("q", "choice", answerOption=[option])
    assert holds("answer.value.ordinal() = 2.5", answered("q", "a"), item=asked)
    assert holds("answer.value.weight() = 2.5", answered("q", "a"), item=asked)


def test_contained_resources_of_the_response_are_resolved() -> None:
    asked = questionnaire(question("q", "reference", extension=[constraint("answer.value.resolve().gender = 'other'")]))
    patient = {"resourceType": "Patient", "id": "p", "gender": "other"}
    reference = {"valueReference": {"reference": "#p"}}
    assert findings(asked, answered("q", reference), contained=[patient]) == []
    assert findings(asked, answered("q", reference), contained=[patient | {"gender": "male"}]) != []


def test_a_variable_is_seen_below_the_element_it_stands_on_and_reads_those_before_it() -> None:
    inner = question(
        "g",
        "group",
        extension=[variable("sum", "item.answer.value.aggregate($this + $total, 0) + %one")],
        item=[question("q", "integer", extension=[constraint("%sum = 4")])],
    )
    asked = questionnaire(inner, extension=[variable("one", "1")])
    assert findings(asked, group("g", answered("q", {"valueInteger": 3}))) == []
    assert findings(asked, group("g", answered("q", {"valueInteger": 4}))) == [
        ("constraint-violated", "item[0].item[0]")
    ]


def test_each_repetition_of_a_group_has_its_own_variables() -> None:
    asked = questionnaire(
        question(
            "g",
            "group",
            repeats=True,
            extension=[variable("own", "item.where(linkId = 'q').answer.value")],
            item=[question("q", "integer"), question("r", "integer", extension=[constraint("answer.value = %own")])],
        )
    )
    right = group("g", answered("q", {"valueInteger": 1}), answered("r", {"valueInteger": 1}))
    wrong = group("g", answered("q", {"valueInteger": 2}), answered("r", {"valueInteger": 1}))
    assert findings(asked, right, right) == []
    assert findings(asked, right, wrong) == [("constraint-violated", "item[1].item[1]")]


def test_a_variable_is_not_seen_outside_of_its_element() -> None:
    first = question("q", "integer", extension=[variable("own", "1")])
    asked = compile_questionnaire(
        {
            "resourceType": "Questionnaire",
            "status": "active",
            "item": [first, question("r", "integer", extension=[constraint("%own = 1")])],
        }
    )
    assert [issue.expression for issue in asked.issues] == ["Questionnaire.item[1]"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%questionnaire.url", ["urn:q"]),
        ("%qitem.linkId", ["q"]),
        ("%context.linkId", ["q"]),
        ("%resource.status", ["completed"]),
        ("%sct", ["http://snomed.info/sct"]),
        ("now()", ["2026-03-15T09:00:00+00:00"]),
        ("%authoredDate", ["2026-03-14"]),
    ],
)
def test_what_an_item_sees(text: str, expected: list[str]) -> None:
    asked = questionnaire(choice("q", "a"))
    context = read_response(asked, response(answered("q", "a"), authored="2026-03-14T23:30:00-10:00"), NOW)
    found = compile_expression(text).evaluate([], context.environment_of(context.paired.entries[0]))
    assert [str(json_value(item)).replace("Z", "+00:00").replace(".000", "") for item in found] == expected
