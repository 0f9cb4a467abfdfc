"""All inputs of a page: its questions in independent groups, and what each group's answers make of the facts.

Two questions are in one group where a fact, or what is shown, rests on both. So the facts of a group depend on no
answer outside of it, and every combination of one entry of each group is the facts of a real response. Each entry comes
from the engine itself, from a response with these answers; a fact is evaluated once for all answers that differ only in
what its expressions cannot tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

from service.fhir.json import Json
from service.fhirpath import EvaluationError
from service.fhirpath.syntax import Literal, Syntax
from service.packs.proof.answering import (
    ANY_DAY,
    MOST_CASES,
    NOT_ANSWERED,
    Alternative,
    alternatives,
    authored_days,
    places,
    told_apart,
)
from service.packs.proof.formula import EMPTY, FALSE, TRUE, Formula
from service.packs.proof.reading import (
    AUTHORED,
    Reading,
    Unprovable,
    counts,
    deciding_questions,
    enabling_expressions,
    is_blind_to_codes,
    literals,
    readings,
    unprovable,
)
from service.packs.proof.search import Domain, Search
from service.packs.vignettes import build_response
from service.sdc.context import ResponseContext, read_response
from service.sdc.questionnaire import Questionnaire

Progress = Callable[[str], None]
"""Told what is being looked at."""


@dataclass(frozen=True, slots=True)
class Case:
    """Answers to the questions of one group, by linkId, on a day of authoring."""

    authored: date
    given: Mapping[str, Alternative]

    def answers(self, questionnaire: Questionnaire) -> dict[str, list[Json]]:
        """The answers by linkId, where there are any."""
        found = {}
        for link_id, one in self.given.items():
            if one.count:
                found[link_id] = one.answers(questionnaire.by_link_id[link_id])
        return found


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be answered on one day of authoring: the alternatives of each question of a group."""

    authored: date
    choices: tuple[tuple[Alternative, ...], ...]

    @property
    def size(self) -> int:
        """How many combinations there are."""
        return prod(len(one) for one in self.choices)

    def case(self, questions: tuple[str, ...], number: int) -> Case:
        """The combination with this number, of alternatives for `questions`."""
        given = {AUTHORED: NOT_ANSWERED} if AUTHORED in questions else {}
        for link_id, choices in reversed([*zip(_asked(questions), self.choices, strict=True)]):
            number, at = divmod(number, len(choices))
            given[link_id] = choices[at]
        return Case(self.authored, given)


@dataclass(frozen=True)
class Group:
    """Questions that hang together, on some days of authoring: all `cases`, and what they make of `facts`.

    `entries` are the distinct values of the facts; `numbers` are the entries of all cases, in the order of the product
    of the offers, and `firsts` the first case of each entry. The engine evaluated `evaluated` of the cases: any other
    differs from one of these, for each fact, only in options that the fact does not tell apart.
    """

    name: str
    questions: tuple[str, ...]
    facts: tuple[str, ...]
    offers: tuple[Offer, ...]
    expressions: tuple[Syntax, ...]
    entries: tuple[tuple[int, ...], ...]
    firsts: tuple[int, ...]
    numbers: tuple[int, ...]
    evaluated: int

    @cached_property
    def domain(self) -> Domain:
        """The entries as a domain to search."""
        return Domain.of(self.facts, self.entries)

    def with_facts(self, other: Group) -> Group:
        """The group with some of its facts as `other`, with the same cases, has them."""
        places = [self.facts.index(fact) for fact in other.facts]
        found: dict[tuple[int, ...], int] = {}
        merged: dict[tuple[int, int], int] = {}
        firsts: list[int] = []
        numbers: list[int] = []
        for at, pair in enumerate(zip(self.numbers, other.numbers, strict=True)):
            if pair not in merged:
                entry = [*self.entries[pair[0]]]
                for place, value in zip(places, other.entries[pair[1]], strict=True):
                    entry[place] = value
                merged[pair] = found.setdefault(tuple(entry), len(found))
                if merged[pair] == len(firsts):
                    firsts.append(at)
            numbers.append(merged[pair])
        return replace(self, entries=tuple(found), firsts=tuple(firsts), numbers=tuple(numbers))

    def case(self, number: int) -> Case:
        """The case with this number."""
        for offer in self.offers:
            if number < offer.size:
                return offer.case(self.questions, number)
            number -= offer.size
        raise IndexError(number)


def local_name(fact: str, group: str) -> str:
    """The name of what a fact that looks at all questions says of one group."""
    return f"{fact} in {group}"


def after_name(fact: str) -> str:
    """The name of a fact as it is after a step or a change."""
    return f"{fact} (after)"


def group_name(questions: tuple[str, ...]) -> str:
    """The name of the group of these questions."""
    return "+".join(questions)


def open_name(link_id: str) -> str:
    """The name of the fact that a question is shown, but not answered, or answered with "not sure"."""
    return f"open: {link_id}"


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
            dependent = _dependents(questionnaire, fact)
            for questions, facts in self.division.parts:
                name = group_name(questions)
                if {*self.division.local_facts(questions)} & dependent or _is_shown_by(
                    questionnaire, questions, dependent
                ):
                    after[name] = changed.group(questions, facts)
                elif changing := tuple(one for one in facts if one in dependent):
                    again = _Evaluation(changed, questions, changing, before[name], self.division)
                    if again.offers is not before[name].offers:
                        again = _Evaluation(changed, questions, facts, None, self.division)
                        before[name] = _Evaluation(self.division, questions, facts, None, changed).group()
                        after[name] = again.group()
                    else:
                        after[name] = before[name].with_facts(again.group())
        division = replace(self.division, questionnaire=questionnaire)
        return Beside(
            Space(self.division, tuple(before.values()), self.scattered),
            Space(division, tuple(after.values()), self.scattered),
        )


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


def joined(cases: Iterable[Case]) -> Case:
    """One case for all groups."""
    chosen = [*cases]
    authored = next((one.authored for one in chosen if AUTHORED in one.given), ANY_DAY)
    return Case(authored, {key: one for case in chosen for key, one in case.given.items() if key != AUTHORED})


@dataclass(frozen=True, slots=True)
class Division:
    """How a page is divided, before anything is evaluated: `parts` are the questions of each group, and its facts."""

    questionnaire: Questionnaire
    not_sure: frozenset[str]
    parts: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    readings: Mapping[str, Reading]
    scattered: frozenset[str]

    def evaluate(self, progress: Progress = lambda what: None) -> Space:
        """All groups. Raises Unprovable where a fact is no Boolean, or cannot be evaluated."""
        groups = []
        for questions, facts in self.parts:
            progress(", ".join(questions))
            groups.append(self.group(questions, facts))
        scattered = {
            fact: tuple(local_name(fact, group.name) for group in groups if local_name(fact, group.name) in group.facts)
            for fact in self.scattered
        }
        return Space(self, tuple(groups), scattered)

    def group(self, questions: tuple[str, ...], facts: tuple[str, ...]) -> Group:
        """One group."""
        return _Evaluation(self, questions, facts).group()

    def local_facts(self, questions: tuple[str, ...]) -> tuple[str, ...]:
        """The facts that look at all questions, and may say something of these."""
        asked = [self.questionnaire.by_link_id[one] for one in _asked(questions)]
        has_exclusive = any(option.exclusive for item in asked for option in item.options or ())
        return tuple(sorted(self.scattered)) if has_exclusive else ()


class _Evaluation:
    """The evaluation of one group: each fact once for each combination of answers that it can tell apart."""

    def __init__(
        self,
        division: Division,
        questions: tuple[str, ...],
        facts: tuple[str, ...],
        earlier: Group | None = None,
        other: Division | None = None,
    ) -> None:
        """`earlier` is the same group evaluated before, `other` its division: they share the cases where they can."""
        self._questionnaire = division.questionnaire
        self._name = group_name(questions)
        self._questions = questions
        self._asked = _asked(questions)
        judged = {one for fact in facts for one in division.readings[fact].questions}
        coded = [one for one in self._asked if self._questionnaire.by_link_id[one].options is not None]
        self._watched = tuple(one for one in coded if one in judged and earlier is None)
        self._unsure = {one: places(self._questionnaire.by_link_id[one], division.not_sure) for one in self._watched}
        enabling = self._enabling(frozenset(self._asked))
        everything = list(enabling)
        if other is not None:
            everything += [one for fact in facts for one in other.readings[fact].expressions]
        self._reads: list[tuple[str, str, tuple[Syntax, ...], frozenset[str]]] = []
        for fact in facts:
            reading = division.readings[fact]
            rests_on = reading.questions
            expressions = (*reading.expressions, *self._enabling(rests_on))
            self._reads.append((fact, fact, expressions, rests_on))
            everything += expressions
        for fact in division.local_facts(questions) if earlier is None else ():
            named = local_name(fact, self._name)
            self._reads.append((named, fact, enabling, frozenset(questions)))
        self._expressions = tuple(everything)
        days = authored_days(self._expressions) if AUTHORED in questions else (ANY_DAY,)
        if earlier is not None and _tells_no_more(self._expressions, earlier.expressions):
            self.offers = earlier.offers
        else:
            self.offers = tuple(self._offer(day, self._expressions) for day in days)
        self._enabling_expressions = enabling
        size = sum(offer.size for offer in self.offers)
        if size > MOST_CASES:
            raise unprovable(f"{self._name} hang together, and have {size} combinations of answers: too many.")

    def group(self) -> Group:
        """Goes through all cases."""
        names = (*(name for name, _, _, _ in self._reads), *map(open_name, self._watched))
        facts = [fact for _, fact, _, _ in self._reads]
        found: dict[tuple[int, ...], int] = {}
        firsts: list[int] = []
        numbers: list[int] = []
        evaluated = 0
        for offer in self.offers:
            known: list[dict[tuple[object, ...], int]] = [{} for _ in facts]
            hidden: dict[tuple[object, ...], frozenset[str]] = {}
            tables = [self._told(offer, expressions, rests_on) for _, _, expressions, rests_on in self._reads]
            enabling = self._told(offer, self._enabling_expressions, frozenset(self._asked))
            for at, given in enumerate(product(*(range(len(one)) for one in offer.choices))):
                keys = [tuple([column[one] for column, one in zip(table, given, strict=True)]) for table in tables]
                shown = tuple([column[one] for column, one in zip(enabling, given, strict=True)])
                if shown not in hidden or any(key not in one for key, one in zip(keys, known, strict=True)):
                    evaluated += 1
                    context = case_context(self._questionnaire, offer.case(self._questions, at))
                    hidden[shown] = frozenset(map(str, context.environment.variables["hidden"]))
                    for fact, key, one in zip(facts, keys, known, strict=True):
                        if key not in one:
                            one[key] = _value(context, fact)
                values = tuple([one[key] for key, one in zip(keys, known, strict=True)])
                values += self._openness(offer, given, hidden[shown])
                number = found.setdefault(values, len(found))
                if number == len(firsts):
                    firsts.append(len(numbers))
                numbers.append(number)
        return Group(
            self._name,
            self._questions,
            names,
            self.offers,
            self._expressions,
            tuple(found),
            tuple(firsts),
            tuple(numbers),
            evaluated,
        )

    def _told(self, offer: Offer, expressions: tuple[Syntax, ...], rests_on: frozenset[str]) -> list[list[object]]:
        """For each question and alternative, what the expressions of a fact that rests on some questions can tell."""
        return [
            told_apart(self._questionnaire.by_link_id[link_id], choices, expressions)
            if link_id in rests_on
            else [None] * len(choices)
            for link_id, choices in zip(self._asked, offer.choices, strict=True)
        ]

    def _openness(self, offer: Offer, given: Sequence[int], hidden: frozenset[str]) -> tuple[int, ...]:
        """Which questions are shown, but not answered, or answered with nothing but "not sure"."""
        found = []
        for link_id, choices, at in zip(self._asked, offer.choices, given, strict=True):
            if link_id in self._watched:
                one = choices[at]
                is_open = not one.texts and not one.chosen & ~self._unsure[link_id]
                found.append(TRUE if is_open and link_id not in hidden else FALSE)
        return tuple(found)

    def _offer(self, day: date, expressions: tuple[Syntax, ...]) -> Offer:
        items = [self._questionnaire.by_link_id[one] for one in self._asked]
        return Offer(day, tuple(alternatives(one, expressions, day) for one in items))

    def _enabling(self, questions: frozenset[str]) -> tuple[Syntax, ...]:
        """What decides whether the questions are shown, as expressions; the code of an enableWhen as a literal."""
        found = list(enabling_expressions(self._questionnaire, questions))
        for link_id in sorted(questions - {AUTHORED}):
            item = self._questionnaire.by_link_id[link_id]
            for part in (item, *(self._questionnaire.by_link_id[one] for one in item.ancestors)):
                for condition in part.conditions:
                    if isinstance(condition.answer, dict) and "code" in condition.answer:
                        found.append(Literal(0, (condition.answer["code"],)))
        return tuple(found)


def divide(questionnaire: Questionnaire, facts: Iterable[str], not_sure: frozenset[str]) -> Division:
    """Divides the questions that `facts` rest on into groups. Raises Unprovable, with every reason."""
    known = readings(questionnaire)
    wanted = sorted(facts)
    issues = [issue for one in wanted if isinstance(fault := known[one], Unprovable) for issue in fault.issues]
    if issues:
        raise Unprovable(dict.fromkeys(issues))
    found = {one: reading for one in wanted if isinstance(reading := known[one], Reading)}
    scattered = frozenset(name for name, reading in found.items() if reading.is_scattered)
    sets = [set(reading.questions) for reading in found.values() if not reading.is_scattered]
    if scattered:
        sets += [
            {item.link_id, *deciding_questions(questionnaire, item.link_id)}
            for item in questionnaire.by_link_id.values()
            if any(option.exclusive for option in item.options or ())
        ]
    _refuse_repeating(questionnaire, {one for questions in sets for one in questions})
    parts = []
    for questions in _joined(sets):
        inside = [name for name, reading in found.items() if not reading.is_scattered and reading.questions & questions]
        order = [one for one in questionnaire.by_link_id if one in questions]
        parts.append(((*order, *({AUTHORED} & questions)), tuple(inside)))
    constant = [name for name, reading in found.items() if not reading.is_scattered and not reading.questions]
    if constant:
        parts.append(((), tuple(constant)))
    return Division(questionnaire, not_sure, tuple(parts), found, scattered)


def case_context(questionnaire: Questionnaire, case: Case, status: str = "completed") -> ResponseContext:
    """The case as a response, read by the engine."""
    response = build_response(questionnaire, case.answers(questionnaire))
    authored = f"{case.authored.isoformat()}T12:00:00Z"
    now = datetime(case.authored.year, case.authored.month, case.authored.day, 12, tzinfo=UTC)
    return read_response(questionnaire, {**response, "status": status, "authored": authored}, now)


def described(questionnaire: Questionnaire, case: Case) -> str:
    """The day and the answers of a case, on one line."""
    parts = []
    for link_id, answers in case.answers(questionnaire).items():
        values = [next(iter(answer.values())) for answer in answers]
        parts.append(f"{link_id} = {' + '.join(one['code'] if isinstance(one, dict) else str(one) for one in values)}")
    return f"{case.authored}: {', '.join(parts) or 'no answer'}"


def truth_value(values: Sequence[Any]) -> int | None:
    """What a fact says; None when it is no Boolean."""
    if not values:
        return EMPTY
    return {True: TRUE, False: FALSE}.get(values[0]) if len(values) == 1 and isinstance(values[0], bool) else None


def _value(context: ResponseContext, fact: str) -> int:
    try:
        value = truth_value(context.environment.variables[fact])
    except EvaluationError as fault:
        raise unprovable(f"'{fact}' cannot be evaluated for some answers: {fault}") from fault
    if value is None:
        raise unprovable(f"A rule reads '{fact}', which is not true, false or empty. Make a fact of the comparison.")
    return value


def _tells_no_more(expressions: tuple[Syntax, ...], others: tuple[Syntax, ...]) -> bool:
    """True if whatever the expressions can tell apart, the others can too."""
    return (
        {*literals(expressions)} <= {*literals(others)}
        and counts(expressions) <= counts(others)
        and is_blind_to_codes(expressions) >= is_blind_to_codes(others)
    )


def _asked(questions: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one for one in questions if one != AUTHORED)


def _joined(sets: Iterable[set[str]]) -> list[set[str]]:
    """`sets` with those that share a member made one."""
    found: list[set[str]] = []
    for one in sets:
        if not one:
            continue
        merged = set(one)
        apart = []
        for other in found:
            if other & merged:
                merged |= other
            else:
                apart.append(other)
        found = [*apart, merged]
    return found


def _dependents(questionnaire: Questionnaire, fact: str) -> frozenset[str]:
    """The fact, and those that rest on it."""
    found = {fact}
    for variable in questionnaire.variables:
        if variable.expression.variables & found:
            found.add(variable.name)
    return frozenset(found)


def _is_shown_by(questionnaire: Questionnaire, questions: tuple[str, ...], facts: frozenset[str]) -> bool:
    items = (questionnaire.by_link_id[one] for one in _asked(questions))
    return any(item.enable_expression is not None and item.enable_expression.variables & facts for item in items)


def _refuse_repeating(questionnaire: Questionnaire, questions: set[str]) -> None:
    for link_id in questions - {AUTHORED}:
        item = questionnaire.by_link_id[link_id]
        for one in item.ancestors:
            around = questionnaire.by_link_id[one]
            if around.repeats or around.is_question:
                raise unprovable(f"'{link_id}' stands in '{one}', which repeats or is a question.", item.path)
