"""The logical models of CDS Hooks 2.0 and their invariants, written from the text of the specification.

http://hl7.org/fhir/uv/cds-hooks/ and https://cds-hooks.hl7.org/2.0/ have no JSON Schema. Each model here is a table of
fields as the specification tables them; `faults` judges a JSON value by one and gives what is wrong, each with its
place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from service.sdc.queries import is_query

Faults = Iterator[tuple[str, str]]
Judge = Callable[[Any, str], Faults]


@dataclass(frozen=True)
class Model:
    """The fields of an object: those that it must have, those that it may have, and what holds between them."""

    required: Mapping[str, Judge]
    optional: Mapping[str, Judge]
    invariants: tuple[tuple[str, Callable[[Any], bool]], ...] = ()

    def __call__(self, value: Any, place: str) -> Faults:
        if not isinstance(value, dict):
            yield place, "no object"
            return
        for name in self.required:
            if name not in value:
                yield f"{place}.{name}", "required"
        for name, one in value.items():
            judge = self.required.get(name) or self.optional.get(name)
            if judge is None:
                yield f"{place}.{name}", "not defined"
            elif one in (None, "", [], {}) and judge is not CARDS:
                yield f"{place}.{name}", "null or empty"
            else:
                yield from judge(one, f"{place}.{name}")
        for text, holds in self.invariants:
            if not holds(value):
                yield place, text


def test(wanted: str, holds: Callable[[Any], bool]) -> Judge:
    def judge(value: Any, place: str) -> Faults:
        if not holds(value):
            yield place, f"no {wanted}"

    return judge


def array(of: Judge) -> Judge:
    def judge(value: Any, place: str) -> Faults:
        if not isinstance(value, list):
            yield place, "no array"
            return
        for index, one in enumerate(value):
            yield from of(one, f"{place}[{index}]")

    return judge


def is_url(value: Any) -> bool:
    parts = urlsplit(value) if isinstance(value, str) else None
    return parts is not None and parts.scheme in ("http", "https") and bool(parts.netloc)


def is_template(value: Any) -> bool:
    """A FHIR read or search, with tokens of the hook's context or of the user."""
    of_user = "user(?:Practitioner|PractitionerRole|Patient|RelatedPerson)Id"
    token = rf"\{{\{{(?:context\.(?:userId|patientId|encounterId)|{of_user})\}}\}}"
    return isinstance(value, str) and is_query(re.sub(token, "1", value))


STRING = test("string", lambda value: isinstance(value, str))
BOOLEAN = test("boolean", lambda value: isinstance(value, bool))
URL = test("absolute URL", is_url)


def one_of(*values: str) -> Judge:
    return test(f"value of {values}", lambda value: value in values)


def templates(value: Any, place: str) -> Faults:
    if not isinstance(value, dict):
        yield place, "no object"
        return
    for key, template in value.items():
        if not is_template(template):
            yield f"{place}.{key}", "no prefetch template"


SERVICE = Model(
    required={"hook": STRING, "description": STRING, "id": STRING},
    optional={"title": STRING, "prefetch": templates, "usageRequirements": STRING},
)
DISCOVERY = Model(required={"services": array(SERVICE)}, optional={})

CODING = Model(required={"code": STRING, "system": STRING}, optional={"display": STRING})
REASON = Model(required={"code": STRING, "system": STRING, "display": STRING}, optional={})
SOURCE = Model(required={"label": STRING}, optional={"url": URL, "icon": URL, "topic": CODING})
ACTION = Model(
    required={"type": one_of("create", "update", "delete"), "description": STRING},
    optional={"resource": test("object", lambda value: isinstance(value, dict)), "resourceId": STRING},
)
SUGGESTION = Model(
    required={"label": STRING}, optional={"uuid": STRING, "isRecommended": BOOLEAN, "actions": array(ACTION)}
)
LINK = Model(
    required={"label": STRING, "url": URL, "type": one_of("absolute", "smart")},
    optional={"appContext": STRING, "autolaunchable": BOOLEAN},
    invariants=(("appContext goes with smart links alone", lambda link: "appContext" not in link or is_smart(link)),),
)


def is_smart(link: Any) -> bool:
    return bool(link.get("type") == "smart")


CARD = Model(
    required={
        "summary": test("summary under 140 characters", lambda value: isinstance(value, str) and len(value) < 140),
        "indicator": one_of("info", "warning", "critical"),
        "source": SOURCE,
    },
    optional={
        "uuid": STRING,
        "detail": STRING,
        "suggestions": array(SUGGESTION),
        "selectionBehavior": one_of("at-most-one", "any"),
        "overrideReasons": array(REASON),
        "links": array(LINK),
    },
    invariants=(
        (
            "suggestions need a selectionBehavior",
            lambda card: "suggestions" not in card or "selectionBehavior" in card,
        ),
    ),
)
CARDS = array(CARD)
RESPONSE = Model(required={"cards": CARDS}, optional={"systemActions": array(ACTION)})


def faults(model: Judge, value: Any) -> list[tuple[str, str]]:
    """What is wrong with `value`, each with its place; empty when nothing is."""
    return list(model(value, "$"))
