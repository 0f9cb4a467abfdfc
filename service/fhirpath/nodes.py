"""Elements of FHIR JSON as FHIRPath sees them: a value with its R4 type. Nothing is copied."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service.fhirpath.errors import Fault
from service.fhirpath.model import Element, TypeDefinition, definition


class Node:
    """One element. `value` is its JSON (dict or primitive; None where a primitive has extensions only), `extra` the
    object of its `_name` sibling (id and extensions of a primitive) or None.
    """

    __slots__ = ("definition", "extra", "value")

    def __init__(self, value: Any, of_type: TypeDefinition, extra: dict[str, Any] | None = None) -> None:
        self.value = value
        self.definition = of_type
        self.extra = extra

    @staticmethod
    def of(value: Any, type_name: str, extra: dict[str, Any] | None = None) -> Node:
        """The element with this JSON and R4 type (`Coding`, `QuestionnaireResponse.item`, `dateTime` ...).

        Raises KeyError when R4 has no such type.
        """
        return Node(value, definition(type_name), extra)

    @staticmethod
    def of_resource(resource: dict[str, Any]) -> Node:
        """A whole resource. Raises KeyError when its resourceType is none of R4's."""
        return Node(resource, definition(resource["resourceType"]))

    @property
    def type(self) -> str:
        """Name of the R4 type."""
        return self.definition.name

    def __repr__(self) -> str:
        # Never the value: it may be a patient's answer.
        return f"<Node {self.type}>"


def navigate(items: Iterable[Any], name: str) -> list[Any]:
    """The elements called `name` of all `items`, in order. Items without such an element give none."""
    found: list[Any] = []
    for item in items:
        if type(item) is Node:
            element = item.definition.elements.get(name)
            if element is not None:
                _collect(item, element, found)
        elif name in getattr(item, "MEMBERS", ()):
            found.append(getattr(item, name))
    return found


def children(node: Node) -> list[Node]:
    """All elements of `node`, in the order of the specification."""
    found: list[Node] = []
    for element in node.definition.elements.values():
        _collect(node, element, found)
    return found


def _collect(node: Node, element: Element, found: list[Any]) -> None:
    value = node.value
    if not isinstance(value, dict):
        if node.definition.system is None:
            raise Fault(f"an element of type {node.type} is no JSON object")
        value = node.extra
        if value is None:
            return
    if element.is_choice:
        _collect_choice(value, element, found)
        return
    name = element.name
    content = value.get(name)
    if element.is_primitive:
        extra = value.get("_" + name)
        if extra is not None or type(content) is list:
            _collect_primitives(content, extra, definition(element.properties[name]), found)
        elif content is not None:
            found.append(Node(content, definition(element.properties[name])))
    elif content is not None:
        _collect_complex(content, definition(element.properties[name]), found)


def _collect_choice(value: dict[str, Any], element: Element, found: list[Any]) -> None:
    properties = element.properties
    for key, content in value.items():
        of_type = properties.get(key)
        if of_type is not None:
            found.append(Node(content, definition(of_type), value.get("_" + key)))
            return
    for key, content in value.items():
        of_type = properties.get(key[1:]) if key.startswith("_") else None
        if of_type is not None:
            found.append(Node(None, definition(of_type), content))
            return


def _collect_primitives(content: Any, extra: Any, of_type: TypeDefinition, found: list[Any]) -> None:
    contents = content if type(content) is list else [content]
    extras = extra if type(extra) is list else [extra]
    for place in range(max(len(contents), len(extras))):
        one = contents[place] if place < len(contents) else None
        other = extras[place] if place < len(extras) else None
        if one is not None or other is not None:
            found.append(Node(one, of_type, other))


def _collect_complex(content: Any, of_type: TypeDefinition, found: list[Any]) -> None:
    if of_type.is_resource:
        found.extend(map(_resource, content if type(content) is list else [content]))
    elif type(content) is list:
        for one in content:
            found.append(Node(one, of_type))
    else:
        found.append(Node(content, of_type))


def _resource(content: Any) -> Node:
    try:
        return Node.of_resource(content)
    except (KeyError, TypeError):
        raise Fault("a resource has no resourceType of R4") from None
