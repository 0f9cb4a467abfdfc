"""The answers to one question that rules can tell apart, each by an example."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Final

from service.fhir.json import Json
from service.fhirpath import Quantity
from service.fhirpath.syntax import Syntax
from service.packs.proof.reading import counts, is_blind_to_codes, literals, unprovable
from service.packs.vignettes import as_answered
from service.sdc.questionnaire import Item, ItemType

MOST_CASES: Final = 300_000
"""How many combinations of answers to questions that hang together are tried."""
ANY_DAY: Final = date(2026, 3, 15)
"""The day of authoring where it does not matter."""
_AUTHORED_DAYS: Final = (ANY_DAY, date(2024, 3, 1), date(2025, 1, 1), date(2026, 12, 31))
_TURNS: Final = (date(2026, 3, 1), date(2025, 1, 1))
_LONGEST_RANGE_DAYS: Final = 800
_OWN_WORDS: Final = ("in own words", "in other words")
_TEXTS: Final = frozenset({ItemType.STRING, ItemType.TEXT, ItemType.URL})
_CODED: Final = frozenset({ItemType.CHOICE, ItemType.OPEN_CHOICE})
_DAYS_OF_UNIT: Final = {"day": 1, "week": 7, "month": 31, "year": 366}


@dataclass(frozen=True, slots=True)
class Alternative:
    """Answers to one question; none: it is not answered.

    `chosen` are the options of a choice, as bits by their place in the Questionnaire, `counted` those that a conflict
    does not drop, `texts` the answers in own words; `value` is the answer to another kind of question. `days_before` is
    the distance of a whole date to the day of authoring.
    """

    chosen: int = 0
    counted: int = 0
    texts: tuple[str, ...] = ()
    value: Json | None = None
    has_exclusive: bool = False
    days_before: int | None = None

    def answers(self, item: Item) -> list[Json]:
        """The answers as they stand in a response."""
        if self.value is not None:
            return [self.value]
        options = [one for place, one in enumerate(item.options or ()) if self.chosen >> place & 1]
        return [as_answered(one.value) for one in options] + [{"valueString": text} for text in self.texts]

    @property
    def count(self) -> int:
        """How many answers there are."""
        return 1 if self.value is not None else self.chosen.bit_count() + len(self.texts)


NOT_ANSWERED: Final = Alternative()


def places(item: Item, codes: Container[str]) -> int:
    """The options of `item` with these codes, as bits by their place."""
    return sum(1 << place for place, one in enumerate(item.options or ()) if str(one.key[-1]) in codes)


def told_apart(item: Item, given: Sequence[Alternative], expressions: tuple[Syntax, ...]) -> list[object]:
    """What `expressions` can tell of each alternative of `item`: equal for those that are all the same to them.

    That is the options they name, whether (or, if they count, how many) other options and texts there are, and whether
    there is a conflict. Where they look into codes or texts, every alternative may be another to them.
    """
    if not is_blind_to_codes(expressions):
        return [*range(len(given))]
    named = places(item, {one for one in literals(expressions) if isinstance(one, str)})
    is_counting = counts(expressions)
    found: list[object] = []
    for number, one in enumerate(given):
        if one.value is not None or not one.count:
            found.append(number)
            continue
        others, texts = (one.counted & ~named).bit_count(), len(one.texts)
        if not is_counting:
            others, texts = min(others, 1), min(texts, 1)
        found.append((one.counted & named, others, texts, one.counted != one.chosen))
    return found


def alternatives(item: Item, expressions: tuple[Syntax, ...], authored: date) -> tuple[Alternative, ...]:
    """What may be answered to `item`, as far as `expressions` can tell it apart; first that nothing is.

    A choice: every option that an expression names, and as many of the others as can matter; of a question that
    repeats, every set of these, alone and beside an exclusive option. A date: every day from the day of authoring to
    beyond the longest span of time in the expressions, a day to come, and each month and year of that range. Numbers:
    those around each number in the expressions. Texts: one, or none. A question that does not repeat has one answer at
    most.

    Raises Unprovable for questions of other types, and for too many sets.
    """
    if item.type in _CODED and item.options is not None:
        found = _of_options(item, expressions)
    elif item.type in _TEXTS:
        if not is_blind_to_codes(expressions):
            raise unprovable(f"Expressions look into the text that answers '{item.link_id}'.", item.path)
        key = "valueUri" if item.type is ItemType.URL else "valueString"
        found = iter([Alternative(value={key: "urn:text"})])
    elif item.type is ItemType.BOOLEAN:
        found = (Alternative(value={"valueBoolean": held}) for held in (True, False))
    elif item.type is ItemType.DATE:
        found = _dates(expressions, authored)
    elif item.type in (ItemType.INTEGER, ItemType.DECIMAL):
        found = _numbers(item, expressions)
    else:
        raise unprovable(f"'{item.link_id}' is of type {item.type}, which the proof does not enumerate.", item.path)
    return (NOT_ANSWERED, *found)


def _of_options(item: Item, expressions: tuple[Syntax, ...]) -> Iterator[Alternative]:
    options = item.options or ()
    exclusive = [1 << place for place, one in enumerate(options) if one.exclusive]
    plain = [1 << place for place, one in enumerate(options) if not one.exclusive]
    named, others = plain, list[int]()
    if is_blind_to_codes(expressions):
        known = places(item, {one for one in literals(expressions) if isinstance(one, str)})
        named, others = [one for one in plain if one & known], [one for one in plain if not one & known]
    most = len(others) if counts(expressions) else min(1, len(others))
    words = _OWN_WORDS[: 2 if counts(expressions) else 1] if item.type is ItemType.OPEN_CHOICE else ()
    yield from (Alternative(one, one, has_exclusive=True) for one in exclusive)
    if not item.repeats:
        yield from (Alternative(one, one) for one in (*named, *others[:1]))
        yield from (Alternative(texts=(text,)) for text in words[:1])
        return
    if 2 ** len(named) * (most + 1) * (len(words) + 1) * 2 > MOST_CASES:
        text = f"'{item.link_id}' has {len(named)} options that rules tell apart: too many sets of answers to try all."
        raise unprovable(text, item.path)
    for size in range(len(named) + 1):
        for some in combinations(named, size):
            for more in range(most + 1):
                for texts in range(len(words) + 1):
                    chosen = sum(some) + sum(others[:more])
                    if not chosen and not texts:
                        continue
                    yield Alternative(chosen, chosen, words[:texts])
                    if exclusive:
                        # Whichever it is: it is dropped, and the conflict is known by the question's linkId.
                        yield Alternative(chosen | exclusive[0], chosen, words[:texts], has_exclusive=True)


def authored_days(expressions: tuple[Syntax, ...]) -> tuple[date, ...]:
    """The days of authoring that are tried where it matters.

    A leap day before, a year's first and last day; and for each span of time in the expressions, days from which it
    leads to either side of the turn of a month and of a year.
    """
    turns = [turn + timedelta(days=days) for days in _spans(expressions) for turn in _TURNS]
    around = [turn + timedelta(days=step) for turn in turns for step in (-1, 0, 1)]
    return tuple(dict.fromkeys((*_AUTHORED_DAYS, *sorted(around))))


def _spans(expressions: tuple[Syntax, ...]) -> set[int]:
    """The spans of time in the expressions, in days at the most."""
    spans = (one for one in literals(expressions) if isinstance(one, Quantity) and one.calendar)
    return {int(one.value) * _DAYS_OF_UNIT.get(one.unit, 1) for one in spans}


def _dates(expressions: tuple[Syntax, ...], authored: date) -> Iterator[Alternative]:
    longest = max(_spans(expressions), default=0)
    if longest > _LONGEST_RANGE_DAYS:
        raise unprovable(f"A span of {longest} days is longer than the proof tries day by day.")
    for days in (*range(-1, longest + 3), longest + 60, longest + 800):
        day = authored - timedelta(days=days)
        yield Alternative(value={"valueDate": day.isoformat()}, days_before=days)
    first = authored - timedelta(days=longest + 62)
    months = {(authored - timedelta(days=days)).isoformat()[:7] for days in range(-31, longest + 63)}
    years = {str(year) for year in range(first.year - 1, authored.year + 2)}
    yield from (Alternative(value={"valueDate": text}) for text in sorted(months | years))


def _numbers(item: Item, expressions: tuple[Syntax, ...]) -> Iterator[Alternative]:
    near = {Decimal(0)}
    for one in literals(expressions):
        if isinstance(one, int | Decimal) and not isinstance(one, bool):
            near |= {one + step for step in (Decimal(-1), Decimal(0), Decimal(1))}
    if item.type is ItemType.INTEGER:
        yield from (Alternative(value={"valueInteger": int(one)}) for one in sorted(near) if one == int(one))
    else:
        between = {one + Decimal("0.5") for one in near}
        yield from (Alternative(value={"valueDecimal": one}) for one in sorted(near | between))
