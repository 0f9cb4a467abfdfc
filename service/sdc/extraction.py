"""Extracts resources from a response, in the three ways that a Questionnaire may describe them itself.

SDC STU4, http://hl7.org/fhir/uv/sdc/extraction.html: by templates, by definitions, as Observations; all give entries
of one transaction. Extraction by StructureMap is not supported.

Stricter than the standard in one point: an expression that cannot be evaluated fails the extraction, with its place,
instead of leaving an element out of a patient's record.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from service.errors import Detail, Invalid, Issue, IssueType, error
from service.sdc.context import ResponseContext
from service.sdc.definition_extraction import DefinitionExtraction, compile_definitions
from service.sdc.extracted import Extracted, NewId, transaction_bundle
from service.sdc.extraction_elements import extraction_elements
from service.sdc.extraction_expressions import ExpressionCompiler, ExtractionError
from service.sdc.extraction_views import Needs, Views
from service.sdc.observation_extraction import ObservationExtraction, compile_observations
from service.sdc.questionnaire import Questionnaire
from service.sdc.template_extraction import TemplateExtraction, compile_templates

__all__ = ["Extracted", "Extraction", "NewId", "compile_extraction", "extract", "transaction_bundle"]


@dataclass(frozen=True, slots=True)
class Extraction:
    """The compiled extraction of a Questionnaire; `issues` say what of it could not be compiled."""

    templates: TemplateExtraction
    definitions: DefinitionExtraction
    observations: ObservationExtraction
    needs: Needs
    issues: tuple[Issue, ...]


def compile_extraction(questionnaire: Questionnaire) -> Extraction:
    """The compiled extraction; raises nothing for what is wrong inside: see `Extraction.issues`."""
    root = extraction_elements(questionnaire)
    expressions = ExpressionCompiler(look_back=questionnaire.look_back)
    templates = compile_templates(root, expressions)
    definitions = compile_definitions(root, expressions)
    observations = compile_observations(root, expressions)
    allocated = {element.link_id: element.allocated for element in root if element.allocated}
    needs = Needs(allocated, frozenset(expressions.self_aware))
    return Extraction(templates, definitions, observations, needs, tuple(expressions.issues))


def extract(extraction: Extraction, context: ResponseContext, new_id: NewId) -> tuple[Extracted, ...]:
    """The entries that a response gives: by templates, by definitions, as Observations, each in the order of items.

    Raises Invalid when the extraction cannot be compiled, or an expression cannot be evaluated on this response.
    """
    if extraction.issues:
        raise Invalid(extraction.issues)
    try:
        return tuple(_entries(extraction, Views(context, extraction.needs, new_id)))
    except ExtractionError as fault:
        text = f"Extraction failed: {fault}"
        raise Invalid([error(IssueType.PROCESSING, text, fault.path, Detail.NOT_EXTRACTED)]) from fault


def _entries(extraction: Extraction, views: Views) -> Iterator[Extracted]:
    yield from extraction.templates.extract(views)
    yield from extraction.definitions.extract(views)
    yield from extraction.observations.extract(views)
