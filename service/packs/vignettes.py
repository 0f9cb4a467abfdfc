"""Vignettes: cases of a page as data, with the level, the rules and the issues that they must give.

A page's `vignettes.toml` holds named base answers and the cases; `questionnaires/README.md` describes the format.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.errors import IssueType, error
from service.fhir.json import Json
from service.packs.pack import Pack, PackInvalid
from service.sdc.assessment import assess
from service.sdc.context import read_response
from service.sdc.extraction import extract
from service.sdc.look_back import looked_back_at
from service.sdc.questionnaire import Item, ItemType, Questionnaire
from service.sdc.validation import validate

VIGNETTES_FILE = "vignettes.toml"
_REQUIRED = ("name", "source", "level", "rules")
_ANSWERING = ("base", "authored", "status", "omit", "answers")
_OPTIONAL = ("previous", "not_assessed", "issues", "resources")
_VALUE_KEYS: Mapping[ItemType, str] = {
    ItemType.BOOLEAN: "valueBoolean",
    ItemType.INTEGER: "valueInteger",
    ItemType.DECIMAL: "valueDecimal",
    ItemType.DATE: "valueDate",
    ItemType.DATE_TIME: "valueDateTime",
    ItemType.TIME: "valueTime",
    ItemType.URL: "valueUri",
}


@dataclass(frozen=True, slots=True)
class Previous:
    """An earlier response of the same person, its answers by linkId as a vignette has them."""

    authored: str
    status: str
    answers: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Vignette:
    """One case: answers by linkId (an option's code, a list of them, {text = …}, or a plain value) and what they give.

    `level` is "" for a draft without a level; `rules` are all that fire, `not_assessed` all that could not be judged;
    `issues` are the detail codes of the errors of validation; `resources` counts what is extracted, by resource type.
    """

    name: str
    source: str
    authored: str
    status: str
    answers: Mapping[str, Any]
    level: str
    rules: tuple[str, ...]
    not_assessed: tuple[str, ...]
    issues: tuple[str, ...]
    resources: Mapping[str, int]
    previous: tuple[Previous, ...] = ()


def load_vignettes(folder: Path) -> tuple[Vignette, ...]:
    """The vignettes of the page in `folder`, in order. Raises PackInvalid where the file cannot be read."""
    file = folder / VIGNETTES_FILE
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
        return tuple(_vignette(table, tables.get("base", {})) for table in tables.get("vignette", []))
    except FileNotFoundError:
        return ()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, _Unreadable) as fault:
        text = f"The vignettes cannot be read: {fault}"
        raise PackInvalid([error(IssueType.STRUCTURE, text, str(file))]) from fault


def vignette_response(pack: Pack, vignette: Vignette) -> Json:
    """The QuestionnaireResponse of a vignette, its items where the Questionnaire has them; without subject.

    Raises PackInvalid for an answer to a question that the page does not have.
    """
    return _response(pack, vignette, vignette.name)


def previous_responses(pack: Pack, vignette: Vignette) -> tuple[Json, ...]:
    """The earlier responses of a vignette that facts read. Raises as `vignette_response`."""
    previous = [
        {**_response(pack, one, vignette.name), "id": f"previous-{number}"}
        for number, one in enumerate(vignette.previous)
    ]
    return looked_back_at(_response(pack, vignette, vignette.name), previous)


def _response(pack: Pack, told: Vignette | Previous, name: str) -> Json:
    unknown = told.answers.keys() - pack.questionnaire.by_link_id.keys()
    if unknown:
        text = f"The vignette {name} answers {', '.join(sorted(unknown))}, which the page does not ask."
        raise PackInvalid([error(IssueType.NOT_FOUND, text, VIGNETTES_FILE)])
    response = build_response(pack.questionnaire, told.answers)
    return {**response, "status": told.status, "authored": told.authored}


def build_response(questionnaire: Questionnaire, answers: Mapping[str, Any]) -> Json:
    """A completed response with `answers` by linkId, in the Questionnaire's structure; without subject and authored."""
    url, version = questionnaire.url, questionnaire.version
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": f"{url}|{version}" if version else url,
        "status": "completed",
        "item": [built for item in questionnaire.items if (built := _response_item(item, answers))],
    }


def run_vignette(pack: Pack, vignette: Vignette) -> list[str]:
    """What the page makes of a vignette other than expected, a line each; empty when all is as expected."""
    response = vignette_response(pack, vignette)
    now = datetime.fromisoformat(vignette.authored).astimezone(UTC)
    issues = [
        issue.detail or issue.code.value for issue in validate(pack.questionnaire, response, now) if issue.is_error
    ]
    context = read_response(pack.questionnaire, response, now).looking_back(previous_responses(pack, vignette))
    assessment = assess(pack.plan, context)
    extracted = Counter(
        found.resource["resourceType"] for found in extract(pack.extraction, context, lambda: "vignette")
    )
    level = assessment.level.code if assessment.level else ""
    fired = [outcome.rule.id for outcome in assessment.fired]
    not_assessed = [outcome.rule.id for outcome in assessment.not_assessed]
    faults = [f"{outcome.rule.id}: {outcome.fault}" for outcome in assessment.outcomes if outcome.fault]
    expected_resources = dict(vignette.resources) or dict(extracted)
    return [
        *_difference("level", vignette.level, level),
        *_difference("rules", sorted(vignette.rules), sorted(fired)),
        *_difference("not assessed", sorted(vignette.not_assessed), sorted(not_assessed)),
        *_difference("issues", sorted(vignette.issues), sorted(issues)),
        *_difference("resources", expected_resources, dict(extracted)),
        *faults,
    ]


class _Unreadable(ValueError):
    """A vignette that does not follow the format."""


def _vignette(table: Mapping[str, Any], bases: Mapping[str, Any]) -> Vignette:
    name = table.get("name", "without a name")
    missing = [key for key in _REQUIRED if key not in table]
    if missing:
        raise _Unreadable(f"the vignette {name} lacks {', '.join(sorted(missing))}")
    listed = [key for key in ("rules", "not_assessed", "issues") if not isinstance(table.get(key, []), list)]
    if listed:
        raise _Unreadable(f"the vignette {name} needs lists: {', '.join(listed)}")
    told = _told(table, bases, name, {*_ANSWERING, *_REQUIRED, *_OPTIONAL})
    return Vignette(
        name=table["name"],
        source=table["source"],
        authored=told.authored,
        status=told.status,
        answers=told.answers,
        level=table["level"],
        rules=tuple(table["rules"]),
        not_assessed=tuple(table.get("not_assessed", ())),
        issues=tuple(table.get("issues", ())),
        resources=table.get("resources", {}),
        previous=tuple(_told(one, bases, f"{name} (previous)", {*_ANSWERING}) for one in table.get("previous", ())),
    )


def _told(table: Mapping[str, Any], bases: Mapping[str, Any], name: str, known: set[str]) -> Previous:
    """What a table that has but the keys `known` says was answered, and when."""
    unknown = table.keys() - known
    if unknown:
        raise _Unreadable(f"the vignette {name} has unknown keys: {', '.join(sorted(unknown))}")
    if "base" in table and table["base"] not in bases:
        raise _Unreadable(f"the vignette {name} names the base '{table['base']}', which is not there")
    base = bases[table["base"]] if "base" in table else {}
    omitted = set(table.get("omit", ()))
    answers = {key: value for key, value in base.get("answers", {}).items() if key not in omitted}
    authored = table.get("authored") or base["authored"]
    try:
        datetime.fromisoformat(authored)
    except (TypeError, ValueError) as fault:
        text = f"the vignette {name} is authored '{authored}'; write a text YYYY-MM-DDThh:mm:ss with an offset"
        raise _Unreadable(text) from fault
    return Previous(
        authored=authored,
        status=table.get("status", "completed"),
        answers={**answers, **table.get("answers", {})},
    )


def _difference(what: str, expected: object, actual: object) -> Iterator[str]:
    if expected != actual:
        yield f"{what}: expected {expected}, found {actual}"


def _response_item(item: Item, answers: Mapping[str, Any]) -> Json | None:
    below = [built for child in item.items if (built := _response_item(child, answers))]
    if not item.is_question:
        return {"linkId": item.link_id, "item": below} if below else None
    if item.link_id not in answers:
        return None
    given = answers[item.link_id]
    values = given if isinstance(given, list) else [given]
    built_answers = [_answer(item, value) for value in values]
    if below:
        built_answers[0]["item"] = below
    return {"linkId": item.link_id, "text": item.text, "answer": built_answers}


def _answer(item: Item, value: Any) -> Json:
    if isinstance(value, dict):
        return {"valueString": value["text"]} if value.keys() == {"text"} else dict(value)
    for option in item.options or ():
        if option.key[-1] == str(value):
            return as_answered(option.value)
    if item.type in (ItemType.CHOICE, ItemType.OPEN_CHOICE):
        # A code that is no option: the vignette wants to see it refused.
        return {"valueCoding": {"code": str(value)}}
    return {_VALUE_KEYS.get(item.type, "valueString"): value}


def as_answered(option: Json) -> Json:
    """An option's value as a filler gives it back: a Coding without the extensions of its label."""
    coding = option.get("valueCoding")
    if coding is None:
        return dict(option)
    return {"valueCoding": {name: coding[name] for name in ("system", "code", "display") if name in coding}}
