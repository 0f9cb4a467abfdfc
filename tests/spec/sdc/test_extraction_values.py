"""Values meet the R4 types of the elements they are put into: what is converted, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from service.errors import Detail, Invalid
from service.fhirpath.model import definition
from tests.spec.sdc.extractions import extracted, observation, resources, template_extract, value
from tests.spec.sdc.questionnaires import answered, coding, question, questionnaire

A = coding("a")
CONCEPT = {"coding": [A]}
QUANTITY = {"value": 7, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}
PERSON = {"reference": "Patient/1"}
KINDS = {
    "valueBoolean": "boolean",
    "valueDecimal": "decimal",
    "valueInteger": "integer",
    "valueDate": "date",
    "valueDateTime": "dateTime",
    "valueTime": "time",
    "valueString": "string",
    "valueUri": "url",
    "valueCoding": "choice",
    "valueReference": "reference",
    "valueQuantity": "quantity",
}


def put(template: dict[str, Any], key: str, answer: Any) -> dict[str, Any]:
    """The resource that `template` gives for one answer."""
    found = resources({**template, "id": "t"}, question("q", KINDS[key]), answered("q", {key: answer}))
    assert len(found) == 1
    return found[0]


def taken(name: str, key: str, answer: Any) -> Any:
    """What an Extension `name` (valueCode) is when it is to hold an answer."""
    is_primitive = definition("Extension").elements["value"].properties[name][0].islower()
    holder = f"_{name}" if is_primitive else name
    extension = {"url": "urn:x", holder: value("answer.value")}
    found = put({"resourceType": "Basic", "code": {"text": "x"}, "extension": [extension]}, key, answer)
    (kept,) = found["extension"]
    return {one: kept[one] for one in kept if one != "url"}


@pytest.mark.parametrize(
    ("name", "key", "answer", "expected"),
    [
        ("valueBoolean", "valueBoolean", False, False),
        ("valueCodeableConcept", "valueCoding", A, CONCEPT),
        ("valueCoding", "valueCoding", A, A),
        ("valueCode", "valueCoding", A, "a"),
        ("valueCodeableConcept", "valueString", "in words", {"text": "in words"}),
        ("valueReference", "valueString", "Patient/1", PERSON),
        ("valueReference", "valueUri", "urn:uuid:1", {"reference": "urn:uuid:1"}),
        ("valueReference", "valueReference", PERSON, PERSON),
        ("valueDateTime", "valueDate", "2026-03", "2026-03"),
        ("valueDate", "valueDateTime", "2026-03-01", "2026-03-01"),
        ("valueInstant", "valueDateTime", "2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z"),
        ("valueDate", "valueString", "2026-03-01", "2026-03-01"),
        ("valueTime", "valueString", "10:00:00", "10:00:00"),
        ("valueDecimal", "valueInteger", 7, 7),
        ("valueInteger", "valueDecimal", Decimal("7"), 7),
        ("valuePositiveInt", "valueInteger", 7, 7),
        ("valueUnsignedInt", "valueInteger", 0, 0),
        ("valueQuantity", "valueDecimal", Decimal("1.50"), {"value": Decimal("1.50")}),
        ("valueQuantity", "valueInteger", 7, {"value": 7}),
        ("valueDuration", "valueQuantity", QUANTITY, QUANTITY),
        ("valueString", "valueInteger", 7, "7"),
        ("valueString", "valueDecimal", Decimal("1.50"), "1.50"),
        ("valueString", "valueBoolean", True, "true"),
        ("valueMarkdown", "valueString", "*a*", "*a*"),
        ("valueMarkdown", "valueDate", "2026", "2026"),
        ("valueCode", "valueString", "a b", "a b"),
        ("valueId", "valueString", "a-1", "a-1"),
        ("valueUrl", "valueUri", "urn:x", "urn:x"),
        ("valueCanonical", "valueString", "urn:x", "urn:x"),
    ],
)
def test_a_value_becomes_what_the_template_names_when_nothing_is_lost(
    name: str, key: str, answer: Any, expected: Any
) -> None:
    assert taken(name, key, answer) == {name: expected}


@pytest.mark.parametrize(
    ("name", "key", "answer", "expected"),
    [
        ("valueInteger", "valueString", "7", {"valueString": "7"}),
        ("valueString", "valueCoding", A, {"valueCoding": A}),
        ("valueCoding", "valueString", "in words", {"valueString": "in words"}),
        ("valueDate", "valueDateTime", "2026-03-01T10:00:00Z", {"valueDateTime": "2026-03-01T10:00:00Z"}),
        ("valueInteger", "valueDecimal", Decimal("7.0"), {"valueDecimal": Decimal("7.0")}),
        ("valuePositiveInt", "valueInteger", 0, {"valueInteger": 0}),
        ("valueId", "valueString", "not an id", {"valueString": "not an id"}),
        ("valueString", "valueQuantity", QUANTITY, {"valueQuantity": QUANTITY}),
        ("valueBoolean", "valueReference", PERSON, {"valueReference": PERSON}),
    ],
)
def test_a_choice_element_takes_the_type_of_a_value_that_the_named_one_cannot_be(
    name: str, key: str, answer: Any, expected: Any
) -> None:
    assert taken(name, key, answer) == expected


@pytest.mark.parametrize(
    ("key", "answer", "expected"),
    [
        ("valueCoding", A, {"valueCodeableConcept": CONCEPT}),
        ("valueString", "in words", {"valueString": "in words"}),
        ("valueQuantity", QUANTITY, {"valueQuantity": QUANTITY}),
        ("valueDecimal", Decimal("1.5"), {"valueQuantity": {"value": Decimal("1.5")}}),
        ("valueInteger", 7, {"valueInteger": 7}),
        ("valueDate", "2026", {"valueDateTime": "2026"}),
        ("valueUri", "urn:x", {"valueString": "urn:x"}),
    ],
)
def test_one_template_takes_answers_of_all_types(key: str, answer: Any, expected: Any) -> None:
    found = put(observation(valueBoolean=True, _valueBoolean=value("answer.value")), key, answer)
    assert found == {"resourceType": "Observation", "status": "final", **expected}


@pytest.mark.parametrize(
    ("template", "key", "answer"),
    [
        ({"resourceType": "Patient", "_birthDate": value("answer.value")}, "valueDateTime", "2026-03-01T10:00:00Z"),
        ({"resourceType": "Patient", "_birthDate": value("answer.value")}, "valueInteger", 2026),
        ({"resourceType": "Patient", "_active": value("answer.value")}, "valueString", "true"),
        ({"resourceType": "Patient", "_gender": value("answer.value")}, "valueCoding", {"display": "no code"}),
        ({"resourceType": "Patient", "name": [value("answer.value")]}, "valueString", "Ann"),
        ({"resourceType": "Patient", "maritalStatus": value("answer.value")}, "valueQuantity", QUANTITY),
        (observation(_valueString=value("answer.value")), "valueReference", PERSON),
        (observation(code=value("answer.value")), "valueBoolean", True),
        (observation(component=[value("%resource.item")]), "valueBoolean", True),
        (observation(referenceRange=[{"low": {"_value": value("answer.value")}}]), "valueQuantity", QUANTITY),
    ],
)
def test_what_would_lose_something_is_refused_with_its_place(template: dict[str, Any], key: str, answer: Any) -> None:
    with pytest.raises(Invalid) as refusal:
        put(template, key, answer)
    (issue,) = refusal.value.issues
    assert issue.detail is Detail.NOT_EXTRACTED
    assert (issue.expression or "").startswith("Questionnaire.contained[0].")
    assert str(answer) not in issue.text


def test_values_of_expressions_are_converted_like_answers() -> None:
    template = {
        "resourceType": "Patient",
        "id": "t",
        "_birthDate": value("@2026-03-01"),
        "_multipleBirthInteger": value("1 + 1"),
        "maritalStatus": value("'in words'"),
        "photo": [{"_size": value("3")}],
        "_deceasedDateTime": value("@2026-03-01T10:00:00Z"),
        "extension": [{"url": "urn:x", "valueQuantity": value("4 'kg'")}],
    }
    assert resources(template, question("q", "boolean"), answered("q", {"valueBoolean": True})) == [
        {
            "resourceType": "Patient",
            "birthDate": "2026-03-01",
            "multipleBirthInteger": 2,
            "maritalStatus": {"text": "in words"},
            "photo": [{"size": 3}],
            "deceasedDateTime": "2026-03-01T10:00:00Z",
            "extension": [
                {
                    "url": "urn:x",
                    "valueQuantity": {
                        "value": 4,
                        "unit": "kg",
                        "system": "http://unitsofmeasure.org",
                        "code": "kg",
                    },
                }
            ],
        }
    ]


def test_a_primitive_with_extensions_only_has_no_value_to_give() -> None:
    absent = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    asked = question("q", "boolean", extension=[template_extract("t")])
    template = {"resourceType": "Patient", "id": "t", "active": True, "_birthDate": value("%resource.authored")}
    answers = answered("q", {"valueBoolean": True})
    found = extracted(questionnaire(asked, contained=[template]), answers, _authored={"extension": [absent]})
    assert [one.resource for one in found] == [{"resourceType": "Patient", "active": True}]
