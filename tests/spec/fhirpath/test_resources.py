"""Paths through FHIR R4 JSON: choices, primitives with extensions, types, contained resources."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from service.fhirpath import Environment, EvaluationError, Item, Node, compile_expression

SCT = "http://snomed.info/sct"
RESPONSE: dict[str, Any] = {
    "resourceType": "QuestionnaireResponse",
    "id": "r1",
    "status": "completed",
    "_status": {"extension": [{"url": "http://example.org/why", "valueString": "told so"}]},
    "authored": "2026-03-15T10:00:00+01:00",
    "subject": {"reference": "#p"},
    "contained": [
        {
            "resourceType": "Patient",
            "id": "p",
            "birthDate": "1980-02",
            "name": [{"given": ["Ann", "Bo"], "_given": [None, {"id": "g2"}], "family": "Coe"}],
        }
    ],
    "item": [
        {
            "linkId": "symptoms",
            "answer": [
                {"valueCoding": {"system": SCT, "code": "88092000", "display": "Muscle atrophy"}},
                {"valueCoding": {"system": SCT, "code": "55300003"}},
            ],
        },
        {"linkId": "noticed", "answer": [{"valueDate": "2026-02"}]},
        {"linkId": "score", "answer": [{"valueDecimal": Decimal("2.50")}]},
        {
            "linkId": "dose",
            "answer": [
                {
                    "valueQuantity": {"value": 5, "code": "mg", "system": "http://unitsofmeasure.org"},
                    "item": [{"linkId": "dose-note", "answer": [{"valueString": "with food"}]}],
                }
            ],
        },
        {"linkId": "group", "item": [{"linkId": "inner", "answer": [{"valueBoolean": False}]}]},
        {
            "linkId": "age",
            "answer": [{"valueQuantity": {"value": 3, "code": "a", "system": "http://unitsofmeasure.org"}}],
        },
        {
            "linkId": "level",
            "answer": [
                {
                    "valueCoding": {
                        "code": "x",
                        "extension": [
                            {"url": "http://hl7.org/fhir/StructureDefinition/ordinalValue", "valueDecimal": 2}
                        ],
                    }
                }
            ],
        },
    ],
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("status", "'completed'"),
        ("QuestionnaireResponse.status", "'completed'"),
        ("Patient.name", "{}"),
        ("item.where(linkId = 'symptoms').answer.value.code", "'88092000', '55300003'"),
        ("item.where(linkId = 'symptoms').answer.value.code contains '88092000'", "true"),
        ("item.where(linkId = 'symptoms').answer.valueCoding", "refused"),
        ("item.linkIdd", "refused"),
        ("item.answer.value.ofType(Coding).count()", "3"),
        ("item.where(linkId = 'score').answer.value = 2.5", "true"),
        ("item.where(linkId = 'score').answer.value.type().name", "'decimal'"),
        ("item.where(linkId = 'score').answer.value is decimal", "true"),
        ("item.where(linkId = 'score').answer.value is System.Decimal", "false"),
        ("item.where(linkId = 'dose').answer.value = 0.005 'g'", "true"),
        ("item.where(linkId = 'age').answer.value > 2 years", "true"),
        ("item.where(linkId = 'noticed').answer.value < authored", "true"),
        ("item.where(linkId = 'noticed').answer.value > @2026-02-10", "{}"),
        ("descendants().where(linkId = 'dose-note').answer.value", "'with food'"),
        ("repeat(item).where(linkId = 'dose-note')", "{}"),
        ("repeat(item).where(linkId = 'inner').answer.value", "false"),
        ("repeat(item).linkId.count()", "8"),
        ("item.where(linkId = 'none').answer.value", "{}"),
        ("item.first().children().count()", "3"),
        ("status is code", "true"),
        ("status is string", "true"),
        ("status is uri", "false"),
        ("status.extension('http://example.org/why').value", "'told so'"),
        ("status.extension('http://example.org/other')", "{}"),
        ("authored > @2026-03-15T08:00:00Z", "true"),
        ("authored + 1 day", "@2026-03-16T10:00:00+01:00"),
        ("subject.resolve().name.given", "'Ann', 'Bo'"),
        ("contained.name.given.id", "'g2'"),
        ("contained.birthDate.hasValue()", "true"),
        ("contained.hasValue()", "false"),
        ("contained.ofType(Patient).birthDate.getValue() = @1980-02", "true"),
        ("item.where(linkId = 'level').answer.value.ordinal()", "2"),
        ("item.where(linkId = 'level').answer.value.weight()", "2"),
        ("conformsTo('http://hl7.org/fhir/StructureDefinition/QuestionnaireResponse')", "true"),
        ("conformsTo('http://example.org/profile')", "error"),
        ("status.memberOf('http://example.org/values')", "error"),
        ("item.answer.value & ''", "error"),
        ("%sct", f"'{SCT}'"),
        ("%`vs-item-type`", "'http://hl7.org/fhir/ValueSet/item-type'"),
        ("%resource.id", "'r1'"),
        ("%nothing", "error"),
    ],
)
def test_path(evaluate: Callable[..., str], expression: str, expected: str) -> None:
    assert evaluate(expression, RESPONSE) == expected


def test_json_of_a_wrong_type_is_an_error_and_not_quoted() -> None:
    response = RESPONSE | {"authored": "last tuesday"}
    with pytest.raises(EvaluationError, match="holds no valid dateTime") as raised:
        compile_expression("authored > @2026").evaluate([Node.of_resource(response)], environment())
    assert "tuesday" not in str(raised.value)


@pytest.mark.parametrize("broken", [{"item": ["a"]}, {"contained": [{"id": "p"}]}, {"item": [{"answer": [7]}]}])
def test_json_of_a_wrong_structure_is_an_error(broken: dict[str, Any]) -> None:
    focus = [Node.of_resource(RESPONSE | broken)]
    with pytest.raises(EvaluationError, match=r"no JSON object|no resourceType"):
        compile_expression("descendants().where(linkId = 'a')").evaluate(focus, environment())


def test_a_property_without_a_name_is_no_element(evaluate: Callable[..., str]) -> None:
    response = {"resourceType": "QuestionnaireResponse", "item": [{"linkId": "a", "answer": [{"": 1}]}]}
    assert evaluate("item.answer.value", response) == "{}"


def test_value_sets_and_weights_come_from_the_environment() -> None:
    def in_danger(item: Item, url: str) -> bool | None:
        return isinstance(item, Node) and item.value["code"] == "a" if url == "http://example.org/danger" else None

    focus = [Node.of({"code": "a"}, "Coding")]
    known = Environment(datetime(2026, 3, 15, tzinfo=UTC), member_of=in_danger, weight=lambda _: Decimal(7))
    assert compile_expression("memberOf('http://example.org/danger')").evaluate(focus, known) == [True]
    assert compile_expression("weight()").evaluate(focus, known) == [Decimal(7)]
    with pytest.raises(EvaluationError, match="is not known"):
        compile_expression("memberOf('http://example.org/else')").evaluate(focus, known)


def test_a_bundle_resolves_within_itself() -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "id": "p", "active": True}},
            {"resource": {"resourceType": "Observation", "subject": {"reference": "urn:uuid:1"}}},
        ],
    }
    focus = [Node.of_resource(bundle)]
    found = compile_expression("Bundle.entry.resource.ofType(Observation).subject.resolve().active")
    assert [item.value for item in found.evaluate(focus, environment()) if isinstance(item, Node)] == [True]


def test_what_passes_a_trace_reaches_the_port_only() -> None:
    seen: list[tuple[str, list[Item]]] = []
    watched = Environment(datetime(2026, 3, 15, tzinfo=UTC), trace=lambda name, items: seen.append((name, list(items))))
    assert compile_expression("(1 | 2).trace('both', $this * 2).count()").evaluate([], watched) == [2]
    assert seen == [("both", [2, 4])]


def environment() -> Environment:
    return Environment(datetime(2026, 3, 15, tzinfo=UTC))
