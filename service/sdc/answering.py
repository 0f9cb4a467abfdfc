"""Makes values that were found into answers that a question takes; what it does not take is refused.

SDC STU4, http://hl7.org/fhir/uv/sdc/populate.html: the value has the question's type, with few exceptions: a code
stands for the one option it names, a Quantity for a number in the question's unit, a resource for a reference to it.
Beyond that, the ConceptMaps at hand translate a Coding into one of the options.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from service.fhir.elements import typed_extension_value
from service.fhir.json import Json
from service.fhirpath import Item as Value
from service.fhirpath import json_value, type_name
from service.sdc import vocabulary as sdc
from service.sdc.comparison import answer_key
from service.sdc.questionnaire import Item, ItemType, Option

# A translation that says no more than that two concepts are unlike, or have to do with one another, is no answer.
_USABLE: Final = frozenset({"equivalent", "equal", "wider", "subsumes", "inexact"})
_STRINGS: Final = frozenset({"string", "code", "id", "markdown", "uri", "url", "canonical", "String"})
_SIMPLE: Final[Mapping[ItemType, tuple[str, frozenset[str]]]] = {
    ItemType.BOOLEAN: ("valueBoolean", frozenset({"boolean", "Boolean"})),
    ItemType.INTEGER: ("valueInteger", frozenset({"integer", "positiveInt", "unsignedInt", "Integer"})),
    ItemType.DECIMAL: (
        "valueDecimal",
        frozenset({"decimal", "integer", "positiveInt", "unsignedInt", "Decimal", "Integer"}),
    ),
    ItemType.DATE: ("valueDate", frozenset({"date", "Date"})),
    ItemType.DATE_TIME: ("valueDateTime", frozenset({"dateTime", "instant", "date", "DateTime", "Date"})),
    ItemType.TIME: ("valueTime", frozenset({"time", "Time"})),
    ItemType.STRING: ("valueString", _STRINGS),
    ItemType.TEXT: ("valueString", _STRINGS),
    ItemType.URL: ("valueUri", frozenset({"uri", "url", "canonical", "oid", "uuid", "String"})),
    ItemType.QUANTITY: (
        "valueQuantity",
        frozenset({"Quantity", "Age", "Distance", "Duration", "Count", "MoneyQuantity", "SimpleQuantity"}),
    ),
    ItemType.ATTACHMENT: ("valueAttachment", frozenset({"Attachment"})),
}
_CODED: Final = frozenset({ItemType.CHOICE, ItemType.OPEN_CHOICE})

Translations = Mapping[tuple[str, str], tuple[tuple[str, str], ...]]
"""What a (system, code) may stand for, by the ConceptMaps at hand."""


def translations(concept_maps: Sequence[Json]) -> Translations:
    """The usable translations of ConceptMap resources."""
    found: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
    for concept_map in concept_maps:
        for group in concept_map.get("group", []):
            for element in group.get("element", []):
                targets = tuple(
                    (str(group.get("target")), str(target["code"]))
                    for target in element.get("target", [])
                    if target.get("equivalence") in _USABLE and "code" in target
                )
                key = str(group.get("source")), str(element.get("code"))
                found[key] = (*found.get(key, ()), *targets)
    return found


def answer_of(item: Item, value: Value, known: Translations) -> Json | None:
    """`value` as an answer to the question `item`; None when the question does not take it."""
    kind, content = type_name(value), json_value(value)
    if content is None:
        return None
    if item.options is not None:
        return _option(item, kind, content, known)
    if item.type in _CODED:
        return _free_coding(item, kind, content)
    if item.type is ItemType.REFERENCE:
        return _reference(content, kind)
    key, kinds = _SIMPLE.get(item.type, ("", frozenset[str]()))
    if kind in kinds:
        return {key: content}
    if item.type in (ItemType.INTEGER, ItemType.DECIMAL) and kind in _SIMPLE[ItemType.QUANTITY][1]:
        return _number(item, content)
    return None


def _option(item: Item, kind: str, content: Any, known: Translations) -> Json | None:
    for coding in _codings(content):
        option = item.option_keys.get(answer_key("valueCoding", coding))
        if option is not None:
            return option_answer(option)
    for coding in _codings(content):
        for system, code in known.get((str(coding.get("system")), str(coding.get("code"))), ()):
            option = item.option_keys.get(("valueCoding", system, code))
            if option is not None:
                return option_answer(option)
    if isinstance(content, dict):
        return None
    named = [option for option in item.options or () if option.key[-1] == str(content)]
    if len(named) == 1:
        return option_answer(named[0])
    is_open = item.type is ItemType.OPEN_CHOICE and kind in _STRINGS and kind != "code"
    return {"valueString": content} if is_open and not named else None


def _free_coding(item: Item, kind: str, content: Any) -> Json | None:
    codings = list(_codings(content))
    if codings:
        return {"valueCoding": codings[0]}
    is_text = item.type is ItemType.OPEN_CHOICE and kind in _STRINGS - {"code"}
    return {"valueString": content} if is_text else None


def _codings(content: Any) -> Iterator[Json]:
    """The Codings of a Coding or a CodeableConcept."""
    if not isinstance(content, dict):
        return
    yield from content.get("coding", [content] if "code" in content else [])


def option_answer(option: Option) -> Json:
    """The answer that choosing `option` gives: its value, without what only a form shows."""
    return {
        key: {name: part for name, part in value.items() if not name.startswith("_")}
        if isinstance(value, dict)
        else value
        for key, value in option.value.items()
    }


def _reference(content: Any, kind: str) -> Json | None:
    if kind == "Reference":
        return {"valueReference": content}
    if isinstance(content, dict) and "resourceType" in content and "id" in content:
        return {"valueReference": {"reference": f"{content['resourceType']}/{content['id']}"}}
    return None


def _number(item: Item, quantity: Json) -> Json | None:
    """The number of a Quantity that is in the question's own unit; no unit is converted, no comparator dropped."""
    unit = typed_extension_value(item.definition, sdc.UNIT, dict) or {}
    same_unit = "code" in unit and (unit.get("system"), unit["code"]) == (quantity.get("system"), quantity.get("code"))
    value = quantity.get("value")
    if not same_unit or "comparator" in quantity or not isinstance(value, int | Decimal):
        return None
    if item.type is ItemType.DECIMAL:
        return {"valueDecimal": value}
    return {"valueInteger": int(value)} if value == int(value) else None
