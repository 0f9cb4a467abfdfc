"""Judges the answers of one question: type, value, and whether they are among its options."""

from __future__ import annotations

from calendar import month_name
from collections.abc import Iterator, Sequence
from typing import Any

from service.errors import Detail, Issue, IssueType, error
from service.fhir.elements import choice_key, typed_extension_value
from service.fhir.json import Json
from service.fhir.primitives import is_date
from service.fhir.r4_terminology import UCUM, is_unit_of
from service.fhirpath import Environment
from service.sdc import vocabulary as sdc
from service.sdc.comparison import answer_key
from service.sdc.questionnaire import Item, ItemType, Option


def answer_issues(item: Item, answers: Sequence[Json], path: str) -> Iterator[Issue]:
    """The findings about type and options of the answers of `item`, whose response item stands at `path`.

    That each value is one of its own type, such as a date of the calendar, is told by its shape.
    """
    seen = set()
    for position, answer in enumerate(answers):
        place = f"{path}.answer[{position}]"
        key = choice_key(answer)
        if key is None:
            text = f"The answer to '{item.link_id}' has no value. Give {_wanted(item)}, or remove the answer."
            yield error(IssueType.REQUIRED, text, place, Detail.ANSWER_WITHOUT_VALUE)
            continue
        fault = _type_issue(item, key, answer[key], place) or _option_issue(item, key, answer[key], place)
        if fault is not None:
            yield fault
        identity = answer_key(key, answer[key])
        if identity in seen:
            yield error(
                IssueType.DUPLICATE, "The same answer stands twice. Remove one.", place, Detail.DUPLICATE_ANSWER
            )
        seen.add(identity)


def answer_text(item: Item, answer: Json) -> str:
    """One answer in words: an option by the Questionnaire's own display, a quantity with its unit, else as given."""
    key = choice_key(answer)
    if key is None:
        return ""
    option = item.option_keys.get(answer_key(key, answer[key]))
    return value_text(option.value[key] if option else answer[key])


def answer_label(item: Item, answer: Json) -> str:
    """One answer as the person who gave it read it: an option by its label in a form, else as `answer_text`."""
    key = choice_key(answer)
    if key is None:
        return ""
    option = item.option_keys.get(answer_key(key, answer[key]))
    if option is not None:
        return option_label(option)
    text = value_text(answer[key])
    return _date_words(text) if key == "valueDate" and is_date(text) else text


def option_label(option: Option) -> str:
    """How a form words an option: the plain text (`rendering-markdown`) beside its display, else the display itself."""
    [value] = option.value.values()
    sibling = value.get("_display", {}) if isinstance(value, dict) else {}
    return typed_extension_value(sibling, sdc.RENDERING_MARKDOWN, str) or value_text(value)


def _date_words(text: str) -> str:
    """A FHIR date as people write it: "27 March 2025", "March 2025" or "2025"."""
    year, month, day = (*text.split("-"), "", "")[:3]
    return " ".join(part for part in (day.lstrip("0"), month and month_name[int(month)], year) if part)


def value_text(value: Any) -> str:
    """A value of an answer in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, dict):
        return str(value)
    if "value" in value:
        return f"{value['value']} {value.get('unit', value.get('code', ''))}".strip()
    return str(value.get("display") or value.get("code") or value.get("reference") or value.get("title") or "")


def _type_issue(item: Item, key: str, value: Any, place: str) -> Issue | None:
    if key not in item.answer_keys:
        text = f"'{item.link_id}' takes {_wanted(item)}, not {key}."
        return error(IssueType.STRUCTURE, text, f"{place}.{key}", Detail.WRONG_TYPE)
    if item.type is ItemType.STRING and key == "valueString" and ("\n" in value or "\r" in value):
        text = f"'{item.link_id}' takes a single line. Remove the line breaks."
        return error(IssueType.VALUE, text, f"{place}.{key}", Detail.INVALID_VALUE)
    return None


def limit_issues(item: Item, answers: Sequence[Json], path: str, environment: Environment) -> Iterator[Issue]:
    """The findings about the limits of `item` that its well-typed answers exceed.

    `environment` is what expressions on the item see; its `%context` is the response item.
    """
    for position, answer in enumerate(answers):
        key = choice_key(answer)
        place = f"{path}.answer[{position}].{key}"
        if key is None or _type_issue(item, key, answer[key], place) is not None:
            continue
        for limit in item.limits:
            breach = limit(key, answer[key], environment)
            if breach is not None:
                yield error(breach.code, f"'{item.link_id}': {breach.text}", place, breach.detail)


def _option_issue(item: Item, key: str, value: Any, place: str) -> Issue | None:
    is_open_text = item.type is ItemType.OPEN_CHOICE and key == "valueString"
    if item.unresolved_value_set is not None and key == "valueCoding":
        is_unit = is_unit_of(item.unresolved_value_set, value)
        if is_unit is not None:
            text = f"'{item.link_id}' takes a unit as UCUM writes it, with the system {UCUM}."
            return None if is_unit else error(IssueType.CODE_INVALID, text, f"{place}.{key}", Detail.NOT_AN_OPTION)
        text = f"The value set '{item.unresolved_value_set}' of '{item.link_id}' is not at hand to judge this code."
        return error(IssueType.NOT_SUPPORTED, text, f"{place}.{key}", Detail.VALUE_SET_UNRESOLVED)
    if item.options is None or is_open_text or answer_key(key, value) in item.option_keys:
        return None
    wanted = "system and code of one of" if "valueCoding" in item.answer_keys else "one of"
    text = f"This is no option of '{item.link_id}'. Use {wanted} {_option_list(item)}."
    return error(IssueType.CODE_INVALID, text, f"{place}.{key}", Detail.NOT_AN_OPTION)


def _wanted(item: Item) -> str:
    return " or ".join(sorted(item.answer_keys))


def _option_list(item: Item) -> str:
    codes = [key[-1] for key in item.option_keys]
    shown = ", ".join(codes[:12])
    return f"{shown}, …" if len(codes) > 12 else shown
