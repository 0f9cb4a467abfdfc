"""What a clinician reads of a response: its level, its answers in their order, and what changed since earlier ones.

Each response is judged by the version of the page that asked it. No answer, and "not sure", are never taken for a "no":
what was told before and is not now counts as gone only where the question was answered with something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final

from service.errors import DomainError
from service.fhir.elements import choice_key
from service.fhir.json import Json
from service.fhir.spans import span
from service.fhirpath import EvaluationError
from service.packs import Pack
from service.packs.summary_layout import PLACES, SIDES, WHOLE_BODY, Line, Section
from service.records.evaluation import Evaluation, Judged, LookBack
from service.records.latest_answers import earlier_answers, latest_answers
from service.records.narrative import sentence
from service.records.outbox import Letter, State, deliveries
from service.records.ports import Pages, Store
from service.records.search import Bounds
from service.records.searchable import subject_key
from service.records.succession import DRAFT
from service.sdc.answers import answer_text
from service.sdc.comparison import AnswerKey, answer_key
from service.sdc.look_back import looked_back_at
from service.sdc.triage import Level

NOT_ASKED: Final = "not asked"
NOT_ANSWERED: Final = "not answered"


@dataclass(frozen=True, slots=True)
class Answered:
    """A question that was asked, by its short name, and its answers in the terms of the page; none: not answered.

    `is_chosen` tells that they say more than "none" or "not sure".
    """

    label: str
    answers: tuple[str, ...]
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A section of the summary."""

    title: str
    lines: tuple[Answered, ...]


@dataclass(frozen=True, slots=True)
class Marks:
    """Places of the body picture: those that were told, and those of which the side was not."""

    certain: frozenset[str]
    uncertain: frozenset[str]


@dataclass(frozen=True, slots=True)
class Change:
    """What differs in one question from an earlier response.

    `added` and `gone` where both responses chose among its options; else `before` and `now` say what each told.
    """

    label: str
    added: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    now: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """One response on the timeline: without level where it cannot be judged, without sites where none was told."""

    response_id: str
    authored: str
    level: Level | None
    sites: int | None
    is_shown: bool


@dataclass(frozen=True, slots=True)
class Posted:
    """A resource that follows from the response: what it says, and the address where it was delivered, if it was."""

    resource_type: str
    id: str
    text: str
    location: str | None


@dataclass(frozen=True)
class Reading:
    """One response, judged by its own version of the page."""

    response: Json
    pack: Pack
    judged: Judged

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The answers, section by section; questions that were not asked are left out."""
        sections = self.pack.layout.sections
        return tuple(Part(one.title, lines) for one in sections if (lines := tuple(self._lines(one))))

    @property
    def names(self) -> Mapping[str, str]:
        """The short names of all questions, by linkId."""
        return {line.item.link_id: line.label for section in self.pack.layout.sections for line in section.lines}

    @cached_property
    def marks(self) -> Marks:
        """Where on the body the answers are."""
        certain: set[str] = set()
        uncertain: set[str] = set()
        for section in self.pack.layout.sections:
            named = {place for key in self._keys(section) for place in section.body.get(key, ())}
            sides = named & SIDES
            for place in PLACES if WHOLE_BODY in named else named - SIDES:
                side = place.rpartition("-")[2]
                if side not in SIDES or side in sides or WHOLE_BODY in named:
                    certain.add(place)
                elif not sides:
                    uncertain.add(place)
        return Marks(frozenset(certain), frozenset(uncertain))

    @cached_property
    def sites(self) -> int | None:
        """How many sites were told, those in own words included; None where none was."""
        count = sum(
            1
            for section in self.pack.layout.sections
            for line in section.lines
            if section.has_place(line.item)
            for key in self.answers(line.item.link_id)
            if key in section.body or key not in line.item.option_keys
        )
        return count or None

    @property
    def level(self) -> Level | None:
        """The level of the response."""
        return self.judged.assessment.level

    @property
    def has_body(self) -> bool:
        """Whether the page has places of the body."""
        return any(section.body for section in self.pack.layout.sections)

    def answers(self, link_id: str) -> Mapping[AnswerKey, str]:
        """The answers that count to a question, in words, by what makes them the same answer."""
        item = self.pack.questionnaire.by_link_id.get(link_id)
        if item is None:
            return {}
        found = self.judged.context.counted_answers.get(link_id, ())
        keyed = ((choice_key(answer), answer) for answer in found)
        return {answer_key(key, answer[key]): answer_text(item, answer) for key, answer in keyed if key is not None}

    def was_asked(self, link_id: str) -> bool:
        """Whether this version of the page has the question, and the other answers led to it."""
        is_there = link_id in self.pack.questionnaire.by_link_id
        return is_there and link_id not in self.judged.context.environment.variables["hidden"]

    def told(self, link_id: str) -> tuple[str, ...]:
        """What was told to a question, in words, also where that is nothing."""
        if not self.was_asked(link_id):
            return (NOT_ASKED,)
        return tuple(self.answers(link_id).values()) or (NOT_ANSWERED,)

    def chose(self, link_id: str) -> bool:
        """Whether options were chosen that leave no doubt: neither "none" nor "not sure", which go with no other."""
        given = self.answers(link_id)
        in_doubt = any(entry.item.link_id == link_id for entry in self.judged.context.exclusive_conflicts)
        return bool(given) and not in_doubt and self._saying_nothing.isdisjoint(given)

    @cached_property
    def _saying_nothing(self) -> frozenset[AnswerKey]:
        """The answers that go with no other in some question: they say no more where a question takes but one."""
        items = self.pack.questionnaire.by_link_id.values()
        return frozenset(option.key for item in items for option in item.options or () if option.exclusive)

    def _keys(self, section: Section) -> Iterator[AnswerKey]:
        for line in section.lines:
            yield from self.answers(line.item.link_id)

    def _lines(self, section: Section) -> Iterator[Answered]:
        for line in section.lines:
            if self.was_asked(line.item.link_id):
                link_id = line.item.link_id
                yield Answered(line.label, tuple(self.answers(link_id).values()), self.chose(link_id))


@dataclass(frozen=True, slots=True)
class Summary:
    """The summary of one response.

    `timeline` holds the patient's responses to the page, the earliest first; `earlier` the one before this, of which
    `changes` tell; `newer` the latest, when this is not; `letters` how the latest delivery to each server stands;
    `disclosed` all responses that any of it was made of.
    """

    reading: Reading
    timeline: tuple[Point, ...]
    earlier: Reading | None
    changes: tuple[Change, ...]
    newer: Point | None
    posted: tuple[Posted, ...]
    letters: tuple[Letter, ...]
    disclosed: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Summaries:
    """Makes summaries from what is kept."""

    store: Store
    pages: Pages
    evaluation: Evaluation

    def summary(self, response: Json, within: Bounds) -> Summary:
        """The summary of a kept response that is not retracted; of others, only those `within` are told of.

        Raises Invalid where its answers cannot be read.
        """
        reading = self._reading(response, partial(earlier_answers, self.store))
        others = [one for one in self._others(reading, within) if one["id"] != response["id"]]
        ordered = sorted([*others, response], key=lambda one: span(one["authored"]))
        readings = {str(one["id"]): self._readable(one, ordered) for one in others} | {str(response["id"]): reading}
        place = ordered.index(response)
        timeline = tuple(_point(one, readings[one["id"]], is_shown=one is response) for one in ordered)
        before = [readings[one["id"]] for one in ordered[:place] if one["status"] != DRAFT]
        earlier = next((one for one in reversed(before) if one is not None), None)
        letters = deliveries(self.store.letters_of(response["id"]))
        return Summary(
            reading=reading,
            timeline=timeline,
            earlier=earlier,
            changes=() if earlier is None else tuple(changes(earlier, reading)),
            newer=timeline[-1] if place + 1 < len(timeline) else None,
            posted=tuple(self._posted(response, letters)),
            letters=tuple({letter.target: letter for letter in letters}.values()),
            disclosed=(response, *others),
        )

    def _others(self, reading: Reading, within: Bounds) -> Sequence[Json]:
        subject = subject_key(reading.response.get("subject"))
        if subject is None:
            return ()
        found = latest_answers(self.store, reading.pack.url, subject, within)
        return [one for one in found if one["status"] != DRAFT]

    def _reading(self, response: Json, look_back: LookBack) -> Reading:
        judged = self.evaluation.assess(response, look_back=look_back)
        pack = self.pages.resolve(response["questionnaire"])
        assert pack is not None, "it was just judged by this page"
        return Reading(response, pack, judged)

    def _readable(self, response: Json, others: Sequence[Json]) -> Reading | None:
        """The reading of another response, among the others; None where this release cannot judge it any more."""
        try:
            return self._reading(response, lambda _, one: looked_back_at(one, others))
        except (DomainError, EvaluationError):
            return None

    def _posted(self, response: Json, letters: Sequence[Letter]) -> Iterator[Posted]:
        places: dict[tuple[str, str], str] = {}
        for target in dict.fromkeys(letter.target for letter in letters if letter.state is State.DELIVERED):
            for one in self.store.placements(target, response["id"]):
                places[one.resource_type, one.id] = f"{target}/{one.location}"
        for resource in self.store.record(response["id"], int(response["meta"]["versionId"])):
            kind, id_ = resource["resourceType"], resource["id"]
            yield Posted(kind, id_, sentence(resource), places.get((kind, id_)))


def changes(earlier: Reading, now: Reading) -> Iterator[Change]:
    """What differs between two responses, in the order of the later one's summary."""
    for section in now.pack.layout.sections:
        for line in section.lines:
            found = _change(line, earlier, now)
            if found is not None:
                yield found


def _change(line: Line, earlier: Reading, now: Reading) -> Change | None:
    link_id = line.item.link_id
    old, new = earlier.answers(link_id), now.answers(link_id)
    if old.keys() == new.keys():
        return None
    if line.item.repeats and earlier.chose(link_id) and now.chose(link_id):
        return Change(
            line.label,
            added=tuple(text for key, text in new.items() if key not in old),
            gone=tuple(text for key, text in old.items() if key not in new),
        )
    return Change(line.label, before=earlier.told(link_id), now=now.told(link_id))


def _point(response: Json, reading: Reading | None, *, is_shown: bool) -> Point:
    level = None if reading is None else reading.level
    sites = None if reading is None else reading.sites
    return Point(response["id"], response["authored"], level, sites, is_shown)
