"""Changes rules and facts, one small slip at a time, and sees whether vignettes or proof would notice.

A mutant that nobody notices shows a hole in the vignettes, unless it makes no difference to any input; then it is
stated, with the reason, in the page's `proof.toml`. What counts is which rules fire and which are not assessed, not the
level alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from service.fhir.json import Json
from service.fhirpath import EvaluationError, Expression, FhirPathError, Node, compile_expression, json_value
from service.fhirpath.parser import parse
from service.fhirpath.writing import written
from service.packs.page import Page
from service.packs.proof.cases import described
from service.packs.proof.conditions import rule_formulas
from service.packs.proof.formula import VALUES, Formula, among, conjunction, is_not_true, is_true, negation, renamed
from service.packs.proof.reading import Unprovable
from service.packs.proof.space import Beside, Progress, Space, after_name, dependents
from service.packs.proof.theorems import Prover, page_space, read_facts
from service.packs.proof.variants import variants
from service.packs.vignettes import Vignette, previous_responses, vignette_response
from service.sdc import vocabulary as sdc
from service.sdc.assessment import RuleState, assess
from service.sdc.context import ResponseContext, read_response
from service.sdc.questionnaire import Questionnaire
from service.sdc.triage import Level, Rule, TriagePlan


class Fate(StrEnum):
    """What became of a mutant."""

    CAUGHT_BY_VIGNETTES = "caught by vignettes"
    CAUGHT_BY_PROOF = "caught by proof"
    EQUIVALENT = "equivalent"
    SURVIVED = "survived"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A page with one slip, in `rule` or in `fact`; the other is None, and both are where a rule was deleted."""

    name: str
    plan: TriagePlan
    questionnaire: Questionnaire
    rule: Rule | None = None
    fact: str | None = None
    is_level: bool = False
    """The rule has another level, and is else as it was."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one mutant; `note` is the reason stated for its equivalence, or why it survives."""

    name: str
    fate: Fate
    note: str = ""


def mutants(plan: TriagePlan, questionnaire: Questionnaire) -> Iterator[Mutant]:
    """Each rule deleted, a level lower and higher, and with variants of its condition; each fact with variants."""
    for rule in plan.rules:
        others = tuple(one for one in plan.rules if one is not rule)
        yield Mutant(f"{rule.id}: deleted", replace(plan, rules=others), questionnaire)
        names = questionnaire.fact_names | sdc.RULE_VARIABLES
        changed = [(f"level {level.code}", replace(rule, level=level), True) for level in _neighbours(plan, rule)]
        changed += [(what, replace(rule, expression=one), False) for what, one in _variants(rule.expression, names)]
        for what, other, is_level in changed:
            rules = tuple(other if one is rule else one for one in plan.rules)
            yield Mutant(f"{rule.id}: {what}", replace(plan, rules=rules), questionnaire, other, is_level=is_level)
    for fact in _behind(plan, questionnaire):
        for what, one in _variants(questionnaire.expressions[fact], questionnaire.fact_names | {sdc.LOOK_BACK}):
            expressions = {**questionnaire.expressions, fact: one}
            variables = tuple(
                replace(variable, expression=one) if variable.name == fact else variable
                for variable in questionnaire.variables
            )
            changed_page = replace(questionnaire, expressions=expressions, variables=variables)
            yield Mutant(f"{fact}: {what}", plan, changed_page, fact=fact)


def try_mutants(page: Page, progress: Progress = lambda what: None) -> Iterator[Trial]:
    """Tries every mutant of a page. Raises Unprovable for a page that cannot be proved as it is."""
    space = page_space(page, progress)
    benches = [_Bench.of(page, vignette) for vignette in page.vignettes]
    reasons = {one.mutant: one.reason for one in page.statements.equivalents}
    for mutant in mutants(page.pack.plan, page.pack.questionnaire):
        progress(mutant.name)
        if any(bench.notices(mutant) for bench in benches):
            trial = Trial(mutant.name, Fate.CAUGHT_BY_VIGNETTES)
        else:
            trial = _tried_by_proof(page, space, mutant, reasons.get(mutant.name))
        if trial.fate is Fate.EQUIVALENT:
            del reasons[mutant.name]
        yield trial
    for name in reasons:
        yield Trial(name, Fate.SURVIVED, "It is stated to make no difference, but is no mutant, or is caught.")


def _tried_by_proof(page: Page, space: Space, mutant: Mutant, reason: str | None) -> Trial:
    try:
        both = space.beside(mutant.questionnaire, mutant.fact)
        difference = _difference(page, mutant, both)
        # A response that is judged the same breaks no theorem, unless by the level of a rule that does not decide.
        may_break = difference is not None or mutant.is_level
        fault = Prover(page, mutant.plan, both.after).first_fault() if may_break else None
    except Unprovable as refusal:
        return Trial(mutant.name, Fate.CAUGHT_BY_PROOF, str(refusal))
    if fault is not None:
        return Trial(mutant.name, Fate.CAUGHT_BY_PROOF, fault)
    if difference is not None:
        return Trial(mutant.name, Fate.SURVIVED, f"No vignette shows that it differs: {difference}")
    if mutant.fact is not None and dependents(mutant.questionnaire, mutant.fact) & mutant.questionnaire.look_back:
        note = "The proof does not look into facts about earlier responses: show by a vignette that it differs."
        return Trial(mutant.name, Fate.SURVIVED, note)
    if reason is None:
        return Trial(mutant.name, Fate.SURVIVED, "It makes no difference to any input. State it, with the reason.")
    return Trial(mutant.name, Fate.EQUIVALENT, reason)


def _difference(page: Page, mutant: Mutant, both: Beside) -> str | None:
    """A response of which the mutant makes other rules, or another level; None when there is none."""
    before = rule_formulas(page.pack.plan.rules, both.before.scattered)
    if mutant.fact is None:
        after = rule_formulas(mutant.plan.rules, both.after.scattered)
    else:
        known: dict[int, Formula] = {}
        names = {fact: after_name(fact) for fact in both.changed}
        after = {identity: renamed(one, names, known) for identity, one in before.items()}
    for goal in _goals(page.pack.plan, mutant, before, after):
        found = both.find(goal)
        if found is not None:
            return described(page.pack.questionnaire, found)
    return None


def _goals(
    plan: TriagePlan, mutant: Mutant, before: Mapping[str, Formula], after: Mapping[str, Formula]
) -> Iterator[Formula]:
    """What is true of a response that the slip makes a difference to, one way after the other."""
    changed = mutant.rule
    if changed is not None:
        (rule,) = (one for one in plan.rules if one.id == changed.id)
        if rule.level != changed.level:
            # The level is another where the rule fires, and no other keeps the level up.
            upper = max(rule.level, changed.level)
            others = (before[one.id] for one in plan.rules if one.id != rule.id and one.level >= upper)
            yield conjunction(is_true(before[rule.id]), *map(is_not_true, others))
            return
    for rule in plan.rules:
        if rule.id not in after:
            yield is_true(before[rule.id])
        elif (changed is None or changed.id == rule.id) and after[rule.id] is not before[rule.id]:
            for value in VALUES:
                yield conjunction(among(before[rule.id], value), negation(among(after[rule.id], value)))


@dataclass(frozen=True, slots=True)
class _Bench:
    """A vignette, read once, with what the page makes of it."""

    vignette: Vignette
    response: Json
    now: datetime
    context: ResponseContext
    states: Mapping[str, RuleState]

    @classmethod
    def of(cls, page: Page, vignette: Vignette) -> _Bench:
        response = vignette_response(page.pack, vignette)
        now = datetime.fromisoformat(vignette.authored).astimezone(UTC)
        previous = previous_responses(page.pack, vignette)
        context = read_response(page.pack.questionnaire, response, now).looking_back(previous)
        states = {one.rule.id: one.state for one in assess(page.pack.plan, context).outcomes}
        return cls(vignette, response, now, context, states)

    def notices(self, mutant: Mutant) -> bool:
        """True if the mutant's rules, or its level, are not those that the vignette expects."""
        if not self._may_differ(mutant):
            return False
        context = self.context
        if mutant.fact is not None:
            try:
                context = read_response(mutant.questionnaire, self.response, self.now)
                context = context.looking_back(self.context.previous)
            except EvaluationError:
                return True
        judged = assess(mutant.plan, context)
        return (
            sorted(one.rule.id for one in judged.fired) != sorted(self.vignette.rules)
            or sorted(one.rule.id for one in judged.not_assessed) != sorted(self.vignette.not_assessed)
            or (judged.level.code if judged.level else "") != self.vignette.level
        )

    def _may_differ(self, mutant: Mutant) -> bool:
        """False where the slip itself makes nothing else of this response, so that nothing after it differs."""
        environment = self.context.environment
        focus = [Node.of_resource(self.context.counted)]
        try:
            if mutant.fact is not None:
                value = mutant.questionnaire.expressions[mutant.fact].evaluate(focus, environment)
                return [*map(json_value, value)] != [*map(json_value, environment.variables[mutant.fact])]
            if mutant.rule is not None and mutant.rule.stage == 0 and mutant.rule.id in self.states:
                held = mutant.rule.expression.test(focus, environment)
                state = {True: RuleState.PRESENT, False: RuleState.ABSENT, None: RuleState.NOT_ASSESSED}[held]
                return state is not self.states[mutant.rule.id] or state is RuleState.PRESENT
        except EvaluationError:
            return True
        return True


def _neighbours(plan: TriagePlan, rule: Rule) -> Iterator[Level]:
    at = plan.levels.index(rule.level)
    yield from plan.levels[max(at - 1, 0) : at]
    yield from plan.levels[at + 1 : at + 2]


def _variants(expression: Expression, names: frozenset[str]) -> Iterator[tuple[str, Expression]]:
    """The variants of an expression that compile; those that do not, the gate would refuse."""
    seen: dict[str, int] = {}
    for what, syntax in variants(parse(expression.text)):
        seen[what] = seen.get(what, 0) + 1
        name = what if seen[what] == 1 else f"{what} ({seen[what]})"
        try:
            yield name, compile_expression(written(syntax), context_type="QuestionnaireResponse", variables=names)
        except FhirPathError:
            continue


def _behind(plan: TriagePlan, questionnaire: Questionnaire) -> list[str]:
    """The facts that rules read, and those behind them, in the order of the page."""
    found: set[str] = set()
    waiting = [*read_facts(plan)]
    while waiting:
        fact = waiting.pop()
        if fact not in found:
            found.add(fact)
            waiting += questionnaire.expressions[fact].variables & questionnaire.expressions.keys()
    return [one.name for one in questionnaire.variables if one.name in found]
