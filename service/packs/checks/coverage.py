"""The vignettes show every rule firing, not firing and not assessed, and both sides of every threshold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, Final

from service.errors import Issue, IssueType, error
from service.packs.page import Page
from service.packs.statements import PROOF_FILE, Threshold
from service.packs.vignettes import VIGNETTES_FILE, Vignette, build_response
from service.sdc.assessment import RuleState, assess
from service.sdc.context import read_response
from service.sdc.triage import facts_of

_CHECKED_AT: Final = datetime(2020, 1, 1, tzinfo=UTC)


def coverage_issues(page: Page) -> Iterator[Issue]:
    """States of rules, and sides of thresholds, that no vignette shows; names that stand twice."""
    yield from _name_issues(page.vignettes)
    complete = [vignette for vignette in page.vignettes if vignette.level]
    decided_anyway = _decided_without_answers(page)
    for rule in page.pack.plan.rules:
        states = {_state(rule.id, vignette) for vignette in complete}
        for state in RuleState:
            if state not in states and not (state is RuleState.NOT_ASSESSED and rule.id in decided_anyway):
                text = f"No vignette shows '{rule.id}' {state}. Add one, with its source."
                yield error(IssueType.INCOMPLETE, text, VIGNETTES_FILE)
    yield from _threshold_issues(page)


def _name_issues(vignettes: tuple[Vignette, ...]) -> Iterator[Issue]:
    seen: set[str] = set()
    for vignette in vignettes:
        if vignette.name in seen:
            yield error(IssueType.DUPLICATE, f"Two vignettes are called '{vignette.name}'.", VIGNETTES_FILE)
        seen.add(vignette.name)


def _state(rule_id: str, vignette: Vignette) -> RuleState:
    if rule_id in vignette.rules:
        return RuleState.PRESENT
    return RuleState.NOT_ASSESSED if rule_id in vignette.not_assessed else RuleState.ABSENT


def _decided_without_answers(page: Page) -> set[str]:
    """The rules that are assessed even where nothing is answered: so they are with any answers."""
    empty = build_response(page.pack.questionnaire, {})
    judged = assess(page.pack.plan, read_response(page.pack.questionnaire, empty, _CHECKED_AT))
    return {outcome.rule.id for outcome in judged.outcomes if outcome.state is not RuleState.NOT_ASSESSED}


def _threshold_issues(page: Page) -> Iterator[Issue]:
    facts = facts_of(page.pack.questionnaire)
    for threshold in page.statements.thresholds:
        place = f"{PROOF_FILE}: threshold {threshold.fact}"
        if threshold.fact not in facts:
            yield error(IssueType.NOT_FOUND, f"There is no fact '{threshold.fact}'.", place)
        elif threshold.question not in facts[threshold.fact].link_ids:
            text = f"The fact '{threshold.fact}' does not rest on '{threshold.question}'."
            yield error(IssueType.NOT_FOUND, text, place)
        else:
            shown = {_amount(threshold, vignette) for vignette in page.vignettes}
            for amount in (threshold.limit, threshold.limit + 1):
                if amount not in shown:
                    text = f"No vignette has '{threshold.question}' at {amount} {threshold.unit}, beside the threshold."
                    yield error(IssueType.INCOMPLETE, f"{text} Add one, with its source.", VIGNETTES_FILE)


def _amount(threshold: Threshold, vignette: Vignette) -> Any:
    """How far the vignette's answer is in the threshold's unit; None where it does not say."""
    answer = vignette.answers.get(threshold.question)
    match threshold.unit:
        case "answers":
            return None if answer is None else len(answer) if isinstance(answer, list) else 1
        case "value":
            return answer
    try:
        return (datetime.fromisoformat(vignette.authored).date() - date.fromisoformat(str(answer))).days
    except ValueError:
        return None
