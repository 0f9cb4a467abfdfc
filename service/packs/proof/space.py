"""All inputs of a page: every combination of an entry of each group is the facts of a real response."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

from service.packs.proof.cases import Case, asked_questions, joined
from service.packs.proof.division import Division, divide, group_name
from service.packs.proof.formula import Formula
from service.packs.proof.groups import Evaluation, Group, local_name, look_back_group
from service.packs.proof.search import Domain, Search
from service.sdc.questionnaire import Questionnaire

Progress = Callable[[str], None]
"""Told what is being looked at."""


@dataclass(frozen=True, slots=True)
class Space:
    """The groups of a page, and the facts that look at all of them (each the `or` of its local values)."""

    division: Division
    groups: tuple[Group, ...]
    scattered: Mapping[str, tuple[str, ...]]

    @property
    def questionnaire(self) -> Questionnaire:
        """The Questionnaire whose inputs these are."""
        return self.division.questionnaire

    @property
    def cases(self) -> int:
        """How many combinations of answers there are, group by group."""
        return sum(len(group.numbers) for group in self.groups)

    @property
    def evaluated(self) -> int:
        """How many of these the engine evaluated."""
        return sum(group.evaluated for group in self.groups)

    @property
    def inputs(self) -> int:
        """How many responses there are: combinations of a case of each group."""
        return prod(len(group.numbers) for group in self.groups)

    def example(self, entries: Mapping[str, int]) -> Case:
        """A response that gives these entries, by group."""
        return joined(group.case(group.firsts[entries[group.name]]) for group in self.groups)

    def beside(self, questionnaire: Questionnaire, fact: str | None) -> Beside:
        """The same inputs for a Questionnaire in which `fact` is another expression (None: it is the same)."""
        before = {group.name: group for group in self.groups}
        after = dict(before)
        if fact is not None:
            changed = divide(questionnaire, self.division.readings, self.division.not_sure)
            dependent = dependents(questionnaire, fact)
            for questions, facts in self.division.parts:
                name = group_name(questions)
                if {*self.division.local_facts(questions)} & dependent or _is_shown_by(
                    questionnaire, questions, dependent
                ):
                    after[name] = Evaluation(changed, questions, facts).group()
                elif changing := tuple(one for one in facts if one in dependent):
                    again = Evaluation(changed, questions, changing, before[name], self.division)
                    if again.offers is not before[name].offers:
                        again = Evaluation(changed, questions, facts, None, self.division)
                        before[name] = Evaluation(self.division, questions, facts, None, changed).group()
                        after[name] = again.group()
                    else:
                        after[name] = before[name].with_facts(again.group())
        division = replace(self.division, questionnaire=questionnaire)
        return Beside(
            Space(self.division, tuple(before.values()), self.scattered),
            Space(division, tuple(after.values()), self.scattered),
        )


def evaluate(division: Division, progress: Progress = lambda what: None) -> Space:
    """The space of a page. Raises Unprovable where a fact is no Boolean, or cannot be evaluated."""
    groups = []
    for questions, facts in division.parts:
        progress(", ".join(questions))
        groups.append(Evaluation(division, questions, facts).group())
    groups += map(look_back_group, division.look_back)
    scattered = {
        fact: tuple(local_name(fact, group.name) for group in groups if local_name(fact, group.name) in group.facts)
        for fact in division.scattered
    }
    return Space(division, tuple(groups), scattered)


@dataclass(frozen=True)
class Beside:
    """The same inputs as two Questionnaires see them."""

    before: Space
    after: Space

    @cached_property
    def _changes(self) -> tuple[_Change, ...]:
        pairs = zip(self.before.groups, self.after.groups, strict=True)
        return tuple(_Change(one, other) for one, other in pairs if one is not other)

    @property
    def changed(self) -> frozenset[str]:
        """The facts that differ for some input."""
        return frozenset(fact for change in self._changes for fact in change.facts)

    def find(self, formula: Formula) -> Case | None:
        """A response for which `formula` is true; in it, what a fact is after goes by its `after_name`.

        Where facts differ for some inputs, it is one of these.
        """
        unchanged = {group.name: group.domain for group in self.before.groups}
        everywhere = {change.group.name: change.domain for change in self._changes}
        for starting in [change for change in self._changes if change.facts] or (None,):
            here = {} if starting is None else {starting.group.name: starting.differing_domain}
            found = Search({**unchanged, **everywhere, **here}).find(formula)
            if found is not None:
                cases = {
                    change.group.name: change.case(found[change.group.name], differing=change is starting)
                    for change in self._changes
                }
                return joined(
                    cases.get(group.name) or group.case(group.firsts[found[group.name]]) for group in self.before.groups
                )
        return None


@dataclass(frozen=True)
class _Change:
    """A group, and the same group evaluated again."""

    group: Group
    other: Group

    @cached_property
    def _pairs(self) -> dict[tuple[int, int], int]:
        """The pairs of entries, before and after, that cases have, each with its first case."""
        pairs = [*zip(self.group.numbers, self.other.numbers, strict=True)]
        found = dict.fromkeys(pairs, 0)
        found.update({pair: number for number, pair in reversed([*enumerate(pairs)])})
        return found

    @cached_property
    def _differing(self) -> list[tuple[int, int]]:
        return [pair for pair in self._pairs if self.group.entries[pair[0]] != self.other.entries[pair[1]]]

    @cached_property
    def _places(self) -> tuple[int, ...]:
        """The facts, by place, that differ."""
        entries = [(self.group.entries[one], self.other.entries[then]) for one, then in self._differing]
        return tuple(
            place for place in range(len(self.group.facts)) if any(one[place] != then[place] for one, then in entries)
        )

    @property
    def facts(self) -> tuple[str, ...]:
        """The facts that differ for some case."""
        return tuple(self.group.facts[place] for place in self._places)

    @cached_property
    def domain(self) -> Domain:
        """All pairs, as a domain."""
        return self._domain([*self._pairs])

    @cached_property
    def differing_domain(self) -> Domain:
        """The pairs that differ, as a domain."""
        return self._domain(self._differing)

    def _domain(self, pairs: list[tuple[int, int]]) -> Domain:
        entries = [
            (*self.group.entries[one], *(self.other.entries[then][place] for place in self._places))
            for one, then in pairs
        ]
        return Domain.of((*self.group.facts, *map(after_name, self.facts)), entries)

    def case(self, entry: int, *, differing: bool) -> Case:
        """A case of an entry of the one domain or the other."""
        pairs = self._differing if differing else [*self._pairs]
        return self.group.case(self._pairs[pairs[entry]])


def after_name(fact: str) -> str:
    """The name of a fact as it is after a step or a change."""
    return f"{fact} (after)"


def dependents(questionnaire: Questionnaire, fact: str) -> frozenset[str]:
    """The fact, and those that rest on it."""
    found = {fact}
    for variable in questionnaire.variables:
        if variable.expression.variables & found:
            found.add(variable.name)
    return frozenset(found)


def _is_shown_by(questionnaire: Questionnaire, questions: tuple[str, ...], facts: frozenset[str]) -> bool:
    items = (questionnaire.by_link_id[one] for one in asked_questions(questions))
    return any(item.enable_expression is not None and item.enable_expression.variables & facts for item in items)
