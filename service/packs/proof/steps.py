"""The steps by which a warning sign comes on top of what was answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from service.packs.proof.answering import Alternative
from service.packs.proof.formula import TRUE
from service.packs.proof.groups import Group, open_name

Chosen = tuple[int, int]
"""The options that were chosen, as bits, and the number of answers in own words."""


def additions(group: Group) -> frozenset[tuple[int, int]]:
    """The steps, from one entry of a group to another, by which an answer is added to one question.

    Another option is chosen beside those that are, none of them exclusive; or one answer gives way to another so that
    no fact ceases to be true, and more become so: a "no" or a "none" becomes a "yes". An open question that is answered
    is no such step: it was a reason for care of its own.
    """
    opening = {*map(open_name, group.questions)}
    places = range(len(group.facts))
    open_places = [place for place in places if group.facts[place] in opening]
    true_facts = [_true(entry, places) for entry in group.entries]
    open_facts = [_true(entry, open_places) for entry in group.entries]
    found: set[tuple[int, int]] = set()
    for choices, numbers in _columns(group):
        for at, then in _one_more(choices):
            found.add((numbers[at], numbers[then]))
        single = {(number, one.count) for number, one in zip(numbers, choices, strict=True) if one.count <= 1}
        found.update(
            (one, then)
            for one, _ in single
            for then, count in single
            if count and not true_facts[one] & ~true_facts[then] and open_facts[one] == open_facts[then]
        )
    return frozenset((one, then) for one, then in found if one != then)


def _true(entry: Sequence[int], places: Iterable[int]) -> int:
    """Those of the facts at `places` that are true, as bits."""
    return sum(1 << place for place in places if entry[place] == TRUE)


def _columns(group: Group) -> Iterator[tuple[Sequence[Alternative], Sequence[int]]]:
    """For each question, and each combination of answers to the others: its alternatives, and the entries they give."""
    start = 0
    for offer in group.offers:
        stride = offer.size
        for choices in offer.choices:
            block, stride = stride, stride // len(choices)
            for base in range(start, start + offer.size, block):
                for inner in range(base, base + stride):
                    yield choices, group.numbers[inner : inner + block : stride]
        start += offer.size


def _one_more(choices: Sequence[Alternative]) -> Iterator[tuple[int, int]]:
    """The places of alternatives of which the second is the first with one more answer."""
    plain: Mapping[Chosen, int] = {
        (one.chosen, len(one.texts)): at
        for at, one in enumerate(choices)
        if one.value is None and one.count and not one.has_exclusive
    }
    options = {1 << place for chosen, _ in plain for place in range(chosen.bit_length()) if chosen >> place & 1}
    for (chosen, texts), at in plain.items():
        more = [(chosen | one, texts) for one in options if not chosen & one]
        for then in (*more, (chosen, texts + 1)):
            if then in plain:
                yield at, plain[then]
