"""A page compiled: its Questionnaire, its red-flag plan, its extraction, and the artifacts they came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from service.errors import DomainError, IssueType, error
from service.fhir.elements import canonical
from service.fhir.json import Json
from service.fhir.terminology import Terminology
from service.fhir.translation import languages, lookup, translated, untranslated
from service.packs.summary_layout import SummaryLayout, compile_layout
from service.sdc.compilation import compile_questionnaire
from service.sdc.extraction import Extraction, compile_extraction
from service.sdc.population_plan import PopulationPlan, compile_population
from service.sdc.questionnaire import Questionnaire
from service.sdc.triage import TriagePlan, compile_plan

DEFAULT_LANGUAGE: Final = "en"
"""The language of a page that names none."""


class PackInvalid(DomainError):
    """A page that must not be used; the issues name file, element and reason."""


@dataclass(frozen=True, slots=True)
class Pack:
    """One version of a page: `name` is its folder and its Questionnaire's id, `artifacts` all its resources.

    `languages` are those it can be shown in, as BCP 47 tags, its own first: each has all that patients read.
    """

    name: str
    questionnaire: Questionnaire
    plan: TriagePlan
    extraction: Extraction
    population: PopulationPlan
    layout: SummaryLayout
    terminology: Terminology
    artifacts: tuple[Json, ...]
    languages: tuple[str, ...]
    _editions: dict[str, Pack] = field(default_factory=dict, compare=False, repr=False)

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

    @property
    def language(self) -> str:
        """The language of what it says."""
        return str(self.questionnaire.definition.get("language", DEFAULT_LANGUAGE))

    def in_language(self, language: str) -> Pack:
        """The page as it is shown to whoever reads `language`; itself, where it is not all there in that language.

        Questions, rules and results are in that language. What is extracted and proposed stays in the page's own.
        """
        found = lookup(self.languages, language)
        if found is None or found == self.language:
            return self
        if found not in self._editions:
            self._editions[found] = _edition(self, found)
        return self._editions[found]


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
    return Pack(
        name=name,
        questionnaire=questionnaire,
        plan=plan,
        extraction=extraction,
        population=population,
        layout=layout,
        terminology=terminology,
        artifacts=tuple(artifacts),
        languages=tuple(_languages(questionnaire_json, artifacts)),
    )


def _languages(questionnaire: Json, artifacts: Sequence[Json]) -> Iterator[str]:
    own = questionnaire.get("language", DEFAULT_LANGUAGE)
    yield own
    for language in sorted(languages(questionnaire) - {own}):
        if not any(True for artifact in artifacts for _ in untranslated(artifact, language)):
            yield language


def _edition(pack: Pack, language: str) -> Pack:
    artifacts = tuple(translated(artifact, language) for artifact in pack.artifacts)
    terminology = Terminology.of(artifacts)
    questionnaire = compile_questionnaire(_only(artifacts, "Questionnaire"), terminology)
    plan = compile_plan(_only(artifacts, "PlanDefinition"), questionnaire, terminology)
    return replace(
        pack,
        questionnaire=questionnaire,
        plan=plan,
        terminology=terminology,
        artifacts=artifacts,
        languages=(language,),
    )


def _only(artifacts: Iterable[Json], kind: str) -> Json:
    found = [artifact for artifact in artifacts if artifact.get("resourceType") == kind]
    if len(found) != 1:
        text = f"A page has exactly one {kind}, but {len(found)} are there."
        raise PackInvalid([error(IssueType.STRUCTURE, text, kind)])
    return found[0]
