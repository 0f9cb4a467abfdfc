"""Answers to some questions on a day of authoring, and what the engine makes of them.

A fact about earlier responses stands among the questions, by its name behind a percent sign; it is answered where it is
true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from math import prod
from typing import Any

from service.fhir.json import Json
from service.packs.proof.answering import (
    ANY_DAY,
    NOT_ANSWERED,
    Alternative,
)
from service.packs.proof.formula import EMPTY, FALSE, TRUE
from service.packs.proof.reading import (
    AUTHORED,
)
from service.packs.vignettes import build_response
from service.sdc.context import ResponseContext, Variables, read_response
from service.sdc.questionnaire import Questionnaire


@dataclass(frozen=True, slots=True)
class Case:
    """Answers to the questions of one group, by linkId, on a day of authoring."""

    authored: date
    given: Mapping[str, Alternative]

    def answers(self, questionnaire: Questionnaire) -> dict[str, list[Json]]:
        """The answers by linkId, where there are any."""
        found = {}
        for link_id, one in self.given.items():
            if one.count and link_id in questionnaire.by_link_id:
                found[link_id] = one.answers(questionnaire.by_link_id[link_id])
        return found

    @property
    def look_back(self) -> dict[str, bool]:
        """What is true and what is not of earlier responses, as far as the case says."""
        return {name[1:]: one is not NOT_ANSWERED for name, one in self.given.items() if name.startswith("%")}


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
        for link_id, choices in reversed([*zip(asked_questions(questions), self.choices, strict=True)]):
            number, at = divmod(number, len(choices))
            given[link_id] = choices[at]
        return Case(self.authored, given)


def case_context(questionnaire: Questionnaire, case: Case, status: str = "completed") -> ResponseContext:
    """The case as a response, read by the engine."""
    response = build_response(questionnaire, case.answers(questionnaire))
    authored = f"{case.authored.isoformat()}T12:00:00Z"
    now = datetime(case.authored.year, case.authored.month, case.authored.day, 12, tzinfo=UTC)
    context = read_response(questionnaire, {**response, "status": status, "authored": authored}, now)
    if not case.look_back:
        return context
    known = {fact: [value] for fact, value in case.look_back.items()}
    return replace(context, environment=Variables(context.environment, [], known=known).environment)


def described(questionnaire: Questionnaire, case: Case) -> str:
    """The day and the answers of a case, on one line."""
    parts = []
    for link_id, answers in case.answers(questionnaire).items():
        values = [next(iter(answer.values())) for answer in answers]
        parts.append(f"{link_id} = {' + '.join(one['code'] if isinstance(one, dict) else str(one) for one in values)}")
    before = [fact for fact, is_so in case.look_back.items() if is_so]
    told_before = f"; and earlier responses make {', '.join(before)} true" if before else ""
    return f"{case.authored}: {', '.join(parts) or 'no answer'}{told_before}"


def truth_value(values: Sequence[Any]) -> int | None:
    """What a fact says; None when it is no Boolean."""
    if not values:
        return EMPTY
    return {True: TRUE, False: FALSE}.get(values[0]) if len(values) == 1 and isinstance(values[0], bool) else None


def joined(cases: Iterable[Case]) -> Case:
    """One case for all groups."""
    chosen = [*cases]
    authored = next((one.authored for one in chosen if AUTHORED in one.given), ANY_DAY)
    return Case(authored, {key: one for case in chosen for key, one in case.given.items() if key != AUTHORED})


def asked_questions(questions: tuple[str, ...]) -> tuple[str, ...]:
    """The questions of a group, without what stands for the day of authoring."""
    return tuple(one for one in questions if one != AUTHORED)
