"""The element types of FHIR R4, read from r4-model.json.

Source of the data: HL7's StructureDefinitions of FHIR R4 (4.0.1), CC0; written by tests/tools/generate_r4_model.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

_CHOICE: Final = "[x]"
_OPEN_CHOICE: Final = "*"


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a type. `properties`: JSON property name to the R4 type found there, several for a choice."""

    name: str
    properties: Mapping[str, str]
    is_choice: bool
    is_primitive: bool
    """True when the value is a JSON primitive, whose id and extensions stand in the property of that name with `_`."""
    repeats: bool
    """True when JSON has an array of values."""

    @property
    def types(self) -> tuple[str, ...]:
        """The R4 types the element may have."""
        return tuple(self.properties.values())


@dataclass(frozen=True, slots=True, eq=False)
class TypeDefinition:
    """An R4 type such as `Coding` or `QuestionnaireResponse.item`; there is one object for each."""

    name: str
    base: TypeDefinition | None
    system: str | None
    """Of a primitive type: the FHIRPath System type of its value."""
    elements: Mapping[str, Element]
    """Own and inherited, in the order of the specification."""
    is_resource: bool
    is_quantity: bool

    def ancestors(self) -> Iterator[TypeDefinition]:
        """The type itself, then the types it specialises."""
        current: TypeDefinition | None = self
        while current is not None:
            yield current
            current = current.base

    def is_a(self, name: str) -> bool:
        """True for the type called `name` and its specialisations."""
        return self.name == name or any(ancestor.name == name for ancestor in self.ancestors())


@cache
def definition(name: str) -> TypeDefinition:
    """The type called `name`: a data type, a resource, or the path of an element that has elements of its own.

    Raises KeyError when R4 has no such type.
    """
    described = _types()[name]
    base = definition(described["base"]) if "base" in described else None
    repeating = described.get("repeating", ())
    own = [_element(name, types, name in repeating) for name, types in described.get("elements", {}).items()]
    return TypeDefinition(
        name=name,
        base=base,
        system=described.get("system") or (base.system if base else None),
        elements=MappingProxyType(dict(base.elements if base else {}) | {element.name: element for element in own}),
        is_resource=name == "Resource" or (base is not None and base.is_resource),
        is_quantity=name == "Quantity" or (base is not None and base.is_quantity),
    )


def is_type(name: str) -> bool:
    """True when R4 has a data type or resource called `name` (not the path of an element)."""
    return name in _types() and "." not in name


@cache
def element_names() -> frozenset[str]:
    """Every element name that occurs anywhere in R4; a choice such as value[x] counts as `value`."""
    return frozenset(
        name.removesuffix(_CHOICE) for described in _types().values() for name in described.get("elements", ())
    )


def _element(name: str, types: str, repeats: bool) -> Element:
    if name.endswith(_CHOICE):
        stem = name.removesuffix(_CHOICE)
        choices = _model()["open"] if types == _OPEN_CHOICE else types
        properties = {stem + _capitalised(one): one for one in choices.split("|")}
        return Element(stem, MappingProxyType(properties), is_choice=True, is_primitive=False, repeats=False)
    return Element(name, MappingProxyType({name: types}), False, _is_primitive(types), repeats)


def _is_primitive(name: str) -> bool:
    return name[0].islower()


def _capitalised(name: str) -> str:
    return name[0].upper() + name[1:]


def _types() -> dict[str, Any]:
    types: dict[str, Any] = _model()["types"]
    return types


@cache
def _model() -> dict[str, Any]:
    text = files(__package__).joinpath("r4-model.json").read_text(encoding="utf-8")
    model: dict[str, Any] = json.loads(text)
    return model
