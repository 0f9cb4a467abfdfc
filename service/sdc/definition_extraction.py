"""Definition-based extraction (SDC STU4, http://hl7.org/fhir/uv/sdc/extraction.html#definition-extract).

definitionExtract starts a resource; item.definition and definitionExtractValue below it fill its elements. A group
with a definition opens an element (another one each time it stands there) for what stands below; a question and the
values on it share the elements that they need on their way. R4's own resources are extracted, profiles are refused:
their fixed values would be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.errors import IssueType
from service.fhir.elements import choice_key, extension_value, extensions, typed_extension_value
from service.fhir.json import Json
from service.fhir.primitives import is_id
from service.fhirpath import Item as Value
from service.fhirpath import Node, json_value
from service.fhirpath.model import Element as ModelElement
from service.fhirpath.model import definition
from service.sdc import vocabulary as sdc
from service.sdc.element_path import (
    CORE_TYPES,
    BadPath,
    ElementPath,
    Places,
    element_path,
    place_object,
    place_values,
    resource_type,
)
from service.sdc.element_value import Incompatible
from service.sdc.extracted import EntryExpressions, Extracted, Origin, compile_entry
from service.sdc.extraction_elements import Element
from service.sdc.extraction_expressions import ExpressionCompiler, ExtractionError, ExtractionExpression, View
from service.sdc.extraction_views import Views
from service.sdc.items import Entry, Scope

_ANSWER_VALUE: ModelElement = definition("QuestionnaireResponse.item.answer").elements["value"]
_EXTENSION_VALUE: ModelElement = definition("Extension").elements["value"]
_DATATYPES = CORE_TYPES + "datatypes"
"""What older forms write in front of an element id, whatever its resource."""


@dataclass(frozen=True, slots=True)
class Start:
    """A definitionExtract: `canonical` (without version) names what definitions below it mean."""

    canonical: str
    kind: str
    entry: EntryExpressions


@dataclass(frozen=True, slots=True)
class Target:
    """Where a value goes: into the resource that was started for `canonical`, at `element`."""

    canonical: str
    element: ElementPath


@dataclass(frozen=True, slots=True)
class ExtractValue:
    """A definitionExtractValue: a fixed value, or an expression that gives values."""

    target: Target
    fixed: Node | None
    expression: ExtractionExpression | None

    def values(self, view: View) -> list[Value]:
        """What is to be put into the element."""
        if self.fixed is not None:
            return [self.fixed]
        return [] if self.expression is None else self.expression.results(view)


@dataclass(frozen=True, slots=True)
class Mapped:
    """What the root or an item does: resources it starts, the element its answers go to, and further values."""

    path: str
    starts: tuple[Start, ...]
    target: Target | None
    values: tuple[ExtractValue, ...]
    unit: Json | None


@dataclass(frozen=True, slots=True)
class DefinitionExtraction:
    """What the root ("") and the items do, by linkId."""

    mapped: Mapping[str, Mapped]

    def extract(self, views: Views) -> Iterator[Extracted]:
        """The resources of a response, in the order in which they are started.

        Raises ExtractionError for values that their elements do not take, and for expressions that fail.
        """
        if not self.mapped:
            return
        run = _Run(self.mapped, views)
        run.read_root()
        yield from run.entries()


def compile_definitions(root: Element, expressions: ExpressionCompiler) -> DefinitionExtraction:
    """The definition-based extraction of a Questionnaire."""
    mapped: dict[str, Mapped] = {}
    _compile(root, {}, expressions, mapped)
    return DefinitionExtraction(mapped)


def _compile(
    element: Element, around: Mapping[str, str], expressions: ExpressionCompiler, mapped: dict[str, Mapped]
) -> None:
    here = expressions.on(element.link_id)
    starts = tuple(_starts(element, around, here))
    known = {**around, **{start.canonical: start.kind for start in starts}}
    if known:
        definition_text = element.definition.get("definition") if element.item is not None else None
        target = _target(definition_text, known, element.path, here)
        values = tuple(_extract_values(element, known, here))
        if starts or target is not None or values:
            unit = typed_extension_value(element.definition, sdc.UNIT, dict)
            mapped[element.link_id] = Mapped(element.path, starts, target, values, unit)
    for child in element.children:
        _compile(child, known, expressions, mapped)


def _starts(element: Element, around: Mapping[str, str], expressions: ExpressionCompiler) -> Iterator[Start]:
    seen = set(around)
    for extension in extensions(element.definition, sdc.DEFINITION_EXTRACT):
        text = str(extension_value(extension, "definition"))
        kind = resource_type(text)
        canonical = text.partition("|")[0]
        if kind is None:
            reason = f"'{text}' is no resource type of R4. Profiles are not known here: extract by a template."
            expressions.refuse(IssueType.NOT_SUPPORTED, reason, element.path)
        elif canonical in seen:
            reason = f"'{canonical}' is being extracted here already."
            expressions.refuse(IssueType.DUPLICATE, reason, element.path)
        else:
            seen.add(canonical)
            yield Start(canonical, kind, compile_entry(extension, element.path, element.names, expressions))
    for extension in extensions(element.definition, sdc.ITEM_EXTRACTION_CONTEXT):
        kind = _legacy_kind(extension, element.path, expressions)
        if kind is not None and CORE_TYPES + kind not in seen:
            yield Start(CORE_TYPES + kind, kind, EntryExpressions(element.path, {}))


def _legacy_kind(extension: Json, path: str, expressions: ExpressionCompiler) -> str | None:
    """The resource type that an itemExtractionContext creates; a query for a resource to change is refused."""
    # Many forms write the bare type as if it were a query.
    kind = str(extension.get("valueCode", extension.get("valueExpression", {}).get("expression")))
    if resource_type(CORE_TYPES + kind) == kind:
        return kind
    text = "itemExtractionContext takes the code of a resource type. Extraction fetches no resource to change."
    expressions.refuse(IssueType.NOT_SUPPORTED, text, path)
    return None


def _target(text: Any, known: Mapping[str, str], path: str, expressions: ExpressionCompiler) -> Target | None:
    """Where a definition leads; None when it is not about a resource that is being extracted."""
    location, _, element_id = str(text).partition("#")
    canonical = location.partition("|")[0]
    if canonical == _DATATYPES:
        canonical = CORE_TYPES + element_id.partition(".")[0]
    kind = known.get(canonical)
    if kind is None or not element_id:
        return None
    try:
        return Target(canonical, element_path(element_id, definition(kind)))
    except BadPath as fault:
        expressions.refuse(IssueType.NOT_SUPPORTED, str(fault), path)
        return None


def _extract_values(
    element: Element, known: Mapping[str, str], expressions: ExpressionCompiler
) -> Iterator[ExtractValue]:
    for extension in extensions(element.definition, sdc.DEFINITION_EXTRACT_VALUE):
        target = _target(extension_value(extension, "definition"), known, element.path, expressions)
        source = extension_value(extension, "expression")
        holder = next(extensions(extension, "fixed-value"), {})
        key = choice_key(holder)
        if (key is None) is (source is None):
            text = "A definitionExtractValue has either an expression or a fixed-value."
            expressions.refuse(IssueType.INVALID, text, element.path)
        elif target is not None and key is not None:
            yield ExtractValue(target, Node.of(holder[key], _EXTENSION_VALUE.properties[key]), None)
        elif target is not None:
            compiled = expressions.compile(source, element.path, element.names)
            if compiled is not None:
                yield ExtractValue(target, None, compiled)


@dataclass(slots=True)
class _Made:
    """A resource in the making."""

    start: Start
    resource: Json
    view: View
    origin: Origin
    is_certain: bool
    """Extracted even when nothing is known of it."""


Open = Mapping[str, Places]
"""The elements to which values may go, by the canonical of the resource."""


@dataclass(slots=True)
class _Run:
    """The resources of one response."""

    mapped: Mapping[str, Mapped]
    views: Views
    made: list[_Made] = field(default_factory=list)

    def read_root(self) -> None:
        """Builds everything that the response gives."""
        mapped = self.mapped.get("")
        open_: Open = {}
        if mapped is not None:
            open_ = self._started(mapped, {}, self.views.root, Origin(), is_certain=True)
            self._fill(mapped, _own(open_), self.views.root)
        self._read(self.views.scope, open_)

    def entries(self) -> Iterator[Extracted]:
        """What was built, as entries."""
        for one in self.made:
            content = _without_empty(one.resource)
            identity = content.pop("id", None)
            if identity is not None and not is_id(identity):
                raise ExtractionError(one.start.entry.path, "The id of the resource is none that FHIR allows.")
            named = {} if identity is None else {"id": identity}
            resource = {"resourceType": one.start.kind, **named, **content}
            if one.is_certain or len(resource) > 1:
                yield one.start.entry.entry(resource, one.start.canonical, one.origin, one.view, self.views.new_id)

    def _read(self, scope: Scope, open_: Open) -> None:
        for entry in scope:
            if not _has_answers(entry.node):
                continue
            mapped = self.mapped.get(entry.item.link_id)
            if entry.item.is_question:
                self._question(entry, mapped, open_)
            else:
                self._group(entry, mapped, open_)

    def _group(self, entry: Entry, mapped: Mapped | None, open_: Open) -> None:
        if mapped is not None:
            view = self.views.at(entry)
            open_ = self._started(mapped, open_, view, self.views.origin(entry), is_certain=False)
            open_ = self._opened(mapped, open_)
            self._fill(mapped, _own(open_), view)
        for scope in entry.scopes:
            self._read(scope, open_)

    def _question(self, entry: Entry, mapped: Mapped | None, open_: Open) -> None:
        positions: Sequence[int | None] = [None]
        if mapped is not None and mapped.starts:
            positions = range(len(entry.answers))
        for position in positions:
            inner = open_
            if mapped is not None:
                view = self.views.at(entry, position)
                origin = self.views.origin(entry, position)
                inner = _own(self._started(mapped, open_, view, origin, is_certain=False))
                answers = entry.answers if position is None else [entry.answers[position]]
                self._answer(mapped, inner, answers)
                self._fill(mapped, inner, view)
            for scope in entry.scopes if position is None else entry.scopes[position : position + 1]:
                self._read(scope, inner)

    def _started(self, mapped: Mapped, open_: Open, view: View, origin: Origin, *, is_certain: bool) -> Open:
        started: dict[str, Places] = {}
        for start in mapped.starts:
            resource: Json = {}
            self.made.append(_Made(start, resource, view, origin, is_certain))
            started[start.canonical] = {(): resource}
        return {**open_, **started} if started else open_

    def _opened(self, mapped: Mapped, open_: Open) -> Open:
        if mapped.target is None:
            return open_
        inner = _own(open_)
        try:
            place_object(mapped.target.element, inner[mapped.target.canonical])
        except Incompatible as refusal:
            raise ExtractionError.wrong(mapped.path, refusal) from refusal
        return inner

    def _answer(self, mapped: Mapped, open_: Open, answers: list[Json]) -> None:
        if mapped.target is not None:
            values = [value for answer in answers if (value := _value(answer, mapped)) is not None]
            self._place(mapped, mapped.target, values, open_)

    def _fill(self, mapped: Mapped, open_: Open, view: View) -> None:
        for value in mapped.values:
            self._place(mapped, value.target, value.values(view), open_)

    def _place(self, mapped: Mapped, target: Target, found: list[Value], open_: Open) -> None:
        values = [value for value in found if json_value(value) is not None]
        if not values:
            return
        if len(values) > 1 and not target.element.steps[-1].element.repeats:
            raise ExtractionError.several(mapped.path, len(values))
        try:
            place_values(target.element, values, open_[target.canonical])
        except Incompatible as refusal:
            raise ExtractionError.wrong(mapped.path, refusal) from refusal


def _own(open_: Open) -> Open:
    """The same elements; those made on the way to a value stay with whoever asked for them."""
    return {canonical: dict(places) for canonical, places in open_.items()}


def _value(answer: Json, mapped: Mapped) -> Value | None:
    key = choice_key(answer)
    if key is None:
        return None
    node = Node.of(answer[key], _ANSWER_VALUE.properties[key])
    target = mapped.target
    if mapped.unit is None or node.definition.system not in ("Integer", "Decimal") or target is None:
        return node
    if "Quantity" not in target.element.steps[-1].element.types:
        return node
    unit = {"unit": mapped.unit.get("display"), "system": mapped.unit.get("system"), "code": mapped.unit.get("code")}
    parts = {name: part for name, part in unit.items() if part is not None}
    return Node.of({"value": answer[key], **parts}, "Quantity")


def _has_answers(node: Json) -> bool:
    return bool(node.get("answer")) or any(_has_answers(child) for child in node.get("item", ()))


def _without_empty(content: Json) -> Json:
    """`content` without elements that stayed empty."""
    pruned = ((key, _pruned(value)) for key, value in content.items())
    return {key: value for key, value in pruned if value not in ({}, [])}


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return _without_empty(value)
    if isinstance(value, list):
        return [kept for child in value if (kept := _pruned(child)) != {}]
    return value
