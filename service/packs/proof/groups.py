"""What the answers to one group of questions make of the facts that rest on them.

Each entry comes from the engine itself, from a response with these answers; a fact is evaluated once for all answers
that differ only in what its expressions cannot tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from itertools import product

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
from service.packs.proof.cases import Case, Offer, asked_questions, case_context, truth_value
from service.packs.proof.division import Division, group_name
from service.packs.proof.formula import FALSE, TRUE
from service.packs.proof.reading import (
    AUTHORED,
    counts,
    enabling_expressions,
    is_blind_to_codes,
    literals,
    unprovable,
)
from service.packs.proof.search import Domain
from service.sdc.context import ResponseContext


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


class Evaluation:
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
        self._asked = asked_questions(questions)
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


def look_back_group(fact: str) -> Group:
    """A fact about earlier responses as a group of its own: false, and, by a step that adds to it, true."""
    name = f"%{fact}"
    offer = Offer(ANY_DAY, ((NOT_ANSWERED, Alternative(value={"valueBoolean": True})),))
    return Group(name, (name,), (fact,), (offer,), (), ((FALSE,), (TRUE,)), (0, 1), (0, 1), evaluated=0)


def local_name(fact: str, group: str) -> str:
    """The name of what a fact that looks at all questions says of one group."""
    return f"{fact} in {group}"


def open_name(link_id: str) -> str:
    """The name of the fact that a question is shown, but not answered, or answered with "not sure"."""
    return f"open: {link_id}"


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
