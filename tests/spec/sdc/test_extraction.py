"""Template-based extraction, rule by rule (SDC STU4, extraction.html#template-based-extraction)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from service.errors import Invalid
from service.sdc.extraction import compile_extraction, transaction_bundle
from tests.spec.sdc.extractions import (
    allocate,
    both,
    context,
    extracted,
    observation,
    resources,
    template_extract,
    value,
)
from tests.spec.sdc.questionnaires import answered, choice, coding, group, question, questionnaire

INTEGER = question("q", "integer")
SEVEN = answered("q", {"valueInteger": 7})


def test_a_value_replaces_its_primitive_and_its_placeholder() -> None:
    template = observation(valueInteger=0, _valueInteger=value("answer.value"))
    assert resources(template, INTEGER, answered("q", {"valueInteger": 7})) == [
        {"resourceType": "Observation", "status": "final", "valueInteger": 7}
    ]


def test_a_value_replaces_a_whole_element() -> None:
    template = observation(valueCodeableConcept={"coding": [value("answer.value")], "text": "kept"})
    found = resources(template, choice("q", "a"), answered("q", "a"))
    assert found[0]["valueCodeableConcept"] == {"coding": [coding("a")], "text": "kept"}


def test_what_finds_nothing_is_removed_with_its_placeholder() -> None:
    template = observation(
        effectiveDateTime="1900-01-01",
        _effectiveDateTime=value("%resource.authored"),
        valueQuantity={"_value": value("answer.value.where($this > 100)")},
        note=[{"_text": value("{}")}],
    )
    assert resources(template, INTEGER, answered("q", {"valueInteger": 7})) == [
        {"resourceType": "Observation", "status": "final"}
    ]


def test_a_context_narrows_repeats_and_removes() -> None:
    def template(text: str) -> dict[str, Any]:
        return observation(note=[{**context(text), "_text": value("$this.toString()")}, {"text": "static"}])

    def notes(text: str) -> list[str]:
        found = resources(template(text), INTEGER, answered("q", {"valueInteger": 7}))
        return [note["text"] for note in found[0]["note"]]

    assert notes("answer.value") == ["7", "static"]
    assert notes("answer.value | 8 | 9") == ["7", "8", "9", "static"]
    assert notes("{}") == ["static"]


def test_a_named_context_is_a_variable_below_it() -> None:
    note = {**context("answer.value", "found"), "_text": value("(%found + 1).toString()")}
    found = resources(observation(note=[note]), INTEGER, answered("q", {"valueInteger": 7}))
    assert found[0]["note"] == [{"text": "8"}]


def test_a_context_on_the_resource_decides_whether_and_how_often_it_stands() -> None:
    def number(text: str) -> int:
        template = {**observation(), **context(text)}
        return len(resources(template, INTEGER, answered("q", {"valueInteger": 7})))

    assert [number(text) for text in ("answer.value", "answer.value.where($this > 7)", "1 | 2 | 3")] == [1, 0, 3]


def test_a_list_of_primitives_takes_all_values() -> None:
    template = {"resourceType": "Patient", "id": "t", "name": [{"_given": [value("'a' | 'b'")], "family": "x"}]}
    found = resources(template, INTEGER, answered("q", {"valueInteger": 7}))
    assert found[0]["name"] == [{"given": ["a", "b"], "family": "x"}]


def test_a_question_that_repeats_gives_a_resource_for_each_answer() -> None:
    asked = choice("q", "a", "b", repeats=True, extension=[template_extract("t")])
    template = observation(valueCodeableConcept={"coding": [value("answer.value")]})
    found = extracted(questionnaire(asked, contained=[template]), answered("q", "a", "b"))
    assert [one.resource["valueCodeableConcept"]["coding"][0]["code"] for one in found] == ["a", "b"]
    assert [(one.item_path, one.template, one.answer_key) for one in found] == [
        ("q", "t", "urn:codes|a"),
        ("q", "t", "urn:codes|b"),
    ]


def test_an_unanswered_question_gives_none() -> None:
    assert resources(observation(), INTEGER) == []
    assert resources(observation(), INTEGER, {"linkId": "q"}) == []


def test_a_group_gives_a_resource_for_each_time_it_stands() -> None:
    asked = question("g", "group", repeats=True, item=[INTEGER], extension=[template_extract("t")])
    template = observation(_valueInteger=value("item.where(linkId = 'q').answer.value"))
    found = extracted(
        questionnaire(asked, contained=[template]),
        group("g", answered("q", {"valueInteger": 1})),
        group("g", answered("q", {"valueInteger": 2})),
    )
    assert [one.resource["valueInteger"] for one in found] == [1, 2]
    assert [one.item_path for one in found] == ["g", "g[1]"]


def test_on_the_root_the_focus_is_the_response() -> None:
    asked = questionnaire(
        INTEGER,
        contained=[observation(_valueInteger=value("item.where(linkId = 'q').answer.value"))],
        extension=[template_extract("t")],
    )
    assert [one.resource["valueInteger"] for one in extracted(asked, answered("q", {"valueInteger": 7}))] == [7]
    assert len(extracted(asked)) == 1


def test_questions_own_definition_and_variables_are_visible() -> None:
    variable = {
        "url": "http://hl7.org/fhir/StructureDefinition/variable",
        "valueExpression": {"name": "twice", "language": "text/fhirpath", "expression": "answer.value * 2"},
    }
    template = observation(_valueInteger=value("%twice"), note=[{"_text": value("%qitem.text + %context.linkId")}])
    asked = question("q", "integer", text="As asked ", extension=[variable, template_extract("t")])
    found = extracted(questionnaire(asked, contained=[template]), answered("q", {"valueInteger": 7}))
    assert found[0].resource["valueInteger"] == 14
    assert found[0].resource["note"] == [{"text": "As asked q"}]


def test_the_bundle_entry_follows_the_expressions_of_the_extension() -> None:
    use = template_extract("t", fullUrl="'urn:x:' + answer.value.toString()", ifNoneExist="'identifier=a|b'")
    asked = question("q", "integer", extension=[use])
    found = extracted(questionnaire(asked, contained=[observation()]), answered("q", {"valueInteger": 7}))
    assert transaction_bundle(found) == {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:x:7",
                "resource": {"resourceType": "Observation", "status": "final"},
                "request": {"method": "POST", "url": "Observation", "ifNoneExist": "identifier=a|b"},
            }
        ],
    }


def test_a_resource_id_makes_an_update() -> None:
    asked = question("q", "integer", extension=[template_extract("t", resourceId="'n-' + answer.value.toString()")])
    found = extracted(questionnaire(asked, contained=[observation()]), answered("q", {"valueInteger": 7}))
    assert found[0].resource["id"] == "n-7"
    assert found[0].request == {"method": "PUT", "url": "Observation/n-7"}
    assert found[0].full_url == "urn:uuid:id-1"


def test_an_allocated_id_is_one_within_its_scope() -> None:
    uses = [template_extract("t", fullUrl="%newId"), template_extract("u")]
    second = observation(id="u", derivedFrom=[{"_reference": value("%newId")}])
    asked = question("g", "group", repeats=True, item=[INTEGER], extension=[allocate("newId"), *uses])
    found = extracted(questionnaire(asked, contained=[observation(), second]), group("g"), group("g"))
    links = [(found[at].full_url, found[at + 1].resource["derivedFrom"][0]["reference"]) for at in (0, 2)]
    assert links[0][0] == links[0][1] != links[1][0] == links[1][1]


def test_other_extensions_stay_with_what_they_stand_on() -> None:
    other = {"url": "urn:x", "valueBoolean": True}

    def found(text: str) -> dict[str, Any]:
        placeholder = {"extension": [other, *value(text)["extension"]]}
        template = observation(extension=[other], _effectiveDateTime=placeholder)
        return resources(template, INTEGER, answered("q", {"valueInteger": 7}))[0]

    kept = {"resourceType": "Observation", "status": "final", "extension": [other]}
    given = {"effectiveDateTime": "2026-01-01", "_effectiveDateTime": {"extension": [other]}}
    assert found("'2026-01-01'") == {**kept, **given}
    assert found("%resource.authored") == kept


def test_false_is_a_value() -> None:
    template = observation(_valueBoolean=value("answer.value"))
    found = resources(template, question("q", "boolean"), answered("q", {"valueBoolean": False}))
    assert found[0]["valueBoolean"] is False


def test_a_context_on_a_primitive_narrows_repeats_and_removes() -> None:
    def given(text: str) -> Any:
        name = {"family": "x", "_given": [both(text, "$this.toString()"), None]}
        found = resources({"resourceType": "Patient", "id": "t", "name": [name]}, INTEGER, SEVEN)
        return found[0]["name"][0].get("given")

    assert given("answer.value | 8") == ["7", "8"]
    assert given("{}") is None


def test_extensions_of_primitives_that_repeat_keep_their_places() -> None:
    other = {"extension": [{"url": "urn:x", "valueBoolean": True}]}
    name = {"given": ["a", "b", "c"], "_given": [None, value("'d' | 'e'"), other]}
    found = resources({"resourceType": "Patient", "id": "t", "name": [name]}, INTEGER, SEVEN)
    assert found[0]["name"] == [{"given": ["a", "d", "e", "c"], "_given": [None, None, None, other]}]


def test_an_extension_within_the_extensions_of_a_primitive_is_a_template_too() -> None:
    def born(text: str) -> Any:
        inner = {"extension": [{"url": "urn:x", "_valueInteger": value(text)}]}
        return resources(
            {"resourceType": "Patient", "id": "t", "birthDate": "2000", "_birthDate": inner}, INTEGER, SEVEN
        )

    kept = {"resourceType": "Patient", "birthDate": "2000"}
    assert born("answer.value") == [{**kept, "_birthDate": {"extension": [{"url": "urn:x", "valueInteger": 7}]}}]
    assert born("{}") == [kept]


def test_one_value_of_an_element_that_repeats_is_an_array() -> None:
    template = observation(category=value("answer.value"), _valueInteger=value("1"))
    found = resources(template, choice("q", "a"), answered("q", "a"))
    assert found[0]["category"] == [{"coding": [coding("a")]}]
    patient = {"resourceType": "Patient", "id": "t", "name": {"_given": value("'a'")}}
    assert resources(patient, INTEGER, SEVEN) == [{"resourceType": "Patient", "name": [{"given": ["a"]}]}]


def test_empty_parents_go_with_what_they_held() -> None:
    deep = {
        "component": [
            {"code": {"coding": [{"_code": value("{}")}]}, "extension": [{"url": "urn:x", **both("{}", "1")}]}
        ]
    }
    found = resources(observation(**deep, _valueInteger=value("answer.value")), INTEGER, SEVEN)
    assert found == [{"resourceType": "Observation", "status": "final", "valueInteger": 7}]


def test_answers_under_a_context_are_so_many_resources_not_so_many_codings() -> None:
    template = {**observation(valueCodeableConcept={"coding": [value("value")]}), **context("answer")}
    several = question("g", "group", item=[choice("q", "a", "b", "c", repeats=True)], extension=[template_extract("t")])
    template = {**template, **context("item.where(linkId = 'q').answer")}
    found = extracted(questionnaire(several, contained=[template]), group("g", answered("q", "a", "b", "c")))
    assert [one.resource["valueCodeableConcept"]["coding"] for one in found] == [[coding(code)] for code in "abc"]


def test_what_an_item_is_to_its_expressions_is_narrowed_to_one_answer() -> None:
    template = observation(_valueInteger=value("%context.answer.value"))
    asked = question("q", "integer", repeats=True)
    found = resources(template, asked, answered("q", {"valueInteger": 1}, {"valueInteger": 2}))
    assert [one["valueInteger"] for one in found] == [1, 2]


def test_groups_that_repeat_within_groups_that_repeat() -> None:
    inner = question("h", "group", repeats=True, item=[INTEGER], extension=[template_extract("t"), allocate("inner")])
    outer = question("g", "group", repeats=True, item=[inner], extension=[allocate("outer")])
    note = [{"_text": value("%outer")}, {"_text": value("%inner")}]
    template = observation(_valueInteger=value("item.answer.value"), note=note)

    def holding(*numbers: int) -> dict[str, Any]:
        return group("g", *(group("h", answered("q", {"valueInteger": number})) for number in numbers))

    found = extracted(questionnaire(outer, contained=[template]), holding(1, 2), holding(3))
    assert [one.resource["valueInteger"] for one in found] == [1, 2, 3]
    assert [one.item_path for one in found] == ["g/h", "g/h[1]", "g[1]/h"]
    first, second, third = ([note["text"] for note in one.resource["note"]] for one in found)
    assert first[0] == second[0] != third[0]
    assert len({first[1], second[1], third[1]}) == 3


def test_an_id_is_allocated_for_each_answer_that_becomes_a_resource() -> None:
    asked = question(
        "q", "integer", repeats=True, extension=[allocate("newId"), template_extract("t", fullUrl="%newId")]
    )
    answers = answered("q", {"valueInteger": 1}, {"valueInteger": 2})
    found = extracted(questionnaire(asked, contained=[observation()]), answers)
    assert len({one.full_url for one in found}) == 2


def test_nothing_of_the_extraction_is_left_in_what_is_extracted() -> None:
    template = observation(
        _valueInteger=value("answer.value"),
        code={"text": "x", **context("$this")},
        note=[{"_text": both("answer", "value.toString()"), "extension": [allocate("x")]}],
    )
    found = resources(template, INTEGER, SEVEN)
    assert found == [
        {
            "resourceType": "Observation",
            "status": "final",
            "valueInteger": 7,
            "code": {"text": "x"},
            "note": [{"text": "7"}],
        }
    ]


@pytest.mark.parametrize(
    "template",
    [
        observation(_valueInteger=value("(1 | 2) + 1")),
        observation(_valueInteger=value("1 | 2")),
        observation(_valueInteger=value("%resource")),
        observation(code={**context("1 | 2"), "text": "twice"}),
    ],
)
def test_an_expression_that_fails_on_the_data_fails_the_extraction_with_its_place(template: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refusal:
        resources(template, INTEGER, answered("q", {"valueInteger": 7}))
    place = refusal.value.issues[0].expression
    assert place is not None
    assert place.startswith("Questionnaire.contained[0].")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda: {"contained": [observation(_valueInteger=value("answer.("))]}, "Questionnaire.contained[0]"),
        (lambda: {"contained": [observation(_valueInteger=value("%unknown"))]}, "Questionnaire.contained[0]"),
        (lambda: {"contained": []}, "Questionnaire.item[0]"),
    ],
)
def test_what_cannot_be_compiled_is_an_issue(change: Callable[[], dict[str, Any]], place: str) -> None:
    asked = questionnaire(question("q", "integer", extension=[template_extract("t")]), **change())
    (issue,) = compile_extraction(asked).issues
    assert (issue.expression or "").startswith(place)
