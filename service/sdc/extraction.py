"""Extracts from a response the resources that its Questionnaire's templates describe.

SDC STU4, http://hl7.org/fhir/uv/sdc/extraction.html#template-based-extraction. templateExtract on the root gives a
resource for the response; on a group, one for each time it stands there; on a question, one for each answer, its focus
the response item narrowed to that answer.

Stricter than the standard in one point: an expression that cannot be evaluated fails the extraction, with its place,
instead of leaving an element out of a patient's record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from service.errors import Detail, Invalid, Issue, IssueType, error
from service.fhir.elements import choice_value, coding_token, extension_value, extensions
from service.fhir.json import Json
from service.fhirpath import (
    Environment,
    EvaluationError,
    Expression,
    FhirPathError,
    Node,
    compile_expression,
    json_value,
)
from service.fhirpath import Item as Value
from service.sdc import vocabulary as sdc
from service.sdc.context import ResponseContext, Variables
from service.sdc.items import Entry
from service.sdc.questionnaire import Item, Questionnaire
from service.sdc.template import Builder, TemplateError, compile_template

NewId = Callable[[], str]
"""Gives a fresh UUID as text."""

_ENTRY_PROPERTIES = ("fullUrl", "resourceId", "ifNoneMatch", "ifModifiedSince", "ifMatch", "ifNoneExist")


@dataclass(frozen=True, slots=True)
class Extracted:
    """One extracted resource and where it comes from.

    `template` is the contained resource's id, `item_path` the linkIds to the item ("" for the root), `answer_key` what
    tells an answer of a repeating question from its siblings ("system|code", or its text; None elsewhere). `request`
    is its Bundle.entry.request.
    """

    resource: Json
    template: str
    item_path: str
    answer_key: str | None
    full_url: str
    request: Json


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """One templateExtract: which template, and the expressions for its Bundle entry by property."""

    template: str
    build: Builder
    properties: Mapping[str, Expression]
    path: str


@dataclass(frozen=True, slots=True)
class Extraction:
    """The compiled extraction of a Questionnaire: template uses and allocated ids by linkId ("" for the root)."""

    uses: Mapping[str, tuple[TemplateUse, ...]]
    allocated: Mapping[str, tuple[str, ...]]
    issues: tuple[Issue, ...]


def compile_extraction(questionnaire: Questionnaire) -> Extraction:
    """The compiled extraction; raises nothing for what is wrong inside: see `Extraction.issues`."""
    issues: list[Issue] = []
    contained = {
        resource.get("id", ""): (f"Questionnaire.contained[{index}]", resource)
        for index, resource in enumerate(questionnaire.definition.get("contained", []))
    }
    uses: dict[str, tuple[TemplateUse, ...]] = {}
    allocated: dict[str, tuple[str, ...]] = {}

    def visit(element: Json, link_id: str, path: str, names: frozenset[str]) -> frozenset[str]:
        ids = tuple(str(extension.get("valueString")) for extension in extensions(element, sdc.EXTRACT_ALLOCATE_ID))
        names |= set(ids)
        found = [
            use
            for extension in extensions(element, sdc.TEMPLATE_EXTRACT)
            if (use := _use(extension, contained, path, names, issues)) is not None
        ]
        if found:
            uses[link_id] = tuple(found)
        if ids:
            allocated[link_id] = ids
        return names

    def visit_items(items: Sequence[Item], names: frozenset[str]) -> None:
        for item in items:
            own = names | {variable.name for variable in item.variables}
            visit_items(item.items, visit(item.definition, item.link_id, item.path, own))

    visit_items(questionnaire.items, visit(questionnaire.definition, "", "Questionnaire", questionnaire.variable_names))
    return Extraction(uses, allocated, tuple(issues))


def extract(extraction: Extraction, context: ResponseContext, new_id: NewId) -> tuple[Extracted, ...]:
    """The resources of a response, in the order of its items, those of the root first.

    Raises Invalid when the extraction cannot be compiled, or an expression cannot be evaluated on this response.
    """
    if extraction.issues:
        raise Invalid(extraction.issues)
    try:
        return tuple(_Run(extraction, context, new_id).resources())
    except TemplateError as fault:
        text = f"Extraction failed: {fault}"
        raise Invalid([error(IssueType.PROCESSING, text, fault.path, Detail.NOT_EXTRACTED)]) from fault


def transaction_bundle(extracted: Sequence[Extracted]) -> Json:
    """The extracted resources as a FHIR transaction Bundle."""
    entries = [{"fullUrl": found.full_url, "resource": found.resource, "request": found.request} for found in extracted]
    bundle: Json = {"resourceType": "Bundle", "type": "transaction"}
    return {**bundle, "entry": entries} if entries else bundle


def _use(
    extension: Json,
    contained: Mapping[str, tuple[str, Json]],
    path: str,
    names: frozenset[str],
    issues: list[Issue],
) -> TemplateUse | None:
    reference = extension_value(extension, "template") or {}
    template = str(reference.get("reference", "")).removeprefix("#")
    if template not in contained:
        text = f"There is no contained template '{template}'."
        issues.append(error(IssueType.NOT_FOUND, text, path, Detail.TEMPLATE_UNUSABLE))
        return None
    place, resource = contained[template]
    properties = {}
    for name in _ENTRY_PROPERTIES:
        text = extension_value(extension, name)
        if text is not None:
            try:
                properties[name] = compile_expression(str(text), variables=names)
            except FhirPathError as fault:
                reason = f"{name} cannot be compiled: {fault}"
                issues.append(error(IssueType.INVALID, reason, path, Detail.TEMPLATE_UNUSABLE))
    return TemplateUse(template, compile_template(resource, place, names, issues), properties, path)


@dataclass(frozen=True, slots=True)
class _Run:
    """One extraction from one response."""

    extraction: Extraction
    context: ResponseContext
    new_id: NewId

    def resources(self) -> Iterator[Extracted]:
        root = self._with_ids(self.context.environment, "")
        focus = Node.of_resource(self.context.counted)
        yield from self._apply("", focus, root, "", None)
        for entries in self.context.counted_entries.root.entries.values():
            for position, entry in enumerate(entries):
                yield from self._entry(entry, position, root, "")

    def _entry(self, entry: Entry, position: int, outer: Environment, above: str) -> Iterator[Extracted]:
        item = entry.item
        # Only a repeating group has a second entry, and nothing but its position tells it from the first.
        path = f"{above}/{item.link_id}".removeprefix("/") + (f"[{position}]" if position else "")
        environment = self._with_ids(self._item_environment(entry, outer), item.link_id)
        if item.is_question:
            for answer in entry.answers:
                narrowed = Node.of({**entry.node, "answer": [answer]}, "QuestionnaireResponse.item")
                key = _answer_key(answer) if item.repeats else None
                yield from self._apply(item.link_id, narrowed, environment, path, key)
        else:
            yield from self._apply(
                item.link_id, Node.of(entry.node, "QuestionnaireResponse.item"), environment, path, None
            )
        for scope in entry.scopes:
            for entries in scope.entries.values():
                for below, child in enumerate(entries):
                    yield from self._entry(child, below, environment, path)

    def _item_environment(self, entry: Entry, outer: Environment) -> Environment:
        focus: list[Value] = [Node.of(entry.node, "QuestionnaireResponse.item")]
        known: dict[str, Sequence[Value]] = {
            "context": focus,
            "qitem": [Node.of(entry.item.definition, "Questionnaire.item")],
        }
        return Variables(outer, focus, entry.item.variables, known).environment

    def _with_ids(self, environment: Environment, link_id: str) -> Environment:
        names = self.extraction.allocated.get(link_id, ())
        if not names:
            return environment
        return Variables(environment, [], (), {name: [f"urn:uuid:{self.new_id()}"] for name in names}).environment

    def _apply(
        self, link_id: str, focus: Node, environment: Environment, path: str, answer_key: str | None
    ) -> Iterator[Extracted]:
        for use in self.extraction.uses.get(link_id, ()):
            for resource in use.build([focus], environment):
                values = {name: self._property(use, name, focus, environment) for name in use.properties}
                yield self._extracted(use, resource, values, path, answer_key)

    def _extracted(
        self, use: TemplateUse, resource: Json, values: Mapping[str, str | None], path: str, answer_key: str | None
    ) -> Extracted:
        kind, identity = resource["resourceType"], values.get("resourceId")
        if identity:
            resource = {"resourceType": kind, "id": identity, **resource}
        request = {"method": "PUT", "url": f"{kind}/{identity}"} if identity else {"method": "POST", "url": kind}
        conditions = {name: values[name] for name in _ENTRY_PROPERTIES[2:] if values.get(name)}
        full_url = values.get("fullUrl") or f"urn:uuid:{self.new_id()}"
        return Extracted(resource, use.template, path, answer_key, full_url, {**request, **conditions})

    def _property(self, use: TemplateUse, name: str, focus: Node, environment: Environment) -> str | None:
        try:
            found = use.properties[name].evaluate([focus], environment)
        except EvaluationError as fault:
            raise TemplateError(use.path, f"{name}: {fault}") from fault
        if len(found) > 1:
            raise TemplateError(use.path, f"{name} gives {len(found)} values, but takes one.")
        return str(json_value(found[0])) if found else None


def _answer_key(answer: Json) -> str:
    value = choice_value(answer)
    return coding_token(value) if "valueCoding" in answer else str(value)
