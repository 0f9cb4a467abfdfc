"""The inputs of a form: how an answer is written into them, and read back out of what was posted.

`read_answers` is the inverse of `written`; a value that cannot be read is told in words for the person who typed it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from itertools import zip_longest
from typing import Any, Final

from service.fhir.elements import choice_key, extensions, typed_extension_value
from service.fhir.json import Json
from service.fhir.primitives import is_date, is_integer, is_string, is_time, is_uri
from service.fhir.terminology import Terminology
from service.sdc import vocabulary as sdc
from service.sdc.answering import option_answer
from service.sdc.comparison import answer_key
from service.sdc.drafting import Rows
from service.sdc.form import Choice, Control, choices, control, takes_own_words
from service.sdc.questionnaire import Item
from service.web.interface import gettext as _

Inputs = Mapping[str, Sequence[str]]
"""The values of inputs by name, as a browser posts them."""

_TAKEN: Final = frozenset({"action", "asked", "content", "from", "key", "offset", "patient"})
"""Names of inputs and ids that the pages of a form have of their own."""

_PLAIN_ID: Final = re.compile(r"[A-Za-z][\w.~-]*", re.ASCII)
_WHOLE: Final = re.compile(r"[+-]?\d{1,10}", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?", re.ASCII)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_CLOCK: Final = re.compile(r"(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of one question: the answers that could be read, and what is wrong with the others."""

    answers: tuple[Json, ...] = ()
    fault: str | None = None


class Unreadable(Exception):
    """An input that is no value of its question; the message tells the person how to mend it."""


def field_name(item: Item, rows: Rows) -> str:
    """The name of the inputs of `item` in these repetitions of the groups around it."""
    own = f"~{item.link_id}" if item.link_id in _TAKEN else item.link_id
    return "~".join([own, *map(str, rows)])


def html_id(name: str) -> str:
    """`name` as the id of an HTML element and the fragment of an address."""
    return name if _PLAIN_ID.fullmatch(name) else "f-" + name.encode().hex()


def units(item: Item, terminology: Terminology) -> tuple[Json, ...]:
    """The units (Codings) that a quantity may be given in; none when any unit may be."""
    offered = [extension.get("valueCoding", {}) for extension in extensions(item.definition, sdc.UNIT_OPTION)]
    value_set = typed_extension_value(item.definition, sdc.UNIT_VALUE_SET, str)
    if value_set is not None:
        offered.extend(terminology.expand(value_set) or ())
    unit = typed_extension_value(item.definition, sdc.UNIT, dict)
    return tuple(offered) or ((unit,) if unit is not None else ())


def written(item: Item, name: str, answers: Sequence[Json]) -> dict[str, list[str]]:
    """The inputs that show `answers`."""
    inputs: dict[str, list[str]] = {}
    known = {choice.option.key: choice for choice in choices(item)}
    for answer in answers:
        key = choice_key(answer)
        if key is None:
            continue
        choice = known.get(answer_key(key, answer[key]))
        parts = {"": choice.value} if choice is not None else _parts(item, answer[key])
        for part, text in parts.items():
            inputs.setdefault(name + part, []).append(text)
    return inputs


def read_answers(
    item: Item, name: str, inputs: Inputs, kept: Sequence[Json], terminology: Terminology, zone: tzinfo
) -> Reading:
    """The answers to `item` in `inputs`; `zone` is the person's own time zone.

    `kept` are the answers that the form showed: where nothing was changed they stay, to the last detail.
    """
    shown = written(item, name, kept)
    names = [name + part for part in _PARTS]
    if kept and all(_filled(inputs.get(one, ())) == _filled(shown.get(one, ())) for one in names):
        return Reading(tuple(kept))
    kind = control(item)
    if kind in (Control.RADIOS, Control.CHECKBOXES, Control.SELECT):
        return _read_choices(item, name, inputs)
    reader = _READERS[kind] if kind is not None else _read_text
    answers: list[Json] = []
    fault = None
    for parts in _instances(name, inputs):
        try:
            answer = reader(item, parts, terminology, zone)
        except Unreadable as unreadable:
            fault = fault or str(unreadable)
        else:
            answers += [] if answer is None or answer in answers else [answer]
    return Reading(tuple(answers), fault)


_PARTS: Final = ("", ".other", ".day", ".month", ".year", ".time", ".unit")
_Parts = Mapping[str, str]


def _filled(values: Sequence[str]) -> list[str]:
    return [text.strip() for text in values if text.strip()]


def _parts(item: Item, value: Any) -> dict[str, str]:
    """One answer as the texts of its inputs, by what their names end in."""
    match control(item):
        case Control.YES_NO:
            return {"": "yes" if value else "no"}
        case Control.DATE:
            return _date_parts(str(value))
        case Control.DATE_TIME:
            day, _, clock = str(value).partition("T")
            return {**_date_parts(day), ".time": clock[:5]}
        case Control.TIME:
            return {"": str(value)[:5] if str(value).endswith(":00") else str(value)}
        case Control.QUANTITY if isinstance(value, dict):
            return {"": str(value.get("value", "")), ".unit": str(value.get("code", value.get("unit", "")))}
        case Control.RADIOS | Control.CHECKBOXES | Control.SELECT:
            return {".other": str(value.get("display", value.get("code", "")) if isinstance(value, dict) else value)}
        case _:
            return {"": str(value)}


def _date_parts(text: str) -> dict[str, str]:
    year, month, day = (*text.split("-"), "", "")[:3]
    return {".day": day.lstrip("0"), ".month": month.lstrip("0"), ".year": year}


def _instances(name: str, inputs: Inputs) -> Iterator[_Parts]:
    """The inputs of one answer after another, empty ones left out."""
    columns = [inputs.get(name + part, ()) for part in _PARTS]
    for row in zip_longest(*columns, fillvalue=""):
        parts = {part: text.strip() for part, text in zip(_PARTS, row, strict=True)}
        if any(text for part, text in parts.items() if part != ".unit"):
            yield parts


def _read_choices(item: Item, name: str, inputs: Inputs) -> Reading:
    by_value: dict[str, Choice] = {choice.value: choice for choice in choices(item)}
    chosen = [by_value[value] for value in dict.fromkeys(inputs.get(name, ())) if value in by_value]
    words = _filled(inputs.get(name + ".other", ())) if takes_own_words(item) else []
    own = [{"valueString": text} for text in dict.fromkeys(_lines(text) for text in words) if text]
    answers: list[Json] = [option_answer(choice.option) for choice in chosen]
    exclusive = [choice for choice in chosen if choice.option.exclusive]
    if exclusive and len(chosen) + len(own) > 1:
        kept = [option_answer(choice.option) for choice in chosen if not choice.option.exclusive]
        text = _("You chose “%(answer)s” beside other answers. Keep it, or the others.", answer=exclusive[0].label)
        return Reading((*kept, *own), text)
    if not item.repeats and len(answers) + len(own) > 1:
        return Reading((), _("Choose one answer, or write your own, not both."))
    return Reading((*answers, *own))


def _lines(text: str) -> str:
    """`text` with line feeds alone, and without control characters, which no keyboard types and FHIR does not take."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def _read_yes_no(item: Item, parts: _Parts, terminology: Terminology, zone: tzinfo) -> Json | None:
    return {"valueBoolean": parts[""] == "yes"} if parts[""] in ("yes", "no") else None


def _read_text(item: Item, parts: _Parts, terminology: Terminology, zone: tzinfo) -> Json | None:
    text = _lines(parts[""])
    if not text:
        return None
    if not is_string(text):
        raise Unreadable(_("Write less: this is more than can be kept."))
    return {"valueString": text if control(item) is Control.TEXT_AREA else " ".join(text.split("\n"))}


def _read_url(item: Item, parts: _Parts, terminology: Terminology, zone: tzinfo) -> Json | None:
    if not is_uri(parts[""]):
        raise Unreadable(_("Write an address without spaces, such as https://example.org/"))
    return {"valueUri": parts[""]}


def _read_integer(item: Item, parts: _Parts, terminology: Terminology, zone: tzinfo) -> Json | None:
    if not _WHOLE.fullmatch(parts[""]) or not is_integer(int(parts[""])):
        raise Unreadable(_("Write a whole number in digits, such as 12."))
    return {"valueInteger": int(parts[""])}


def _read_decimal(item: Item, parts: _Parts, terminology: Terminology, zone: tzinfo) -> Json | None:
    return {"valueDecimal": _number(parts[""])}


def _number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise Unreadable(_("Write a number in digits, with a point for decimals, such as 37.5."))
    return Decimal(text)


def _read_quantity(item: Item, parts: _Parts, terminology: Terminology, zone: tzinfo) -> Json | None:
    number = _number(parts[""])
    offered = units(item, terminology)
    if not offered:
        return {"valueQuantity": {"value": number, **({"unit": parts[".unit"]} if parts[".unit"] else {})}}
    chosen = [unit for unit in offered if unit.get("code") == parts[".unit"]] or (offered if len(offered) == 1 else ())
    if not chosen:
        raise Unreadable(_("Choose the unit of your number."))
    unit = chosen[0]
    coded = {name: unit[name] for name in ("system", "code") if name in unit}
    return {"valueQuantity": {"value": number, "unit": unit.get("display", unit.get("code")), **coded}}


def _read_date(item: Item, parts: _Parts, terminology: Terminology, zone: tzinfo) -> Json | None:
    return {"valueDate": _date(parts)}


def _date(parts: _Parts) -> str:
    day, month, year = (parts[name] for name in (".day", ".month", ".year"))
    if not re.fullmatch(r"\d{4}", year, re.ASCII):
        raise Unreadable(_("Write the year in four digits, such as 2025."))
    if day and not month:
        raise Unreadable(_("Write the month as well, or leave the day empty."))
    text = "-".join([year, *(part.zfill(2) for part in (month, day) if part)])
    if not is_date(text):
        raise Unreadable(_("There is no such date. Write day and month in digits, such as 27 and 3."))
    return text


def _read_date_time(item: Item, parts: _Parts, terminology: Terminology, zone: tzinfo) -> Json | None:
    day = _date(parts)
    if not parts[".time"]:
        return {"valueDateTime": day}
    if len(day) != len("2026-01-01"):
        raise Unreadable(_("Write the whole date, or leave the time empty."))
    moment = datetime.fromisoformat(f"{day}T{_clock(parts['.time'])}").replace(tzinfo=zone)
    return {"valueDateTime": moment.isoformat()}


def _read_time(item: Item, parts: _Parts, terminology: Terminology, zone: tzinfo) -> Json | None:
    return {"valueTime": _clock(parts[""])}


def _clock(text: str) -> str:
    match = _CLOCK.fullmatch(text)
    clock = "" if match is None else f"{match[1].zfill(2)}:{match[2]}:{match[3] or '00'}"
    if not is_time(clock) or clock.endswith(":60"):
        raise Unreadable(_("Write the time as hours and minutes, such as 9:30 or 17:05."))
    return clock


_READERS: Final[Mapping[Control, Callable[[Item, _Parts, Terminology, tzinfo], Json | None]]] = {
    Control.YES_NO: _read_yes_no,
    Control.TEXT: _read_text,
    Control.TEXT_AREA: _read_text,
    Control.URL: _read_url,
    Control.INTEGER: _read_integer,
    Control.DECIMAL: _read_decimal,
    Control.QUANTITY: _read_quantity,
    Control.DATE: _read_date,
    Control.DATE_TIME: _read_date_time,
    Control.TIME: _read_time,
}
