"""How a Questionnaire is asked on pages: its steps, the control of each question, and what cannot be asked this way.

One step is one top-level group; questions beside the groups are steps of their own. FHIR R4 item-type, with the item
controls and rendering extensions of FHIR R4 and SDC STU4 (http://hl7.org/fhir/uv/sdc/rendering.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

from service.errors import Issue, IssueType, error
from service.fhir.elements import extension_value, typed_extension_value
from service.sdc import vocabulary as sdc
from service.sdc.answers import option_label
from service.sdc.questionnaire import Item, ItemType, Option, Questionnaire

_MOST_RADIOS: Final = 20
_DROP_DOWNS: Final = frozenset({"drop-down", "autocomplete", "lookup"})


class Control(StrEnum):
    """What a person answers a question with."""

    RADIOS = "radios"
    CHECKBOXES = "checkboxes"
    SELECT = "select"
    YES_NO = "yes-no"
    TEXT = "text"
    TEXT_AREA = "text-area"
    URL = "url"
    INTEGER = "integer"
    DECIMAL = "decimal"
    QUANTITY = "quantity"
    DATE = "date"
    DATE_TIME = "date-time"
    TIME = "time"


_CONTROLS: Final = {
    ItemType.BOOLEAN: Control.YES_NO,
    ItemType.DECIMAL: Control.DECIMAL,
    ItemType.INTEGER: Control.INTEGER,
    ItemType.DATE: Control.DATE,
    ItemType.DATE_TIME: Control.DATE_TIME,
    ItemType.TIME: Control.TIME,
    ItemType.STRING: Control.TEXT,
    ItemType.TEXT: Control.TEXT_AREA,
    ItemType.URL: Control.URL,
    ItemType.QUANTITY: Control.QUANTITY,
    ItemType.OPEN_CHOICE: Control.TEXT,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One page of a form: `items` are the top-level items it asks, `number` its place from 1."""

    number: int
    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """An option as a form offers it: `value` names it within its question."""

    value: str
    label: str
    option: Option


def form_steps(questionnaire: Questionnaire) -> tuple[Step, ...]:
    """The steps of the form, in the Questionnaire's order; what is never shown has none."""
    shown = [item for item in questionnaire.items if not is_hidden(item)]
    pages: list[tuple[Item, ...]] = []
    for is_group, items in groupby(shown, key=lambda item: item.type is ItemType.GROUP):
        together = tuple(items)
        pages.extend([(item,) for item in together] if is_group else [together])
    title = str(questionnaire.definition.get("title", "Questions"))
    return tuple(
        Step(number, page[0].text if page[0].type is ItemType.GROUP and page[0].text else title, page)
        for number, page in enumerate(pages, start=1)
    )


def control(item: Item) -> Control | None:
    """What `item` is answered with; None when a page cannot ask it."""
    if item.options is not None and item.options:
        if item.repeats:
            return Control.CHECKBOXES
        is_long = len(item.options) > _MOST_RADIOS and item.type is not ItemType.OPEN_CHOICE
        return Control.SELECT if is_long or item_control(item) in _DROP_DOWNS else Control.RADIOS
    if item.unresolved_value_set is not None:
        return None
    return _CONTROLS.get(item.type)


def choices(item: Item) -> tuple[Choice, ...]:
    """The options of `item`, each named by its code where that is the only one, else by system and code."""
    options = item.options or ()
    short = [option.key[-1] for option in options]
    return tuple(
        Choice(code if short.count(code) == 1 else "|".join(option.key[1:]), option_label(option), option)
        for code, option in zip(short, options, strict=True)
    )


def takes_own_words(item: Item) -> bool:
    """True for a question with options that also takes a text."""
    return item.type is ItemType.OPEN_CHOICE and bool(item.options)


def is_hidden(item: Item) -> bool:
    """True for an item that no form shows (questionnaire-hidden)."""
    return extension_value(item.definition, sdc.HIDDEN) is True


def is_answerable(item: Item) -> bool:
    """True for a question that a person may answer: shown, not calculated, not read-only."""
    return (
        item.is_question
        and not is_hidden(item)
        and item.calculated is None
        and item.definition.get("readOnly") is not True
    )


def is_help(item: Item) -> bool:
    """True for a display that explains the question it stands after, or within."""
    return item.type is ItemType.DISPLAY and item_control(item) in ("help", "flyover")


def item_control(item: Item) -> str | None:
    """The code of the item's control, such as `drop-down`; None when it has none."""
    concept = typed_extension_value(item.definition, sdc.ITEM_CONTROL, dict) or {}
    return next((str(coding.get("code")) for coding in concept.get("coding", [])), None)


def form_issues(questionnaire: Questionnaire) -> Iterator[Issue]:
    """Why the Questionnaire cannot be asked on pages, item by item; nothing when it can."""
    for item in questionnaire.by_link_id.values():
        above = [questionnaire.by_link_id[link_id] for link_id in item.ancestors]
        if any(is_hidden(one) for one in (*above, item)):
            if item.is_question and item.required and not _is_given(item):
                text = f"'{item.link_id}' is required but hidden, and nothing answers it. Show it, or calculate it."
                yield error(IssueType.BUSINESS_RULE, text, item.path)
            continue
        if any(one.is_question for one in above) and item.type is not ItemType.DISPLAY:
            text = f"'{item.link_id}' stands below a question, which forms nest differently. Use enableWhen instead."
            yield error(IssueType.NOT_SUPPORTED, text, item.path)
        if is_answerable(item) and (reason := _unaskable(item)) is not None:
            yield error(IssueType.NOT_SUPPORTED, f"The form cannot ask '{item.link_id}': {reason}", item.path)


def _unaskable(item: Item) -> str | None:
    if control(item) is None:
        if item.type in (ItemType.CHOICE, ItemType.OPEN_CHOICE):
            return "it has no options at hand. List them as answerOption, or contain the value set."
        return f"pages have no control for the type {item.type}. Use another type, or hide it."
    if item.type is ItemType.BOOLEAN and item.repeats:
        return "a yes or no cannot repeat. Remove repeats."
    return None


def _is_given(item: Item) -> bool:
    has_default = "initial" in item.definition or any(
        option.get("initialSelected") is True for option in item.definition.get("answerOption", [])
    )
    return (
        item.calculated is not None
        or has_default
        or extension_value(item.definition, sdc.INITIAL_EXPRESSION) is not None
    )
