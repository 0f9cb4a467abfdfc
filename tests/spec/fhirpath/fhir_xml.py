"""FHIR XML to FHIR JSON, for the examples of the official suite, which are XML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

from service.fhirpath.model import Element, TypeDefinition, definition

_PRIMITIVES: Mapping[str, Callable[[str], Any]] = {
    "Boolean": lambda text: text == "true",
    "Integer": int,
    "Decimal": Decimal,
}


def resource_of(root: ElementTree.Element) -> dict[str, Any]:
    """The JSON of a resource, its type being the name of the XML element."""
    name = _name(root)
    return {"resourceType": name, **_content(root, definition(name))}


def _content(parent: ElementTree.Element, of_type: TypeDefinition) -> dict[str, Any]:
    found: dict[str, Any] = {name: parent.attrib[name] for name in ("id", "url") if name in parent.attrib}
    for name in dict.fromkeys(map(_name, parent)):
        element, child_type = _described(name, of_type)
        pairs = [_value_and_extra(child, child_type) for child in parent if _name(child) == name]
        for key, column in zip((name, f"_{name}"), zip(*pairs, strict=True), strict=True):
            if any(one is not None for one in column):
                found[key] = list(column) if element.repeats else column[0]
    return found


def _described(name: str, of_type: TypeDefinition) -> tuple[Element, TypeDefinition]:
    for element in of_type.elements.values():
        if name in element.properties:
            return element, definition(element.properties[name])
    raise ValueError(f"{of_type.name} has no element {name}")


def _value_and_extra(child: ElementTree.Element, of_type: TypeDefinition) -> tuple[Any, dict[str, Any] | None]:
    if of_type.name == "xhtml":
        return ElementTree.tostring(child, encoding="unicode"), None
    if of_type.is_resource:
        return resource_of(child[0]), None
    content = _content(child, of_type)
    if of_type.system is None:
        return content, None
    text = child.get("value")
    return None if text is None else _PRIMITIVES.get(of_type.system, str)(text), content or None


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
