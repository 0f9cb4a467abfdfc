"""Extraction templates compiled: a contained resource becomes a tree of builders.

SDC STU4, http://hl7.org/fhir/uv/sdc/extraction.html#template-based-extraction. A templateExtractContext narrows the
focus for its element and all below, repeats the element for each result, and removes it when there is none; a
templateExtractValue replaces its element by its results. An element left without content is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from service.errors import Detail, Issue, IssueType, error
from service.fhir.elements import extensions
from service.fhir.json import Json
from service.fhirpath import Environment, EvaluationError, Expression, FhirPathError, compile_expression, json_value
from service.fhirpath import Item as Value
from service.sdc import vocabulary as sdc
from service.sdc.context import Variables

Builder = Callable[[Sequence[Value], Environment], list[Any]]
"""Builds an element for a focus: the JSON values that stand for it, none where it is removed."""

_EXTRACTIONS = (sdc.TEMPLATE_EXTRACT_CONTEXT, sdc.TEMPLATE_EXTRACT_VALUE)


class TemplateError(ValueError):
    """An expression of a template met data for which it has no answer; `path` is its place in the Questionnaire."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        super().__init__(reason)


def compile_template(resource: Json, path: str, names: frozenset[str], issues: list[Issue]) -> Builder:
    """The builder of a contained resource that stands at `path`; what cannot be compiled is added to `issues`."""
    return _Compiler(issues).element({key: value for key, value in resource.items() if key != "id"}, path, names)


@dataclass(slots=True)
class _Compiler:
    issues: list[Issue]

    def element(self, node: Any, path: str, names: frozenset[str]) -> Builder:
        """The builder of any JSON value; only objects carry extensions of their own."""
        if not isinstance(node, dict):
            return lambda focus, environment: [node]
        context, value = (self._expression(node, url, path, names) for url in _EXTRACTIONS)
        if value is not None:
            build = _replacement(value, path)
        else:
            inner = names if context is None or context.name is None else names | {context.name}
            build = self._object(_without_extractions(node), path, inner)
        return build if context is None else _each(context, build, path)

    def _object(self, node: Json, path: str, names: frozenset[str]) -> Builder:
        members = [
            (key, self._member(node, key, f"{path}.{key}", names))
            for key in dict.fromkeys(key.removeprefix("_") for key in node)
        ]

        def build(focus: Sequence[Value], environment: Environment) -> list[Any]:
            built: Json = {}
            for key, member in members:
                built.update(member(key, focus, environment))
            return [built] if built and built.keys() != {"resourceType"} else []

        return build

    def _member(
        self, node: Json, key: str, path: str, names: frozenset[str]
    ) -> Callable[[str, Sequence[Value], Environment], Json]:
        value, sibling = node.get(key), node.get(f"_{key}")
        if isinstance(value, list) or isinstance(sibling, list):
            return self._list(value or [], sibling or [], path, names)
        if sibling is None:
            return _single(self.element(value, path, names), path)
        return _primitive(value, self._expression_of(sibling, path, names), _without_extractions(sibling), path)

    def _list(
        self, values: list[Any], siblings: list[Any], path: str, names: frozenset[str]
    ) -> Callable[[str, Sequence[Value], Environment], Json]:
        builders: list[Builder] = []
        for index in range(max(len(values), len(siblings))):
            place = f"{path}[{index}]"
            value = values[index] if index < len(values) else None
            sibling = siblings[index] if index < len(siblings) else None
            expression = self._expression_of(sibling, place, names) if sibling else None
            if expression is not None:
                builders.append(_replacement(expression, place))
            elif value is not None:
                builders.append(self.element(value, place, names))

        def build(key: str, focus: Sequence[Value], environment: Environment) -> Json:
            built = [value for builder in builders for value in builder(focus, environment)]
            return {key: built} if built else {}

        return build

    def _expression_of(self, sibling: Json, path: str, names: frozenset[str]) -> _Extraction | None:
        return self._expression(sibling, sdc.TEMPLATE_EXTRACT_VALUE, path, names)

    def _expression(self, node: Json, url: str, path: str, names: frozenset[str]) -> _Extraction | None:
        found = next(extensions(node, url), None)
        if found is None:
            return None
        source = found.get("valueExpression", {"expression": found.get("valueString")})
        text, language = source.get("expression"), source.get("language", "text/fhirpath")
        if not isinstance(text, str) or language != "text/fhirpath":
            reason = "An extraction expression is a FHIRPath text in valueString or valueExpression."
            self.issues.append(error(IssueType.INVALID, reason, path, Detail.TEMPLATE_UNUSABLE))
            return None
        try:
            return _Extraction(compile_expression(text, variables=names), source.get("name"))
        except FhirPathError as fault:
            text = f"The expression cannot be compiled: {fault}"
            self.issues.append(error(IssueType.INVALID, text, path, Detail.TEMPLATE_UNUSABLE))
            return None


@dataclass(frozen=True, slots=True)
class _Extraction:
    """A compiled expression, and the name by which the elements below may read its result."""

    expression: Expression
    name: str | None

    def results(self, focus: Sequence[Value], environment: Environment, path: str) -> list[Value]:
        try:
            return self.expression.evaluate(focus, environment)
        except EvaluationError as fault:
            raise TemplateError(path, str(fault)) from fault


def _replacement(extraction: _Extraction, path: str) -> Builder:
    return lambda focus, environment: [json_value(found) for found in extraction.results(focus, environment, path)]


def _each(context: _Extraction, build: Builder, path: str) -> Builder:
    def each(focus: Sequence[Value], environment: Environment) -> list[Any]:
        built = []
        for found in context.results(focus, environment, path):
            named = {} if context.name is None else {context.name: [found]}
            inner = Variables(environment, [found], (), named).environment if named else environment
            built.extend(build([found], inner))
        return built

    return each


def _single(build: Builder, path: str) -> Callable[[str, Sequence[Value], Environment], Json]:
    def single(key: str, focus: Sequence[Value], environment: Environment) -> Json:
        built = build(focus, environment)
        if len(built) > 1:
            raise TemplateError(path, f"{len(built)} values for an element that takes one.")
        return {key: built[0]} if built else {}

    return single


def _primitive(
    placeholder: Any, extraction: _Extraction | None, kept: Json, path: str
) -> Callable[[str, Sequence[Value], Environment], Json]:
    sibling = {"_": kept} if kept else {}

    def primitive(key: str, focus: Sequence[Value], environment: Environment) -> Json:
        built = {f"_{key}": kept} if sibling else {}
        if extraction is None:
            return built if placeholder is None else {key: placeholder, **built}
        found = [json_value(value) for value in extraction.results(focus, environment, path)]
        if len(found) > 1:
            raise TemplateError(path, f"{len(found)} values for an element that takes one.")
        if found and isinstance(found[0], dict | list):
            raise TemplateError(path, "A complex value for an element that takes a primitive.")
        return {key: found[0], **built} if found else built

    return primitive


def _without_extractions(node: Json) -> Json:
    if "extension" not in node:
        return node
    kept = [extension for extension in node["extension"] if extension.get("url") not in _EXTRACTIONS]
    return {key: kept if key == "extension" else value for key, value in node.items() if key != "extension" or kept}


def template_references(element: Json) -> Iterator[Json]:
    """The templateExtract extensions of a Questionnaire or one of its items."""
    return extensions(element, sdc.TEMPLATE_EXTRACT)
