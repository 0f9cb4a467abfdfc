"""Extraction templates compiled: a contained resource becomes a tree of builders.

SDC STU4, http://hl7.org/fhir/uv/sdc/extraction.html#template-based-extraction. A templateExtractContext narrows the
focus for its element and all below, repeats the element for each result, and removes it when there is none; a
templateExtractValue replaces its element by its results. An element left without content is removed. The R4 model says
of every element whether it repeats and which type it has, and values are converted to that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from types import MappingProxyType
from typing import Any, Final

from service.fhir.elements import choice_value, extensions
from service.fhir.json import Json
from service.fhirpath import json_value
from service.fhirpath.model import Element, TypeDefinition, definition, is_type
from service.sdc import vocabulary as sdc
from service.sdc.element_value import Incompatible, chosen, coerced
from service.sdc.extraction_expressions import ExpressionCompiler, ExtractionError, ExtractionExpression, View

Slot = tuple[Any, Json | None]
"""One value of an element: its JSON (None where a primitive has extensions only), and its `_name` sibling."""

Build = Callable[[View], list[Slot]]
"""Builds an element for a focus: what stands for it, nothing where it is removed."""

Add = Callable[[Json, View], None]
"""Adds an element to the object around it."""

_EXTRACTION: Final = frozenset(
    {
        sdc.TEMPLATE_EXTRACT_CONTEXT,
        sdc.TEMPLATE_EXTRACT_VALUE,
        sdc.TEMPLATE_EXTRACT,
        sdc.TEMPLATE_EXTRACT_BUNDLE,
        sdc.EXTRACT_ALLOCATE_ID,
    }
)
_HUSKS: Final[MappingProxyType[str, frozenset[str]]] = MappingProxyType(
    {"Extension": frozenset({"url"}), "Parameters.parameter": frozenset({"name"})}
)
"""Elements that say nothing when no more than these properties is left of them."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """An element in which nothing is to be evaluated: the same object for every resource."""

    slots: list[Slot]

    def __call__(self, view: View) -> list[Slot]:
        """The element as it is."""
        return self.slots


class Template:
    """A compiled template: `element`, of type `kind`, stands at `path` and may read the variables `names`."""

    __slots__ = ("_build",)

    def __init__(
        self,
        element: Json,
        kind: TypeDefinition | None,
        path: str,
        names: frozenset[str],
        expressions: ExpressionCompiler,
    ) -> None:
        self._build = _Compiler(expressions).element(element, kind, path, names)

    def instances(self, view: View) -> list[Json]:
        """What the template gives for a focus. Raises ExtractionError when an expression cannot be evaluated."""
        return [value for value, _ in self._build(view)]


def resource_template(resource: Json, path: str, names: frozenset[str], expressions: ExpressionCompiler) -> Template:
    """The template that is a contained resource, which stands at `path`; its id names the template only."""
    nameless = {key: value for key, value in resource.items() if key != "id"}
    return Template(nameless, _resource_type(resource), path, names, expressions)


def entry_templates(
    bundle: Json, path: str, names: frozenset[str], expressions: ExpressionCompiler
) -> tuple[Template, ...]:
    """The templates that are the entries of a contained Bundle, which stands at `path`."""
    kind = definition("Bundle.entry")
    return tuple(
        Template(entry, kind, f"{path}.entry[{index}]", names, expressions)
        for index, entry in enumerate(bundle.get("entry", []))
    )


@dataclass(slots=True)
class _Compiler:
    expressions: ExpressionCompiler

    def element(self, node: Any, kind: TypeDefinition | None, path: str, names: frozenset[str]) -> Build:
        """The builder of a JSON value of type `kind` (None: unknown); only objects carry extensions of their own."""
        if not isinstance(node, dict):
            return Fixed([(node, None)])
        context, value, names = self._extractions(node, path, names)
        if value is not None:
            return _each(context, _replacement(value, kind, None))
        return _each(context, self._object(node, kind, path, names))

    def _extractions(
        self, holder: Json, path: str, names: frozenset[str]
    ) -> tuple[ExtractionExpression | None, ExtractionExpression | None, frozenset[str]]:
        """The context and the value of an element, and the variables that may be read below it."""
        context = self._expression(holder, sdc.TEMPLATE_EXTRACT_CONTEXT, path, names)
        if context is not None and context.name is not None:
            names |= {context.name}
        return context, self._expression(holder, sdc.TEMPLATE_EXTRACT_VALUE, path, names), names

    def _expression(self, holder: Json, url: str, path: str, names: frozenset[str]) -> ExtractionExpression | None:
        found = next(extensions(holder, url), None)
        return None if found is None else self.expressions.compile(choice_value(found), path, names)

    def _object(self, node: Json, kind: TypeDefinition | None, path: str, names: frozenset[str]) -> Build:
        node = _without_extractions(node)
        keys = dict.fromkeys(key.removeprefix("_") for key in node)
        members = [self._member(node, key, kind, f"{path}.{key}", names) for key in keys]
        leading = list(takewhile(lambda member: isinstance(member, dict), members))
        fixed: Json = {key: value for member in leading if isinstance(member, dict) for key, value in member.items()}
        if len(leading) == len(members):
            return Fixed([(fixed, None)] if fixed else [])
        husk = _husk(node, kind)
        adding = [_constant(member) if isinstance(member, dict) else member for member in members[len(leading) :]]

        def build(view: View) -> list[Slot]:
            built = fixed.copy()
            for add in adding:
                add(built, view)
            return [] if built.keys() <= husk else [(built, None)]

        return build

    def _member(
        self, node: Json, key: str, kind: TypeDefinition | None, path: str, names: frozenset[str]
    ) -> Json | Add:
        """What the element `key` of `node` adds to the object built from it; JSON where that is always the same."""
        value, sibling = node.get(key), node.get(f"_{key}")
        element, of_type = _properties(kind).get(key, (None, None)) if kind is not None else (None, None)
        if element is not None and element.is_choice:
            holder = sibling if isinstance(sibling, dict) else value
            if isinstance(holder, dict) and any(extensions(holder, sdc.TEMPLATE_EXTRACT_VALUE)):
                return self._choice(holder, element, key, path, names)
        repeats = isinstance(value, list) or isinstance(sibling, list) or (element is not None and element.repeats)
        values = value if isinstance(value, list) else [value]
        siblings = sibling if isinstance(sibling, list) else [sibling]
        builds = []
        for index in range(max(len(values), len(siblings))):
            place = f"{path}[{index}]" if isinstance(value, list) or isinstance(sibling, list) else path
            one = values[index] if index < len(values) else None
            other = siblings[index] if index < len(siblings) else None
            builds.append(self._slot(one, other, _type_of(one, of_type), place, names))
        fixed = [build for build in builds if isinstance(build, Fixed)]
        if len(fixed) == len(builds):
            return _written(key, [slot for build in fixed for slot in build.slots], repeats)
        return _repeated(key, builds) if repeats else _single(key, builds[0], path)

    def _slot(
        self, value: Any, sibling: Json | None, kind: TypeDefinition | None, path: str, names: frozenset[str]
    ) -> Build:
        """The builder of one value with its `_name` sibling, which carries the extensions of a primitive."""
        if sibling is None:
            return Fixed([]) if value is None else self.element(value, kind, path, names)
        context, expression, names = self._extractions(sibling, path, names)
        beside = self._object(sibling, definition("Element"), path, names)
        if expression is not None:
            return _each(context, _replacement(expression, kind, beside))
        if isinstance(beside, Fixed) and context is None:
            extra = beside.slots[0][0] if beside.slots else None
            return Fixed([] if value is None and extra is None else [(value, extra)])
        return _each(context, _kept(value, beside))

    def _choice(self, holder: Json, element: Element, key: str, path: str, names: frozenset[str]) -> Add:
        """A value in a choice element stands under the name of the type it has."""
        context, expression, names = self._extractions(holder, path, names)
        beside = self._object(holder, definition("Element"), path, names) if _is_primitive(element, key) else None
        if expression is None:
            return _constant({})

        def find(view: View) -> list[Slot]:
            extra = _first(beside, view)
            return [(item, extra) for item in expression.results(view) if json_value(item) is not None]

        found = _each(context, find)

        def add(built: Json, view: View) -> None:
            slots = found(view)
            if len(slots) > 1:
                raise ExtractionError.several(path, len(slots))
            for item, extra in slots:
                try:
                    name, value = chosen(item, element, key)
                except Incompatible as refusal:
                    raise ExtractionError.wrong(path, refusal) from refusal
                built[name] = value
                if extra is not None and not isinstance(value, dict):
                    built[f"_{name}"] = extra

        return add


def _replacement(expression: ExtractionExpression, kind: TypeDefinition | None, beside: Build | None) -> Build:
    """Builds what the expression finds, as elements of type `kind`; each with the other extensions in `beside`."""

    def build(view: View) -> list[Slot]:
        found = expression.results(view)
        if not found:
            return []
        extra = _first(beside, view)
        try:
            values = [json_value(item) if kind is None else coerced(item, kind) for item in found]
        except Incompatible as refusal:
            raise ExtractionError.wrong(expression.path, refusal) from refusal
        return [(value, extra) for value in values if value is not None]

    return build


def _kept(value: Any, beside: Build) -> Build:
    def build(view: View) -> list[Slot]:
        extra = _first(beside, view)
        return [] if value is None and extra is None else [(value, extra)]

    return build


def _first(beside: Build | None, view: View) -> Json | None:
    slots = () if beside is None else beside(view)
    for value, _ in slots:
        extra: Json = value
        return extra
    return None


def _each(context: ExtractionExpression | None, build: Build) -> Build:
    if context is None:
        return build

    def each(view: View) -> list[Slot]:
        return [slot for found in context.results(view) for slot in build(view.on(found, context.name))]

    return each


def _single(key: str, build: Build, path: str) -> Add:
    def add(built: Json, view: View) -> None:
        slots = build(view)
        if len(slots) > 1:
            raise ExtractionError.several(path, len(slots))
        for value, extra in slots:
            if value is not None:
                built[key] = value
            if extra is not None:
                built[f"_{key}"] = extra

    return add


def _repeated(key: str, builds: Sequence[Build]) -> Add:
    def add(built: Json, view: View) -> None:
        built.update(_written(key, [slot for build in builds for slot in build(view)], repeats=True))

    return add


def _written(key: str, slots: list[Slot], repeats: bool) -> Json:
    """The properties that hold `slots`; of a primitive that repeats, two arrays with null where one has nothing."""
    if not slots:
        return {}
    values, extras = [value for value, _ in slots], [extra for _, extra in slots]
    written: Json = {}
    if any(value is not None for value in values):
        written[key] = values if repeats else values[0]
    if any(extra is not None for extra in extras):
        written[f"_{key}"] = extras if repeats else extras[0]
    return written


def _constant(properties: Json) -> Add:
    return lambda built, view: built.update(properties)


@cache
def _properties(kind: TypeDefinition) -> MappingProxyType[str, tuple[Element, str]]:
    """The elements of a type by JSON property, each with the type that stands there."""
    return MappingProxyType(
        {key: (element, name) for element in kind.elements.values() for key, name in element.properties.items()}
    )


def _type_of(value: Any, name: str | None) -> TypeDefinition | None:
    """The type of a value in an element of the type `name`: of a resource, the one that it says itself."""
    if name is None:
        return None
    kind = definition(name)
    return _resource_type(value) or kind if kind.is_resource and isinstance(value, dict) else kind


def _resource_type(resource: Json) -> TypeDefinition | None:
    kind = resource.get("resourceType")
    return definition(kind) if isinstance(kind, str) and is_type(kind) else None


def _is_primitive(element: Element, key: str) -> bool:
    return definition(element.properties[key]).system is not None


def _husk(node: Json, kind: TypeDefinition | None) -> frozenset[str]:
    """The properties that say nothing when no others are left of an element."""
    if kind is None:
        return frozenset({"resourceType"})
    if kind.name == "Bundle.entry" and "resource" in node:
        return frozenset(key.removeprefix("_") for key in node) - {"resource"}
    return _HUSKS.get(kind.name, frozenset({"resourceType"}))


def _without_extractions(node: Json) -> Json:
    if "extension" not in node:
        return node
    kept = [extension for extension in node["extension"] if extension.get("url") not in _EXTRACTION]
    return {key: kept if key == "extension" else value for key, value in node.items() if key != "extension" or kept}
