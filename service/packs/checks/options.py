"""Every option can be chosen: its question comes to be shown; and every question that matters can be left unsure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice, product
from typing import Any, Final

from service.errors import Issue, IssueType, error
from service.packs.pack import Pack
from service.packs.samples import sample_answers
from service.packs.statements import Statements
from service.packs.vignettes import build_response
from service.sdc.context import read_response
from service.sdc.questionnaire import Item, ItemType, Questionnaire
from service.sdc.triage import facts_of

_MOST_TRIED: Final = 5_000
_CHECKED_AT: Final = datetime(2020, 1, 1, tzinfo=UTC)
_CODED: Final = frozenset({ItemType.CHOICE, ItemType.OPEN_CHOICE})


def option_issues(pack: Pack, statements: Statements) -> Iterator[Issue]:
    """Questions that no answer shows, options that stand twice, and required questions without a way to be unsure."""
    questionnaire = pack.questionnaire
    read = {name for rule in pack.plan.rules for name in rule.expression.variables}
    judged = {one for name, fact in facts_of(questionnaire).items() if name in read for one in fact.link_ids}
    for item in questionnaire.by_link_id.values():
        if not item.is_question:
            continue
        if not item.always_shown and not _is_ever_shown(questionnaire, item):
            text = f"No answer to the questions it depends on shows '{item.link_id}': nobody can answer it."
            yield error(IssueType.BUSINESS_RULE, text, item.path)
        keys = [option.key for option in item.options or ()]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                text = f"'{item.link_id}' has this option twice."
                yield error(IssueType.DUPLICATE, text, f"{item.path}.answerOption[{position}]")
        codes = {str(key[-1]) for key in keys}
        if item.required and item.type in _CODED and item.link_id in judged and not codes & statements.not_sure:
            text = (
                f"'{item.link_id}' must be answered, and rules rest on it, but no option says 'not sure'. Add one, and "
                "name its code in proof.toml (`not_sure`)."
            )
            yield error(IssueType.BUSINESS_RULE, text, item.path)


def _is_ever_shown(questionnaire: Questionnaire, item: Item) -> bool:
    """Whether single answers to the questions that its conditions name show `item`."""
    asked = sorted(_asked_for(questionnaire, item))
    choices: list[list[Any]] = [[None, *sample_answers(questionnaire.by_link_id[one])] for one in asked]
    for given in islice(product(*choices), _MOST_TRIED):
        answers = {link_id: value for link_id, value in zip(asked, given, strict=True) if value is not None}
        context = read_response(questionnaire, build_response(questionnaire, answers), _CHECKED_AT)
        if item.link_id not in [str(one) for one in context.environment.variables["hidden"]]:
            return True
    return False


def _asked_for(questionnaire: Questionnaire, item: Item) -> set[str]:
    """The questions that decide whether `item` is shown, and those that decide whether they are."""
    facts = facts_of(questionnaire)
    found: set[str] = set()
    waiting = [item.link_id]
    while waiting:
        one = questionnaire.by_link_id[waiting.pop()]
        for around in (one, *(questionnaire.by_link_id[name] for name in one.ancestors)):
            asked = {condition.question for condition in around.conditions}
            if around.enable_expression is not None:
                asked |= around.enable_expression.link_ids
                asked |= {
                    link_id
                    for name in around.enable_expression.variables & facts.keys()
                    for link_id in facts[name].link_ids
                }
            new = asked & questionnaire.by_link_id.keys() - found
            found |= new
            waiting += new
    return found
