"""A value that an expression or an answer gives, as the JSON of an R4 element that may have another type.

Only what loses nothing is converted (a Coding into a CodeableConcept, a date into a dateTime, an integer into a
decimal); anything else is refused. One exception is wanted by every form: a Coding into a code keeps the code alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from service.fhir import primitives
from service.fhirpath import Item as Value
from service.fhirpath import Node, json_value, type_name
from service.fhirpath.model import Element, TypeDefinition, definition

Conversion = Callable[[Any], Any]
"""JSON of one type into JSON of another; raises Incompatible where this one value cannot be converted."""


class Incompatible(ValueError):
    """A value that the type of an element cannot hold. The text names types, never the value."""


_TEXTS: Final = frozenset({"string", "markdown"})
_CHECKS: Final[Mapping[str, Callable[[Any], bool]]] = MappingProxyType(
    {
        "integer": primitives.is_integer,
        "positiveInt": lambda value: primitives.is_integer(value) and value > 0,
        "unsignedInt": lambda value: primitives.is_integer(value) and value >= 0,
        "date": primitives.is_date,
        "dateTime": primitives.is_datetime,
        "instant": primitives.is_instant,
        "time": primitives.is_time,
        "code": primitives.is_code,
        "id": primitives.is_id,
        "string": primitives.is_string,
        "markdown": primitives.is_string,
        "base64Binary": primitives.is_base64,
    }
)
_FURTHER_CHOICES: Final = ("CodeableConcept", "Quantity", "dateTime", "decimal", "string")
"""Types of a choice element to try for a value whose own type is none of them, in this order."""


def coerced(item: Value, wanted: TypeDefinition) -> Any:
    """The JSON of `item` as an element of type `wanted`; None for a primitive without a value. Raises Incompatible."""
    value = json_value(item)
    kind = _kind(item)
    if kind is wanted or value is None:
        return value
    conversion = None if kind is None else _conversion(kind, wanted)
    if conversion is None:
        raise Incompatible(f"{_named(item)} cannot be {_with_article(wanted.name)}.")
    return conversion(value)


def chosen(item: Value, element: Element, named: str | None = None) -> tuple[str, Any]:
    """The property of the choice `element` that takes `item`, and its JSON.

    `named` is the property that was asked for ("valueCodeableConcept"); where it cannot hold the value, that of the
    value's own type is taken, then one that loses nothing. Raises Incompatible.
    """
    for key in _candidates(_kind(item), element, named):
        try:
            return key, coerced(item, definition(element.properties[key]))
        except Incompatible:
            continue
    raise Incompatible(f"{element.name}[x] cannot be {_with_article(type_name(item))}.")


def _candidates(kind: TypeDefinition | None, element: Element, named: str | None) -> Iterator[str]:
    if named is not None:
        yield named
    by_type = {of_type: key for key, of_type in element.properties.items()}
    own = () if kind is None else tuple(one.name for one in kind.ancestors())
    yield from (by_type[of_type] for of_type in (*own, *_FURTHER_CHOICES) if of_type in by_type)


def _kind(item: Value) -> TypeDefinition | None:
    """The R4 type of a value; None for the description of a type."""
    if isinstance(item, Node):
        return item.definition
    name = type_name(item)
    if name == "TypeInfo":
        return None
    return definition(name if name == "Quantity" else name[0].lower() + name[1:])


@cache
def _conversion(kind: TypeDefinition, wanted: TypeDefinition) -> Conversion | None:
    if kind.is_a(wanted.name) or (kind.is_quantity and wanted.is_quantity):
        return lambda value: value
    if wanted.system is not None:
        return _primitive_conversion(kind, wanted)
    return _COMPLEX.get((_family(kind), wanted.name))


def _primitive_conversion(kind: TypeDefinition, wanted: TypeDefinition) -> Conversion | None:
    if kind.system == "Decimal" and wanted.system == "Integer":
        return lambda value: _checked(_whole(value), wanted)
    if (kind.system, wanted.system) in _ALIKE:
        return lambda value: _checked(value, wanted)
    if kind.system is not None and wanted.name in _TEXTS:
        return _text
    return _TO_CODE.get(kind.name) if wanted.name == "code" else None


_ALIKE: Final = frozenset(
    {
        ("String", "String"),
        ("String", "Date"),
        ("String", "DateTime"),
        ("String", "Time"),
        ("Date", "DateTime"),
        ("DateTime", "Date"),
        ("DateTime", "DateTime"),
        ("Integer", "Integer"),
        ("Integer", "Decimal"),
    }
)
"""System types whose JSON may serve for the other, when the value is one that the wanted type allows."""


def _checked(value: Any, wanted: TypeDefinition) -> Any:
    check = _CHECKS.get(wanted.name, primitives.is_uri if wanted.system == "String" else None)
    if check is not None and not check(value):
        raise Incompatible(f"The value is not {_with_article(wanted.name)}.")
    return value


def _whole(value: Any) -> int:
    number = Decimal(value)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < 0:
        raise Incompatible("A decimal with a fraction cannot be a whole number.")
    return int(number)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _family(kind: TypeDefinition) -> str:
    """How complex types know a source: by its own name, codes and URIs apart from other texts, or as a number."""
    if kind.system in ("Integer", "Decimal"):
        return "number"
    if kind.system == "String":
        return next((name for name in ("code", "uri") if kind.is_a(name)), "string")
    return kind.name


def _code(coding: Any) -> Any:
    code = coding.get("code")
    if code is None:
        raise Incompatible("A Coding without a code cannot be a code.")
    return code


def _only_coding(concept: Any) -> Any:
    codings = concept.get("coding", [])
    if len(codings) != 1 or "text" in concept:
        raise Incompatible("Only a CodeableConcept of one coding, without text, can be that coding.")
    return codings[0]


_TO_CODE: Final[Mapping[str, Conversion]] = MappingProxyType(
    {"Coding": _code, "CodeableConcept": lambda concept: _code(_only_coding(concept))}
)
_COMPLEX: Final[Mapping[tuple[str, str], Conversion]] = MappingProxyType(
    {
        ("Coding", "CodeableConcept"): lambda coding: {"coding": [coding]},
        ("code", "CodeableConcept"): lambda code: {"coding": [{"code": code}]},
        ("string", "CodeableConcept"): lambda text: {"text": text},
        ("CodeableConcept", "Coding"): _only_coding,
        ("code", "Coding"): lambda code: {"code": code},
        ("string", "Reference"): lambda text: {"reference": text},
        ("uri", "Reference"): lambda text: {"reference": text},
        ("number", "Quantity"): lambda number: {"value": number},
    }
)


def _named(item: Value) -> str:
    name = _with_article(type_name(item))
    return name[0].upper() + name[1:]


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'aeioAEIO' else 'a'} {name}"
