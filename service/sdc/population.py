"""Populates a response: first answers from launch contexts, queries, Observations and defaults.

SDC STU4, http://hl7.org/fhir/uv/sdc/populate.html. Everything that is known is filled in, item by item in the order of
the Questionnaire, and every item stands in the response, answered or not. An answer that is there already stays. What
fails is an issue with its place, and the rest is populated all the same. First answers to questions that other answers
hide are taken out at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime

from service.errors import Detail, Issue, IssueType, Severity, TooLarge, error
from service.fhir.elements import canonical, choice_key
from service.fhir.json import Json
from service.fhir.primitives import instant
from service.fhirpath import FhirPathError, Node, json_value
from service.fhirpath import Item as Value
from service.sdc import vocabulary as sdc
from service.sdc.answering import answer_of
from service.sdc.answers import answer_issues, limit_issues
from service.sdc.comparison import AnswerKey, answer_key, value_node
from service.sdc.context import read_response
from service.sdc.finding import Finder, Place, Places, by_reference
from service.sdc.origins import Restriction, origin_extension
from service.sdc.population_plan import ItemPlan, PopulationPlan, Source
from service.sdc.queries import ClinicalData, QueryTemplate
from service.sdc.questionnaire import Item, ItemType, Questionnaire

_MOST_ROWS = 100
"""Repetitions of a group that a population gives at most."""

_MOST_ITEMS = 10_000
"""Items of a populated response at most: groups that repeat within groups that repeat are bounded too."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a population starts from.

    `subject` is a Reference; `named` the resources of launch contexts, and of queries whose results came along, by
    variable; `resources` what else references may name; `partial` a response whose answers stay as they are.
    """

    subject: Json | None = None
    named: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    resources: Sequence[Json] = ()
    partial: Json | None = None


@dataclass(frozen=True, slots=True)
class Populated:
    """The response (in-progress, unless a partial one says otherwise), and what could not be populated."""

    response: Json
    issues: tuple[Issue, ...]


def populate(
    questionnaire: Questionnaire, plan: PopulationPlan, given: Given, data: ClinicalData, now: datetime
) -> Populated:
    """A response to `questionnaire`, populated from `given` and `data` at the time `now` (aware).

    Raises TooLarge when it would have more items than anyone fills in.
    """
    response = _blank(questionnaire, given, now)
    named = {name: [Node.of_resource(one) for one in resources] for name, resources in given.named.items()}
    sent = (one for found in (plan.concept_maps, given.resources, *given.named.values()) for one in found)
    resources = by_reference(sent)
    finder = Finder(questionnaire, plan, response, data, now, {**named}, resources)
    finder.issues.extend(Issue(Severity.WARNING, one.code, one.text, one.expression, one.detail) for one in plan.issues)
    finder.ask_root()
    filling = _Filling(finder, _identity(questionnaire))
    filling.fill(questionnaire.items, response, (given.partial or {}).get("item", []), ())
    filling.take_out_hidden()
    return Populated(response, tuple(finder.issues))


@dataclass(frozen=True, slots=True)
class _Filling:
    """One walk through the Questionnaire.

    `own_origin` names it as an origin; `made` are all response items, `populated` those given answers.
    """

    finder: Finder
    own_origin: Json
    made: list[Json] = field(default_factory=list)
    populated: list[Json] = field(default_factory=list)

    def fill(self, items: Sequence[Item], holder: Json, kept: Sequence[Json], around: Places) -> None:
        """Puts the response items of `items` into `holder`; `kept` are those that a partial response has there."""
        for item in items:
            there = [node for node in kept if node["linkId"] == item.link_id]
            if item.type is ItemType.GROUP:
                self._fill_group(item, holder, there, around)
            else:
                self._fill_leaf(item, holder, there, around)

    def take_out_hidden(self) -> None:
        """Takes out the first answers to questions that are not asked after all."""
        finder = self.finder
        try:
            context = read_response(finder.questionnaire, finder.response, finder.now)
        except FhirPathError as fault:
            text = f"What is asked cannot be told: {fault}"
            finder.warn(IssueType.EXCEPTION, text, None, Detail.EXPRESSION_FAILED)
            return
        for entry in context.disabled:
            if any(entry.node is node for node in self.populated):
                del entry.node["answer"]
                _take_origins(entry.node)

    def _fill_group(self, item: Item, holder: Json, there: Sequence[Json], around: Places) -> None:
        plan = self.finder.plan.items[item.link_id]
        rows: list[Value | None] = [None] * max(1, len(there))
        if plan.context is not None and not there:
            rows = self._rows(item, plan.context, around)
        for position, row in enumerate(rows):
            kept = there[position] if position < len(there) else {}
            node = self._made(holder, item, {name: part for name, part in kept.items() if name != "item"})
            place = self._place(item, plan, node, row, around)
            self.fill(item.items, node, kept.get("item", []), (*around, place))

    def _made(self, holder: Json, item: Item, kept: Json) -> Json:
        node = _append(holder, item, kept)
        self.made.append(node)
        if len(self.made) > _MOST_ITEMS:
            text = f"The response would have more than {_MOST_ITEMS} items. Let fewer groups repeat."
            raise TooLarge([error(IssueType.TOO_COSTLY, text, item.path)])
        return node

    def _rows(self, item: Item, context: Source, around: Places) -> list[Value | None]:
        found = self.finder.values(context, item.path, around)
        most = min(_MOST_ROWS, item.max_occurs or _MOST_ROWS) if item.repeats else 1
        if len(found) > most:
            text = f"'{item.link_id}' would repeat {len(found)} times; {most} are populated."
            self.finder.warn(IssueType.STRUCTURE, text, item.path, Detail.TOO_MANY_ANSWERS)
        return [*found[:most]] or [None]

    def _place(self, item: Item, plan: ItemPlan, node: Json, row: Value | None, around: Places) -> Place:
        place = Place(item, node, {}, {}, self.finder.panel(item, plan))
        if plan.context is not None:
            place.known[plan.context_name] = [] if row is None else [row]
            place.origins[plan.context_name] = () if row is None else self._row_origins(plan.context, row, around)
        for template in plan.queries:
            place.known[template.name] = self.finder.found(template, (*around, place))
        return place

    def _row_origins(self, source: Source, row: Value, around: Places) -> tuple[Json, ...]:
        content = json_value(row)
        if isinstance(content, dict) and "resourceType" in content:
            return (content,)
        return () if isinstance(source, QueryTemplate) else self.finder.reading(source, around).alone

    def _fill_leaf(self, item: Item, holder: Json, there: Sequence[Json], around: Places) -> None:
        node = self._made(holder, item, there[0] if there else {})
        if not item.is_question or "answer" in node:
            return
        plan = self.finder.plan.items[item.link_id]
        places = (*around, self._place(item, plan, node, None, around))
        answers, origins = self._first_answers(item, plan, places)
        if not answers:
            return
        node["extension"] = [*node.get("extension", []), *origins]
        node["answer"] = answers
        self.populated.append(node)
        for answer in answers:
            self.fill(item.items, answer, [], places)

    def _first_answers(self, item: Item, plan: ItemPlan, places: Places) -> tuple[list[Json], list[Json]]:
        """The first answers of a question, and extensions that tell where they came from."""
        if plan.initial is not None:
            answers = self._accepted(item, self.finder.values(plan.initial, item.path, places), places)
            if answers:
                return answers, self._origins(item, plan.initial, answers, places)
        answers = self._accepted(item, list(_defaults(item)), places)
        if answers:
            return answers, [self.own_origin]
        for resource, key, value in self.finder.observed(item, plan, places):
            answer = self._answer(item, value_node(key, value), places)
            if not isinstance(answer, str):
                return [answer], [origin_extension(resource)]
        return [], []

    def _accepted(self, item: Item, values: Sequence[Value], places: Places) -> list[Json]:
        """Those of `values` that the question takes, each once; what it does not take is told."""
        answers: dict[AnswerKey, Json] = {}
        for value in values:
            answer = self._answer(item, value, places)
            if isinstance(answer, str):
                text = f"A value found for '{item.link_id}' was not set: {answer}"
                self.finder.warn(IssueType.VALUE, text, item.path, Detail.NOT_POPULATED)
            else:
                answers.setdefault(_key(answer), answer)
        most = item.max_occurs if item.repeats else 1
        if most is not None and len(answers) > most:
            text = f"'{item.link_id}' takes {most}, but {len(answers)} were found. None is set: a person must choose."
            self.finder.warn(IssueType.MULTIPLE_MATCHES, text, item.path, Detail.TOO_MANY_ANSWERS)
            return []
        return list(answers.values())

    def _answer(self, item: Item, value: Value, places: Places) -> Json | str:
        """`value` as an answer, or why it is none."""
        answer = answer_of(item, value, self.finder.plan.translations)
        if answer is None:
            return "it has another type, or is none of the options."
        faults = list(answer_issues(item, [answer], item.path))
        if not faults and item.limits:
            faults = list(limit_issues(item, [answer], item.path, self.finder.environment(places)))
        return faults[0].text if faults else answer

    def _origins(self, item: Item, source: Source, answers: Sequence[Json], places: Places) -> list[Json]:
        finder = self.finder
        if isinstance(source, QueryTemplate):
            references = [answer.get("valueReference", {}).get("reference") for answer in answers]
            return [
                origin_extension(json_value(finder.resources[one])) for one in references if one in finder.resources
            ]

        def given_with(restriction: Restriction) -> set[AnswerKey]:
            try:
                values = finder.evaluate(source, places, restriction)
            except FhirPathError:
                # Expressions that need all that was found fail without it: then nothing is said of one resource.
                return set()
            given = [answer_of(item, value, finder.plan.translations) for value in values]
            return {_key(answer) for answer in given if answer is not None}

        origins = finder.reading(source, places).origins({_key(answer) for answer in answers}, given_with)
        return [origin_extension(one) for one in origins] or [self.own_origin]


def _blank(questionnaire: Questionnaire, given: Given, now: datetime) -> Json:
    """The response without its items."""
    kept = {name: deepcopy(part) for name, part in (given.partial or {}).items() if name != "item"}
    response: Json = {"resourceType": "QuestionnaireResponse", **kept}
    identity = questionnaire.definition
    if "url" in identity:
        response.setdefault("questionnaire", canonical(identity))
    response.setdefault("status", sdc.DRAFT_STATUS)
    if given.subject is not None:
        response.setdefault("subject", given.subject)
    response.setdefault("authored", instant(now))
    return response


def _identity(questionnaire: Questionnaire) -> Json:
    """The origin of what the Questionnaire itself says."""
    definition = questionnaire.definition
    if "url" in definition:
        return {"url": sdc.ANSWER_SOURCE, "valueCanonical": canonical(definition)}
    return {"url": sdc.ANSWER_SOURCE, "valueReference": {"type": "Questionnaire", "display": "The Questionnaire"}}


def _append(holder: Json, item: Item, kept: Json) -> Json:
    """A new response item at the end of `holder`, with what a partial response has there."""
    node: Json = {"linkId": item.link_id}
    if item.text:
        node["text"] = item.text
    node.update(deepcopy(kept))
    holder.setdefault("item", []).append(node)
    return node


def _take_origins(node: Json) -> None:
    rest = [one for one in node.pop("extension", []) if one.get("url") != sdc.ANSWER_SOURCE]
    if rest:
        node["extension"] = rest


def _defaults(item: Item) -> Iterator[Value]:
    """The values that the definition selects or gives at first."""
    chosen = [option for option in item.definition.get("answerOption", []) if option.get("initialSelected") is True]
    for element in (*chosen, *item.definition.get("initial", [])):
        key = choice_key(element)
        if key is not None:
            yield value_node(key, element[key])


def _key(answer: Json) -> AnswerKey:
    key = choice_key(answer) or ""
    return answer_key(key, answer[key])
