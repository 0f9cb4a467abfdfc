"""Every rule can be explained: its sources have labels; and no two levels rank alike."""

from __future__ import annotations

from collections.abc import Iterator

from service.errors import Issue, IssueType, error
from service.packs.pack import Pack
from service.sdc.triage import SourceLabel

_LABELS = ", ".join(SourceLabel)


def rule_issues(pack: Pack) -> Iterator[Issue]:
    """Rules without labelled sources, a plan without a disclaimer, and levels that rank alike."""
    yield from _level_issues(pack)
    places = {action.get("id"): index for index, action in enumerate(pack.plan.definition["action"])}
    for rule in pack.plan.rules:
        path = f"PlanDefinition.action[{places[rule.id]}]"
        for position, source in enumerate(rule.sources):
            place = f"{path}.documentation[{position}]"
            if source.label not in tuple(SourceLabel):
                text = f"'{rule.id}' has a source with the label '{source.label}'. Say whose it is: {_LABELS}."
                yield error(IssueType.VALUE, text, f"{place}.label")
            if not source.citation:
                yield error(IssueType.REQUIRED, f"'{rule.id}' has a source without citation.", f"{place}.citation")
    if not pack.plan.disclaimer:
        text = "The plan says nothing on what its result is not. Give `usage`, which goes with every result."
        yield error(IssueType.REQUIRED, text, "PlanDefinition.usage")


def _level_issues(pack: Pack) -> Iterator[Issue]:
    ranks: dict[int, str] = {}
    for level in pack.plan.levels:
        other = ranks.setdefault(level.order, level.code)
        if other != level.code:
            text = f"The levels '{other}' and '{level.code}' have the same order: neither is the higher one."
            yield error(IssueType.VALUE, text, "CodeSystem")
        if level.interpretation is None:
            text = f"The level '{level.code}' has no interpretation (N, A or AA)."
            yield error(IssueType.REQUIRED, text, "CodeSystem")
