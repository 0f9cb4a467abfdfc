"""A page with every kind of question that a form can ask, as a folder of data like any other page."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from tests.translating import translate

Json = dict[str, Any]

BASE = "https://pages.example/fhir"
CORE = "http://hl7.org/fhir/StructureDefinition/"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
UCUM = "http://unitsofmeasure.org"
URGENT = "heart"
TWICE_THE_COUNT = "%resource.repeat(item).where(linkId = 'count').answer.value * 2"


def extension(url: str, **value: Any) -> Json:
    return {"url": url, **value}


def fhirpath(url: str, expression: str) -> Json:
    return extension(url, valueExpression={"language": "text/fhirpath", "expression": expression})


def control(code: str) -> Json:
    coding = {"system": "http://hl7.org/fhir/questionnaire-item-control", "code": code}
    return extension(f"{CORE}questionnaire-itemControl", valueCodeableConcept={"coding": [coding]})


def option(code: str, display: str, *, alone: bool = False) -> Json:
    element: Json = {"valueCoding": {"system": f"{BASE}/codes", "code": code, "display": display}}
    return (
        {"extension": [extension(f"{CORE}questionnaire-optionExclusive", valueBoolean=True)], **element}
        if alone
        else element
    )


def unit(code: str, display: str) -> Json:
    return {"system": UCUM, "code": code, "display": display}


def item(link_id: str, kind: str, text: str, *extensions: Json, **elements: Any) -> Json:
    found: Json = {"extension": list(extensions)} if extensions else {}
    return {**found, "linkId": link_id, "text": text, "type": kind, **elements}


ITEMS = [
    item(
        "danger",
        "group",
        "First",
        item=[
            item(
                "signs",
                "choice",
                "Which of these do you have?",
                required=True,
                repeats=True,
                answerOption=[
                    option(URGENT, "Pain in the heart"),
                    option("head", "Pain in the head"),
                    option("none", "None of these", alone=True),
                ],
            ),
            item("signs-help", "display", "Pain is what hurts.", control("help")),
        ],
    ),
    item(
        "plain",
        "group",
        "Plain answers",
        item=[
            item("instruction", "display", "Answer what you can."),
            item("agrees", "boolean", "Do you agree?", prefix="1."),
            item("count", "integer", "How many?", extension(f"{CORE}minValue", valueInteger=1), required=True),
            item("ratio", "decimal", "How much?", extension(f"{CORE}maxDecimalPlaces", valueInteger=2)),
            item("name", "string", "Which name?", maxLength=20),
            item("story", "text", "What happened?"),
            item("site", "url", "Which address?"),
            item("day", "date", "Which day?"),
            item("moment", "dateTime", "Which moment?"),
            item("hour", "time", "Which time?"),
            item("names", "string", "Which other names?", repeats=True),
            item(
                "secret",
                "string",
                "Never shown",
                extension(f"{CORE}questionnaire-hidden", valueBoolean=True),
                initial=[{"valueString": "by nobody"}],
            ),
            item("told", "string", "Told", readOnly=True, initial=[{"valueString": "by the page"}]),
        ],
    ),
    item(
        "measured",
        "group",
        "Measures and choices",
        item=[
            item(
                "weight",
                "quantity",
                "Weight",
                extension(f"{CORE}questionnaire-unit", valueCoding=unit("kg", "kilograms")),
            ),
            item(
                "height",
                "quantity",
                "Height",
                extension(f"{CORE}questionnaire-unitOption", valueCoding=unit("cm", "centimetres")),
                extension(f"{CORE}questionnaire-unitOption", valueCoding=unit("m", "metres")),
            ),
            item("dose", "quantity", "Dose"),
            item(
                "double",
                "decimal",
                "Twice the count",
                fhirpath(f"{SDC}calculatedExpression", TWICE_THE_COUNT),
            ),
            item(
                "colour",
                "choice",
                "Colour",
                control("drop-down"),
                answerOption=[option("red", "Red"), option("blue", "Blue")],
            ),
            item("drink", "open-choice", "Drink", answerOption=[option("tea", "Tea"), option("coffee", "Coffee")]),
            item(
                "pets",
                "open-choice",
                "Pets",
                repeats=True,
                answerOption=[option("cat", "Cat"), option("none", "No pet", alone=True)],
            ),
            item(
                "sugar",
                "integer",
                "Lumps of sugar",
                enableWhen=[
                    {"question": "drink", "operator": "=", "answerCoding": option("tea", "Tea")["valueCoding"]}
                ],
                required=True,
            ),
        ],
    ),
    item(
        "medicines",
        "group",
        "Medicines",
        item=[
            item(
                "medicine",
                "group",
                "Medicine",
                repeats=True,
                item=[
                    item("medicine-name", "string", "Its name", required=True),
                    item("medicine-since", "date", "Taken since"),
                ],
            )
        ],
    ),
]


def write_page(folder: Path, language: str = "en", items: list[Json] | None = None) -> Path:
    """The page in a folder of its own below `folder`; its one rule is urgent where `signs` is `heart`.

    In English it has a translation to Spanish, in guillemets.
    """
    name = f"everything-{language}"
    place = folder / name
    place.mkdir(parents=True)
    fact = {
        "name": "heart",
        "language": "text/fhirpath",
        "expression": (
            "iif(%resource.repeat(item).where(linkId = 'signs').answer.exists(), "
            f"%resource.repeat(item).where(linkId = 'signs').answer.value.code contains '{URGENT}', {{}})"
        ),
    }
    questionnaire = {
        "resourceType": "Questionnaire",
        "id": name,
        "language": language,
        "url": f"{BASE}/Questionnaire/{name}",
        "version": "1.0.0",
        "status": "active",
        "title": "Every question",
        "extension": [extension(f"{CORE}variable", valueExpression=fact)],
        "item": deepcopy(ITEMS if items is None else items),
    }
    levels = [("calm", 1, "N"), ("urgent", 2, "AA")]
    level_system = f"{BASE}/CodeSystem/{name}-levels"

    def rule(id_: str, title: str, level: str, condition: str) -> Json:
        expression = {"language": "text/fhirpath", "expression": condition}
        return {
            "id": id_,
            "title": title,
            "textEquivalent": f"{title}.",
            "priority": "stat" if level == "urgent" else "routine",
            "code": [{"coding": [{"system": level_system, "code": level}]}],
            "condition": [{"kind": "applicability", "expression": expression}],
            "documentation": [{"type": "citation", "label": "policy", "citation": "Ours"}],
        }

    plan = {
        "resourceType": "PlanDefinition",
        "id": f"{name}-rules",
        "url": f"{BASE}/PlanDefinition/{name}",
        "status": "active",
        "usage": "This is a test.",
        "topic": [{"coding": [{"system": f"{BASE}/codes", "code": "triage"}]}],
        "action": [
            rule("U1", "Pain in the heart", "urgent", "%heart"),
            rule("H1", "All is calm", "calm", "%fired.empty()"),
        ],
    }
    code_system = {
        "resourceType": "CodeSystem",
        "id": f"{name}-levels",
        "url": level_system,
        "status": "active",
        "content": "complete",
        "concept": [
            {
                "code": code,
                "display": code.title(),
                "property": [
                    {"code": "order", "valueInteger": order},
                    {"code": "interpretation", "valueCode": meaning},
                ],
            }
            for code, order, meaning in levels
        ],
    }
    for artifact, file in ((questionnaire, "questionnaire"), (plan, "red-flags"), (code_system, "levels")):
        if language == "en":
            translate(artifact)
        (place / f"{file}.json").write_text(json.dumps(artifact))
    return place
