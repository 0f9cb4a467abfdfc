"""The Bundle entry of what is extracted: its request, Bundles as templates, patches, and all three ways in one."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import Invalid
from service.sdc.extraction import transaction_bundle
from service.sdc.questionnaire import Questionnaire
from tests.spec.sdc.extractions import (
    allocate,
    bundle,
    context,
    extracted,
    faults,
    made_resources,
    observation,
    template_extract,
    value,
)
from tests.spec.sdc.questionnaires import SDC, answered, choice, coding, group, question, questionnaire

SEVEN = answered("q", {"valueInteger": 7})
SMART_FORMS_URL = "https://smartforms.csiro.au/ig/StructureDefinition/TemplateExtractExtensionPatchRequestUrl"
PATIENT = {"resourceType": "Patient", "id": "t", "active": True}


def with_properties(**texts: str) -> dict[str, Any]:
    """The only entry of what a templateExtract with these expressions gives."""
    asked = question("q", "integer", extension=[template_extract("t", **texts)])
    (entry,) = bundle(questionnaire(asked, contained=[PATIENT]), SEVEN)["entry"]
    return dict(entry)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({}, {"method": "POST", "url": "Patient"}),
        ({"resourceId": "'a-1'"}, {"method": "PUT", "url": "Patient/a-1"}),
        ({"resourceId": "'urn:uuid:a-1'"}, {"method": "PUT", "url": "Patient/a-1"}),
        ({"resourceId": "{}"}, {"method": "POST", "url": "Patient"}),
        ({"ifNoneMatch": "'*'"}, {"method": "POST", "url": "Patient", "ifNoneMatch": "*"}),
        ({"ifMatch": "'W/' + '1'"}, {"method": "POST", "url": "Patient", "ifMatch": "W/1"}),
        ({"ifNoneExist": "'identifier=a|b'"}, {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=a|b"}),
        ({"ifNoneExist": "{}"}, {"method": "POST", "url": "Patient"}),
        (
            {"ifModifiedSince": "@2026-03-01T10:00:00Z"},
            {"method": "POST", "url": "Patient", "ifModifiedSince": "2026-03-01T10:00:00Z"},
        ),
    ],
)
def test_the_request_follows_the_expressions(texts: dict[str, str], expected: dict[str, str]) -> None:
    assert with_properties(**texts)["request"] == expected


def test_a_full_url_is_given_or_made() -> None:
    assert with_properties(fullUrl="'urn:x:' + answer.value.toString()")["fullUrl"] == "urn:x:7"
    assert with_properties(fullUrl="{}")["fullUrl"] == with_properties()["fullUrl"] == "urn:uuid:id-1"


@pytest.mark.parametrize(
    "texts",
    [
        {"fullUrl": "1 | 2"},
        {"fullUrl": "'with blanks'"},
        {"resourceId": "'not/an/id'"},
        {"resourceId": "7"},
        {"ifModifiedSince": "@2026-03-01"},
        {"ifNoneExist": "(1 | 2) + 1"},
    ],
)
def test_a_property_that_cannot_be_fails_the_extraction_with_its_place(texts: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refusal:
        with_properties(**texts)
    assert [issue.expression for issue in refusal.value.issues] == ["Questionnaire.item[0]"]


def bundle_template(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    template = {"resourceType": "Bundle", "id": "t", "type": "transaction", "entry": list(entries), **more}
    use = {"url": SDC + "templateExtractBundle", "valueReference": {"reference": "#t"}}
    return {"contained": [template], "extension": [use, allocate("newId")]}


def test_a_bundle_as_template_gives_its_entries() -> None:
    asked = questionnaire(
        choice("q", "a", "b", "c", repeats=True),
        question("none", "string"),
        **bundle_template(
            {
                "_fullUrl": value("%newId"),
                "resource": {"resourceType": "Patient", "active": True},
                "request": {"method": "POST", "url": "Patient", "_ifNoneExist": value("'identifier=' + %context.id")},
            },
            {
                **context("item.where(linkId = 'q').answer"),
                "fullUrl": "urn:x:placeholder",
                "_fullUrl": value("'urn:x:' + value.code"),
                "resource": observation(code={"text": "x"}, subject={"_reference": value("%newId")})
                | {"valueCodeableConcept": {"coding": [value("value")]}},
                "request": {"method": "POST", "url": "Observation"},
            },
            {
                **context("item.where(linkId = 'none').answer"),
                "resource": {"resourceType": "Patient", "active": False},
                "request": {"method": "POST", "url": "Patient"},
            },
        ),
    )
    entries = bundle(asked, answered("q", "a", "b", "c"), id="r")["entry"]
    patient, *others = entries
    assert patient == {
        "fullUrl": "urn:uuid:id-1",
        "resource": {"resourceType": "Patient", "active": True},
        "request": {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=r"},
    }
    assert [entry["fullUrl"] for entry in others] == ["urn:x:a", "urn:x:b", "urn:x:c"]
    assert [entry["resource"]["valueCodeableConcept"]["coding"] for entry in others] == [
        [coding(code)] for code in "abc"
    ]
    assert {entry["resource"]["subject"]["reference"] for entry in others} == {"urn:uuid:id-1"}


def test_an_entry_of_a_bundle_template_is_completed_or_goes() -> None:
    asked = questionnaire(
        **bundle_template(
            {"resource": {"resourceType": "Patient", "_id": value("'p-1'"), "active": True}},
            {"fullUrl": "urn:x", "resource": {"resourceType": "Patient", "_active": value("{}")}},
        )
    )
    (entry,) = bundle(asked)["entry"]
    assert entry["request"] == {"method": "PUT", "url": "Patient/p-1"}
    assert entry["fullUrl"].startswith("urn:uuid:")


def test_a_bundle_template_may_delete() -> None:
    asked = questionnaire(**bundle_template({"request": {"method": "DELETE", "_url": value("'Patient/' + id")}}))
    assert bundle_without_resources(asked) == [{"request": {"method": "DELETE", "url": "Patient/r"}}]
    with pytest.raises(Invalid):
        bundle_without_resources(questionnaire(**bundle_template({"request": {"method": "POST", "url": "Patient"}})))


def bundle_without_resources(asked: Questionnaire) -> list[dict[str, Any]]:
    return list(transaction_bundle(extracted(asked, id="r"))["entry"])


def test_each_entry_of_a_bundle_template_has_its_own_name() -> None:
    entry = {"resource": {"resourceType": "Patient", "active": True}}
    found = extracted(questionnaire(**bundle_template(entry, entry)))
    assert [one.template for one in found] == ["t.entry[0]", "t.entry[1]"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"contained": []}, "Questionnaire"),
        ({"contained": [PATIENT]}, "Questionnaire.contained[0]"),
        ({"contained": [{"resourceType": "Bundle", "id": "t", "type": "batch"}]}, "Questionnaire.contained[0]"),
    ],
)
def test_a_bundle_template_is_a_contained_transaction(change: dict[str, Any], place: str) -> None:
    assert [where for _, where in faults(questionnaire(**{**bundle_template(), **change}))] == [place]


def patch(**part: Any) -> dict[str, Any]:
    """A FHIRPath Patch that sets the status of a resource."""
    parts = [{"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Condition.clinicalStatus"}]
    return {
        "resourceType": "Parameters",
        "id": "t",
        "parameter": [{"name": "operation", "part": [*parts, {"name": "value", **part}]}],
    }


def patched(*properties: dict[str, Any], **part: Any) -> Questionnaire:
    use = template_extract("t")
    use["extension"] += properties
    return questionnaire(choice("q", "a", "b", extension=[use]), contained=[patch(**part)])


def test_a_patch_as_template_is_a_patch_of_what_its_url_names() -> None:
    url = {"url": SMART_FORMS_URL, "valueString": "'Condition/' + answer.value.code"}
    (entry,) = bundle(patched(url, valueCodeableConcept=value("answer.value")), answered("q", "a"))["entry"]
    assert entry["request"] == {"method": "PATCH", "url": "Condition/a"}
    assert entry["resource"]["parameter"][0]["part"][2] == {
        "name": "value",
        "valueCodeableConcept": {"coding": [coding("a")]},
    }


def test_a_patch_may_name_type_and_id_instead() -> None:
    named = [{"url": "type", "valueCode": "Condition"}, {"url": "resourceId", "valueString": "answer.value.code"}]
    (entry,) = bundle(patched(*named, valueCoding=value("answer.value")), answered("q", "a"))["entry"]
    assert entry["request"] == {"method": "PATCH", "url": "Condition/a"}
    assert "id" not in entry["resource"]


def test_an_operation_of_a_patch_without_its_value_goes_and_a_patch_without_operations() -> None:
    url = {"url": SMART_FORMS_URL, "valueString": "'Condition/1'"}
    assert "entry" not in bundle(patched(url, valueCoding=value("answer.value.where(code = 'b')")), answered("q", "a"))


def test_a_patch_without_a_url_is_refused() -> None:
    assert faults(patched(valueCoding=value("answer.value"))) == [("required", "Questionnaire.item[0]")]
    nowhere = patched({"url": SMART_FORMS_URL, "valueString": "{}"}, valueCoding=value("answer.value"))
    with pytest.raises(Invalid):
        extracted(nowhere, answered("q", "a"))


def test_templates_definitions_and_observations_give_one_transaction() -> None:
    definition = {"url": "definition", "valueCanonical": "http://hl7.org/fhir/StructureDefinition/Patient"}
    starts = {"url": SDC + "definitionExtract", "extension": [definition, {"url": "fullUrl", "valueString": "%newId"}]}
    person = question(
        "p",
        "group",
        extension=[starts],
        item=[question("born", "date", definition=f"{definition['valueCanonical']}#Patient.birthDate")],
    )
    weight = question(
        "w",
        "decimal",
        code=[coding("weight")],
        extension=[{"url": SDC + "observationExtract", "valueBoolean": True}],
    )
    note = observation(code={"text": "x"}, subject={"_reference": value("%newId")}, _valueString=value("answer.value"))
    said = question("n", "string", extension=[template_extract("t")])
    asked = questionnaire(person, weight, said, contained=[note], extension=[allocate("newId")])
    found = made_resources(
        asked,
        group("p", answered("born", {"valueDate": "2000-01-01"})),
        answered("w", {"valueDecimal": 7}),
        answered("n", {"valueString": "words"}),
    )
    assert [one["resourceType"] for one in found] == ["Observation", "Patient", "Observation"]
    assert found[0]["subject"] == {"reference": "urn:uuid:id-1"}
    assert found[1] == {"resourceType": "Patient", "birthDate": "2000-01-01"}
    assert found[2]["valueQuantity"] == {"value": 7}
