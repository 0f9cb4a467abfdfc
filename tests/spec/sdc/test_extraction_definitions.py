"""Definition-based extraction, rule by rule (SDC STU4, extraction.html#definition-extract)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from service.errors import Invalid
from tests.spec.sdc.extractions import allocate, bundle, extracted, faults, made_resources
from tests.spec.sdc.questionnaires import CORE, SDC, answered, choice, coding, group, question, questionnaire


def starts(kind: str, **texts: str) -> dict[str, Any]:
    """A definitionExtract of an R4 resource."""
    parts: list[dict[str, Any]] = [{"url": "definition", "valueCanonical": CORE + kind}]
    parts += [{"url": name, "valueString": text} for name, text in texts.items()]
    return {"url": SDC + "definitionExtract", "extension": parts}


def path(element_id: str) -> str:
    return f"{CORE}{element_id.partition('.')[0]}#{element_id}"


def sets(element_id: str, text: str | None = None, **fixed: Any) -> dict[str, Any]:
    """A definitionExtractValue: an expression, or a fixed value by its key."""
    source = {"url": "expression", "valueExpression": {"language": "text/fhirpath", "expression": text}}
    given = {"url": "fixed-value", **fixed} if text is None else source
    return {
        "url": SDC + "definitionExtractValue",
        "extension": [{"url": "definition", "valueUri": path(element_id)}, given],
    }


def asks(link_id: str, kind: str, element_id: str, *extensions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A question whose answer goes to an element."""
    return question(link_id, kind, definition=path(element_id), extension=list(extensions), **more)


def of_patient(*items: dict[str, Any], extension: tuple[dict[str, Any], ...] = ()) -> Any:
    return questionnaire(question("p", "group", extension=[starts("Patient"), *extension], item=list(items)))


def patient(asked: Any, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The elements of the one Patient that the answers give."""
    (found,) = made_resources(asked, group("p", *items), **more)
    assert found.pop("resourceType") == "Patient"
    return found


def text(link_id: str, *texts: str) -> dict[str, Any]:
    return answered(link_id, *({"valueString": one} for one in texts))


def test_answers_go_to_their_elements() -> None:
    asked = of_patient(asks("born", "date", "Patient.birthDate"), asks("active", "boolean", "Patient.active"))
    answers = [answered("born", {"valueDate": "2000-01"}), answered("active", {"valueBoolean": False})]
    assert patient(asked, *answers) == {"birthDate": "2000-01", "active": False}


@pytest.mark.parametrize(
    ("kind", "element_id", "answer", "expected"),
    [
        ("choice", "Patient.gender", {"valueCoding": coding("female")}, {"gender": "female"}),
        ("choice", "Patient.maritalStatus", {"valueCoding": coding("m")}, {"maritalStatus": {"coding": [coding("m")]}}),
        (
            "choice",
            "Patient.maritalStatus.coding",
            {"valueCoding": coding("m")},
            {"maritalStatus": {"coding": [coding("m")]}},
        ),
        ("string", "Patient.maritalStatus.text", {"valueString": "m"}, {"maritalStatus": {"text": "m"}}),
        ("string", "Patient.name.text", {"valueString": "A"}, {"name": [{"text": "A"}]}),
        ("string", "Patient.name.given", {"valueString": "A"}, {"name": [{"given": ["A"]}]}),
        ("string", "Patient.contact.name.text", {"valueString": "A"}, {"contact": [{"name": {"text": "A"}}]}),
        ("boolean", "Patient.deceased", {"valueBoolean": True}, {"deceasedBoolean": True}),
        ("boolean", "Patient.deceased[x]", {"valueBoolean": True}, {"deceasedBoolean": True}),
        ("dateTime", "Patient.deceased[x]", {"valueDateTime": "2026"}, {"deceasedDateTime": "2026"}),
        ("date", "Patient.deceasedDateTime", {"valueDate": "2026"}, {"deceasedDateTime": "2026"}),
        ("date", "Patient.deceased[x]:deceasedDateTime", {"valueDate": "2026"}, {"deceasedDateTime": "2026"}),
        ("integer", "Patient.multipleBirth[x]", {"valueInteger": 2}, {"multipleBirthInteger": 2}),
        (
            "reference",
            "Patient.generalPractitioner",
            {"valueReference": {"reference": "Practitioner/1"}},
            {"generalPractitioner": [{"reference": "Practitioner/1"}]},
        ),
        (
            "string",
            "Patient.managingOrganization",
            {"valueString": "Organization/1"},
            {"managingOrganization": {"reference": "Organization/1"}},
        ),
        ("attachment", "Patient.photo", {"valueAttachment": {"title": "x"}}, {"photo": [{"title": "x"}]}),
    ],
)
def test_an_element_is_reached_and_its_type_met(kind: str, element_id: str, answer: Any, expected: Any) -> None:
    assert patient(of_patient(asks("q", kind, element_id)), answered("q", answer)) == expected


def test_a_version_of_the_definition_is_the_same_definition() -> None:
    versioned = question("q", "date", definition=f"{CORE}Patient|4.0.1#Patient.birthDate")
    assert patient(of_patient(versioned), answered("q", {"valueDate": "2000"})) == {"birthDate": "2000"}


def test_an_older_way_to_write_a_definition_is_understood() -> None:
    older = question("q", "date", definition=f"{CORE}datatypes#Patient.birthDate")
    assert patient(of_patient(older), answered("q", {"valueDate": "2000"})) == {"birthDate": "2000"}


def test_a_definition_of_nothing_that_is_extracted_means_nothing_here() -> None:
    asked = of_patient(asks("q", "string", "Person.name.text"), asks("r", "string", "Patient.name.text"))
    assert patient(asked, text("q", "A"), text("r", "B")) == {"name": [{"text": "B"}]}
    assert made_resources(questionnaire(asks("q", "string", "Patient.name.text")), text("q", "A")) == []


def test_all_answers_go_into_an_element_that_repeats_and_not_into_one_that_does_not() -> None:
    given = of_patient(asks("q", "string", "Patient.name.given", repeats=True))
    assert patient(given, text("q", "A", "B")) == {"name": [{"given": ["A", "B"]}]}
    with pytest.raises(Invalid) as refusal:
        patient(of_patient(asks("q", "string", "Patient.name.text", repeats=True)), text("q", "A", "B"))
    assert refusal.value.issues[0].expression == "Questionnaire.item[0].item[0]"


def test_a_group_opens_an_element_for_its_items_each_time_it_stands() -> None:
    names = question(
        "name",
        "group",
        repeats=True,
        definition=path("Patient.name"),
        extension=[sets("Patient.name.text", "item.answer.value.join(' ')")],
        item=[
            asks("given", "string", "Patient.name.given", repeats=True),
            question("rest", "group", item=[asks("family", "string", "Patient.name.family")]),
        ],
    )
    found = patient(
        of_patient(names),
        group("name", text("given", "A", "B"), group("rest", text("family", "C"))),
        group("name", text("given", "D")),
        group("name"),
    )
    assert found == {"name": [{"given": ["A", "B"], "text": "A B", "family": "C"}, {"given": ["D"], "text": "D"}]}


def test_groups_within_groups_open_elements_within_elements() -> None:
    contact = question(
        "contact",
        "group",
        repeats=True,
        definition=path("Patient.contact"),
        item=[
            question(
                "number",
                "group",
                repeats=True,
                definition=path("Patient.contact.telecom"),
                item=[
                    asks("value", "string", "Patient.contact.telecom.value"),
                    asks("rank", "integer", "Patient.contact.telecom.rank"),
                ],
            ),
            asks("name", "string", "Patient.contact.name.text"),
        ],
    )
    first = group("number", text("value", "1"), answered("rank", {"valueInteger": 1}))
    found = patient(
        of_patient(contact),
        group("contact", first, group("number", text("value", "2")), text("name", "A")),
        group("contact", text("name", "B")),
    )
    assert found["contact"] == [
        {"telecom": [{"value": "1", "rank": 1}, {"value": "2"}], "name": {"text": "A"}},
        {"name": {"text": "B"}},
    ]


def test_values_on_a_question_join_the_element_of_its_answer() -> None:
    national = asks(
        "n",
        "string",
        "Patient.identifier.value",
        sets("Patient.identifier.system", valueUri="urn:n"),
        sets("Patient.identifier.type.text", valueString="National"),
    )
    other = asks("o", "string", "Patient.identifier.value", sets("Patient.identifier.system", valueUri="urn:o"))
    found = patient(of_patient(national, other), text("n", "1"), text("o", "2"))
    assert found["identifier"] == [
        {"value": "1", "system": "urn:n", "type": {"text": "National"}},
        {"value": "2", "system": "urn:o"},
    ]
    assert patient(of_patient(national, other), text("o", "2"))["identifier"] == [{"value": "2", "system": "urn:o"}]


def test_an_item_below_an_answer_joins_the_element_of_the_answer() -> None:
    below = asks("u", "string", "Patient.telecom.use")
    asked = of_patient(asks("q", "string", "Patient.telecom.value", item=[below]))
    found = patient(asked, answered("q", {"valueString": "1", "item": [text("u", "home")]}))
    assert found["telecom"] == [{"value": "1", "use": "home"}]


def test_fixed_values_are_copied_and_completed() -> None:
    concept = {"coding": [coding("m")]}
    values = (sets("Patient.maritalStatus", valueCodeableConcept=concept), sets("Patient.maritalStatus.text", "'M'"))
    asked = of_patient(asks("q", "boolean", "Patient.active"), extension=values)
    yes = answered("q", {"valueBoolean": True})
    assert patient(asked, yes)["maritalStatus"] == {"coding": [coding("m")], "text": "M"}
    assert concept == {"coding": [coding("m")]}


def test_a_value_is_set_only_where_there_are_answers_but_on_the_root_always() -> None:
    asked = questionnaire(
        question("p", "group", extension=[starts("Person"), sets("Person.active", valueBoolean=True)], item=[]),
        extension=[starts("Patient"), sets("Patient.active", valueBoolean=True)],
    )
    assert made_resources(asked, group("p")) == [{"resourceType": "Patient", "active": True}]
    assert made_resources(questionnaire(extension=[starts("Patient")])) == [{"resourceType": "Patient"}]


def test_values_of_expressions_see_the_item_the_response_and_the_questionnaire() -> None:
    asked = of_patient(
        asks("q", "string", "Patient.name.text"),
        extension=(
            sets("Patient.maritalStatus.text", "item.answer.value"),
            sets("Patient.managingOrganization", "%resource.author"),
            sets("Patient.language", "%qitem.linkId"),
        ),
    )
    found = patient(asked, text("q", "A"), author={"reference": "Organization/1"})
    assert found["maritalStatus"] == {"text": "A"}
    assert found["managingOrganization"] == {"reference": "Organization/1"}
    assert found["language"] == "p"


def test_a_quantity_is_made_of_its_parts_or_of_the_unit_of_the_question() -> None:
    unit = {"url": CORE + "questionnaire-unit", "valueCoding": {"system": "urn:u", "code": "kg", "display": "kilogram"}}
    observed = (
        sets("Observation.status", valueCode="final"),
        sets("Observation.code.coding", valueCoding=coding("weight")),
    )
    in_parts = asks(
        "a",
        "decimal",
        "Observation.value[x]:valueQuantity.value",
        starts("Observation"),
        *observed,
        sets("Observation.value[x]:valueQuantity.unit", valueString="kg"),
    )
    whole = asks("b", "decimal", "Observation.value[x]", starts("Observation"), unit, *observed)
    weight = {"valueDecimal": Decimal("70.5")}
    found = made_resources(questionnaire(in_parts, whole), answered("a", weight), answered("b", weight))
    assert [one["valueQuantity"] for one in found] == [
        {"value": Decimal("70.5"), "unit": "kg"},
        {"value": Decimal("70.5"), "unit": "kilogram", "system": "urn:u", "code": "kg"},
    ]


def test_a_question_that_starts_a_resource_gives_one_for_each_answer() -> None:
    values = (sets("Observation.status", valueCode="final"), sets("Observation.code.text", valueString="x"))
    asked = choice("q", "a", "b", repeats=True, definition=path("Observation.value[x]"))
    asked["extension"] = [starts("Observation"), *values]
    found = extracted(questionnaire(asked), answered("q", "a", "b"))
    assert [one.resource["valueCodeableConcept"]["coding"] for one in found] == [[coding("a")], [coding("b")]]
    assert [(one.item_path, one.answer_key) for one in found] == [("q", "urn:codes|a"), ("q", "urn:codes|b")]


def test_resources_that_overlap_are_told_apart_by_their_definitions() -> None:
    inner = question(
        "c",
        "group",
        repeats=True,
        extension=[starts("RelatedPerson"), sets("RelatedPerson.patient.reference", "%newId")],
        item=[
            asks("name", "string", "RelatedPerson.name.text"),
            asks("language", "string", "Patient.communication.language.text"),
        ],
    )
    asked = questionnaire(inner, extension=[starts("Patient", fullUrl="%newId"), allocate("newId")])
    entries = bundle(asked, group("c", text("name", "A"), text("language", "x")), group("c", text("name", "B")))[
        "entry"
    ]
    assert entries[0]["fullUrl"] == "urn:uuid:id-1"
    assert [entry["resource"] for entry in entries] == [
        {"resourceType": "Patient", "communication": [{"language": {"text": "x"}}]},
        {"resourceType": "RelatedPerson", "patient": {"reference": "urn:uuid:id-1"}, "name": [{"text": "A"}]},
        {"resourceType": "RelatedPerson", "patient": {"reference": "urn:uuid:id-1"}, "name": [{"text": "B"}]},
    ]


def test_an_id_makes_an_update() -> None:
    asked = of_patient(asks("id", "string", "Patient.id"), asks("q", "boolean", "Patient.active"))
    answers = [text("id", "p-1"), answered("q", {"valueBoolean": True})]
    (entry,) = bundle(asked, group("p", *answers))["entry"]
    assert entry["resource"] == {"resourceType": "Patient", "id": "p-1", "active": True}
    assert entry["request"] == {"method": "PUT", "url": "Patient/p-1"}


def test_the_entry_follows_its_expressions() -> None:
    use = starts("Patient", fullUrl="'urn:x:1'", ifNoneExist="'identifier=' + answer.value")
    (entry,) = bundle(questionnaire(asks("q", "string", "Patient.identifier.value", use)), text("q", "1"))["entry"]
    assert entry["fullUrl"] == "urn:x:1"
    assert entry["request"] == {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=1"}


@pytest.mark.parametrize(
    "source",
    [
        {"valueCode": "Patient"},
        {"valueExpression": {"language": "application/x-fhir-query", "expression": "Patient"}},
        {"valueExpression": {"language": "text/fhirpath", "expression": "Patient"}},
    ],
)
def test_the_older_extension_names_a_type(source: dict[str, Any]) -> None:
    older = {"url": SDC + "itemExtractionContext", **source}
    asked = questionnaire(question("p", "group", extension=[older], item=[asks("q", "boolean", "Patient.active")]))
    assert patient(asked, answered("q", {"valueBoolean": True})) == {"active": True}


@pytest.mark.parametrize(
    ("extensions", "element_id", "fault"),
    [
        ([starts("Patient")], "Patient.nickname", "not-supported"),
        ([starts("Patient")], "Patient.identifier:IHI.value", "not-supported"),
        ([starts("Patient")], "Person.name", None),
        ([starts("Patient")], "Patient.deceased[x]:deceasedString", "not-supported"),
        ([starts("Patient")], "Patient.contained", "not-supported"),
        ([starts("Observation")], "Observation.value[x].code", "not-supported"),
        ([starts("Patient"), starts("Patient")], "Patient.name.text", "duplicate"),
        ([starts("NoSuchResource")], "Patient.name.text", "not-supported"),
        ([starts("bmi")], "Observation.status", "not-supported"),
        ([starts("Patient"), sets("Patient.active", "answer.(")], "Patient.name.text", "invalid"),
        ([starts("Patient"), sets("Patient.active", None)], "Patient.name.text", "invalid"),
        (
            [
                {
                    "url": SDC + "itemExtractionContext",
                    "valueExpression": {"language": "application/x-fhir-query", "expression": "Patient?_id={{%p.id}}"},
                }
            ],
            "Patient.name.text",
            "not-supported",
        ),
    ],
)
def test_what_cannot_be_extracted_is_refused_with_its_place(
    extensions: list[dict[str, Any]], element_id: str, fault: str | None
) -> None:
    asked = questionnaire(asks("q", "string", element_id, *extensions))
    assert faults(asked) == ([] if fault is None else [(fault, "Questionnaire.item[0]")])


@pytest.mark.parametrize(
    "items",
    [
        [asks("q", "string", "Patient.birthDate"), asks("r", "string", "Patient.language")],
        [asks("q", "string", "Patient.language"), asks("r", "string", "Patient.language")],
        [asks("q", "string", "Patient.deceasedDateTime"), asks("r", "string", "Patient.language")],
        [asks("q", "string", "Patient.id"), asks("r", "string", "Patient.language")],
    ],
)
def test_what_an_element_cannot_take_fails_the_extraction_with_its_place(items: list[dict[str, Any]]) -> None:
    with pytest.raises(Invalid) as refusal:
        patient(of_patient(*items), text("q", "not an id"), text("r", "B"))
    assert (refusal.value.issues[0].expression or "").startswith("Questionnaire.item[0]")
