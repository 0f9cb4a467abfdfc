"""The short generated narrative of a resource (http://hl7.org/fhir/R4/narrative.html; best practice dom-6)."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from service.fhir.elements import is_entered_in_error
from service.fhir.json import Json

_PLAIN_VALUES: Final = ("valueString", "valueDateTime", "valueBoolean", "valueInteger", "valueTime")


def with_narrative(resource: Json) -> Json:
    """`resource` with a generated `text` before its other content; one that has a `text` is left as it is."""
    if "text" in resource:
        return resource
    xhtml = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{escape(sentence(resource), quote=False)}</p></div>'
    head: Json = {name: resource[name] for name in ("resourceType", "id", "meta") if name in resource}
    return {**head, "text": {"status": "generated", "div": xhtml}, **resource}


def concept_text(concept: Json) -> str:
    """What people call a CodeableConcept: its text, else the first display or code."""
    if "text" in concept:
        return str(concept["text"])
    for coding in concept.get("coding", []):
        name = coding.get("display", coding.get("code"))
        if name is not None:
            return str(name)
    return "not coded"


def without_generated_narrative(resource: Json) -> Json:
    """`resource` without a `text` that was generated here from what it says; one of anybody else's stays."""
    bare = {name: value for name, value in resource.items() if name != "text"}
    return bare if with_narrative(bare)["text"] == resource.get("text") else resource


def sentence(resource: Json) -> str:
    """What `resource` says, and first of all if that was entered in error."""
    return f"Entered in error: {_said(resource)}" if is_entered_in_error(resource) else _said(resource)


def _said(resource: Json) -> str:
    match resource["resourceType"]:
        case "Observation":
            site = f" ({concept_text(resource['bodySite'])})" if "bodySite" in resource else ""
            return f"{_asked(concept_text(resource.get('code', {})))} {_value_text(resource)}{site}"
        case "Condition":
            onset = f", since {resource['onsetDateTime']}" if "onsetDateTime" in resource else ""
            certainty = resource.get("verificationStatus")
            return (
                concept_text(resource.get("code", {})) + (f", {concept_text(certainty)}" if certainty else "") + onset
            )
        case "Provenance":
            why = "".join(f" {concept_text(reason)}" for reason in resource.get("reason", []))
            return f"Recorded {resource['recorded']} from answers to a questionnaire.{why}"
        case "QuestionnaireResponse":
            authored = f", authored {resource['authored']}" if "authored" in resource else ""
            return f"Answers to {resource['questionnaire']}, {resource['status']}{authored}."
        case other:
            return f"{other} made from answers to a questionnaire."


def _asked(question: str) -> str:
    return question if question.endswith(("?", ".", ":", "!")) else f"{question}:"


def _value_text(observation: Json) -> str:
    for name in _PLAIN_VALUES:
        if name in observation:
            return _plain(observation[name])
    if "valueCodeableConcept" in observation:
        return concept_text(observation["valueCodeableConcept"])
    if "valueQuantity" in observation:
        quantity = observation["valueQuantity"]
        return " ".join(str(quantity[part]) for part in ("comparator", "value", "unit") if part in quantity)
    if "dataAbsentReason" in observation:
        return f"no value ({concept_text(observation['dataAbsentReason'])})"
    return "see the coded content"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
