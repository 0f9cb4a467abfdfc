"""The only door to fhir.resources (R4B models, which carry R4's shapes for every resource used here)."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from pydantic import BaseModel, ValidationError

from service.errors import Detail, Issue, IssueType, error
from service.fhir.json import Json


def model_issues(resource: Json, path: str = "") -> list[Issue]:
    """What the R4B model of `resource` refuses, each pointing below `path`; empty when it accepts the resource."""
    kind = resource.get("resourceType")
    if not isinstance(kind, str):
        return [error(IssueType.STRUCTURE, "A resource needs its resourceType.", path or None, Detail.MALFORMED)]
    model = _model(kind)
    if model is None:
        return [error(IssueType.STRUCTURE, f"'{kind}' is no FHIR R4 resource type.", path or kind, Detail.MALFORMED)]
    try:
        model.model_validate(_without_value_siblings(resource))
    except ValidationError as refusal:
        return [
            error(IssueType.STRUCTURE, fault["msg"], _place(path or kind, fault["loc"]), Detail.MALFORMED)
            for fault in refusal.errors(include_url=False, include_input=False)
        ]
    return []


def _without_value_siblings(node: Any) -> Any:
    """`node` without `_value[x]` in Extensions: R4 allows them, and templates need them, but the models know none."""
    if isinstance(node, list):
        return [_without_value_siblings(child) for child in node]
    if not isinstance(node, dict):
        return node
    is_extension = "url" in node and "resourceType" not in node
    return {
        key: _without_value_siblings(child)
        for key, child in node.items()
        if not (is_extension and key.startswith("_value"))
    }


@cache
def _model(kind: str) -> type[BaseModel] | None:
    if not kind.isalpha():
        return None
    try:
        module = import_module(f"fhir.resources.R4B.{kind.lower()}")
    except ModuleNotFoundError:
        return None
    model: Any = getattr(module, kind, None)
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _place(root: str, location: tuple[int | str, ...]) -> str:
    place = root
    for step in location:
        place += f"[{step}]" if isinstance(step, int) else f".{step}"
    return place
