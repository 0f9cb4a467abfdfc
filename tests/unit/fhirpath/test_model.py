"""The R4 types read from HL7's definitions."""

from service.fhirpath.model import definition, element_names, is_type


def test_items_nest_by_content_reference() -> None:
    item = definition("QuestionnaireResponse.item")
    assert item.elements["item"].types == ("QuestionnaireResponse.item",)
    assert definition("QuestionnaireResponse.item.answer").elements["item"].types == ("QuestionnaireResponse.item",)
    assert item.is_a("BackboneElement")


def test_a_choice_has_a_property_for_each_type() -> None:
    value = definition("QuestionnaireResponse.item.answer").elements["value"]
    assert value.is_choice
    assert value.properties["valueCoding"] == "Coding"
    assert value.properties["valueDate"] == "date"
    assert len(definition("Extension").elements["value"].properties) == 50


def test_primitives_have_a_system_type_and_a_line_of_descent() -> None:
    assert definition("QuestionnaireResponse").elements["authored"].types == ("dateTime",)
    assert definition("code").system == "String"
    assert definition("code").is_a("string")
    assert definition("unsignedInt").system == "Integer"
    assert definition("instant").system == "DateTime"
    assert definition("Coding").system is None


def test_elements_are_inherited() -> None:
    assert set(definition("Patient").elements) >= {"id", "meta", "contained", "extension", "birthDate"}
    assert definition("Patient").is_resource
    assert definition("Age").is_quantity


def test_names() -> None:
    assert is_type("Quantity")
    assert not is_type("QuestionnaireResponse.item")
    assert "value" in element_names()
    assert "valueCoding" not in element_names()
