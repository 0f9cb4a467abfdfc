"""What is proved of a page's rules, and for which inputs.

An input is a complete response in which each question of the rules has one of the alternatives of
`service.packs.proof.answering`: unanswered, unsure and contradictory answers among them. A theorem that holds, holds
for every combination of these, and with them for every response that differs only in what expressions cannot tell
apart, such as options they do not name and other words. Days of authoring are a sample, taken around the turns of
months and years that spans of time lead to; so are dates beyond the longest span.

A fact about earlier responses is taken to be true or false whatever was answered now, so that more is tried than can
be. That it only ever becomes true by a further response or answer is told from its expression (`look_back`).

Nothing is proved of drafts (of which only the highest level is judged), of several answers to a question that takes
one, of answers in another order than the options, of questions in repeating groups, and of whether the facts, the
wording or the levels are clinically right: vignettes and people judge that. What does not hold comes with a response
that shows it, judged by the engine itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import gcd
from typing import Final

from service.packs.page import Page
from service.packs.proof.cases import Case, case_context, described
from service.packs.proof.conditions import rule_formulas
from service.packs.proof.division import divide
from service.packs.proof.formula import (
    EMPTY,
    FALSE,
    TRUE,
    Atom,
    Formula,
    among,
    conjunction,
    disjunction,
    is_not_true,
    is_true,
    renamed,
)
from service.packs.proof.groups import Group, open_name
from service.packs.proof.search import Domain, Search
from service.packs.proof.space import Progress, Space, after_name, evaluate
from service.packs.proof.steps import additions
from service.packs.proof.thresholds import threshold_differences
from service.sdc.assessment import RuleState, assess
from service.sdc.triage import TriagePlan

_COMPARED: Final = 500
"""How many whole responses are judged by the engine, to see that the formulas say the same."""
_STATES: Final = {TRUE: RuleState.PRESENT, FALSE: RuleState.ABSENT, EMPTY: RuleState.NOT_ASSESSED}


@dataclass(frozen=True, slots=True)
class Theorem:
    """A statement, and the responses that break it: `counterexamples` in words, empty where it holds."""

    statement: str
    counterexamples: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """True for every input."""
        return not self.counterexamples


@dataclass(frozen=True, slots=True)
class Proof:
    """The theorems of a page; `idle` are the ids of the rules that never change the level.

    `cases` combinations of answers, group by group, were told apart by `evaluated` evaluations; together they make
    `inputs` responses, whose searches took `visited` steps; `compared` whole responses were judged by the engine too.
    """

    theorems: tuple[Theorem, ...]
    idle: tuple[str, ...]
    groups: int
    cases: int
    evaluated: int
    inputs: int
    visited: int
    compared: int

    @property
    def holds(self) -> bool:
        """True if every theorem does."""
        return all(theorem.holds for theorem in self.theorems)


def prove(page: Page, progress: Progress = lambda what: None) -> Proof:
    """The proof of a page. Raises Unprovable where it uses what the proof cannot see through."""
    space = page_space(page, progress)
    return Prover(page, page.pack.plan, space).proof(progress)


def page_space(page: Page, progress: Progress = lambda what: None) -> Space:
    """All inputs of a page, as its rules see them. Raises Unprovable."""
    questionnaire = page.pack.questionnaire
    division = divide(questionnaire, read_facts(page.pack.plan), page.statements.not_sure)
    return evaluate(division, progress)


def read_facts(plan: TriagePlan) -> frozenset[str]:
    """The facts that the conditions of rules read."""
    return frozenset(fact.name for rule in plan.rules for fact in rule.facts)


class Prover:
    """Proves the theorems about one plan, in one space of inputs."""

    def __init__(self, page: Page, plan: TriagePlan, space: Space) -> None:
        self._page = page
        self._plan = plan
        self._space = space
        self._rules = {rule.id: rule for rule in plan.rules}
        self._formulas = rule_formulas(plan.rules, space.scattered)
        self._domains = {group.name: group.domain for group in space.groups}
        self._visited = 0

    def proof(self, progress: Progress) -> Proof:
        """All theorems."""
        theorems = []
        for statement, prove_it in self._statements():
            progress(statement)
            theorems.append(Theorem(statement, tuple(prove_it())))
        progress("Rules that never change the level")
        idle = tuple(self._idle())
        progress("Whole responses, judged by the engine")
        theorems.append(Theorem("The engine judges whole responses as the proof does", tuple(self._differences())))
        return Proof(
            theorems=tuple(theorems),
            idle=idle,
            groups=len(self._space.groups),
            cases=self._space.cases,
            evaluated=self._space.evaluated,
            inputs=self._space.inputs,
            visited=self._visited,
            compared=_COMPARED,
        )

    def first_fault(self) -> str | None:
        """The first counterexample to any theorem; None where all hold."""
        return next((f"{statement}: {one}" for statement, prove_it in self._statements() for one in prove_it()), None)

    def _statements(self) -> Iterator[tuple[str, Callable[[], Iterator[str]]]]:
        yield "Every rule can fire", self._rules_that_never_fire
        yield "Every input reaches exactly one level", self._inputs_without_level
        yield "The lowest level is reached only when no other rule fires", self._lowest_beside_others
        yield "A question left open, or answered with 'not sure', never gives the lowest level", self._lowest_while_open
        yield "Adding an answer that is a warning sign never lowers the level", self._lowered_by_adding
        yield "An earlier response never lowers the level", self._lowered_by_looking_back
        yield "Each threshold flips exactly where it is stated", self._thresholds

    def _rules_that_never_fire(self) -> Iterator[str]:
        for identity, formula in self._formulas.items():
            if self._find(is_true(formula)) is None:
                yield f"{identity}: no answers make it fire."

    def _inputs_without_level(self) -> Iterator[str]:
        orders = [level.order for level in self._plan.levels]
        if len(set(orders)) < len(orders):
            yield "Two levels have the same order."
        found = self._find(conjunction(*map(is_not_true, self._formulas.values())))
        if found is not None:
            yield self._told(found)

    def _lowest_beside_others(self) -> Iterator[str]:
        others = [formula for identity, formula in self._formulas.items() if not self._is_lowest(identity)]
        for identity, formula in self._formulas.items():
            if self._is_lowest(identity):
                found = self._find(conjunction(is_true(formula), disjunction(*map(is_true, others))))
                if found is not None:
                    yield self._told(found)

    def _lowest_while_open(self) -> Iterator[str]:
        lowest = disjunction(
            *(is_true(formula) for identity, formula in self._formulas.items() if self._is_lowest(identity))
        )
        higher = disjunction(
            *(is_true(formula) for identity, formula in self._formulas.items() if not self._is_lowest(identity))
        )
        reached = conjunction(lowest, is_not_true(higher))
        for group in self._space.groups:
            for fact in group.facts:
                # A fact is empty where an answer leaves it open in another way, such as a date that is too partial.
                open_ = Atom(fact) if fact in map(open_name, group.questions) else among(Atom(fact), EMPTY)
                found = self._find(conjunction(open_, reached))
                if found is not None:
                    yield self._told(found)
                    break

    def _lowered_by_adding(self) -> Iterator[str]:
        return self._lowered(group for group in self._space.groups if not self._looks_back(group))

    def _lowered_by_looking_back(self) -> Iterator[str]:
        return self._lowered(filter(self._looks_back, self._space.groups))

    def _looks_back(self, group: Group) -> bool:
        return not {*group.facts}.isdisjoint(self._space.division.look_back)

    def _lowered(self, groups: Iterable[Group]) -> Iterator[str]:
        levels = sorted({rule.level for rule in self._plan.rules})[1:]
        for group in groups:
            steps = sorted(additions(group))
            if not steps:
                continue
            after = {fact: after_name(fact) for fact in group.facts}
            entries = [(*group.entries[before], *group.entries[then]) for before, then in steps]
            domain = Domain.of((*group.facts, *after.values()), entries)
            known: dict[int, Formula] = {}
            then = {identity: renamed(one, after, known) for identity, one in self._formulas.items()}
            for level in levels:
                reaching = [identity for identity, rule in self._rules.items() if rule.level >= level]
                # A rule that does not look at the group says the same before and after.
                changing = [identity for identity in reaching if then[identity] is not self._formulas[identity]]
                goal = conjunction(
                    disjunction(*(is_true(self._formulas[identity]) for identity in changing)),
                    *(is_not_true(then[identity]) for identity in reaching),
                )
                found = self._find(goal, {**self._domains, group.name: domain})
                if found is not None:
                    one, other = steps[found[group.name]]
                    yield (f"{self._told({**found, group.name: one})} Then {self._told({**found, group.name: other})}")
                    break

    def _thresholds(self) -> Iterator[str]:
        facts = read_facts(self._plan)
        return threshold_differences(self._space.questionnaire, facts, self._page.statements)

    def _idle(self) -> Iterator[str]:
        for identity, formula in self._formulas.items():
            level = self._rules[identity].level
            others = [
                self._formulas[one] for one, rule in self._rules.items() if one != identity and rule.level >= level
            ]
            if self._find(conjunction(is_true(formula), *map(is_not_true, others))) is None:
                yield identity

    def _differences(self) -> Iterator[str]:
        """Responses whose rules the engine judges other than the formulas do, among a spread of all inputs."""
        search = Search(self._domains)
        for number in range(_COMPARED):
            # Strides that share no factor with the sizes go through every entry of each group, in mixed company.
            entries = {
                group.name: (number * _stride(len(group.entries), position)) % len(group.entries)
                for position, group in enumerate(self._space.groups)
            }
            told = {identity: _STATES[search.values(one, entries)] for identity, one in self._formulas.items()}
            judged = self._judged(self._space.example(entries))
            if judged != told:
                wrong = ", ".join(sorted(one for one in told if told[one] is not judged[one]))
                yield f"{wrong}: {self._told(entries)}"
                return

    def _judged(self, case: Case) -> dict[str, RuleState]:
        context = case_context(self._space.questionnaire, case)
        return {outcome.rule.id: outcome.state for outcome in assess(self._plan, context).outcomes}

    def _find(self, goal: Formula, domains: Mapping[str, Domain] | None = None) -> dict[str, int] | None:
        search = Search(domains or self._domains)
        found = search.find(goal)
        self._visited += search.visited
        return found

    def _is_lowest(self, identity: str) -> bool:
        return self._rules[identity].level == min(self._plan.levels)

    def _told(self, entries: Mapping[str, int]) -> str:
        """A response in words: its answers, and what the engine makes of it."""
        case = self._space.example(entries)
        judged = assess(self._plan, case_context(self._space.questionnaire, case))
        fired = ", ".join(outcome.rule.id for outcome in judged.fired) or "no rule"
        level = judged.level.code if judged.level else "no level"
        return f"{described(self._space.questionnaire, case)} gives {level} ({fired})."


def _stride(size: int, position: int) -> int:
    """A step through `size` entries that comes to each of them, and differs from group to group."""
    stride = 2 * position + 1
    while gcd(stride, size) != 1:
        stride += 1
    return stride
