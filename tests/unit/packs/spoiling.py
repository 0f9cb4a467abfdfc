"""The parts of a copied page, found by name, to be spoiled."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

PAGE = "muscle-fasciculation"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
Edit = Callable[[dict[str, Any]], None]


def edit(file: Path, change: Edit) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


def question(questionnaire: dict[str, Any], link_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        item for group in questionnaire["item"] for item in group["item"] if item["linkId"] == link_id
    )
    return found


def variable(questionnaire: dict[str, Any], name: str) -> dict[str, Any]:
    values = (extension.get("valueExpression", {}) for extension in questionnaire["extension"])
    found: dict[str, Any] = next(value for value in values if value.get("name") == name)
    return found


def template(questionnaire: dict[str, Any], identity: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in questionnaire["contained"] if one["id"] == identity)
    return found


def action(plan: dict[str, Any], identity: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in plan["action"] if one["id"] == identity)
    return found
