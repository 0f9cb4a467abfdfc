"""What a Questionnaire says of its own population, compiled (SDC STU4, http://hl7.org/fhir/uv/sdc/populate.html).

Expression-based: variables that are queries, sourceQueries, itemPopulationContext, initialExpression.
Observation-based: observationLinkPeriod with item.code. Defaults stand in the definition itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from service.errors import Detail, Issue, IssueType, error
from service.fhir.elements import extensions, typed_extension_value
from service.fhir.json import Json
from service.fhirpath import Expression, FhirPathError, compile_expression
from service.sdc import vocabulary as sdc
from service.sdc.answering import Translations, translations
from service.sdc.observations import Codes
from service.sdc.queries import QueryTemplate, compile_query, resource_type_of
from service.sdc.questionnaire import Item, Questionnaire, Variable, look_back_hint

_ITEM = "QuestionnaireResponse.item"
_RESPONSE = "QuestionnaireResponse"

Source = Expression | QueryTemplate
"""Where a value comes from: FHIRPath, or a search."""


@dataclass(frozen=True, slots=True)
class ItemPlan:
    """How one item is populated.

    `queries` are its variables that are searches; `context` gives the rows of a group, each called `context_name`;
    `initial` the first answers of a question; `codes` and `period` (a Duration, perhaps of a group around it) the
    Observations that answer it.
    """

    queries: tuple[QueryTemplate, ...]
    context_name: str
    context: Source | None
    initial: Source | None
    codes: Codes
    period: Json | None


@dataclass(frozen=True, slots=True)
class PopulationPlan:
    """A Questionnaire's population; `issues` say what of it could not be compiled.

    `queries` are the root's variables that are searches, in order; `source_queries` the batches by the id of their
    Bundle; `reads` the names that each variable reads, itself or through others; `concept_maps` are those at hand.
    """

    queries: tuple[QueryTemplate, ...]
    source_queries: Mapping[str, tuple[QueryTemplate, ...]]
    root: ItemPlan
    items: Mapping[str, ItemPlan]
    reads: Mapping[str, frozenset[str]]
    concept_maps: tuple[Json, ...]
    translations: Translations
    issues: tuple[Issue, ...]

    @property
    def resource_types(self) -> frozenset[str]:
        """The types of resources that its searches ask for."""
        own = (*self.queries, *(query for batch in self.source_queries.values() for query in batch))
        queries = (*own, *self.root.queries, *(query for item in self.items.values() for query in item.queries))
        sources = [source for item in self.items.values() for source in (item.context, item.initial)]
        queries = (*queries, *(source for source in sources if isinstance(source, QueryTemplate)))
        named = {resource_type_of(query.parts[0]) for query in queries if isinstance(query.parts[0], str)}
        observed = {"Observation"} if any(item.period is not None for item in self.items.values()) else set()
        return frozenset(named | observed)

    def names_read(self, expression: Expression) -> frozenset[str]:
        """The variables that `expression` reads, itself or through other variables."""
        return _closure(expression.variables, self.reads)


def compile_population(questionnaire: Questionnaire, artifacts: Iterable[Json] = ()) -> PopulationPlan:
    """The compiled population; `artifacts` add ConceptMaps to the contained ones.

    Raises nothing for what is wrong inside: see `PopulationPlan.issues`.
    """
    compiler = _Compiler(questionnaire)
    root = compiler.item_plan(questionnaire.definition, "Questionnaire", questionnaire.variable_names, _RESPONSE, None)
    items: dict[str, ItemPlan] = {}
    compiler.items(questionnaire.items, questionnaire.variable_names, root.period, items)
    contained = questionnaire.definition.get("contained", [])
    concept_maps = tuple(one for one in (*artifacts, *contained) if one.get("resourceType") == "ConceptMap")
    return PopulationPlan(
        queries=root.queries,
        source_queries=dict(compiler.source_queries()),
        root=root,
        items=items,
        reads={variable.name: variable.expression.variables for variable in _variables(questionnaire)},
        concept_maps=concept_maps,
        translations=translations(concept_maps),
        issues=tuple(compiler.issues),
    )


@dataclass(frozen=True, slots=True)
class _Compiler:
    questionnaire: Questionnaire
    issues: list[Issue] = field(default_factory=list)

    def items(
        self, items: tuple[Item, ...], names: frozenset[str], period: Json | None, plans: dict[str, ItemPlan]
    ) -> None:
        for item in items:
            own = names | {variable.name for variable in item.variables}
            plan = plans[item.link_id] = self.item_plan(item.definition, item.path, own, _ITEM, period)
            self.items(item.items, own, plan.period, plans)

    def item_plan(self, element: Json, path: str, names: frozenset[str], focus: str, period: Json | None) -> ItemPlan:
        sources = [extension.get("valueExpression", {}) for extension in extensions(element, sdc.VARIABLE)]
        queries = [self._source(one, path, names, focus) for one in sources if one.get("language") == sdc.FHIR_QUERY]
        context = typed_extension_value(element, sdc.ITEM_POPULATION_CONTEXT, dict)
        nearest = typed_extension_value(element, sdc.OBSERVATION_LINK_PERIOD, dict)
        codes = [(str(code.get("system")), str(code["code"])) for code in element.get("code", []) if "code" in code]
        return ItemPlan(
            queries=tuple(one for one in queries if isinstance(one, QueryTemplate)),
            context_name="" if context is None else context.get("name", ""),
            context=self._source(context, path, names, focus),
            initial=self._source(typed_extension_value(element, sdc.INITIAL_EXPRESSION, dict), path, names, focus),
            codes=frozenset(codes),
            period=period if nearest is None else nearest,
        )

    def source_queries(self) -> Iterator[tuple[str, tuple[QueryTemplate, ...]]]:
        definition = self.questionnaire.definition
        for index, extension in enumerate(extensions(definition, sdc.SOURCE_QUERIES)):
            reference = str(extension.get("valueReference", {}).get("reference"))
            bundles = [
                (place, one)
                for place, one in enumerate(definition.get("contained", []))
                if one.get("resourceType") == "Bundle" and f"#{one.get('id')}" == reference
            ]
            if not bundles:
                text = f"The source queries '{reference}' are no contained Bundle."
                self._refuse(IssueType.NOT_FOUND, text, f"Questionnaire.extension (sourceQueries[{index}])")
                continue
            (place, bundle), name = bundles[0], reference.removeprefix("#")
            yield name, tuple(self._batch(bundle, f"Questionnaire.contained[{place}]", name))

    def _batch(self, bundle: Json, path: str, name: str) -> Iterator[QueryTemplate]:
        names = self.questionnaire.variable_names
        for index, entry in enumerate(bundle.get("entry", [])):
            request = entry.get("request", {})
            place = f"{path}.entry[{index}].request"
            if request.get("method") != "GET":
                self._refuse(IssueType.NOT_SUPPORTED, "Source queries only read: the method must be GET.", place)
                continue
            source = {"name": name, "language": sdc.FHIR_QUERY, "expression": request.get("url", "")}
            query = self._source(source, place, names, _RESPONSE)
            if isinstance(query, QueryTemplate):
                yield query

    def _source(self, source: Json | None, path: str, names: frozenset[str], focus: str) -> Source | None:
        if source is None:
            return None
        language, text = source.get("language", "text/fhirpath"), source.get("expression")
        if language not in ("text/fhirpath", sdc.FHIR_QUERY) or not isinstance(text, str):
            reason = f"Population knows FHIRPath and FHIR queries, not '{language}'."
            self._refuse(IssueType.NOT_SUPPORTED, reason, path)
            return None

        def compiled(expression: str) -> Expression:
            return compile_expression(expression, context_type=focus, variables=names)

        try:
            if language == sdc.FHIR_QUERY:
                return compile_query(source.get("name", ""), path, text, compiled)
            return compiled(text)
        except FhirPathError as fault:
            hint = look_back_hint(text, self.questionnaire.look_back)
            self._refuse(IssueType.INVALID, f"An expression for population cannot be compiled: {fault}{hint}", path)
            return None

    def _refuse(self, code: IssueType, text: str, path: str) -> None:
        self.issues.append(error(code, text, path, Detail.QUESTIONNAIRE_UNUSABLE))


def _variables(questionnaire: Questionnaire) -> Iterator[Variable]:
    yield from questionnaire.variables
    for item in questionnaire.by_link_id.values():
        yield from item.variables


def _closure(names: frozenset[str], reads: Mapping[str, frozenset[str]]) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(reads.get(name, ()))
    return frozenset(found)
