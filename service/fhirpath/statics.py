"""What can be said of types before an expression runs: names of elements and of types are checked against R4."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from service.fhirpath.errors import Fault
from service.fhirpath.model import TypeDefinition, definition, element_names, is_type
from service.fhirpath.nodes import Node
from service.fhirpath.values import SYSTEM_TYPE_NAMES, Item, TypeInfo, system_type

Types = frozenset[str] | None
"""The types an item may have: R4's by name, System types as `System.String`; None: not known."""

_SYSTEM = "System."
_OPEN = frozenset({"Resource", "DomainResource", "Element", "BackboneElement"})
"""Types of which only specialisations occur: their items may have further elements."""


@dataclass(frozen=True, slots=True)
class TypeTest:
    """The type that a type specifier names; an unqualified name may stand for one of each kind (Quantity)."""

    fhir: str | None
    system: str | None

    def matches(self, item: Item) -> bool:
        """True when the item is of the type or a specialisation of it."""
        if isinstance(item, Node):
            return self.fhir is not None and item.definition.is_a(self.fhir)
        return self.system in ("Any", system_type(item))

    @property
    def types(self) -> Types:
        """The type as static types."""
        names = ((self.fhir,) if self.fhir else ()) + ((_SYSTEM + self.system,) if self.system else ())
        return frozenset(names)


def type_test(namespace: str | None, name: str) -> TypeTest:
    """The type called `name` in `FHIR`, `System` or either. Raises Fault when there is none."""
    fhir = name if namespace in (None, "FHIR") and is_type(name) else None
    system = name if namespace in (None, "System") and name in SYSTEM_TYPE_NAMES else None
    if fhir is None and system is None:
        qualified = name if namespace is None else f"{namespace}.{name}"
        raise Fault(f"there is no type {qualified}")
    return TypeTest(fhir, system)


def member_types(types: Types, name: str) -> Types:
    """The types of the element `name` of items of the given types.

    Raises Fault when none of the types has the element, or, for types not known, no type of R4 has.
    """
    if types is None or types & _OPEN:
        if name not in element_names() and name not in TypeInfo.MEMBERS:
            raise Fault(_no_element("FHIR R4", name))
        return None
    if not types:
        return types
    found: set[str] = set()
    known = False
    for one in types:
        if one == "System.TypeInfo" and name in TypeInfo.MEMBERS:
            known = True
            found.add("System.String")
        elif not one.startswith(_SYSTEM) and name in definition(one).elements:
            known = True
            found.update(definition(one).elements[name].types)
    if not known:
        raise Fault(_no_element(" or ".join(sorted(types)[:3]), name))
    return frozenset(found)


def filtered_by_type_name(types: Types, name: str) -> Types:
    """The types left when a path begins with a type, as in `Patient.name`. Raises Fault when none is left."""
    if types is not None and not any(_related(definition(one), name) for one in types if not one.startswith(_SYSTEM)):
        raise Fault(f"the path begins with {name}, but the focus is {' or '.join(sorted(types)[:3])}")
    return frozenset({name})


def child_types(types: Types) -> Types:
    """The types of all elements of items of the given types."""
    return None if types is None or types & _OPEN else frozenset(_child_types(types))


def merged(*several: Types) -> Types:
    """The types of items from several sources."""
    found: frozenset[str] = frozenset()
    for types in several:
        if types is None:
            return None
        found |= types
    return found


def known_types(type_name: str | None) -> Types:
    """The types that `context_type` stands for. Raises ValueError when R4 has no such type."""
    if type_name is None:
        return None
    try:
        definition(type_name)
    except KeyError:
        raise ValueError(f"FHIR R4 has no type {type_name}") from None
    return frozenset({type_name})


def _child_types(types: frozenset[str]) -> Iterator[str]:
    for one in types:
        if not one.startswith(_SYSTEM):
            for element in definition(one).elements.values():
                yield from element.types


def _related(known: TypeDefinition, name: str) -> bool:
    return known.is_a(name) or definition(name).is_a(known.name)


def _no_element(owner: str, name: str) -> str:
    hint = _choice_hint(name)
    return f"{owner} has no element '{name}'" + (f"; write {hint}" if hint else "")


def _choice_hint(name: str) -> str:
    for stem in ("value", "onset", "effective", "deceased", "multipleBirth", "occurrence", "performed", "answer"):
        suffix = name.removeprefix(stem)
        for type_name in (suffix, suffix[:1].lower() + suffix[1:]):
            if suffix != name and suffix and is_type(type_name):
                return f"'{stem}.ofType({type_name})'"
    return ""
