"""A page compiled: its Questionnaire, its red-flag plan, its extraction, and the artifacts they came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.errors import DomainError, IssueType, error
from service.fhir.elements import canonical
from service.fhir.json import Json
from service.fhir.terminology import Terminology
from service.packs.summary_layout import SummaryLayout, compile_layout
from service.sdc.compilation import compile_questionnaire
from service.sdc.extraction import Extraction, compile_extraction
from service.sdc.population_plan import PopulationPlan, compile_population
from service.sdc.questionnaire import Questionnaire
from service.sdc.triage import TriagePlan, compile_plan


class PackInvalid(DomainError):
    """A page that must not be used; the issues name file, element and reason."""


@dataclass(frozen=True, slots=True)
class Pack:
    """One version of a page: `name` is its folder and its Questionnaire's id, `artifacts` all its resources."""

    name: str
    questionnaire: Questionnaire
    plan: TriagePlan
    extraction: Extraction
    population: PopulationPlan
    layout: SummaryLayout
    terminology: Terminology
    artifacts: tuple[Json, ...]

    @property
    def url(self) -> str:
        """The Questionnaire's canonical url, without version."""
        return str(self.questionnaire.definition["url"])

    @property
    def version(self) -> str:
        """The Questionnaire's business version."""
        return str(self.questionnaire.definition["version"])

    @property
    def canonical(self) -> str:
        """The Questionnaire's canonical with version, "url|version"."""
        return canonical(self.questionnaire.definition)

    @property
    def title(self) -> str:
        """The Questionnaire's title for people."""
        return str(self.questionnaire.definition.get("title", self.name))

    @property
    def status(self) -> str:
        """The Questionnaire's publication status."""
        return self.questionnaire.status


def assemble_pack(name: str, artifacts: Sequence[Json]) -> Pack:
    """The pack of a page's resources: exactly one Questionnaire and one PlanDefinition, and any terminology.

    Raises PackInvalid with everything that cannot be compiled.
    """
    questionnaire_json = _only(artifacts, "Questionnaire")
    missing = [field for field in ("url", "version", "status") if not questionnaire_json.get(field)]
    if missing:
        raise PackInvalid([error(IssueType.REQUIRED, f"The page needs {', '.join(missing)}.", "Questionnaire")])
    terminology = Terminology.of(artifacts)
    questionnaire = compile_questionnaire(questionnaire_json, terminology)
    plan = compile_plan(_only(artifacts, "PlanDefinition"), questionnaire, terminology)
    extraction = compile_extraction(questionnaire)
    population = compile_population(questionnaire, artifacts)
    layout = compile_layout(plan.definition, questionnaire, artifacts)
    issues = (*questionnaire.issues, *plan.issues, *extraction.issues, *population.issues)
    if issues:
        raise PackInvalid(issues)
    return Pack(name, questionnaire, plan, extraction, population, layout, terminology, tuple(artifacts))


def _only(artifacts: Iterable[Json], kind: str) -> Json:
    found = [artifact for artifact in artifacts if artifact.get("resourceType") == kind]
    if len(found) != 1:
        text = f"A page has exactly one {kind}, but {len(found)} are there."
        raise PackInvalid([error(IssueType.STRUCTURE, text, kind)])
    return found[0]
