"""The inputs of a form: every answer survives being written into them and read back; what is typed amiss is told."""

from __future__ import annotations

from datetime import timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.fhir.terminology import Terminology
from service.sdc.compilation import compile_questionnaire
from service.sdc.questionnaire import Item
from service.web.fields import field_name, html_id, read_answers, written

ZONE = timezone(timedelta(hours=1))
TERMINOLOGY = Terminology.of(())
CORE = "http://hl7.org/fhir/StructureDefinition/"
CODES = ("red", "blue", "none")
Json = dict[str, Any]


def question(kind: str, **more: Any) -> Item:
    definition = {"resourceType": "Questionnaire", "status": "active", "item": [{"linkId": "a", "type": kind, **more}]}
    return compile_questionnaire(definition).by_link_id["a"]


def coded(code: str) -> Json:
    return {"valueCoding": {"system": "urn:codes", "code": code, "display": code.title()}}


OPTIONS = [{"valueCoding": coded(code)["valueCoding"]} for code in CODES]
UNITS = [
    {"url": CORE + "questionnaire-unitOption", "valueCoding": {"system": "urn:ucum", "code": code, "display": name}}
    for code, name in (("kg", "kilogram"), ("g", "gram"))
]
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=30)
LINES = st.lists(TEXTS, min_size=1, max_size=3).map("\n".join)
NUMBERS = st.decimals(-(10**9), 10**9, places=3)
DATES = st.dates().map(lambda day: day.isoformat()[:10])
PARTIAL_DATES = st.builds(lambda day, length: day[:length], DATES, st.sampled_from([4, 7, 10]))
CLOCKS = st.times().map(lambda time: time.strftime("%H:%M:00"))


def quantity(number: Decimal, code: str) -> Json:
    names = {"kg": "kilogram", "g": "gram"}
    return {"valueQuantity": {"value": number, "unit": names[code], "system": "urn:ucum", "code": code}}


ANSWERS: dict[str, tuple[Item, st.SearchStrategy[Json]]] = {
    "boolean": (question("boolean"), st.booleans().map(lambda value: {"valueBoolean": value})),
    "integer": (question("integer"), st.integers(-(2**31), 2**31 - 1).map(lambda value: {"valueInteger": value})),
    "decimal": (question("decimal"), NUMBERS.map(lambda value: {"valueDecimal": value})),
    "string": (question("string"), TEXTS.map(lambda value: {"valueString": value})),
    "text": (question("text"), LINES.map(lambda value: {"valueString": value})),
    "url": (question("url"), TEXTS.map(lambda value: {"valueUri": value})),
    "date": (question("date"), PARTIAL_DATES.map(lambda value: {"valueDate": value})),
    "time": (question("time"), CLOCKS.map(lambda value: {"valueTime": value})),
    "dateTime": (
        question("dateTime"),
        st.builds(lambda day, time: {"valueDateTime": f"{day}T{time}+01:00"}, DATES, CLOCKS),
    ),
    "quantity": (question("quantity", extension=UNITS), st.builds(quantity, NUMBERS, st.sampled_from(["kg", "g"]))),
    "choice": (question("choice", answerOption=OPTIONS), st.sampled_from(CODES).map(coded)),
    "open-choice": (
        question("open-choice", answerOption=OPTIONS),
        st.sampled_from(CODES).map(coded) | TEXTS.map(lambda value: {"valueString": value}),
    ),
}


@pytest.mark.parametrize("kind", ANSWERS)
@given(data=st.data())
def test_an_answer_survives_the_form(kind: str, data: st.DataObject) -> None:
    item, answers = ANSWERS[kind]
    answer = data.draw(answers)
    inputs = written(item, "a", [answer])
    reading = read_answers(item, "a", inputs, (), TERMINOLOGY, ZONE)
    assert reading.fault is None
    assert list(reading.answers) == [answer]


@pytest.mark.parametrize("kind", ["string", "date", "quantity", "integer"])
@given(data=st.data())
def test_several_answers_survive_it_in_order(kind: str, data: st.DataObject) -> None:
    item, answers = ANSWERS[kind]
    several = data.draw(st.lists(answers, min_size=1, max_size=4, unique_by=str))
    reading = read_answers(item, "a", written(item, "a", several), (), TERMINOLOGY, ZONE)
    assert list(reading.answers) == several


@pytest.mark.parametrize("kind", ANSWERS)
@given(
    typed=st.dictionaries(
        st.sampled_from(["a", "a.other", "a.day", "a.month", "a.year", "a.time", "a.unit"]),
        st.lists(st.text(max_size=12), max_size=3),
    )
)
def test_whatever_is_typed_is_an_answer_or_told(kind: str, typed: dict[str, list[str]]) -> None:
    item, _ = ANSWERS[kind]
    reading = read_answers(item, "a", typed, (), TERMINOLOGY, ZONE)
    assert all(len(answer) == 1 for answer in reading.answers)
    assert reading.fault is None or reading.fault.endswith((".", "/"))


def test_what_was_not_changed_stays_to_the_last_detail() -> None:
    item = question("dateTime")
    kept = [{"valueDateTime": "2026-03-15T09:30:17.250Z"}]
    assert read_answers(item, "a", written(item, "a", kept), kept, TERMINOLOGY, ZONE).answers == tuple(kept)
    changed = {**written(item, "a", kept), "a.day": ["16"]}
    assert read_answers(item, "a", changed, kept, TERMINOLOGY, ZONE).answers == (
        {"valueDateTime": "2026-03-16T09:30:00+01:00"},
    )


def test_one_unit_needs_no_choice() -> None:
    unit = {"url": CORE + "questionnaire-unit", "valueCoding": {"system": "urn:ucum", "code": "kg"}}
    reading = read_answers(question("quantity", extension=[unit]), "a", {"a": ["7"]}, (), TERMINOLOGY, ZONE)
    assert reading.answers == ({"valueQuantity": {"value": 7, "unit": "kg", "system": "urn:ucum", "code": "kg"}},)


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("first-noticed", "first-noticed"),
        ("a~0~2", "a~0~2"),
        ("1.2", "f-312e32"),
        ("two words", "f-74776f20776f726473"),
    ],
)
def test_ids_are_fit_for_html(name: str, id_: str) -> None:
    assert html_id(name) == id_


def test_names_tell_the_repetitions_of_groups_apart() -> None:
    assert field_name(question("string"), ()) == "a"
    assert field_name(question("string"), (1, 0)) == "a~1~0"
