"""The shape of a FHIR R4 resource: known elements, JSON types, repetition, primitive values.

http://hl7.org/fhir/R4/json.html: no property may be null or empty, an array stands exactly where an element repeats,
and `_name` carries id and extensions of the primitive `name`. The types come from HL7's R4 definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from service.errors import Detail, Issue, IssueType, error
from service.fhir import primitives
from service.fhir.json import Json
from service.fhir.narrative import narrative_fault
from service.fhirpath.model import TypeDefinition, definition, is_type

Predicate = Callable[[Any], bool]

Place = tuple[Any, str | int]
"""Where a value stands: the place around it (a text at the outermost), and its name or index there. It is only written
out when there is something to say about it."""

Check = Callable[[Any, Place, list[Issue]], None]
"""Adds to the issues what is wrong with a value at a place."""

_PRIMITIVES: Mapping[str, tuple[Predicate, str]] = MappingProxyType(
    {
        "boolean": (lambda value: isinstance(value, bool), "true or false, without quotes"),
        "integer": (primitives.is_integer, "a whole number from -2147483648 to 2147483647, without quotes"),
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
_TEXT: tuple[Predicate, str] = (primitives.is_string, "a text that is not empty")
_URIS = frozenset({"url", "canonical", "oid", "uuid"})


def structure_issues(resource: Any, path: str | None = None) -> list[Issue]:
    """The findings about the shape of `resource` (any JSON value), which stands at `path` (default its type)."""
    issues: list[Issue] = []
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    _check_resource(resource, (path or (kind if isinstance(kind, str) else "Resource"), ""), issues)
    return issues


def _check_resource(resource: Any, place: Place, issues: list[Issue]) -> None:
    if not isinstance(resource, dict):
        issues.append(_fault("A resource is a JSON object.", place, Detail.WRONG_TYPE))
        return
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or not is_type(kind) or not definition(kind).is_resource:
        text = "A resource names its R4 type in resourceType."
        issues.append(_fault(text, (place, "resourceType"), Detail.UNKNOWN_ELEMENT))
        return
    _check_object(resource, definition(kind), place, issues)


def _check_object(node: Json, kind: TypeDefinition, place: Place, issues: list[Issue]) -> None:
    checks = _checks(kind)
    if not node:
        issues.append(_fault("An object must not be empty. Leave the element out.", place, Detail.EMPTY_ELEMENT))
    for key, value in node.items():
        check = checks.get(key)
        if check is None:
            text = f"'{key}' is no element of {kind.name}. Remove it."
            issues.append(_fault(text, (place, key), Detail.UNKNOWN_ELEMENT))
        else:
            check(value, (place, key), issues)
    for name, keys in _choices(kind):
        given = [key for key in node if key in keys]
        if len(given) > 1 and len({key.removeprefix("_") for key in given}) > 1:
            text = f"{name}[x] has one value, but {' and '.join(given)} are there. Keep one."
            issues.append(_fault(text, (place, given[-1]), Detail.WRONG_TYPE))


@cache
def _checks(kind: TypeDefinition) -> Mapping[str, Check]:
    """What judges each property of a type, by its JSON name."""
    checks: dict[str, Check] = {}
    for element in kind.elements.values():
        for key, type_name in element.properties.items():
            # R4's definitions call a resource's id a string, its text an id.
            check = _checker("id" if key == "id" and kind.is_resource else type_name)
            checks[key] = _repeated(key, check, _is_primitive(type_name)) if element.repeats else _single(key, check)
            if _is_primitive(type_name):
                sibling = _checker("Element")
                checks[f"_{key}"] = _repeated(key, sibling, True) if element.repeats else _single(key, sibling)
    if kind.is_resource:
        checks["resourceType"] = _nothing
    return MappingProxyType(checks)


@cache
def _choices(kind: TypeDefinition) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple(
        (one.name, frozenset([*one.properties, *(f"_{key}" for key in one.properties)]))
        for one in kind.elements.values()
        if one.is_choice
    )


def _single(name: str, check: Check) -> Check:
    def single(value: Any, place: Place, issues: list[Issue]) -> None:
        if value is None:
            issues.append(_fault("A value must not be null. Leave the element out.", place, Detail.EMPTY_ELEMENT))
        elif isinstance(value, list):
            issues.append(_fault(f"{name} takes one value, not an array.", place, Detail.WRONG_TYPE))
        else:
            check(value, place, issues)

    return single


def _repeated(name: str, check: Check, may_hold_null: bool) -> Check:
    def repeated(values: Any, place: Place, issues: list[Issue]) -> None:
        if not isinstance(values, list):
            issues.append(_fault(f"{name} repeats: give an array, also for one value.", place, Detail.WRONG_TYPE))
        elif not any(value is not None for value in values):
            issues.append(_fault("An array must not be empty. Leave the element out.", place, Detail.EMPTY_ELEMENT))
        else:
            for index, value in enumerate(values):
                # In the two arrays of a primitive and its siblings, null keeps the place of what has only the other.
                if value is not None or not may_hold_null:
                    check(value, (place, index), issues)

    return repeated


@cache
def _checker(type_name: str) -> Check:
    """What judges one value of an R4 type."""
    if type_name == "xhtml":
        return _check_narrative
    if _is_primitive(type_name):
        return _primitive_checker(type_name)
    if type_name == "Resource":
        return _check_resource

    def complex_value(value: Any, place: Place, issues: list[Issue]) -> None:
        if isinstance(value, dict):
            _check_object(value, definition(type_name), place, issues)
        else:
            issues.append(_fault(f"This must be an object: {type_name}.", place, Detail.WRONG_TYPE))

    return complex_value


def _primitive_checker(type_name: str) -> Check:
    is_valid, wanted = _PRIMITIVES.get("uri" if type_name in _URIS else type_name, _TEXT)

    def primitive(value: Any, place: Place, issues: list[Issue]) -> None:
        if not is_valid(value):
            detail = Detail.WRONG_TYPE if isinstance(value, dict | list) else Detail.INVALID_VALUE
            issues.append(_fault(f"This must be {wanted}.", place, detail))

    return primitive


def _check_narrative(value: Any, place: Place, issues: list[Issue]) -> None:
    fault = narrative_fault(value) if isinstance(value, str) else "It must be a text of XHTML."
    if fault is not None:
        issues.append(_fault(f"The narrative cannot be shown. {fault}", place, Detail.INVALID_VALUE))


def _nothing(value: Any, place: Place, issues: list[Issue]) -> None:
    """A property that was judged before."""


def _is_primitive(type_name: str) -> bool:
    return type_name[0].islower()


def _fault(text: str, place: Place, detail: Detail) -> Issue:
    code = IssueType.VALUE if detail == Detail.INVALID_VALUE else IssueType.STRUCTURE
    return error(code, text, _written(place), detail)


def _written(place: Any) -> str:
    if isinstance(place, str):
        return place
    around, step = place
    if isinstance(step, int):
        return f"{_written(around)}[{step}]"
    return f"{_written(around)}.{step}" if step else _written(around)
