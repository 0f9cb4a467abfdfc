"""Answers, and the limits of answers, as the people who give them read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from babel.dates import format_date, format_skeleton
from flask_babel import get_locale

from service.fhir.elements import choice_key, extensions
from service.fhir.json import Json
from service.fhir.primitives import is_date
from service.packs import Pack
from service.sdc import vocabulary as sdc
from service.sdc.answers import answer_label, value_text
from service.sdc.assessment import Reason
from service.sdc.questionnaire import Item
from service.web.interface import gettext as _


def answer_words(item: Item, answer: Json) -> str:
    """One answer in the words of the page and of the interface's language."""
    match answer:
        case {"valueBoolean": bool(value)} if not item.option_keys:
            return _("yes") if value else _("no")
        case {"valueDate": str(text)} if is_date(text) and not item.option_keys:
            return day_words(text)
        case _:
            return answer_label(item, answer)


def reason_words(pack: Pack, reason: Reason) -> list[str]:
    """The answers behind a rule's outcome, as `pack` words them."""
    item = pack.questionnaire.by_link_id[reason.link_id]
    return [answer_words(item, answer) for answer in reason.given]


def told_on(reason: Reason) -> str:
    """The beginning of a line about answers that stand in an earlier response; "" for those of this one."""
    return "" if reason.told_on is None else _("On %(day)s:", day=day_words(reason.told_on)) + " "


def day_words(text: str) -> str:
    """A FHIR date as people write it: "27 March 2025", "March 2025" or "2025"."""
    year, month, day = (int(part) for part in f"{text}-01-01".split("-")[:3])
    if len(text) == len("2025"):
        return text
    moment = date(year, month, day)
    if len(text) == len("2025-03"):
        return format_skeleton("yMMMM", moment, locale=get_locale())
    return format_date(moment, "long", locale=get_locale())


def bounds_of(item: Item) -> Mapping[str, str]:
    """The bounds of the answers to `item` in words: `least` and `most`, as far as they are fixed."""
    bounds = {}
    for name, urls in (("least", (sdc.MIN_VALUE, sdc.MIN_QUANTITY)), ("most", (sdc.MAX_VALUE, sdc.MAX_QUANTITY))):
        for extension in (one for url in urls for one in extensions(item.definition, url)):
            key = choice_key(extension)
            if key is not None:
                bounds[name] = value_text(extension[key])
    return bounds


def limit_words(least: Any = None, most: Any = None) -> str:
    """What a value must keep to, said to whoever gave another."""
    if least is not None and most is not None:
        return _("The value must be at least %(least)s and at most %(most)s.", least=least, most=most)
    if least is not None:
        return _("The value must be at least %(least)s.", least=least)
    if most is not None:
        return _("The value must be at most %(most)s.", most=most)
    return _("This is beyond what the question takes. Write another value, or leave it out.")
