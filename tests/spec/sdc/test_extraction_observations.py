"""Observation-based extraction, rule by rule (SDC STU4, extraction.html#obs-extract)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from service.errors import Invalid
from tests.spec.sdc.extractions import allocate, bundle, extracted, faults, made_resources
from tests.spec.sdc.questionnaires import CORE, SDC, answered, choice, coding, group, question, questionnaire

CATEGORY = {"coding": [coding("vital-signs")]}
OTHER_CATEGORY = {"coding": [coding("survey")]}
KILOGRAM = {"system": "http://unitsofmeasure.org", "code": "kg", "display": "kilogram"}
UNIT = {"url": CORE + "questionnaire-unit", "valueCoding": KILOGRAM}


def extract_it(mark: bool | str = True) -> dict[str, Any]:
    key = "valueBoolean" if isinstance(mark, bool) else "valueCode"
    return {"url": SDC + "observationExtract", key: mark}


def category(concept: dict[str, Any]) -> dict[str, Any]:
    return {"url": SDC + "observation-extract-category", "valueCodeableConcept": concept}


def coded(link_id: str, kind: str, *extensions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A question or group with its own code."""
    return question(link_id, kind, code=[coding(link_id)], extension=list(extensions), **more)


def integer(link_id: str, number: int) -> dict[str, Any]:
    return answered(link_id, {"valueInteger": number})


def codes(resource: dict[str, Any]) -> list[str]:
    return [one["code"] for one in resource["code"]["coding"]]


def found_codes(asked: Any, *items: dict[str, Any]) -> list[list[str]]:
    return [codes(resource) for resource in made_resources(asked, *items)]


def test_an_observation_says_who_when_about_whom_and_from_what() -> None:
    asked = questionnaire(coded("q", "integer", extract_it()))
    more: dict[str, Any] = {
        "id": "r",
        "authored": "2026-03-15T10:00:00+01:00",
        "subject": {"reference": "Patient/1"},
        "encounter": {"reference": "Encounter/1"},
        "author": {"reference": "Practitioner/1"},
        "source": {"reference": "Patient/1"},
        "basedOn": [{"reference": "ServiceRequest/1"}],
        "partOf": [{"reference": "Procedure/1"}, {"reference": "Observation/1"}],
    }
    made = bundle(asked, integer("q", 7), **more)
    assert made["entry"] == [
        {
            "fullUrl": "urn:uuid:id-1",
            "resource": {
                "resourceType": "Observation",
                "status": "final",
                "code": {"coding": [coding("q")]},
                "subject": more["subject"],
                "basedOn": more["basedOn"],
                "partOf": [{"reference": "Procedure/1"}],
                "encounter": more["encounter"],
                "effectiveDateTime": more["authored"],
                "issued": more["authored"],
                "performer": [more["author"]],
                "valueInteger": 7,
                "derivedFrom": [{"reference": "QuestionnaireResponse/r"}],
            },
            "request": {"method": "POST", "url": "Observation"},
        }
    ]


@pytest.mark.parametrize(
    ("author", "source", "performer"),
    [
        ({"reference": "Patient/1"}, None, [{"reference": "Patient/1"}]),
        ({"reference": "Device/1"}, {"reference": "RelatedPerson/1"}, [{"reference": "RelatedPerson/1"}]),
        (None, {"reference": "Patient/1"}, [{"reference": "Patient/1"}]),
        ({"reference": "Device/1"}, None, None),
        ({"type": "Organization", "display": "x"}, None, [{"type": "Organization", "display": "x"}]),
    ],
)
def test_the_performer_is_the_author_or_the_source_where_r4_allows_it(author: Any, source: Any, performer: Any) -> None:
    given = {name: one for name, one in (("author", author), ("source", source)) if one}
    (found,) = made_resources(questionnaire(coded("q", "integer", extract_it())), integer("q", 7), **given)
    assert found.get("performer") == performer


def test_a_date_without_time_is_effective_but_no_instant() -> None:
    (found,) = made_resources(questionnaire(coded("q", "integer", extract_it())), integer("q", 7), authored="2026-03")
    assert found["effectiveDateTime"] == "2026-03"
    assert "issued" not in found


@pytest.mark.parametrize(
    ("kind", "answer", "expected"),
    [
        ("boolean", {"valueBoolean": False}, {"valueBoolean": False}),
        ("boolean", {"valueBoolean": True}, {"valueBoolean": True}),
        ("integer", {"valueInteger": 0}, {"valueInteger": 0}),
        ("decimal", {"valueDecimal": Decimal("1.50")}, {"valueQuantity": {"value": Decimal("1.50")}}),
        ("string", {"valueString": "words"}, {"valueString": "words"}),
        ("text", {"valueString": "words"}, {"valueString": "words"}),
        ("url", {"valueUri": "urn:x"}, {"valueString": "urn:x"}),
        ("date", {"valueDate": "2026-03"}, {"valueDateTime": "2026-03"}),
        ("dateTime", {"valueDateTime": "2026-03-01T10:00:00Z"}, {"valueDateTime": "2026-03-01T10:00:00Z"}),
        ("time", {"valueTime": "10:00:00"}, {"valueTime": "10:00:00"}),
        ("choice", {"valueCoding": coding("a")}, {"valueCodeableConcept": {"coding": [coding("a")]}}),
        ("open-choice", {"valueString": "words"}, {"valueString": "words"}),
        ("quantity", {"valueQuantity": {"value": 7, "unit": "g"}}, {"valueQuantity": {"value": 7, "unit": "g"}}),
    ],
)
def test_the_value_is_the_answer(kind: str, answer: dict[str, Any], expected: dict[str, Any]) -> None:
    (found,) = made_resources(questionnaire(coded("q", kind, extract_it())), answered("q", answer))
    assert {key: found[key] for key in found if key.startswith("value")} == expected


@pytest.mark.parametrize(
    ("kind", "answer", "number"),
    [
        ("decimal", {"valueDecimal": Decimal("70.5")}, Decimal("70.5")),
        ("integer", {"valueInteger": 70}, 70),
        ("quantity", {"valueQuantity": {"value": 70}}, 70),
    ],
)
def test_the_unit_of_a_question_makes_a_quantity(kind: str, answer: dict[str, Any], number: Any) -> None:
    (found,) = made_resources(questionnaire(coded("q", kind, extract_it(), UNIT)), answered("q", answer))
    expected = {"value": number, "unit": "kilogram", "system": "http://unitsofmeasure.org", "code": "kg"}
    assert found["valueQuantity"] == expected


def test_an_answer_in_another_unit_keeps_it() -> None:
    given = {"value": 7, "unit": "g", "system": "http://unitsofmeasure.org", "code": "g"}
    asked = questionnaire(coded("q", "quantity", extract_it(), UNIT))
    (found,) = made_resources(asked, answered("q", {"valueQuantity": given}))
    assert found["valueQuantity"] == given


def test_what_is_skipped_gives_nothing() -> None:
    asked = questionnaire(coded("q", "integer", extract_it()), coded("g", "group", extract_it(), item=[]))
    assert made_resources(asked) == []
    assert made_resources(asked, {"linkId": "q"}, group("g")) == []


def test_each_answer_is_an_observation_of_its_own() -> None:
    asked = questionnaire(choice("q", "a", "b", repeats=True, code=[coding("q")], extension=[extract_it()]))
    found = extracted(asked, answered("q", "a", "b"))
    values = [one.resource["valueCodeableConcept"]["coding"][0]["code"] for one in found]
    assert values == ["a", "b"]
    assert [(one.template, one.item_path, one.answer_key) for one in found] == [
        ("observation", "q", "urn:codes|a"),
        ("observation", "q", "urn:codes|b"),
    ]


@pytest.mark.parametrize(
    ("root", "outer", "inner", "expected"),
    [
        ([], [], [], []),
        ([extract_it()], [], [], [["q"]]),
        ([], [extract_it()], [], [["q"]]),
        ([], [], [extract_it()], [["q"]]),
        ([extract_it()], [extract_it(False)], [], []),
        ([extract_it()], [extract_it(False)], [extract_it()], [["q"]]),
        ([extract_it(False)], [extract_it()], [], [["q"]]),
        ([extract_it()], [], [extract_it(False)], []),
        ([extract_it()], [], [extract_it("independent")], [["q"]]),
    ],
)
def test_the_mark_is_inherited_until_another_one(
    root: list[Any], outer: list[Any], inner: list[Any], expected: list[list[str]]
) -> None:
    asked = questionnaire(question("g", "group", item=[coded("q", "integer", *inner)], extension=outer), extension=root)
    assert found_codes(asked, group("g", integer("q", 7))) == expected


def test_without_a_code_an_item_is_none_of_those_that_inherit() -> None:
    asked = questionnaire(question("q", "integer"), coded("p", "integer"), extension=[extract_it()])
    assert found_codes(asked, integer("q", 7), integer("p", 8)) == [["p"]]


@pytest.mark.parametrize(
    ("marks", "item_marks", "expected"),
    [
        ((None, None), [extract_it()], [["a", "b"]]),
        ((True, None), [extract_it()], [["a"]]),
        ((True, None), [], [["a"]]),
        ((None, False), [extract_it()], [["a"]]),
        ((False, False), [extract_it(False)], []),
        ((True, True), [extract_it(False)], [["a", "b"]]),
    ],
)
def test_marked_codes_leave_the_others_behind(marks: Any, item_marks: list[Any], expected: list[list[str]]) -> None:
    both = [
        coding(code) if mark is None else {**coding(code), "extension": [extract_it(mark)]}
        for code, mark in zip("ab", marks, strict=True)
    ]
    asked = questionnaire(question("q", "integer", code=both, extension=item_marks))
    found = made_resources(asked, integer("q", 7))
    assert [codes(resource) for resource in found] == expected
    assert all("extension" not in one for resource in found for one in resource["code"]["coding"])


def test_the_nearest_categories_are_taken() -> None:
    several = coded("q", "integer", category(CATEGORY), category(OTHER_CATEGORY))
    asked = questionnaire(
        question("g", "group", item=[several, coded("p", "integer")], extension=[category(CATEGORY)]),
        coded("o", "integer"),
        extension=[extract_it(), category(OTHER_CATEGORY)],
    )
    answers = [group("g", integer("q", 1), integer("p", 2)), integer("o", 3)]
    found = {codes(one)[0]: one["category"] for one in made_resources(asked, *answers)}
    assert found == {"q": [CATEGORY, OTHER_CATEGORY], "p": [CATEGORY], "o": [OTHER_CATEGORY]}


def test_a_group_takes_its_components() -> None:
    asked = questionnaire(
        coded(
            "pressure",
            "group",
            extract_it(),
            item=[
                coded("systolic", "integer", extract_it("component"), UNIT),
                question("part", "group", item=[coded("diastolic", "integer", extract_it("component"))]),
            ],
        )
    )
    (found,) = made_resources(
        asked, group("pressure", integer("systolic", 120), group("part", integer("diastolic", 80)))
    )
    assert codes(found) == ["pressure"]
    assert [(codes(one), one.get("valueInteger")) for one in found["component"]] == [
        (["systolic"], None),
        (["diastolic"], 80),
    ]
    assert found["component"][0]["valueQuantity"]["code"] == "kg"
    assert not any(key.startswith("value") for key in found)


def test_a_group_that_repeats_gives_an_observation_each_time_it_has_something_to_say() -> None:
    parts = [coded("p", "integer", extract_it("component")), coded("o", "integer", extract_it("component"))]
    asked = questionnaire(coded("g", "group", extract_it(), repeats=True, item=parts))
    found = made_resources(asked, group("g", integer("p", 1)), group("g"), group("g", integer("o", 2)))
    assert [[part["valueInteger"] for part in one["component"]] for one in found] == [[1], [2]]


def test_members_are_observations_that_their_group_refers_to() -> None:
    members = [coded("p", "integer"), coded("o", "integer")]
    asked = questionnaire(
        coded("g", "group", extract_it(), item=[{**one, "extension": [extract_it("member")]} for one in members])
    )
    panel, first = bundle(asked, group("g", integer("p", 1)))["entry"]
    assert panel["resource"]["hasMember"] == [{"reference": first["fullUrl"]}]
    assert first["resource"]["valueInteger"] == 1
    assert "hasMember" not in first["resource"]


def test_a_group_whose_items_are_independent_has_nothing_to_say_itself() -> None:
    asked = questionnaire(coded("g", "group", item=[coded("p", "integer")]), extension=[extract_it()])
    assert found_codes(asked, group("g", integer("p", 1))) == [["p"]]


def test_an_item_below_an_answer_may_be_derived_from_it() -> None:
    below = coded("score", "integer", extract_it("derived"))
    asked = questionnaire(coded("q", "integer", extract_it(), item=[below]))
    source, derived = bundle(asked, answered("q", {"valueInteger": 1, "item": [integer("score", 2)]}), id="r")["entry"]
    response = {"reference": "QuestionnaireResponse/r"}
    assert source["resource"]["derivedFrom"] == [response]
    assert derived["resource"]["derivedFrom"] == [response, {"reference": source["fullUrl"]}]


def test_a_component_below_an_answer_belongs_to_that_answer() -> None:
    below = coded("how", "integer", extract_it("component"))
    asked = questionnaire(
        choice("q", "a", "b", repeats=True, code=[coding("q")], extension=[extract_it()], item=[below])
    )
    answers = [{"valueCoding": coding(code), "item": [integer("how", place)]} for place, code in enumerate("ab")]
    found = made_resources(asked, answered("q", *answers))
    assert [one["component"][0]["valueInteger"] for one in found] == [0, 1]


def test_the_entry_may_be_named_for_others_to_refer_to() -> None:
    texts = {"fullUrl": "%newId", "resourceId": "'o-' + answer.value.toString()", "ifMatch": "'W/1'"}
    parts = [{"url": name, "valueString": text} for name, text in texts.items()]
    entry = {"url": SDC + "observationExtractEntry", "extension": parts}
    asked = questionnaire(coded("q", "integer", extract_it(), entry), extension=[allocate("newId")])
    (made,) = bundle(asked, integer("q", 7))["entry"]
    assert made["fullUrl"] == "urn:uuid:id-1"
    assert made["resource"]["id"] == "o-7"
    assert made["request"] == {"method": "PUT", "url": "Observation/o-7", "ifMatch": "W/1"}


def test_answers_about_someone_else_are_not_the_patients() -> None:
    who = question("who", "reference", extension=[{"url": SDC + "isSubject", "valueBoolean": True}])
    child = question("child", "group", item=[who, coded("q", "integer")])
    asked = questionnaire(coded("p", "integer"), child, extension=[extract_it()])
    named = answered("who", {"valueReference": {"reference": "Patient/child"}})
    mother = {"reference": "Patient/mother"}
    found = made_resources(asked, integer("p", 1), group("child", named, integer("q", 2)), subject=mother)
    assert [one["subject"]["reference"] for one in found] == ["Patient/mother", "Patient/child"]
    assert found_codes(asked, group("child")) == []
    with pytest.raises(Invalid) as refusal:
        extracted(asked, group("child", integer("q", 2)), subject=mother)
    assert refusal.value.issues[0].expression == "Questionnaire.item[1].item[0]"


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        (question("q", "integer", extension=[extract_it()]), "required"),
        (coded("q", "integer", extract_it("component")), "invalid"),
        (coded("q", "integer", extract_it("member")), "invalid"),
        (coded("q", "integer", extract_it("related")), "code-invalid"),
        (coded("q", "integer", extract_it(), extract_it("member")), "invalid"),
        (coded("q", "attachment", extract_it()), "not-supported"),
        (coded("q", "reference", extract_it()), "not-supported"),
    ],
)
def test_what_cannot_be_extracted_is_refused_with_its_place(item: dict[str, Any], fault: str) -> None:
    assert faults(questionnaire(item)) == [(fault, "Questionnaire.item[0]")]
