"""Applies the rules of a page to a response: which fired, which could not be judged, and why.

Three-valued: a rule whose condition is empty is not assessed, never silently absent. The highest fired rule decides
the level. Of a draft only the rules of the highest level are judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from service.fhir.json import Json
from service.fhirpath import Environment, EvaluationError, Node, index_items, json_value
from service.fhirpath import Item as Value
from service.sdc import vocabulary as sdc
from service.sdc.answers import answer_label, answer_text
from service.sdc.context import ResponseContext, Variables
from service.sdc.triage import Advice, Fact, Level, Priority, Rule, TriagePlan


class RuleState(StrEnum):
    """What came of a rule."""

    PRESENT = "present"
    ABSENT = "absent"
    NOT_ASSESSED = "not-assessed"


@dataclass(frozen=True, slots=True)
class Reason:
    """A question behind a rule's outcome, as asked, and its answers as given; no answers: it is still open.

    `labels` are the answers in the words that the person chose them by, `given` as the response has them. `told_on` is
    the date (YYYY-MM-DD) of the earlier response that they stand in; None: they are of this one.
    """

    link_id: str
    question: str
    answers: tuple[str, ...]
    labels: tuple[str, ...]
    given: tuple[Json, ...] = ()
    told_on: str | None = None


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What came of one rule, the answers behind it, and the sentences for the patient when it fired.

    `fault` says what could not be evaluated: the condition, and the rule is then not assessed; or only its reasons or
    additions, and what the condition said stands.
    """

    rule: Rule
    state: RuleState
    reasons: tuple[Reason, ...]
    sentences: tuple[str, ...]
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """The outcomes of the rules judged, in the plan's order. `level` is None for a draft where nothing fired.

    `advice` is what goes with this result beside its rules; of a draft, nothing. `undecided_advice` names what was left
    out because its condition could not be evaluated: it might calm wrongly.
    """

    level: Level | None
    outcomes: tuple[RuleOutcome, ...]
    advice: tuple[Advice, ...]
    undecided_advice: tuple[str, ...]
    is_draft: bool

    @property
    def fired(self) -> tuple[RuleOutcome, ...]:
        """The rules that are present, highest level first, in the plan's order within a level."""
        present = [outcome for outcome in self.outcomes if outcome.state is RuleState.PRESENT]
        return tuple(sorted(present, key=lambda outcome: -outcome.rule.level.order))

    @property
    def priority(self) -> Priority | None:
        """How pressing the highest rule that fired says it is; None where none fired."""
        # The rules are in the order of their levels, and priorities go with those.
        return next((outcome.rule.priority for outcome in self.fired), None)

    @property
    def not_assessed(self) -> tuple[RuleOutcome, ...]:
        """The rules that could not be judged for want of an answer."""
        return tuple(outcome for outcome in self.outcomes if outcome.state is RuleState.NOT_ASSESSED)


def assess(plan: TriagePlan, context: ResponseContext) -> Assessment:
    """The assessment of a response by `plan`."""
    is_draft = context.response.get("status") == sdc.DRAFT_STATUS
    judged = [rule for rule in plan.rules if not is_draft or rule.level == plan.highest]
    outcomes: dict[str, RuleOutcome] = {}
    for stage in sorted({rule.stage for rule in judged}):
        earlier = list(outcomes.values())
        environment = _stage_environment(context, earlier)
        for rule in judged:
            if rule.stage == stage:
                outcomes[rule.id] = _with_open_rules(_judge(rule, context, environment), earlier)
    fired = [outcome.rule.level for outcome in outcomes.values() if outcome.state is RuleState.PRESENT]
    ordered = tuple(outcomes[rule.id] for rule in judged)
    environment = _stage_environment(context, ordered)
    told = [] if is_draft else [(advice, _is_fitting(advice, context, environment)) for advice in plan.advice]
    return Assessment(
        level=max(fired, default=None),
        outcomes=ordered,
        advice=tuple(advice for advice, fits in told if fits is True),
        undecided_advice=tuple(advice.id for advice, fits in told if fits is None),
        is_draft=is_draft,
    )


def _is_fitting(advice: Advice, context: ResponseContext, environment: Environment) -> bool | None:
    """Whether the condition of `advice` holds; None when it cannot be evaluated."""
    try:
        return advice.expression is None or (
            advice.expression.test([Node.of_resource(context.counted)], environment) is True
        )
    except EvaluationError:
        return None


def _stage_environment(context: ResponseContext, earlier: Sequence[RuleOutcome]) -> Environment:
    known: dict[str, Sequence[Value]] = {
        "fired": [outcome.rule.id for outcome in earlier if outcome.state is RuleState.PRESENT],
        "notAssessed": [outcome.rule.id for outcome in earlier if outcome.state is RuleState.NOT_ASSESSED],
    }
    return Variables(context.environment, [], known=known).environment


def _judge(rule: Rule, context: ResponseContext, environment: Environment) -> RuleOutcome:
    focus = [Node.of_resource(context.counted)]
    try:
        held = rule.expression.test(focus, environment)
    except EvaluationError as fault:
        return RuleOutcome(rule, RuleState.NOT_ASSESSED, (), (), str(fault))
    if held is False:
        return RuleOutcome(rule, RuleState.ABSENT, (), ())
    if held is None:
        return _explained(rule, RuleState.NOT_ASSESSED, (), lambda: _open_questions(rule, context, environment))

    def additions() -> Iterator[str]:
        return (text for expression, text in rule.additions if expression.test(focus, environment) is True)

    present = _explained(rule, RuleState.PRESENT, (rule.sentence,), lambda: _reasons(rule, context, environment))
    try:
        return replace(present, sentences=(rule.sentence, *additions()))
    except EvaluationError as fault:
        return replace(present, fault=str(fault))


def _with_open_rules(outcome: RuleOutcome, earlier: Sequence[RuleOutcome]) -> RuleOutcome:
    """A rule that fired for nothing but that others could not be assessed has the reasons of those."""
    looks_at_them = "notAssessed" in outcome.rule.expression.variables
    if outcome.reasons or outcome.state is not RuleState.PRESENT or not looks_at_them:
        return outcome
    reasons = (reason for one in earlier if one.state is RuleState.NOT_ASSESSED for reason in one.reasons)
    return replace(outcome, reasons=tuple({reason.link_id: reason for reason in reasons}.values()))


def _explained(
    rule: Rule, state: RuleState, sentences: tuple[str, ...], reasons: Callable[[], Iterator[Reason]]
) -> RuleOutcome:
    """The outcome with its reasons. What a condition said stands, also where the reasons cannot be told."""
    try:
        return RuleOutcome(rule, state, tuple(reasons()), sentences)
    except EvaluationError as fault:
        return RuleOutcome(rule, state, (), sentences, str(fault))


def _reasons(rule: Rule, context: ResponseContext, environment: Environment) -> Iterator[Reason]:
    """The answers behind the facts that are true; where none is, what is open, or else all that the rule looked at.

    A rule about other rules needs no answers of its own.
    """
    true = [fact for fact in rule.facts if list(environment.variables[fact.name]) == [True]]
    if not true:
        still_open = [*_open_questions(rule, context, environment)]
        all_answers = _all_of(rule.facts) if rule.stage == 0 else frozenset[str]()
        yield from still_open or _answered(all_answers, frozenset(), context)
        return
    literals = frozenset[str]().union(*(fact.literals for fact in true))
    yield from _answered(_all_of(true), literals, context)
    yield from _told_before(rule, context, environment)


def _told_before(rule: Rule, context: ResponseContext, environment: Environment) -> Iterator[Reason]:
    """The answers of the newest earlier response by which alone the rule fires, to the questions that it looks at."""
    link_ids = _all_of([fact for fact in rule.facts if fact.looks_back])
    for one in context.previous if link_ids else ():
        alone = replace(context, environment=environment).looking_back((one,))
        if rule.expression.test([Node.of_resource(context.counted)], alone.environment) is True:
            yield from _answered(link_ids, frozenset(), context, one)
            return


def _open_questions(rule: Rule, context: ResponseContext, environment: Environment) -> Iterator[Reason]:
    """The questions that would settle the rule: those that leave its facts empty, as far as they are shown."""
    empty = [fact.name for fact in rule.facts if not environment.variables[fact.name]]
    link_ids = _unsettled(empty, context, environment)
    yield from _answered(link_ids - set(environment.variables["hidden"]) or link_ids, frozenset(), context)


def _unsettled(names: Sequence[str], context: ResponseContext, environment: Environment) -> frozenset[str]:
    """The questions that facts rest on, but for those behind a part of them that is known to be true or false."""
    expressions = context.questionnaire.expressions
    found: set[str] = set()
    waiting, seen = [*names], {*names}
    while waiting:
        expression = expressions[waiting.pop()]
        found |= expression.link_ids
        for name in (expression.variables & expressions.keys()) - seen:
            seen.add(name)
            if list(environment.variables[name]) not in ([True], [False]):
                waiting.append(name)
    return frozenset(found)


def _all_of(facts: Sequence[Fact]) -> frozenset[str]:
    return frozenset[str]().union(*(fact.link_ids for fact in facts))


def _answered(
    link_ids: frozenset[str], literals: frozenset[str], context: ResponseContext, previous: Json | None = None
) -> Iterator[Reason]:
    """The answers to these questions, those with one of the codes `literals` if there are any; of this response, or of
    a previous one."""
    if not link_ids:
        return
    given = context.counted_answers if previous is None else _answers(previous)
    told_on = None if previous is None else str(previous["authored"])[: len("2026-03-15")]
    for link_id, item in context.questionnaire.by_link_id.items():
        if link_id in link_ids:
            answers = given.get(link_id, ())
            named = [answer for answer in answers if _code(answer) in literals]
            behind = named or answers
            texts = tuple(answer_text(item, answer) for answer in behind)
            labels = tuple(answer_label(item, answer) for answer in behind)
            yield Reason(link_id, item.text, texts, labels, tuple(behind), told_on)


def _answers(response: Json) -> Mapping[str, Sequence[Json]]:
    """The answers of a complete response, by linkId."""
    items = index_items(Node.of_resource(response)).anywhere
    return {
        link_id: [answer for one in found for answer in json_value(one).get("answer", [])]
        for link_id, found in items.items()
    }


def _code(answer: Json) -> str | None:
    coding = answer.get("valueCoding")
    return coding.get("code") if isinstance(coding, dict) else None
