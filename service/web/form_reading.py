"""Reads one posted step of a form into the draft."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Final

from service.errors import Detail, Issue
from service.fhir.elements import extensions, typed_extension_value
from service.fhir.json import Json
from service.sdc import vocabulary as sdc
from service.sdc.context import ResponseContext
from service.sdc.drafting import Asked, Rows, asked, scope_of, settle, without
from service.sdc.form import Step, is_answerable, is_hidden, takes_own_words
from service.sdc.items import Scope
from service.sdc.questionnaire import Item, ItemType, Questionnaire
from service.sdc.validation import context_issues
from service.web.answer_words import bounds_of, limit_words
from service.web.fields import Inputs, field_name, read_answers
from service.web.interface import gettext as _

ASKED: Final = "asked"
"""The input that names each question that a page showed: what it did not show keeps its answers."""

CONFIRM: Final = ".confirm"
ROWS: Final = ".rows"
_MOST_ROWS: Final = 100


@dataclass(frozen=True, slots=True)
class Proposal:
    """Answers proposed for a question. `origin` says in words where they come from; None for a mere default."""

    answers: tuple[Json, ...]
    extensions: tuple[Json, ...]
    origin: str | None


Proposals = Mapping[tuple[str, Rows], Proposal]
"""Proposals by linkId and repetition."""


@dataclass(frozen=True, slots=True)
class StepReading:
    """A draft after one step of it was posted.

    `context` holds what can be kept; `faults` say by field name what cannot, and why; `missing` names the questions
    that were shown and left open, `new` those that these answers lead to.
    """

    context: ResponseContext
    faults: Mapping[str, str]
    missing: tuple[Asked, ...]
    new: tuple[Asked, ...]


def proposals_of(questionnaire: Questionnaire, populated: Json | None, context: ResponseContext) -> Proposals:
    """What `populated`, a response from a population, proposes for questions that the draft has no answer to."""
    if populated is None:
        return {}
    answered = {(one.item.link_id, one.rows) for one in asked(context, questionnaire.items) if one.answers}
    proposed = settle(questionnaire, populated, context.now)
    found = {}
    for one in asked(proposed, questionnaire.items):
        key = (one.item.link_id, one.rows)
        if one.entry is not None and one.answers and key not in answered:
            sources = tuple(extensions(one.entry.node, sdc.ANSWER_SOURCE))
            found[key] = Proposal(tuple(one.answers), sources, _origin(sources))
    return found


def read_step(
    context: ResponseContext, step: Step, inputs: Inputs, proposals: Proposals, zone: tzinfo, action: str
) -> StepReading:
    """The draft of `context` with the answers of `inputs` to `step`; `action` may add or remove a repetition."""
    questionnaire = context.questionnaire
    reader = _Reader(context, inputs, proposals, zone, action)
    nodes = reader.nodes(step.items, context.paired.root, ())
    response = _with_step(context.response, questionnaire, step, nodes)
    settled, faults = _kept(settle(questionnaire, response, context.now), step, dict(reader.faults))
    shown = [one for one in asked(settled, step.items) if one.is_missing and _name(one) not in faults]
    seen = reader.seen
    return StepReading(
        context=settled,
        faults=faults,
        missing=tuple(one for one in shown if _name(one) in seen),
        new=tuple(one for one in asked(settled, step.items) if is_answerable(one.item) and _name(one) not in seen),
    )


@dataclass(slots=True)
class _Reader:
    """One walk through the items of a step, beside the draft as it is."""

    context: ResponseContext
    inputs: Inputs
    proposals: Proposals
    zone: tzinfo
    action: str
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def seen(self) -> frozenset[str]:
        """The names of the questions that the page showed."""
        return frozenset(self.inputs.get(ASKED, ()))

    def nodes(self, items: Sequence[Item], scope: Scope, rows: Rows) -> list[Json]:
        """The response items of `items` in `scope`, with the answers that were posted."""
        found: list[Json] = []
        for item in items:
            there = [entry.node for entry in scope.entries.get(item.link_id, ())]
            if item.type is ItemType.GROUP and item.repeats and field_name(item, rows) + ROWS in self.inputs:
                found.extend(self._repetitions(item, scope, rows))
            elif item.type is ItemType.GROUP and not item.repeats and not is_hidden(item):
                below = self.nodes(item.items, scope_of(scope, item), rows)
                found += [_node(item, there, item=below)] if below else []
            elif item.is_question and field_name(item, rows) in self.seen and is_answerable(item):
                found.extend(self._question(item, there, rows))
            else:
                found.extend(there)
        return found

    def _repetitions(self, item: Item, scope: Scope, rows: Rows) -> list[Json]:
        name = field_name(item, rows)
        told = next(iter(self.inputs[name + ROWS]), "")
        number = min(int(told), _MOST_ROWS) if told.isascii() and told.isdigit() and len(told) < 6 else 1
        there = [entry.node for entry in scope.entries.get(item.link_id, ())]
        found = []
        for row in range(number):
            below = self.nodes(item.items, scope_of(scope, item, row), (*rows, row))
            if self.action != f"remove:{name}:{row}":
                found.append(_node(item, there[row : row + 1], item=below))
        if self.action == f"add:{name}":
            found.append(_node(item, []))
        return found

    def _question(self, item: Item, there: Sequence[Json], rows: Rows) -> list[Json]:
        name = field_name(item, rows)
        proposal = self.proposals.get((item.link_id, rows))
        kept = there[0].get("answer", []) if there else proposal.answers if proposal else ()
        reading = read_answers(item, name, self.inputs, kept, self.context.questionnaire.terminology, self.zone)
        if reading.fault is not None:
            self.faults[name] = reading.fault
        if not reading.answers:
            return []
        is_as_proposed = proposal is not None and reading.answers == proposal.answers
        if proposal is not None and is_as_proposed and proposal.origin is not None:
            if name + CONFIRM not in self.inputs:
                self.faults[name] = _("This comes from your health record. Confirm that it is right, or change it.")
                return []
            return [{**_node(item, ()), "extension": list(proposal.extensions), "answer": list(reading.answers)}]
        is_changed = there and list(reading.answers) != there[0].get("answer")
        origin = [] if is_changed or not there else list(extensions(there[0], sdc.ANSWER_SOURCE))
        node = _node(item, (), answer=list(reading.answers))
        return [{**node, "extension": origin} if origin else node]


def _node(definition: Item, there: Sequence[Json], **content: list[Json]) -> Json:
    """A response item of `definition`, as far as it goes the one that is there, with `content`."""
    before = {name: value for name, value in there[0].items() if name not in ("item", "answer")} if there else {}
    head = {"linkId": definition.link_id, **({"text": definition.text} if definition.text else {})}
    return {**head, **before, **{name: value for name, value in content.items() if value}}


def _with_step(response: Json, questionnaire: Questionnaire, step: Step, nodes: Sequence[Json]) -> Json:
    own = {item.link_id for item in step.items}
    by_link_id: dict[str, list[Json]] = {}
    for node in (*(node for node in response.get("item", []) if node["linkId"] not in own), *nodes):
        by_link_id.setdefault(node["linkId"], []).append(node)
    items = [node for item in questionnaire.items for node in by_link_id.get(item.link_id, ())]
    rest = {name: value for name, value in response.items() if name != "item"}
    return {**rest, "item": items} if items else rest


def _kept(context: ResponseContext, step: Step, faults: dict[str, str]) -> tuple[ResponseContext, dict[str, str]]:
    """What of the draft can be kept: without the answers of this step in which validation finds a fault."""
    wrong = []
    places = {one.entry.path: one for one in asked(context, step.items) if one.entry is not None}
    for issue in context_issues(context):
        # What is wrong elsewhere is for the acceptance of the draft to say.
        one = places.get(question_path(issue, places)) if issue.is_error else None
        if one is not None and one.entry is not None:
            faults.setdefault(_name(one), advice(one.item, issue))
            wrong.append(one.entry)
    if not wrong:
        return context, faults
    left = without(context.response, wrong)
    return settle(context.questionnaire, left, context.now), faults


def advice(item: Item, issue: Issue) -> str:
    """An issue about an answer to `item` in words for the person who gave it."""
    definition = item.definition
    match issue.detail:
        case Detail.CONSTRAINT_VIOLATED:
            return issue.text
        case Detail.INVALID_VALUE:
            return _("This cannot be read as an answer. Write it another way.")
        case Detail.TOO_MANY_ANSWERS:
            return _("These are more answers than the question takes. Remove some.")
        case Detail.DUPLICATE_ANSWER:
            return _("The same answer stands twice. Remove one.")
        case Detail.NOT_AN_OPTION if takes_own_words(item):
            return _("This is none of the answers offered. Choose one, or write your own.")
        case Detail.PATTERN_MISMATCH:
            return _("This does not have the form that is asked for. Look at the hint, and write it again.")
        case Detail.OUT_OF_BOUNDS:
            return limit_words(**bounds_of(item))
        case Detail.TOO_LONG if "maxLength" in definition:
            return _("The text must have at most %(number)s characters.", number=definition["maxLength"])
        case Detail.TOO_SHORT:
            least = typed_extension_value(definition, sdc.MIN_LENGTH, int)
            return _("The text must have at least %(number)s characters.", number=least)
        case Detail.TOO_PRECISE:
            places = typed_extension_value(definition, sdc.MAX_DECIMAL_PLACES, int)
            return _("The number must have at most %(number)s decimal places.", number=places)
        case _:
            return _("This cannot be kept as an answer. Write it another way, or leave it out.")


def question_path(issue: Issue, places: Collection[str]) -> str:
    """The one of `places`, paths of questions, at or below which `issue` was found; "" when it is none of them."""
    path = issue.expression or ""
    while path and path not in places:
        path = path.rpartition(".")[0]
    return path


def _name(one: Asked) -> str:
    return field_name(one.item, one.rows)


def _origin(sources: Sequence[Json]) -> str | None:
    """Where answers come from, in words; None where the Questionnaire itself gives them."""
    references = [source["valueReference"] for source in sources if "valueReference" in source]
    named = [str(one.get("display") or one.get("reference") or one.get("type", "")) for one in references]
    return ", ".join(dict.fromkeys(named)) or (_("your health record") if references else None)
