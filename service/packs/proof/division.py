"""The questions of a page in groups that do not hang together.

Two questions are in one group where a fact, or what is shown, rests on both. So the facts of a group depend on no
answer outside of it, and any answers to the questions of one group go with any to those of another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.packs.proof.cases import asked_questions
from service.packs.proof.look_back import check_look_back
from service.packs.proof.reading import (
    AUTHORED,
    Reading,
    Unprovable,
    deciding_questions,
    readings,
    unprovable,
)
from service.sdc.questionnaire import Questionnaire


@dataclass(frozen=True, slots=True)
class Division:
    """How a page is divided, before anything is evaluated: `parts` are the questions of each group, and its facts.

    `look_back` are the facts about earlier responses, which rest on no answer now.
    """

    questionnaire: Questionnaire
    not_sure: frozenset[str]
    parts: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    readings: Mapping[str, Reading]
    scattered: frozenset[str]
    look_back: tuple[str, ...]

    def local_facts(self, questions: tuple[str, ...]) -> tuple[str, ...]:
        """The facts that look at all questions, and may say something of these."""
        asked = [self.questionnaire.by_link_id[one] for one in asked_questions(questions)]
        has_exclusive = any(option.exclusive for item in asked for option in item.options or ())
        return tuple(sorted(self.scattered)) if has_exclusive else ()


def group_name(questions: tuple[str, ...]) -> str:
    """The name of the group of these questions."""
    return "+".join(questions)


def divide(questionnaire: Questionnaire, facts: Iterable[str], not_sure: frozenset[str]) -> Division:
    """Divides the questions that `facts` rest on into groups. Raises Unprovable, with every reason."""
    known = readings(questionnaire)
    look_back = tuple(sorted(questionnaire.look_back & {*facts}))
    for fact in look_back:
        check_look_back(questionnaire, fact)
    wanted = sorted({*facts} - questionnaire.look_back)
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
    return Division(questionnaire, not_sure, tuple(parts), found, scattered, look_back)


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


def _refuse_repeating(questionnaire: Questionnaire, questions: set[str]) -> None:
    for link_id in questions - {AUTHORED}:
        item = questionnaire.by_link_id[link_id]
        for one in item.ancestors:
            around = questionnaire.by_link_id[one]
            if around.repeats or around.is_question:
                raise unprovable(f"'{link_id}' stands in '{one}', which repeats or is a question.", item.path)
