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

    A group has one scope below it; a question has one for each answer.
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
    """A response paired with its Questionnaire; `issues` tell which items could not be placed."""

    root: Scope
    issues: tuple[Issue, ...]

    def entries(self) -> Iterator[Entry]:
        """Every placed entry, in the order of the response."""
        yield from _walk(self.root)


def pair(questionnaire: Questionnaire, response: Json) -> Paired:
    """`response` (its items' shapes already checked) paired with `questionnaire`."""
    issues: list[Issue] = []
    root = Scope(None, questionnaire.items, "QuestionnaireResponse")
    _fill(root, response.get("item", []), questionnaire, issues)
    return Paired(root, tuple(issues))


def missing_group(item: Item, scope: Scope) -> Scope:
    """An empty scope for the group `item` that `scope` should hold but does not; its path is that of `scope`."""
    return Scope(Entry(item, {"linkId": item.link_id}, scope.path, scope), item.items, scope.path)


def _fill(scope: Scope, nodes: list[Json], questionnaire: Questionnaire, issues: list[Issue]) -> None:
    definitions = {item.link_id: (position, item) for position, item in enumerate(scope.definitions)}
    furthest = -1
    for index, node in enumerate(nodes):
        path = f"{scope.path}.item[{index}]"
        link_id = node["linkId"]
        if link_id not in definitions:
            issues.append(_misplaced(link_id, path, questionnaire, scope))
            continue
        position, item = definitions[link_id]
        if position < furthest:
            text = f"'{link_id}' stands after a later question. Keep the order of the Questionnaire."
            issues.append(error(IssueType.STRUCTURE, text, path, Detail.WRONG_PLACE))
        furthest = max(furthest, position)
        entry = Entry(item, node, path, scope)
        earlier = scope.entries.setdefault(link_id, [])
        if earlier and (item.is_question or not item.repeats):
            advice = "Put all its answers in one item." if item.repeats and item.is_question else "Keep one of them."
            issues.append(
                error(IssueType.DUPLICATE, f"'{link_id}' stands twice. {advice}", path, Detail.DUPLICATE_ITEM)
            )
        earlier.append(entry)
        _fill_below(entry, questionnaire, issues)


def _fill_below(entry: Entry, questionnaire: Questionnaire, issues: list[Issue]) -> None:
    node, item = entry.node, entry.item
    if item.is_question:
        if "item" in node:
            text = f"'{item.link_id}' is a question: its nested items stand below an answer, not below the item."
            issues.append(error(IssueType.STRUCTURE, text, f"{entry.path}.item", Detail.WRONG_PLACE))
        for index, answer in enumerate(entry.answers):
            below = Scope(entry, item.items, f"{entry.path}.answer[{index}]")
            entry.scopes.append(below)
            _fill(below, answer.get("item", []), questionnaire, issues)
        return
    if "answer" in node:
        text = f"'{item.link_id}' is a {item.type}, which takes no answer. Remove it."
        issues.append(error(IssueType.STRUCTURE, text, f"{entry.path}.answer", Detail.ANSWER_ON_GROUP))
    below = Scope(entry, item.items, entry.path)
    entry.scopes.append(below)
    _fill(below, node.get("item", []), questionnaire, issues)


def _misplaced(link_id: str, path: str, questionnaire: Questionnaire, scope: Scope) -> Issue:
    known = questionnaire.by_link_id.get(link_id)
    if known is None:
        text = f"The Questionnaire has no item '{link_id}'. Use the linkIds of the version you name."
        return error(IssueType.NOT_FOUND, text, f"{path}.linkId", Detail.UNKNOWN_LINK_ID)
    place = f"below '{known.ancestors[-1]}'" if known.ancestors else "at the top"
    found = f"below '{scope.owner.item.link_id}'" if scope.owner else "at the top"
    text = f"'{link_id}' stands {found}, but belongs {place}."
    return error(IssueType.STRUCTURE, text, path, Detail.WRONG_PLACE)


def _walk(scope: Scope) -> Iterator[Entry]:
    for entry in scope:
        yield entry
        for below in entry.scopes:
            yield from _walk(below)
