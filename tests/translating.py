"""Translations for pages that have none: each text that patients read is its own translation, in guillemets."""

from __future__ import annotations

import re
from typing import Any

from service.fhir.json import Json
from service.fhir.translation import TRANSLATION, untranslated


def in_guillemets(text: str) -> str:
    return f"«{text}»"


def translate(resource: Json, language: str = "es") -> Json:
    """`resource`, changed: with a translation of each text that patients read."""
    for path in list(untranslated(resource, language)):
        holder: Any = resource
        *way, name = re.findall(r"[^.\[\]]+", path)[1:]
        for step in way:
            holder = holder[int(step)] if step.isdigit() else holder[step]
        add_translation(holder, name, in_guillemets(holder[name]), language)
    return resource


def add_translation(element: Json, name: str, text: str, language: str = "es") -> None:
    """Adds a translation to the text `name` of `element`; to a concept's display as a designation."""
    if name == "display" and "system" not in element:
        element.setdefault("designation", []).append({"language": language, "value": text})
        return
    parts = [{"url": "lang", "valueCode": language}, {"url": "content", "valueString": text}]
    sibling = element.setdefault(f"_{name}", {})
    sibling.setdefault("extension", []).append({"url": TRANSLATION, "extension": parts})
