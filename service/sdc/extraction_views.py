"""What the expressions of extraction see at each place of one response.

An environment of its own is made only where something asks for it: for an item that has variables or allocates an id,
or whose expressions read %context or %qitem. Anywhere else that of the item around does as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from service.fhir.elements import choice_value, coding_token
from service.fhir.json import Json
from service.fhirpath import Environment, Node
from service.fhirpath import Item as Value
from service.fhirpath.model import definition
from service.sdc.context import ResponseContext, Variables
from service.sdc.extracted import NewId, Origin
from service.sdc.extraction_expressions import View
from service.sdc.items import Entry, Scope

_RESPONSE_ITEM = definition("QuestionnaireResponse.item")


@dataclass(frozen=True, slots=True)
class Needs:
    """What the items of a Questionnaire need to know: ids to allocate, by linkId ("" for the root), and where
    expressions read the item that they stand on."""

    allocated: Mapping[str, tuple[str, ...]]
    self_aware: frozenset[str]


class Views:
    """The views of one extraction; ids are allocated once for each time their item stands in the response."""

    def __init__(self, context: ResponseContext, needs: Needs, new_id: NewId) -> None:
        self.context = context
        self.new_id = new_id
        self._needs = needs
        self._shared: dict[str, list[Value]] = {}
        self._views: dict[tuple[Entry, int | None], View] = {}
        self._paths: dict[Entry, str] = {}
        ids = self._allocated("")
        environment = Variables(context.environment, [], known=ids).environment if ids else context.environment
        self.root = View([Node.of_resource(context.counted)], environment, self._shared)

    @property
    def scope(self) -> Scope:
        """The outermost items of the response, as they count."""
        return self.context.counted_entries.root

    def at(self, entry: Entry, position: int | None = None) -> View:
        """The view on a response item, narrowed to the answer at `position` among several."""
        if len(entry.answers) < 2:
            position = None
        view = self._views.get((entry, position))
        if view is None:
            view = self._views[entry, position] = self._view(entry, position)
        return view

    def origin(self, entry: Entry, position: int | None = None) -> Origin:
        """Where an item stands; of a question that repeats, which answer it is."""
        key = _answer_key(entry.answers[position]) if position is not None and entry.item.repeats else None
        return Origin(self._path(entry), key)

    def _view(self, entry: Entry, position: int | None) -> View:
        node = entry.node if position is None else {**entry.node, "answer": [entry.answers[position]]}
        focus = [Node(node, _RESPONSE_ITEM)]
        return View(focus, self._environment(entry, focus), self._shared)

    def _environment(self, entry: Entry, focus: Sequence[Value]) -> Environment:
        outer = self._outer(entry.scope)
        item, needs = entry.item, self._needs
        if not item.variables and item.link_id not in needs.self_aware and item.link_id not in needs.allocated:
            return outer
        known: dict[str, Sequence[Value]] = {
            "context": focus,
            "qitem": [Node.of(item.definition, "Questionnaire.item")],
            **self._allocated(item.link_id),
        }
        return Variables(outer, focus, item.expressions, known).environment

    def _outer(self, scope: Scope) -> Environment:
        owner = scope.owner
        if owner is None:
            return self.root.environment
        return self.at(owner, owner.scopes.index(scope) if owner.item.is_question else None).environment

    def _allocated(self, link_id: str) -> dict[str, Sequence[Value]]:
        return {name: [f"urn:uuid:{self.new_id()}"] for name in self._needs.allocated.get(link_id, ())}

    def _path(self, entry: Entry) -> str:
        path = self._paths.get(entry)
        if path is None:
            owner = entry.scope.owner
            above = "" if owner is None else f"{self._path(owner)}/"
            siblings = entry.scope.entries[entry.item.link_id]
            # Only a repeating group has a second entry, and nothing but its position tells it from the first.
            again = f"[{siblings.index(entry)}]" if len(siblings) > 1 and entry is not siblings[0] else ""
            path = self._paths[entry] = f"{above}{entry.item.link_id}{again}"
        return path


def every_entry(scope: Scope) -> Iterator[Entry]:
    """The entries in and below `scope`, each before those below it."""
    for entry in scope:
        yield entry
        for below in entry.scopes:
            yield from every_entry(below)


def _answer_key(answer: Json) -> str:
    value = choice_value(answer)
    return coding_token(value) if "valueCoding" in answer else str(value)
