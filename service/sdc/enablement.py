"""Which items a response shows: enableWhen, enableBehavior and enableWhenExpression, in the right scope.

FHIR R4 (http://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen): an operator other than
exists and != is false for a question without an answer; != is true when no answer equals. An answer below a disabled
question does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.fhir.elements import choice_key
from service.fhir.json import Json
from service.fhirpath import Expression
from service.sdc.comparison import compares
from service.sdc.items import Entry, Paired, Scope, missing_group
from service.sdc.questionnaire import Condition, EnableBehavior, Item, ItemType, Questionnaire

ExpressionTest = Callable[[Item, Expression, Scope], bool]
"""Judges an item's enableWhenExpression for the place of the item; true shows it."""


@dataclass(slots=True)
class Enablement:
    """Judges each item once in each scope; `test_expression` judges its enableWhenExpression."""

    questionnaire: Questionnaire
    test_expression: ExpressionTest
    _known: dict[tuple[Scope, str], bool] = field(default_factory=dict)

    def is_enabled(self, item: Item, scope: Scope) -> bool:
        """True if `item`, standing or missing in `scope`, is shown."""
        if item.always_shown:
            return True
        if scope.owner is not None and not self.is_enabled(scope.owner.item, scope.owner.scope):
            return False
        if not item.conditions and item.enable_expression is None:
            return True
        place = (scope, item.link_id)
        known = self._known.get(place)
        if known is None:
            # A condition that leads back to itself finds itself hidden, instead of never ending.
            self._known[place] = False
            known = self._known[place] = self._judge(item, scope)
        return known

    def _judge(self, item: Item, scope: Scope) -> bool:
        if item.enable_expression is not None and not self.test_expression(item, item.enable_expression, scope):
            return False
        if not item.conditions:
            return True
        judged = (self._holds(condition, scope) for condition in item.conditions)
        return any(judged) if item.behavior is EnableBehavior.ANY else all(judged)

    def _holds(self, condition: Condition, scope: Scope) -> bool:
        answers = list(self._answers(condition.question, scope))
        if condition.operator == "exists":
            return bool(answers) is condition.answer
        sign = "=" if condition.operator == "!=" else condition.operator
        held = any(compares(key, value, sign, condition.value_key, condition.answer) for key, value in answers)
        return held is (condition.operator != "!=")

    def _answers(self, link_id: str, scope: Scope) -> Iterator[tuple[str, Any]]:
        question = self.questionnaire.by_link_id.get(link_id)
        if question is None:
            return
        for entry in nearest_entries(question, scope):
            if self.is_enabled(entry.item, entry.scope):
                for answer in entry.answers:
                    key = choice_key(answer)
                    if key is not None:
                        yield key, answer[key]


def nearest_entries(question: Item, scope: Scope) -> Iterator[Entry]:
    """The entries of `question` within the smallest scope around `scope` whose items include it."""
    around: Scope | None = scope
    while around is not None:
        owner = around.owner
        if owner is None:
            yield from around.below(*question.ancestors, question.link_id)
            return
        if owner.item.link_id in question.ancestors:
            depth = question.ancestors.index(owner.item.link_id) + 1
            yield from around.below(*question.ancestors[depth:], question.link_id)
            return
        around = around.outer


def disabled_entries(enablement: Enablement, paired: Paired) -> frozenset[Entry]:
    """The entries that stand in the response although they, or an item around them, are hidden."""
    return frozenset(entry for entry in paired.entries if not enablement.is_enabled(entry.item, entry.scope))


def hidden_link_ids(enablement: Enablement, scope: Scope) -> Iterator[str]:
    """The linkIds of the questions in and below `scope` that are hidden, answered or not."""
    for item in scope.definitions:
        if not item.may_hide:
            continue
        if not enablement.is_enabled(item, scope):
            yield from _questions(item)
        else:
            entries = scope.entries.get(item.link_id, ())
            for entry in entries:
                for below in entry.scopes:
                    yield from hidden_link_ids(enablement, below)
            if not entries and item.type is ItemType.GROUP:
                # Answers elsewhere hide the items of a missing group just as those of a present one.
                yield from hidden_link_ids(enablement, missing_group(item, scope))


def _questions(item: Item) -> Iterator[str]:
    if item.is_question:
        yield item.link_id
    for child in item.items:
        yield from _questions(child)


def prune(response: Json, drop: frozenset[Entry], dropped_answers: Mapping[int, set[int]]) -> Json:
    """`response` without the entries of `drop`, and without the answers whose positions `dropped_answers` holds.

    `dropped_answers` maps the id() of a response item to positions among its answers. The response itself is answered
    where there is nothing to drop.
    """
    if not drop and not dropped_answers:
        return response
    gone = {id(entry.node) for entry in drop}
    return _pruned_holder(response, gone, dropped_answers)


def _pruned_holder(holder: Json, gone: set[int], dropped_answers: Mapping[int, set[int]]) -> Json:
    copy = {key: value for key, value in holder.items() if key not in ("item", "answer")}
    if "answer" in holder:
        dropped = dropped_answers.get(id(holder), set())
        kept = [answer for position, answer in enumerate(holder["answer"]) if position not in dropped]
        copy["answer"] = [_pruned_holder(answer, gone, dropped_answers) for answer in kept]
    if "item" in holder:
        kept = [item for item in holder["item"] if id(item) not in gone]
        copy["item"] = [_pruned_holder(item, gone, dropped_answers) for item in kept]
    return {key: value for key, value in copy.items() if value != [] or key not in ("item", "answer")}
