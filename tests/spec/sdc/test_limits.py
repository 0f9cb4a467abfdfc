"""Limits of answers beyond their type: bounds, lengths, patterns, units, targets, attachments, occurrences."""

from __future__ import annotations

from base64 import b64encode
from decimal import Decimal
from typing import Any

import pytest

from service.errors import Severity
from service.sdc.validation import validate
from tests.spec.sdc.questionnaires import (
    CORE,
    NOW,
    SDC,
    answered,
    choice,
    constraint,
    expression,
    findings,
    group,
    question,
    questionnaire,
    response,
)

UCUM = "http://unitsofmeasure.org"


def limit(name: str, **value: Any) -> dict[str, Any]:
    return {"url": CORE + name, **value}


def quantity(value: float, code: str = "kg") -> dict[str, Any]:
    return {"value": value, "code": code, "system": UCUM, "unit": code}


def bound(name: str, text: str) -> dict[str, Any]:
    inner = {"url": CORE + "cqf-calculatedValue", "valueExpression": {"language": "text/fhirpath", "expression": text}}
    return {"url": CORE + name, "_valueDate": {"extension": [inner]}}


TEN_BYTES = {"contentType": "text/plain", "data": b64encode(b"0123456789").decode(), "size": 10}

LIMITS: list[tuple[str, list[dict[str, Any]], dict[str, Any], str | None]] = [
    ("integer", [limit("minValue", valueInteger=3)], {"valueInteger": 3}, None),
    ("integer", [limit("minValue", valueInteger=3)], {"valueInteger": 2}, "out-of-bounds"),
    ("integer", [limit("maxValue", valueInteger=3)], {"valueInteger": 3}, None),
    ("integer", [limit("maxValue", valueInteger=3)], {"valueInteger": 4}, "out-of-bounds"),
    ("date", [limit("maxValue", valueDate="2026-03-10")], {"valueDate": "2026-03-10"}, None),
    ("date", [limit("maxValue", valueDate="2026-03-10")], {"valueDate": "2026-03-11"}, "out-of-bounds"),
    ("date", [limit("maxValue", valueDate="2026-03-10")], {"valueDate": "2026-02"}, None),
    ("date", [limit("maxValue", valueDate="2026-03-10")], {"valueDate": "2026-03"}, "out-of-bounds"),
    ("time", [limit("minValue", valueTime="08:00:00")], {"valueTime": "07:59:59"}, "out-of-bounds"),
    ("date", [bound("maxValue", "today()")], {"valueDate": "2026-03-15"}, None),
    ("date", [bound("maxValue", "today()")], {"valueDate": "2026-03-16"}, "out-of-bounds"),
    ("date", [bound("maxValue", "today() - 'x'")], {"valueDate": "2026-03-16"}, "expression-failed"),
    (
        "quantity",
        [{"url": SDC + "minQuantity", "valueQuantity": quantity(1)}],
        {"valueQuantity": quantity(1500, "g")},
        None,
    ),
    (
        "quantity",
        [{"url": SDC + "minQuantity", "valueQuantity": quantity(1)}],
        {"valueQuantity": quantity(900, "g")},
        "out-of-bounds",
    ),
    (
        "quantity",
        [{"url": SDC + "maxQuantity", "valueQuantity": quantity(1)}],
        {"valueQuantity": quantity(1, "m")},
        "out-of-bounds",
    ),
    ("string", [limit("minLength", valueInteger=3)], {"valueString": "ab"}, "too-short"),
    ("string", [limit("minLength", valueInteger=3)], {"valueString": "abc"}, None),
    ("string", [limit("regex", valueString="[0-9]{3}")], {"valueString": "123"}, None),
    ("string", [limit("regex", valueString="[0-9]{3}")], {"valueString": "1234"}, "pattern-mismatch"),
    ("string", [limit("regex", valueString="(a+)+$")], {"valueString": "a" * 5000 + "b"}, "pattern-mismatch"),
    ("integer", [limit("regex", valueString="[0-9]{3}")], {"valueInteger": 12}, "pattern-mismatch"),
    (
        "quantity",
        [limit("questionnaire-unitOption", valueCoding={"system": UCUM, "code": "kg"})],
        {"valueQuantity": quantity(1)},
        None,
    ),
    (
        "quantity",
        [limit("questionnaire-unitOption", valueCoding={"system": UCUM, "code": "kg"})],
        {"valueQuantity": {"value": 1, "unit": "kg"}},
        "wrong-unit",
    ),
    (
        "reference",
        [limit("questionnaire-referenceResource", valueCode="Practitioner")],
        {"valueReference": {"reference": "https://example.org/fhir/Practitioner/1"}},
        None,
    ),
    (
        "reference",
        [limit("questionnaire-referenceResource", valueCode="Practitioner")],
        {"valueReference": {"reference": "Patient/1"}},
        "wrong-target",
    ),
    ("reference", [], {"valueReference": {"reference": "urn:uuid:9f86d081-884c-4d63-a1a2-0a9f1f3a7e11"}}, None),
    ("reference", [], {"valueReference": {"display": "Dr. X"}}, None),
    ("reference", [], {"valueReference": {"reference": "patient 1"}}, "invalid-reference"),
    ("reference", [], {"valueReference": {"reference": "Patient/1/2"}}, "invalid-reference"),
    ("reference", [], {"valueReference": {"reference": "#nobody"}}, "invalid-reference"),
    ("attachment", [limit("mimeType", valueCode="text/plain")], {"valueAttachment": TEN_BYTES}, None),
    ("attachment", [limit("mimeType", valueCode="image/png")], {"valueAttachment": TEN_BYTES}, "wrong-content-type"),
    ("attachment", [], {"valueAttachment": TEN_BYTES | {"size": 11}}, "size-differs"),
    ("attachment", [limit("maxSize", valueDecimal=0)], {"valueAttachment": TEN_BYTES}, "too-large"),
    ("attachment", [limit("maxSize", valueDecimal=1)], {"valueAttachment": TEN_BYTES}, None),
]


@pytest.mark.parametrize(("kind", "extensions", "answer", "detail"), LIMITS)
def test_a_limit(kind: str, extensions: list[dict[str, Any]], answer: dict[str, Any], detail: str | None) -> None:
    asked = questionnaire(question("q", kind, extension=extensions))
    key = next(iter(answer))
    found = [] if detail is None else [(detail, f"item[0].answer[0].{key}")]
    assert findings(asked, answered("q", answer)) == found


def test_a_length() -> None:
    asked = questionnaire(question("q", "string", maxLength=3))
    assert findings(asked, answered("q", {"valueString": "abc"})) == []
    assert findings(asked, answered("q", {"valueString": "abcd"})) == [("too-long", "item[0].answer[0].valueString")]


@pytest.mark.parametrize(("digits", "found"), [("1.10", []), ("1.100", ["too-precise"]), ("1", [])])
def test_decimal_places_count_as_written(digits: str, found: list[str]) -> None:
    asked = questionnaire(question("q", "decimal", extension=[limit("maxDecimalPlaces", valueInteger=2)]))
    assert [detail for detail, _ in findings(asked, answered("q", {"valueDecimal": Decimal(digits)}))] == found


def test_how_often_a_question_is_answered() -> None:
    occurs = [limit("questionnaire-minOccurs", valueInteger=2), limit("questionnaire-maxOccurs", valueInteger=3)]
    asked = questionnaire(choice("q", *"abcd", repeats=True, required=True, extension=occurs))
    assert findings(asked, answered("q", "a", "b")) == []
    assert findings(asked, answered("q", "a")) == [("too-few-answers", "item[0]")]
    assert findings(asked, answered("q", *"abcd")) == [("too-many-answers", "item[0].answer")]
    assert findings(asked) == [("required-missing", "QuestionnaireResponse")]


def test_how_often_a_group_stands() -> None:
    occurs = [limit("questionnaire-minOccurs", valueInteger=2), limit("questionnaire-maxOccurs", valueInteger=2)]
    asked = questionnaire(question("g", "group", repeats=True, extension=occurs, item=[choice("q", "a")]))
    one = group("g", answered("q", "a"))
    assert findings(asked, one, one) == []
    assert findings(asked, one) == [("too-few-answers", "QuestionnaireResponse")]
    assert findings(asked, one, one, one) == [("too-many-answers", "QuestionnaireResponse")]


def test_a_required_group_has_an_answer() -> None:
    asked = questionnaire(question("g", "group", required=True, item=[choice("q", "a")]))
    assert findings(asked, group("g", answered("q", "a"))) == []
    assert findings(asked) == [("required-missing", "QuestionnaireResponse")]
    assert findings(asked, group("g", {"linkId": "q"})) == [("required-missing", "item[0]")]


CALCULATED = expression(SDC + "calculatedExpression", "%resource.item.where(linkId = 'q').answer.value * 2")


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([answered("q", {"valueInteger": 2}), answered("r", {"valueInteger": 4})], []),
        (
            [answered("q", {"valueInteger": 2}), answered("r", {"valueInteger": 5})],
            [("calculated-differs", Severity.ERROR)],
        ),
        ([answered("r", {"valueInteger": 4})], [("calculated-differs", Severity.ERROR)]),
        ([answered("q", {"valueInteger": 2})], [("calculated-missing", Severity.ERROR)]),
        ([], []),
    ],
)
def test_a_calculated_answer_is_computed_again(
    answers: list[dict[str, Any]], found: list[tuple[str, Severity]]
) -> None:
    asked = questionnaire(
        question("q", "integer"), question("r", "integer", required=True, readOnly=True, extension=[CALCULATED])
    )
    issues = validate(asked, response(*answers), NOW)
    assert [(issue.detail, issue.severity) for issue in issues] == found


def test_a_target_constraint_is_a_constraint() -> None:
    parts = [
        {"url": "key", "valueId": "t-1"},
        {"url": "severity", "valueCode": "warning"},
        {"url": "expression", "valueExpression": {"language": "text/fhirpath", "expression": "item.count() < 2"}},
        {"url": "human", "valueString": "At most one."},
    ]
    target = {"url": CORE + "targetConstraint", "extension": parts}
    asked = questionnaire(choice("q", "a"), choice("r", "a"), extension=[target])
    issues = validate(asked, response(answered("q", "a"), answered("r", "a")), NOW)
    assert [(issue.severity, issue.text) for issue in issues] == [(Severity.WARNING, "At most one.")]
    assert findings(asked, answered("q", "a")) == []


def test_a_constraint_stands_on_groups_too() -> None:
    asked = questionnaire(question("g", "group", item=[choice("q", "a")], extension=[constraint("item.empty()")]))
    assert findings(asked, group("g", answered("q", "a"))) == [("constraint-violated", "item[0]")]


@pytest.mark.parametrize(
    ("period", "authored", "found"),
    [
        ({"start": "2026-01-01", "end": "2026-12-31"}, "2026-03-15T10:00:00Z", []),
        ({"start": "2026-04-01"}, "2026-03-15T10:00:00Z", ["not-in-effect"]),
        ({"end": "2026-03-14"}, "2026-03-15T10:00:00Z", ["not-in-effect"]),
        ({"start": "2026-03-01"}, "2026", []),
        ({"start": "2026-04-01"}, None, []),
    ],
)
def test_the_questionnaire_was_in_effect(period: dict[str, str], authored: str | None, found: list[str]) -> None:
    asked = questionnaire(choice("q", "a"), effectivePeriod=period)
    more = {} if authored is None else {"authored": authored}
    assert [detail for detail, _ in findings(asked, answered("q", "a"), **more)] == found
