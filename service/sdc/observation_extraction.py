"""Observation-based extraction (SDC STU4, http://hl7.org/fhir/uv/sdc/extraction.html#obs-extract).

An item with a code, marked by observationExtract on itself, on one of its codes, or on an element around it, gives an
Observation: a question one for each answer, a group one for what its items contribute as components and members. What
has no answer gives nothing; `false` is an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from service.errors import IssueType
from service.fhir.elements import choice_key, extension_value, extensions, typed_extension_value
from service.fhir.json import Json
from service.fhir.primitives import is_instant
from service.fhirpath import Node
from service.fhirpath.model import definition
from service.sdc import vocabulary as sdc
from service.sdc.element_value import Incompatible, chosen
from service.sdc.extracted import EntryExpressions, Extracted, Origin, compile_entry
from service.sdc.extraction_elements import Element
from service.sdc.extraction_expressions import ExpressionCompiler, ExtractionError, View
from service.sdc.extraction_views import Views
from service.sdc.items import Entry, Scope
from service.sdc.questionnaire import Item, ItemType

_NO_VALUE_OF_AN_OBSERVATION: Final = frozenset({ItemType.ATTACHMENT, ItemType.REFERENCE})
_PERFORMERS: Final = frozenset(
    {"Practitioner", "PractitionerRole", "Organization", "CareTeam", "Patient", "RelatedPerson"}
)
_TEMPLATE: Final = "observation"
_ANSWER_VALUE: Final = definition("QuestionnaireResponse.item.answer").elements["value"]
_OBSERVATION_VALUE: Final = definition("Observation").elements["value"]


class Relationship(StrEnum):
    """SDC observation-extract-relationship: how an Observation stands to that of the item around it."""

    COMPONENT = "component"
    MEMBER = "member"
    DERIVED = "derived"
    INDEPENDENT = "independent"


@dataclass(frozen=True, slots=True)
class ObservedItem:
    """What Observations from one item have in common; `unit` is a Coding for answers that are plain numbers."""

    code: Json
    relationship: Relationship
    categories: tuple[Json, ...]
    unit: Json | None
    entry: EntryExpressions
    path: str


@dataclass(frozen=True, slots=True)
class ObservationExtraction:
    """The items that give Observations, by linkId; `subjects` are those whose answer is the subject around them."""

    items: Mapping[str, ObservedItem]
    subjects: frozenset[str]

    def extract(self, views: Views) -> Iterator[Extracted]:
        """The Observations of a response, in the order of its items.

        Raises ExtractionError for an answer that no Observation can hold, and as the entry's expressions do.
        """
        if not self.items:
            return
        run = _Run(self, views)
        run.read(views.scope, None, views.context.counted.get("subject"))
        yield from run.entries()


def compile_observations(root: Element, expressions: ExpressionCompiler) -> ObservationExtraction:
    """The observation-based extraction of a Questionnaire."""
    items: dict[str, ObservedItem] = {}
    _compile(root, _Inherited(None, (), False), expressions, items)
    if any(extensions(root.definition, sdc.OBSERVATION_EXTRACT_ENTRY)):
        text = "observationExtractEntry stands on an item: the entries of several Observations cannot be one."
        expressions.refuse(IssueType.NOT_SUPPORTED, text, root.path)
    subjects = {one.link_id for one in root if extension_value(one.definition, sdc.IS_SUBJECT) is True}
    return ObservationExtraction(items, frozenset(subjects))


@dataclass(frozen=True, slots=True)
class _Inherited:
    """What an element passes on: whether and how its items are extracted, and whether an Observation is around."""

    mark: bool | Relationship | None
    categories: tuple[Json, ...]
    within_observation: bool


def _compile(
    element: Element, around: _Inherited, expressions: ExpressionCompiler, items: dict[str, ObservedItem]
) -> None:
    own = _mark(element.definition, element.path, expressions)
    mark = around.mark if own is None else own
    own_categories = _values(element.definition, sdc.OBSERVATION_EXTRACT_CATEGORY)
    categories = tuple(one for one in own_categories if isinstance(one, dict)) or around.categories
    within = around.within_observation
    if element.item is not None and element.item.type is not ItemType.DISPLAY:
        codes, relationship = _codes(element, mark, expressions)
        if codes and _is_possible(element, element.item, relationship, within, expressions):
            items[element.link_id] = _observed(element, codes, relationship, categories, expressions)
            within = True
        elif not codes and own not in (None, False) and element.item.is_question:
            text = "An item to be extracted as an Observation needs a code."
            expressions.refuse(IssueType.REQUIRED, text, element.path)
    inherited = _Inherited(mark, categories, within)
    for child in element.children:
        _compile(child, inherited, expressions, items)


def _is_possible(
    element: Element, item: Item, relationship: Relationship, within: bool, expressions: ExpressionCompiler
) -> bool:
    if item.type in _NO_VALUE_OF_AN_OBSERVATION:
        text = f"An Observation holds no {item.type}. Set observationExtract to false here."
        expressions.refuse(IssueType.NOT_SUPPORTED, text, element.path)
        return False
    if relationship is not Relationship.INDEPENDENT and not within:
        text = f"'{relationship}' needs an item around it that is extracted as an Observation."
        expressions.refuse(IssueType.INVALID, text, element.path)
        return False
    return True


def _observed(
    element: Element,
    codes: list[Json],
    relationship: Relationship,
    categories: tuple[Json, ...],
    expressions: ExpressionCompiler,
) -> ObservedItem:
    extension = next(extensions(element.definition, sdc.OBSERVATION_EXTRACT_ENTRY), {})
    compiled = compile_entry(extension, element.path, element.names, expressions.on(element.link_id))
    unit = typed_extension_value(element.definition, sdc.UNIT, dict)
    return ObservedItem({"coding": codes}, relationship, categories, unit, compiled, element.path)


def _codes(
    element: Element, mark: bool | Relationship | None, expressions: ExpressionCompiler
) -> tuple[list[Json], Relationship]:
    """The codes that go into the Observation, without their marks, and its relationship."""
    codes = element.definition.get("code", [])
    marks = [_mark(code, f"{element.path}.code[{index}]", expressions) for index, code in enumerate(codes)]
    chosen_marks = [one for one in marks if one not in (None, False)]
    # Where codes are marked, those that are not are meant to stay behind.
    default = None if chosen_marks else mark
    kept = [
        _unmarked(code)
        for code, own in zip(codes, marks, strict=True)
        if (default if own is None else own) not in (None, False)
    ]
    named = [one for one in (*chosen_marks, mark) if isinstance(one, Relationship)]
    return kept, named[0] if named else Relationship.INDEPENDENT


def _mark(holder: Json, path: str, expressions: ExpressionCompiler) -> bool | Relationship | None:
    values = _values(holder, sdc.OBSERVATION_EXTRACT)
    if len(values) > 1:
        expressions.refuse(IssueType.INVALID, "observationExtract stands here more than once.", path)
    if not values or isinstance(values[0], bool):
        return values[0] if values else None
    try:
        return Relationship(values[0])
    except ValueError:
        known = ", ".join(Relationship)
        expressions.refuse(IssueType.CODE_INVALID, f"observationExtract is true, false, {known}.", path)
        return None


def _values(holder: Json, url: str) -> list[Any]:
    keys = ((extension, choice_key(extension)) for extension in extensions(holder, url))
    return [extension[key] for extension, key in keys if key is not None]


def _unmarked(code: Json) -> Json:
    kept = [one for one in code.get("extension", []) if one.get("url") != sdc.OBSERVATION_EXTRACT]
    return {key: kept if key == "extension" else value for key, value in code.items() if key != "extension" or kept}


Subject = Json | Item | None
"""Whom answers are about: a Reference, or the question that asks for it where it is not answered."""


@dataclass(slots=True)
class _Draft:
    """An Observation in the making."""

    observed: ObservedItem
    view: View
    origin: Origin
    subject: Subject
    value: Json
    components: list[Json] = field(default_factory=list)
    members: list[_Draft] = field(default_factory=list)
    derived_from: _Draft | None = None

    @property
    def says_something(self) -> bool:
        """False for the Observation of a group to which nothing was contributed."""
        return bool(self.value or self.components or any(member.says_something for member in self.members))


@dataclass(slots=True)
class _Run:
    """The Observations of one response."""

    extraction: ObservationExtraction
    views: Views
    drafts: list[_Draft] = field(default_factory=list)

    def read(self, scope: Scope, around: _Draft | None, subject: Subject) -> None:
        """Drafts what stands in and below `scope`; `around` is the nearest Observation around it."""
        subject = self._subject(scope, subject)
        for entry in scope:
            observed = self.extraction.items.get(entry.item.link_id)
            if not entry.item.is_question:
                inner = around if observed is None else self._group(entry, observed, around, subject)
                self._below(entry, inner, subject)
                continue
            for position, answer in enumerate(entry.answers):
                inner = around
                value = {} if observed is None else _value(answer, observed)
                if observed is not None and value:
                    inner = self._answered(entry, position, observed, value, around, subject)
                if entry.item.items:
                    self.read(entry.scopes[position], inner, subject)

    def entries(self) -> Iterator[Extracted]:
        """The drafts that say something, as entries that refer to each other."""
        drafts = [draft for draft in self.drafts if draft.says_something]
        common = _common(self.views.context.counted)
        made = [
            draft.observed.entry.entry(
                _observation(draft, common), _TEMPLATE, draft.origin, draft.view, self.views.new_id
            )
            for draft in drafts
        ]
        urls = {id(draft): one.full_url for draft, one in zip(drafts, made, strict=True)}
        for draft, one in zip(drafts, made, strict=True):
            links = _links(draft, urls, one.resource.get("derivedFrom", []))
            yield replace(one, resource={**one.resource, **links})

    def _below(self, entry: Entry, around: _Draft | None, subject: Subject) -> None:
        for scope in entry.scopes:
            self.read(scope, around, subject)

    def _group(self, entry: Entry, observed: ObservedItem, around: _Draft | None, subject: Subject) -> _Draft | None:
        if observed.relationship is Relationship.COMPONENT:
            return around
        draft = _Draft(observed, self.views.at(entry), self.views.origin(entry), subject, {})
        return self._related(draft, around)

    def _answered(
        self,
        entry: Entry,
        position: int,
        observed: ObservedItem,
        value: Json,
        around: _Draft | None,
        subject: Subject,
    ) -> _Draft | None:
        if observed.relationship is Relationship.COMPONENT and around is not None:
            around.components.append({"code": observed.code, **value})
            return around
        origin = self.views.origin(entry, position)
        draft = _Draft(observed, self.views.at(entry, position), origin, subject, value)
        return self._related(draft, around)

    def _related(self, draft: _Draft, around: _Draft | None) -> _Draft:
        if around is not None and draft.observed.relationship is Relationship.MEMBER:
            around.members.append(draft)
        elif draft.observed.relationship is Relationship.DERIVED:
            draft.derived_from = around
        self.drafts.append(draft)
        return draft

    def _subject(self, scope: Scope, around: Subject) -> Subject:
        """Whom the answers in `scope` are about."""
        for item in scope.definitions:
            if item.link_id in self.extraction.subjects:
                answers = [answer for entry in scope.entries.get(item.link_id, ()) for answer in entry.answers]
                subject: Json | None = answers[0].get("valueReference") if len(answers) == 1 else None
                return item if subject is None else subject
        return around


def _value(answer: Json, observed: ObservedItem) -> Json:
    """The value[x] of the Observation of an answer; empty when the answer has none. Raises ExtractionError."""
    key = choice_key(answer)
    if key is None:
        return {}
    value, unit = answer[key], observed.unit
    if unit is not None and key in ("valueDecimal", "valueInteger"):
        return {"valueQuantity": {"value": value, **_in_unit(unit)}}
    if unit is not None and key == "valueQuantity" and not value.keys() & {"unit", "code"}:
        return {"valueQuantity": {**value, **_in_unit(unit)}}
    try:
        name, converted = chosen(Node.of(value, _ANSWER_VALUE.properties[key]), _OBSERVATION_VALUE)
    except Incompatible as refusal:
        raise ExtractionError.wrong(observed.path, refusal) from refusal
    return {name: converted}


def _in_unit(unit: Json) -> Json:
    parts = {"unit": unit.get("display", unit.get("code")), "system": unit.get("system"), "code": unit.get("code")}
    return {name: part for name, part in parts.items() if part is not None}


def _common(response: Json) -> Json:
    """What all Observations of a response share."""
    authored, identity = response.get("authored"), response.get("id")
    performers = [one for one in (response.get("author"), response.get("source")) if one and _kind(one) in _PERFORMERS]
    common = {
        "basedOn": response.get("basedOn"),
        "partOf": [one for one in response.get("partOf", []) if _kind(one) != "Observation"],
        "encounter": response.get("encounter"),
        "effectiveDateTime": authored,
        "issued": authored if is_instant(authored) else None,
        "performer": performers[:1],
        "derivedFrom": [{"reference": f"QuestionnaireResponse/{identity}"}] if identity else None,
    }
    return {name: value for name, value in common.items() if value not in (None, [])}


def _kind(reference: Json) -> str:
    """The type of what a Reference refers to; "" when it does not say."""
    kind = reference.get("type") or str(reference.get("reference", "")).rpartition("/")[0].rpartition("/")[2]
    return str(kind)


def _observation(draft: _Draft, common: Json) -> Json:
    """The Observation without its links. Raises ExtractionError when it is about someone who is not named."""
    observed = draft.observed
    if isinstance(draft.subject, Item):
        raise ExtractionError(draft.subject.path, "The answers here are about someone who is not named.")
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "category": list(observed.categories),
        "code": observed.code,
        "subject": draft.subject,
        **common,
        **draft.value,
        "component": draft.components,
    }
    return {name: value for name, value in observation.items() if value not in (None, [])}


def _links(draft: _Draft, urls: Mapping[int, str], derived_from: list[Json]) -> Json:
    members = [{"reference": urls[id(member)]} for member in draft.members if id(member) in urls]
    source = urls.get(id(draft.derived_from))
    sources = [*derived_from, *([] if source is None else [{"reference": source}])]
    return {name: links for name, links in (("hasMember", members), ("derivedFrom", sources)) if links}
