"""Where a definition such as `http://hl7.org/fhir/StructureDefinition/Patient#Patient.name.given` puts a value.

SDC STU4, http://hl7.org/fhir/uv/sdc/extraction.html#definition-extract: the canonical of a type, and an element id
that may go on into the element's data types. R4's own types are known; profiles and their slices are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from service.fhir.json import Json
from service.fhirpath import Item as Value
from service.fhirpath.model import Element, TypeDefinition, definition, is_type
from service.sdc.element_value import Incompatible, chosen, coerced

CORE_TYPES: Final = "http://hl7.org/fhir/StructureDefinition/"
_CHOICE: Final = "[x]"


class BadPath(ValueError):
    """An element id that leads nowhere in R4, or further than this engine knows."""


@dataclass(frozen=True, slots=True)
class Step:
    """One element of a path: its property; None for a choice whose type the value decides."""

    element: Element
    key: str | None

    @property
    def name(self) -> str:
        """What tells the element from others beside it."""
        return self.key or self.element.name

    @property
    def kind(self) -> TypeDefinition | None:
        """The type of the element; None for a choice whose type the value decides."""
        return None if self.key is None else definition(self.element.properties[self.key])


@dataclass(frozen=True, slots=True)
class ElementPath:
    """The way from a resource to one of its elements."""

    text: str
    steps: tuple[Step, ...]

    def prefix(self, length: int) -> tuple[str, ...]:
        """The names of the first `length` steps."""
        return tuple(step.name for step in self.steps[:length])


Places = dict[tuple[str, ...], Json]
"""Objects in the making, by the names that lead to them; () is the resource."""


def resource_type(canonical: str) -> str | None:
    """The R4 resource type whose definition `canonical` is; None for a profile or anything else."""
    name = canonical.partition("|")[0].removeprefix(CORE_TYPES)
    return name if is_type(name) and definition(name).is_resource else None


def element_path(text: str, kind: TypeDefinition) -> ElementPath:
    """The path that the element id `text` takes through the resource type `kind`. Raises BadPath."""
    root, *segments = text.split(".")
    if root != kind.name:
        raise BadPath(f"The element id '{text}' does not begin with {kind.name}.")
    steps: list[Step] = []
    for position, segment in enumerate(segments):
        step = _step(segment, kind, text)
        steps.append(step)
        if step.kind is not None:
            kind = step.kind
        elif position < len(segments) - 1:
            raise BadPath(f"'{text}' goes on behind a choice: name its type, such as {_example(step)}.")
    return ElementPath(text, tuple(steps))


def place_object(path: ElementPath, places: Places) -> None:
    """Opens an object at `path`, of an element that repeats another one. Raises Incompatible."""
    if path.steps:
        places[path.prefix(len(path.steps))] = _entered(_object_around(path, places), path.steps[-1])


def place_values(path: ElementPath, values: list[Value], places: Places) -> None:
    """Puts `values` at `path`, in objects made as they are needed and remembered in `places`.

    Raises Incompatible for a value of another type, several for an element that takes one, and for a second value.
    """
    if not path.steps:
        raise Incompatible("A value cannot stand for a whole resource.")
    parent, step = _object_around(path, places), path.steps[-1]
    for value in values:
        key, json = _property(value, step)
        if step.element.repeats:
            parent.setdefault(key, []).append(json)
        elif any(parent.get(other, json) != json for other in step.element.properties):
            raise Incompatible(f"{path.text} takes one value, and has another already.")
        else:
            parent[key] = json


def _property(value: Value, step: Step) -> tuple[str, Any]:
    if step.kind is None:
        return chosen(value, step.element)
    return step.name, _copied(coerced(value, step.kind))


def _copied(json: Any) -> Any:
    """`json` with objects of its own: what stands beside it later may be put into it."""
    if isinstance(json, dict):
        return {key: _copied(value) for key, value in json.items()}
    return [_copied(value) for value in json] if isinstance(json, list) else json


def _object_around(path: ElementPath, places: Places) -> Json:
    """The object that holds the last element of `path`."""
    known = len(path.steps) - 1
    while known > 0 and path.prefix(known) not in places:
        known -= 1
    parent = places[path.prefix(max(known, 0))]
    for position in range(max(known, 0), len(path.steps) - 1):
        parent = places[path.prefix(position + 1)] = _entered(parent, path.steps[position])
    return parent


def _entered(parent: Json, step: Step) -> Json:
    """The object for `step` in `parent`: another one where the element repeats, else the one that is there."""
    if step.element.repeats:
        made: Json = {}
        parent.setdefault(step.name, []).append(made)
        return made
    if any(key in parent for key in step.element.properties if key != step.key):
        raise Incompatible(f"{step.element.name}[x] takes one value, and has another already.")
    found: Json = parent.setdefault(step.name, {})
    return found


def _step(segment: str, kind: TypeDefinition, text: str) -> Step:
    name, _, slice_name = segment.partition(":")
    stem = name.removesuffix(_CHOICE)
    element = kind.elements.get(stem)
    if element is not None and element.is_choice:
        if slice_name and slice_name not in element.properties:
            raise BadPath(f"'{segment}' in '{text}' is no type of {stem}[x] in R4.")
        return Step(element, slice_name or None)
    if slice_name:
        raise BadPath(f"'{segment}' in '{text}' is a slice: profiles are not known here.")
    typed = next((one for one in kind.elements.values() if name in one.properties), None)
    if typed is None:
        raise BadPath(f"'{name}' in '{text}' is no element of {kind.name} in R4.")
    step = Step(typed, name)
    if definition(typed.properties[name]).name == "Resource":
        raise BadPath(f"'{text}' leads into another resource, which extraction by definitions cannot make.")
    return step


def _example(step: Step) -> str:
    return next(iter(step.element.properties))
