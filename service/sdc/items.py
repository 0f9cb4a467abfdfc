"""Pairs the items of a QuestionnaireResponse with those of its Questionnaire, each with its path.

A repeating group is several response items with one linkId; a repeating question is one response item with several
answers (http://hl7.org/fhir/R4/questionnaireresponse.html). Items may nest below a group, or below an answer: each
such place is a `Scope`, and enableWhen is judged within it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from service.errors import Detail, Issue, IssueType, error
from service.fhir.json import Json
from service.sdc.questionnaire import Item, Questionnaire


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One response item: its definition, its JSON, its path, the scope it stands in, and the scopes below it.

    A group has one scope below it; a question has one for each answer that may hold or holds items.
    """

    item: Item
    node: Json
    path: str
    scope: Scope
    scopes: list[Scope] = field(default_factory=list)

    @property
    def answers(self) -> list[Json]:
        """The answers as they stand in the response."""
        answers: list[Json] = self.node.get("answer", [])
        return answers


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """A place that holds items: the response (`owner` None), a group, or one answer of a question."""

    owner: Entry | None
    definitions: tuple[Item, ...]
    path: str
    entries: dict[str, list[Entry]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Entry]:
        for entries in self.entries.values():
            yield from entries

    @property
    def outer(self) -> Scope | None:
        """The scope around this one; None for the response itself."""
        return None if self.owner is None else self.owner.scope

    def below(self, *link_ids: str) -> Iterator[Entry]:
        """The entries reached from here by a chain of linkIds, one a level."""
        for entry in self.entries.get(link_ids[0], ()):
            if len(link_ids) == 1:
                yield entry
            else:
                for scope in entry.scopes:
                    yield from scope.below(*link_ids[1:])


@dataclass(frozen=True, slots=True)
class Paired:
    """A response paired with its Questionnaire.

    `entries` are all items that could be placed, in the order of the response; `issues` tell which could not.
    """

    root: Scope
    entries: tuple[Entry, ...]
    issues: tuple[Issue, ...]


def pair(questionnaire: Questionnaire, response: Json) -> Paired:
    """`response` (its items' shapes already checked) paired with `questionnaire`."""
    pairing = _Pairing(questionnaire)
    root = Scope(None, questionnaire.items, "QuestionnaireResponse")
    pairing.fill(root, response.get("item", []))
    return Paired(root, tuple(pairing.entries), tuple(pairing.issues))


def missing_group(item: Item, scope: Scope) -> Scope:
    """An empty scope for the group `item` that `scope` should hold but does not; its path is that of `scope`."""
    return Scope(Entry(item, {"linkId": item.link_id}, scope.path, scope), item.items, scope.path)


@dataclass(frozen=True, slots=True)
class _Pairing:
    """One walk through a response."""

    questionnaire: Questionnaire
    entries: list[Entry] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    def fill(self, scope: Scope, nodes: list[Json]) -> None:
        """Places the response items `nodes` in `scope`, and what stands below them in scopes of their own."""
        definitions = scope.owner.item.positions if scope.owner else self.questionnaire.positions
        furthest = -1
        for index, node in enumerate(nodes):
            path = f"{scope.path}.item[{index}]"
            link_id = node.get("linkId", "")
            position = definitions.get(link_id)
            if position is None:
                self.issues.append(_misplaced(link_id, path, self.questionnaire, scope))
                continue
            if position < furthest:
                text = f"'{link_id}' stands after a later question. Keep the order of the Questionnaire."
                self.issues.append(error(IssueType.STRUCTURE, text, path, Detail.WRONG_PLACE))
            else:
                furthest = position
            self._place(Entry(scope.definitions[position], node, path, scope))

    def _place(self, entry: Entry) -> None:
        item, earlier = entry.item, entry.scope.entries.setdefault(entry.item.link_id, [])
        if earlier and (item.is_question or not item.repeats):
            advice = "Put all its answers in one item." if item.repeats and item.is_question else "Keep one of them."
            text = f"'{item.link_id}' stands twice. {advice}"
            self.issues.append(error(IssueType.DUPLICATE, text, entry.path, Detail.DUPLICATE_ITEM))
        earlier.append(entry)
        self.entries.append(entry)
        if item.is_question:
            self._fill_below_answers(entry)
        else:
            self._fill_below_group(entry)

    def _fill_below_answers(self, entry: Entry) -> None:
        item = entry.item
        if "item" in entry.node:
            text = f"'{item.link_id}' is a question: its nested items stand below an answer, not below the item."
            self.issues.append(error(IssueType.STRUCTURE, text, f"{entry.path}.item", Detail.WRONG_PLACE))
        for index, answer in enumerate(entry.answers):
            if item.items or "item" in answer:
                below = Scope(entry, item.items, f"{entry.path}.answer[{index}]")
                entry.scopes.append(below)
                self.fill(below, answer.get("item", []))

    def _fill_below_group(self, entry: Entry) -> None:
        item = entry.item
        if "answer" in entry.node:
            text = f"'{item.link_id}' is a {item.type}, which takes no answer. Remove it."
            self.issues.append(error(IssueType.STRUCTURE, text, f"{entry.path}.answer", Detail.ANSWER_ON_GROUP))
        below = Scope(entry, item.items, entry.path)
        entry.scopes.append(below)
        self.fill(below, entry.node.get("item", []))


def _misplaced(link_id: str, path: str, questionnaire: Questionnaire, scope: Scope) -> Issue:
    if not link_id:
        text = "Every item names the question it answers in linkId."
        return error(IssueType.REQUIRED, text, f"{path}.linkId", Detail.UNKNOWN_LINK_ID)
    known = questionnaire.by_link_id.get(link_id)
    if known is None:
        text = f"The Questionnaire has no item '{link_id}'. Use the linkIds of the version you name."
        return error(IssueType.NOT_FOUND, text, f"{path}.linkId", Detail.UNKNOWN_LINK_ID)
    place = f"below '{known.ancestors[-1]}'" if known.ancestors else "at the top"
    found = f"below '{scope.owner.item.link_id}'" if scope.owner else "at the top"
    text = f"'{link_id}' stands {found}, but belongs {place}."
    return error(IssueType.STRUCTURE, text, path, Detail.WRONG_PLACE)
