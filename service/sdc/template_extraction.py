"""Template-based extraction (SDC STU4, http://hl7.org/fhir/uv/sdc/extraction.html#template-based-extraction).

templateExtract on the root gives a resource for the response; on a group, one for each time it stands there; on a
question, one for each answer, its focus the response item narrowed to that answer. templateExtractBundle on the root
gives the entries of a contained Bundle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service.errors import IssueType
from service.fhir.elements import extension_value, extensions
from service.fhir.json import Json
from service.sdc import vocabulary as sdc
from service.sdc.extracted import (
    EntryExpressions,
    Extracted,
    NewId,
    Origin,
    compile_entry,
    effective_patch,
    entry,
    patch_url,
)
from service.sdc.extraction_elements import Element
from service.sdc.extraction_expressions import ExpressionCompiler, ExtractionError, View
from service.sdc.extraction_views import Views, every_entry
from service.sdc.template import Template, entry_templates, resource_template


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """One templateExtract: the id of its template, the template, and the expressions for the Bundle entry."""

    name: str
    template: Template
    entry: EntryExpressions

    def extract(self, view: View, origin: Origin, new_id: NewId) -> Iterator[Extracted]:
        """What the template gives for a focus."""
        for resource in self.template.instances(view):
            effective = effective_patch(resource) if self.entry.patches else resource
            if effective is not None:
                yield self.entry.entry(effective, self.name, origin, view, new_id)


@dataclass(frozen=True, slots=True)
class BundleUse:
    """One entry of a templateExtractBundle; `name` tells it from the others."""

    name: str
    template: Template
    path: str

    def extract(self, view: View, origin: Origin, new_id: NewId) -> Iterator[Extracted]:
        """The entries that it gives for a focus."""
        for built in self.template.instances(view):
            full_url = built.get("fullUrl") or f"urn:uuid:{new_id()}"
            resource, request = built.get("resource"), built.get("request", {})
            if resource is not None:
                yield entry(resource, self.name, origin, full_url, request)
            elif request.get("method") == "DELETE" and "url" in request:
                yield Extracted({}, self.name, origin.item_path, origin.answer_key, full_url, request)
            else:
                raise ExtractionError(self.path, "An entry without a resource is a DELETE with its url.")


Use = ResourceUse | BundleUse


@dataclass(frozen=True, slots=True)
class TemplateExtraction:
    """The uses of templates by linkId ("" for the root)."""

    uses: Mapping[str, tuple[Use, ...]]

    def extract(self, views: Views) -> Iterator[Extracted]:
        """The resources of a response, in the order of its items, those of the root first.

        Raises ExtractionError when an expression cannot be evaluated on this response.
        """
        for use in self.uses.get("", ()):
            yield from use.extract(views.root, Origin(), views.new_id)
        for found in every_entry(views.scope):
            uses = self.uses.get(found.item.link_id)
            if uses is None:
                continue
            positions = range(len(found.answers)) if found.item.is_question else (None,)
            for position in positions:
                view, origin = views.at(found, position), views.origin(found, position)
                for use in uses:
                    yield from use.extract(view, origin, views.new_id)


def compile_templates(root: Element, expressions: ExpressionCompiler) -> TemplateExtraction:
    """The template-based extraction of a Questionnaire."""
    contained = {
        resource.get("id", ""): (resource, f"Questionnaire.contained[{index}]")
        for index, resource in enumerate(root.definition.get("contained", []))
    }
    uses = {}
    for element in root:
        found = tuple(_uses(element, contained, expressions.on(element.link_id)))
        if found:
            uses[element.link_id] = found
    return TemplateExtraction(uses)


def _uses(
    element: Element, contained: Mapping[str, tuple[Json, str]], expressions: ExpressionCompiler
) -> Iterator[Use]:
    for extension in extensions(element.definition, sdc.TEMPLATE_EXTRACT):
        name, resource, place = _template(extension_value(extension, "template"), contained, element.path, expressions)
        if resource is not None:
            template = resource_template(resource, place, element.names, expressions)
            patched = patch_url(extension, resource, element.path, expressions)
            yield ResourceUse(
                name, template, compile_entry(extension, element.path, element.names, expressions, patched)
            )
    for extension in extensions(element.definition, sdc.TEMPLATE_EXTRACT_BUNDLE):
        name, bundle, place = _template(extension.get("valueReference"), contained, element.path, expressions)
        if element.item is not None:
            expressions.refuse(IssueType.INVALID, "templateExtractBundle stands on the root only.", element.path)
        elif bundle is not None and (bundle.get("resourceType"), bundle.get("type")) != ("Bundle", "transaction"):
            expressions.refuse(IssueType.INVALID, "templateExtractBundle takes a transaction Bundle.", place)
        elif bundle is not None:
            for index, template in enumerate(entry_templates(bundle, place, element.names, expressions)):
                yield BundleUse(f"{name}.entry[{index}]", template, f"{place}.entry[{index}]")


def _template(
    reference: Any, contained: Mapping[str, tuple[Json, str]], path: str, expressions: ExpressionCompiler
) -> tuple[str, Json | None, str]:
    """The name of a template, the contained resource that it is (None, and an issue more, without), and its place."""
    text = reference.get("reference", "") if isinstance(reference, dict) else reference
    name = str(text).removeprefix("#")
    resource, place = contained.get(name, (None, path))
    if resource is None:
        expressions.refuse(IssueType.NOT_FOUND, f"There is no contained template '{name}'.", path)
    return name, resource, place
