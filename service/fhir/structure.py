"""The shape of a FHIR R4 resource: known elements, JSON types, repetition, primitive values.

http://hl7.org/fhir/R4/json.html: no property may be null or empty, an array stands exactly where an element repeats,
and `_name` carries id and extensions of the primitive `name`. The types come from HL7's R4 definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from service.errors import Issue, IssueType, error
from service.fhir import primitives
from service.fhir.json import Json
from service.fhirpath.model import Element, TypeDefinition, definition, is_type

Check = Callable[[Any], bool]
Checker = Callable[[Any, str], Iterator[Issue]]

_PRIMITIVES: Mapping[str, tuple[Check, str]] = MappingProxyType(
    {
        "boolean": (lambda value: isinstance(value, bool), "true or false, without quotes"),
        "integer": (primitives.is_integer, "a whole number, without quotes"),
        "positiveInt": (lambda value: primitives.is_integer(value) and value > 0, "a whole number from 1"),
        "unsignedInt": (lambda value: primitives.is_integer(value) and value >= 0, "a whole number from 0"),
        "decimal": (primitives.is_decimal, "a number, without quotes"),
        "date": (primitives.is_date, "a date of the calendar: YYYY, YYYY-MM or YYYY-MM-DD"),
        "dateTime": (primitives.is_datetime, "a date, or YYYY-MM-DDThh:mm:ss with an offset such as +01:00 or Z"),
        "instant": (primitives.is_instant, "YYYY-MM-DDThh:mm:ss with an offset such as +01:00 or Z"),
        "time": (primitives.is_time, "a time hh:mm:ss"),
        "code": (primitives.is_code, "a code: a text without leading, trailing or double blanks"),
        "id": (primitives.is_id, "1 to 64 letters, digits, - and ."),
        "uri": (primitives.is_uri, "a URI without blanks"),
        "base64Binary": (primitives.is_base64, "base64 text"),
    }
)
_TEXT: tuple[Check, str] = (primitives.is_string, "a text that is not empty")
_URIS = frozenset({"url", "canonical", "oid", "uuid"})


def structure_issues(resource: Any, path: str | None = None) -> list[Issue]:
    """The findings about the shape of `resource` (any JSON value), which stands at `path` (default its type)."""
    if not isinstance(resource, dict):
        return [_fault("A resource is a JSON object.", path or "Resource", "wrong-type")]
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or not is_type(kind) or not definition(kind).is_resource:
        text = "A resource names its R4 type in resourceType."
        return [_fault(text, f"{path or 'Resource'}.resourceType", "unknown-element")]
    return list(_object_issues(resource, definition(kind), path or kind))


def _object_issues(node: Json, kind: TypeDefinition, path: str) -> Iterator[Issue]:
    known = _properties(kind)
    if not node:
        yield _fault("An object must not be empty. Leave the element out.", path, "empty-element")
    chosen: dict[str, str] = {}
    for key, value in node.items():
        name = key.removeprefix("_")
        if name == "resourceType" and kind.is_resource:
            continue
        found = known.get(name)
        if found is None or (name != key and not _is_primitive(found[1])):
            yield _fault(f"'{key}' is no element of {kind.name}. Remove it.", f"{path}.{key}", "unknown-element")
            continue
        element, type_name = found
        if element.is_choice and chosen.setdefault(element.name, name) != name:
            text = f"{element.name}[x] has one value, but {chosen[element.name]} and {name} are there."
            yield _fault(text, f"{path}.{name}", "wrong-type")
        place = f"{path}.{name}"
        if name != key:
            yield from _values(value, element, place, _sibling_issues, may_be_null=True)
        else:
            # R4's definitions call a resource's id a string, its text an id.
            check = _checker("id" if name == "id" and kind.is_resource else type_name)
            yield from _values(value, element, place, check, may_be_null=f"_{key}" in node)


def _values(value: Any, element: Element, path: str, check: Checker, *, may_be_null: bool) -> Iterator[Issue]:
    """The findings about an element's value: an array where the element repeats, else a single value."""
    if not element.repeats:
        if isinstance(value, list):
            yield _fault(f"{element.name} takes one value, not an array.", path, "wrong-type")
        else:
            yield from _value(value, path, check, may_be_null=False)
        return
    if not isinstance(value, list):
        yield _fault(f"{element.name} repeats: give an array, also for one value.", path, "wrong-type")
    elif not value:
        yield _fault("An array must not be empty. Leave the element out.", path, "empty-element")
    else:
        for index, child in enumerate(value):
            yield from _value(child, f"{path}[{index}]", check, may_be_null=may_be_null)


def _value(value: Any, path: str, check: Checker, *, may_be_null: bool) -> Iterator[Issue]:
    if value is None:
        if not may_be_null:
            yield _fault("A value must not be null. Leave the element out.", path, "empty-element")
    else:
        yield from check(value, path)


@cache
def _checker(type_name: str) -> Checker:
    """What judges one value of an R4 type."""
    if _is_primitive(type_name):
        name = "uri" if type_name in _URIS else type_name
        is_valid, wanted = _PRIMITIVES.get(name, _TEXT)

        def primitive(value: Any, path: str) -> Iterator[Issue]:
            if not is_valid(value):
                detail = "wrong-type" if isinstance(value, dict | list) else "invalid-value"
                yield _fault(f"This must be {wanted}.", path, detail)

        return primitive
    if type_name == "Resource":
        return lambda value, path: iter(structure_issues(value, path))
    kind = definition(type_name)

    def complex_value(value: Any, path: str) -> Iterator[Issue]:
        if isinstance(value, dict):
            yield from _object_issues(value, kind, path)
        else:
            yield _fault(f"This must be an object: {kind.name}.", path, "wrong-type")

    return complex_value


def _sibling_issues(value: Any, path: str) -> Iterator[Issue]:
    yield from _checker("Element")(value, path)


@cache
def _properties(kind: TypeDefinition) -> Mapping[str, tuple[Element, str]]:
    return {key: (element, name) for element in kind.elements.values() for key, name in element.properties.items()}


def _is_primitive(type_name: str) -> bool:
    return type_name[0].islower()


def _fault(text: str, path: str, detail: str) -> Issue:
    code = IssueType.VALUE if detail == "invalid-value" else IssueType.STRUCTURE
    return error(code, text, path, detail)
