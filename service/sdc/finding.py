"""Finds the values that a response is populated with: evaluates expressions, asks queries, looks for Observations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.errors import Detail, Issue, IssueType, Severity
from service.fhir.json import Json
from service.fhirpath import Environment, Expression, FhirPathError, Node, json_value
from service.fhirpath import Item as Value
from service.sdc.context import Variables, base_variables, root_environment
from service.sdc.observations import candidates, is_coded, members, observation_query, period_start, value_of
from service.sdc.origins import Reading, Restriction
from service.sdc.population_plan import ItemPlan, PopulationPlan, Source
from service.sdc.queries import ClinicalData, DataUnavailable, QueryRefused, QueryTemplate, searchset
from service.sdc.questionnaire import Item, ItemType, Questionnaire


@dataclass(frozen=True, slots=True)
class Place:
    """An item around an expression, and its response item.

    `known` are the variables it adds, `origins` the resources that its row came from, by variable; `panel` is the
    Observation that it stands for.
    """

    item: Item
    node: Json
    known: dict[str, Sequence[Value]]
    origins: dict[str, tuple[Json, ...]]
    panel: Json | None = None

    @property
    def focus(self) -> Node:
        """The response item, for expressions."""
        return Node.of(self.node, "QuestionnaireResponse.item")


Places = tuple[Place, ...]
"""The items around an expression, the outermost first."""


@dataclass(frozen=True, slots=True)
class Finder:
    """One search for values, for the growing `response`.

    `known` are the root's variables by name; `resources` all that was given or found, by reference and canonical;
    `issues` what could not be found. Nothing is asked twice.
    """

    questionnaire: Questionnaire
    plan: PopulationPlan
    response: Json
    data: ClinicalData
    now: datetime
    known: dict[str, Sequence[Value]]
    resources: dict[str, Node]
    issues: list[Issue] = field(default_factory=list)
    _answered: dict[str, tuple[Json, ...]] = field(default_factory=dict)

    def ask_root(self) -> None:
        """Asks the root's batches, then its queries in order, then what its population context finds."""
        for name, queries in self.plan.source_queries.items():
            if name not in self.known:
                entries = [{"resource": searchset(query, found)} for query, found in self._ask(queries, ())]
                batch = {"resourceType": "Bundle", "type": "batch-response", **({"entry": entries} if entries else {})}
                self.known[name] = [Node.of_resource(batch)]
        for template in self.plan.root.queries:
            if template.name not in self.known:
                self.known[template.name] = self.found(template, ())
        root = self.plan.root
        if root.context is not None and root.context_name not in self.known:
            self.known[root.context_name] = self.values(root.context, "Questionnaire", ())

    def values(self, source: Source, path: str, places: Places) -> Sequence[Value]:
        """What an expression or query at `path` gives, a search its matches; nothing, with an issue, where it fails."""
        if isinstance(source, QueryTemplate):
            return [Node.of_resource(one) for one in Reading.of(self.found(source, places)).all]
        try:
            return self.evaluate(source, places)
        except FhirPathError as fault:
            text = f"An expression for population cannot be evaluated: {fault}"
            self.warn(IssueType.EXCEPTION, text, path, Detail.EXPRESSION_FAILED)
            return []

    def evaluate(
        self, expression: Expression, places: Places, restriction: Restriction | None = None
    ) -> Sequence[Value]:
        """What `expression` gives within `places`. Raises FhirPathError."""
        return expression.evaluate([self._focus(places)], self.environment(places, restriction))

    def environment(self, places: Places, restriction: Restriction | None = None) -> Environment:
        """What an expression within `places` sees, what was found perhaps narrowed."""

        def narrowed(known: dict[str, Sequence[Value]]) -> dict[str, Sequence[Value]]:
            return known if restriction is None else {name: restriction.applied(one) for name, one in known.items()}

        base = {**base_variables(self.questionnaire, self.response, self.now, {}), **narrowed(self.known)}
        environment = root_environment(self.questionnaire, self.response, self.now, base, self.resources.get)
        for place in places:
            definition = Node.of(place.item.definition, "Questionnaire.item")
            known = {**narrowed(place.known), "context": [place.focus], "qitem": [definition]}
            environment = Variables(environment, [place.focus], place.item.expressions, known).environment
        return environment

    def found(self, template: QueryTemplate, places: Places) -> Sequence[Value]:
        """What a query gives to its variable: one Bundle or resource; nothing where it was not answered."""
        return [Node.of_resource(searchset(query, found)) for query, found in self._ask([template], places)]

    def reading(self, source: Expression, places: Places) -> Reading:
        """The resources that `source` reads within `places`."""
        read = self.plan.names_read(source)
        rows = {name: origins for place in places for name, origins in place.origins.items()}
        known = {
            name: values for one in (self.known, *(place.known for place in places)) for name, values in one.items()
        }
        return Reading.of(
            (value for name, values in known.items() if name in read and name not in rows for value in values),
            (one for name, origins in rows.items() if name in read for one in origins),
        )

    def panel(self, item: Item, plan: ItemPlan) -> Json | None:
        """The Observation that a coded group stands for, of which its questions are components or members."""
        if item.type is not ItemType.GROUP or not plan.codes or plan.period is None:
            return None
        found = self._candidates(plan, item.path)
        return next((one for one in found if "component" in one or "hasMember" in one), None)

    def observed(self, item: Item, plan: ItemPlan, places: Places) -> Iterator[tuple[Json, str, Any]]:
        """The Observations that may answer a question, newest first: the resource, its value's name, and the value."""
        if not plan.codes or plan.period is None:
            return
        panel = next((place.panel for place in reversed(places) if place.panel is not None), None)
        found: Iterable[tuple[Json, Json]]
        if panel is None:
            found = [(one, one) for one in self._candidates(plan, item.path)]
        else:
            others = [json_value(node) for node in self.resources.values() if node.type == "Observation"]
            parts = members(panel, others)
            found = [(part if "resourceType" in part else panel, part) for part in parts if is_coded(part, plan.codes)]
        for source, element in found:
            held = value_of(element)
            if held is not None:
                yield source, *held

    def warn(self, code: IssueType, text: str, path: str | None, detail: Detail) -> None:
        """Adds a warning, once."""
        issue = Issue(Severity.WARNING, code, text, path, detail)
        if issue not in self.issues:
            self.issues.append(issue)

    def _candidates(self, plan: ItemPlan, path: str) -> list[Json]:
        subject = self.response.get("subject", {}).get("reference")
        start = period_start(self.now, plan.period or {})
        if subject is None or start is None:
            reason = "the response has no subject" if subject is None else "the link period cannot be read"
            self.warn(IssueType.INVALID, f"No Observation was looked for: {reason}.", path, Detail.DATA_NOT_AT_HAND)
            return []
        found = self._answer(observation_query(subject, plan.codes, start), "Observation", path)
        return candidates(found or (), subject, plan.codes, start)

    def _ask(self, templates: Iterable[QueryTemplate], places: Places) -> Iterator[tuple[str, tuple[Json, ...]]]:
        for template in templates:
            try:
                query = template.written([self._focus(places)], self.environment(places))
            except (QueryRefused, FhirPathError) as fault:
                text = f"The query '{template.name}' was not asked: {fault}."
                self.warn(IssueType.INVALID, text, template.path, Detail.EXPRESSION_FAILED)
                continue
            found = self._answer(query, template.name, template.path)
            if found is not None:
                yield query, found

    def _answer(self, query: str, name: str, path: str) -> tuple[Json, ...] | None:
        if query not in self._answered:
            try:
                self._answered[query] = tuple(self.data.search(query))
            except DataUnavailable as fault:
                text = f"The query '{name}' was not answered: {fault}"
                self.warn(IssueType.INCOMPLETE, text, path, Detail.DATA_NOT_AT_HAND)
                return None
            self.resources.update(by_reference(self._answered[query]))
        return self._answered[query]

    def _focus(self, places: Places) -> Node:
        return places[-1].focus if places else Node.of_resource(self.response)


def by_reference(resources: Iterable[Json]) -> dict[str, Node]:
    """`resources`, those in Bundles too, by "Type/id" and by canonical url."""
    found: dict[str, Node] = {}
    for resource in resources:
        if resource["resourceType"] == "Bundle":
            found.update(by_reference(entry["resource"] for entry in resource.get("entry", []) if "resource" in entry))
        node = Node.of_resource(resource)
        if "id" in resource:
            found[f"{resource['resourceType']}/{resource['id']}"] = node
        if isinstance(resource.get("url"), str):
            found[resource["url"]] = node
    return found
