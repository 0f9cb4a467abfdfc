"""What becomes of a draft as its answers change: hidden ones go, calculated ones follow, and what is still open.

Pure; a draft is a QuestionnaireResponse in-progress (http://hl7.org/fhir/R4/questionnaireresponse.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime

from service.fhir.json import Json
from service.fhirpath import FhirPathError, Node
from service.sdc.answering import answer_of
from service.sdc.context import ResponseContext, read_response
from service.sdc.form import is_answerable, is_hidden
from service.sdc.items import Entry, Scope, missing_group, pair
from service.sdc.questionnaire import Item, ItemType, Questionnaire

_MOST_ROUNDS = 8
"""How long answers that are calculated from one another, and hide one another, are followed."""

Rows = tuple[int, ...]
"""Which repetition of each repeating group around an item is meant, outermost first, from 0."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question in one place of a form, shown now: `entry` is its response item, None while there is none.

    `is_needed` is False in a repetition of a group that may stay empty, and does.
    """

    item: Item
    rows: Rows
    scope: Scope
    entry: Entry | None
    is_needed: bool

    @property
    def answers(self) -> Sequence[Json]:
        """The answers it has."""
        return () if self.entry is None else self.entry.answers

    @property
    def is_missing(self) -> bool:
        """True when a complete response needs more answers to it than there are."""
        if not self.is_needed or not is_answerable(self.item):
            return False
        wanted = max(self.item.min_occurs, 1) if self.item.required else self.item.min_occurs if self.answers else 0
        return len(self.answers) < wanted


def settle(questionnaire: Questionnaire, response: Json, now: datetime) -> ResponseContext:
    """`response` read without answers that others hide, without an exclusive option beside others, and calculated anew.

    Its `response` is what is left. Raises FhirPathError when an expression that decides what is shown fails.
    """
    context = read_response(questionnaire, response, now)
    for _ in range(_MOST_ROUNDS):
        settled = _calculated(context)
        if settled == context.response:
            break
        context = read_response(questionnaire, settled, now)
    return context


def asked(context: ResponseContext, items: Sequence[Item]) -> Iterator[Asked]:
    """The questions shown in and below the top-level `items`, in the order of the form."""
    yield from _asked(context, items, context.paired.root, (), is_needed=True)


def scope_of(scope: Scope, group: Item, row: int = 0) -> Scope:
    """The place of the items of `group` in `scope`: that of its repetition `row`, an empty one when it has none."""
    entries = scope.entries.get(group.link_id, ())
    return entries[row].scopes[0] if row < len(entries) else missing_group(group, scope)


def row_count(scope: Scope, group: Item) -> int:
    """How many repetitions of `group` a form shows in `scope`: those that are there, and at least one."""
    return max(1, len(scope.entries.get(group.link_id, ())))


def without(response: Json, items: Sequence[Entry]) -> Json:
    """A copy of `response` without the answers of these entries of it."""
    gone = {id(entry.node) for entry in items}

    def kept(node: Json) -> Json:
        rest = {name: value for name, value in node.items() if name != "item"}
        items = [kept(child) for child in node.get("item", []) if id(child) not in gone]
        return {**rest, "item": items} if items else rest

    return kept(response)


def completed(response: Json) -> Json:
    """A copy of `response` without groups that hold no answer: a form shows them before anything is in them."""
    items = [completed(node) for node in response.get("item", [])]
    rest = {name: value for name, value in response.items() if name != "item"}
    full = [node for node in items if "answer" in node or "item" in node]
    return {**rest, "item": full} if full else rest


def with_given(context: ResponseContext, populated: Json) -> Json:
    """The draft with what `populated` says for questions that no person answers: hidden ones, and those to be read.

    An answer that is there already stays. Repeating groups are left to the person who fills them in.
    """
    response = deepcopy(context.response)
    questionnaire = context.questionnaire
    _give(pair(questionnaire, response).root, pair(questionnaire, populated).root, response)
    return response


def _give(scope: Scope, populated: Scope, holder: Json) -> None:
    positions = {item.link_id: position for position, item in enumerate(scope.definitions)}
    for item in scope.definitions:
        there, found = scope.entries.get(item.link_id, ()), populated.entries.get(item.link_id, ())
        if not found:
            continue
        if item.is_question and not is_answerable(item) and item.calculated is None:
            if not there and found[0].answers:
                _insert(holder, deepcopy(found[0].node), positions)
        elif item.type is ItemType.GROUP and not item.repeats:
            node = there[0].node if there else {"linkId": item.link_id}
            _give(scope_of(scope, item), found[0].scopes[0], node)
            if not there and "item" in node:
                _insert(holder, node, positions)


def _asked(
    context: ResponseContext, items: Sequence[Item], scope: Scope, rows: Rows, *, is_needed: bool
) -> Iterator[Asked]:
    for item in items:
        if is_hidden(item) or not context.enablement.is_enabled(item, scope):
            continue
        if item.is_question:
            entries = scope.entries.get(item.link_id, ())
            yield Asked(item, rows, scope, entries[0] if entries else None, is_needed)
        elif item.type is ItemType.GROUP and item.repeats:
            least = max(item.min_occurs, 1 if item.required else 0)
            for row in range(row_count(scope, item)):
                below = scope_of(scope, item, row)
                needed = is_needed and (row < least or _is_answered(below))
                yield from _asked(context, item.items, below, (*rows, row), is_needed=needed)
        elif item.type is ItemType.GROUP:
            yield from _asked(context, item.items, scope_of(scope, item), rows, is_needed=is_needed)


def _is_answered(scope: Scope) -> bool:
    return any(entry.answers or any(map(_is_answered, entry.scopes)) for entry in scope)


def _calculated(context: ResponseContext) -> Json:
    """What counts of the response, with every calculated answer as its expression gives it now."""
    calculated = [item for item in context.questionnaire.by_link_id.values() if item.calculated is not None]
    if not calculated:
        return context.counted
    response = deepcopy(context.counted)
    fresh = read_response(context.questionnaire, response, context.now)
    found = list(_calculations(fresh, fresh.paired.root, response))
    for holder, item, positions, answers in found:
        _put(holder, item, positions, answers)
    return response


def _calculations(
    context: ResponseContext, scope: Scope, holder: Json
) -> Iterator[tuple[Json, Item, Mapping[str, int], list[Json]]]:
    """For each calculated question in and below `scope`: what holds it, its item, its neighbours, its answers."""
    positions = {item.link_id: position for position, item in enumerate(scope.definitions)}
    for item in scope.definitions:
        entries = scope.entries.get(item.link_id, ())
        if item.calculated is not None and context.enablement.is_enabled(item, scope):
            yield holder, item, positions, _calculate(context, item, scope)
        elif item.type is ItemType.GROUP and entries:
            for entry in entries:
                yield from _calculations(context, entry.scopes[0], entry.node)
        elif item.type is ItemType.GROUP and not item.repeats and _has_calculation(item):
            node: Json = {"linkId": item.link_id}
            below = list(_calculations(context, missing_group(item, scope), node))
            yield from below
            if any(answers for *_, answers in below):
                _insert(holder, node, positions)


def _calculate(context: ResponseContext, item: Item, scope: Scope) -> list[Json]:
    entries = scope.entries.get(item.link_id, ())
    entry = entries[0] if entries else Entry(item, {"linkId": item.link_id}, scope.path, scope)
    if item.calculated is None:
        return []
    try:
        focus = [Node.of(entry.node, "QuestionnaireResponse.item")]
        values = item.calculated.evaluate(focus, context.environment_of(entry))
    except FhirPathError:
        # The validation of the response says so, with its place.
        return list(entry.answers)
    return [answer for value in values if (answer := answer_of(item, value, {})) is not None]


def _put(holder: Json, item: Item, positions: Mapping[str, int], answers: list[Json]) -> None:
    present = next((node for node in holder.get("item", []) if node["linkId"] == item.link_id), None)
    if present is not None and answers:
        present["answer"] = answers
    elif present is not None:
        holder["item"] = [node for node in holder["item"] if node is not present]
        if not holder["item"]:
            del holder["item"]
    elif answers:
        node: Json = {"linkId": item.link_id, **({"text": item.text} if item.text else {}), "answer": answers}
        _insert(holder, node, positions)


def _insert(holder: Json, node: Json, positions: Mapping[str, int]) -> None:
    nodes = [*holder.get("item", []), node]
    holder["item"] = sorted(nodes, key=lambda one: positions.get(one["linkId"], 0))


def _has_calculation(item: Item) -> bool:
    return item.calculated is not None or any(_has_calculation(child) for child in item.items)
