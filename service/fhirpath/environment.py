"""What an evaluation reads besides its focus: the clock, variables, an index, and ports to the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from service.fhirpath.comparison import distinct
from service.fhirpath.errors import Fault
from service.fhirpath.model import definition
from service.fhirpath.nodes import Node
from service.fhirpath.values import EMPTY, Collection, Item

MAX_STEPS: Final = 100_000
"""Items that the loops of one evaluation may visit in all: a bound on hostile expressions and data."""

Found = Mapping[str, Collection]


@dataclass(frozen=True)
class ItemIndex:
    """The items of a QuestionnaireResponse by linkId, contained resources left out of account.

    Built when first asked, and once for a response: it spares every expression its own search.
    """

    response: Node

    def is_of(self, focus: Collection) -> bool:
        """True when `focus` is the response itself."""
        return len(focus) == 1 and type(focus[0]) is Node and focus[0].value is self.response.value

    @property
    def anywhere(self) -> Found:
        """What `descendants()` finds, in its order."""
        return self._found[0]

    @property
    def under_items(self) -> Found:
        """What `repeat(item)` finds: not the items under answers, and of equal items only the first."""
        return self._found[1]

    @cached_property
    def _found(self) -> tuple[Found, Found]:
        anywhere: dict[str, list[Item]] = {}
        under_items: dict[str, list[Item]] = {}
        item_type = definition("QuestionnaireResponse.item")
        # Level by level, answers between the items, as descendants() goes: so both find the same order.
        level = [(item, True, True) for item in _objects(self.response.value, "item")]
        while level:
            deeper = []
            for element, is_item, direct in level:
                link_id = element.get("linkId") if is_item else None
                if isinstance(link_id, str):
                    node = Node(element, item_type)
                    anywhere.setdefault(link_id, []).append(node)
                    if direct:
                        under_items.setdefault(link_id, []).append(node)
                if "answer" in element:
                    deeper += [(answer, False, False) for answer in _objects(element, "answer") if "item" in answer]
                if "item" in element:
                    deeper += [(item, True, direct) for item in _objects(element, "item")]
            level = deeper
        return anywhere, {link_id: distinct(items) for link_id, items in under_items.items()}


def index_items(response: Node) -> ItemIndex:
    """The index of a QuestionnaireResponse."""
    return ItemIndex(response)


def _objects(element: dict[str, Any], name: str) -> list[dict[str, Any]]:
    content = element.get(name)
    return [child for child in content if type(child) is dict] if type(content) is list else []


@dataclass(frozen=True, slots=True)
class Environment:
    """`now` is aware and stands for now(), today() and timeOfDay(), in its own offset.

    `variables` are read with [] and only when an expression comes to need them, so a lazy Mapping works; a name that is
    missing is an EvaluationError. `items_by_link_id` answers searches by linkId in the response it is of. The ports:
    `member_of(item, value_set_url)` is a code, Coding or CodeableConcept in the value set (None: not known);
    `weight(coding)` the ordinal value of a code; `resolve(reference)` a resource outside of `%resource`;
    `trace(name, items)` is told what passes a trace().
    """

    now: datetime
    variables: Mapping[str, Sequence[Item]] = field(default_factory=lambda: MappingProxyType({}))
    items_by_link_id: ItemIndex | None = None
    member_of: Callable[[Item, str], bool | None] | None = None
    weight: Callable[[Item], Decimal | None] | None = None
    resolve: Callable[[str], Node | None] | None = None
    trace: Callable[[str, Collection], None] | None = None

    def with_variables(self, variables: Mapping[str, Sequence[Item]]) -> Environment:
        """The same but for its variables."""
        # Written out: dataclasses.replace takes several times as long, and every item of a response may need one.
        return Environment(
            self.now, variables, self.items_by_link_id, self.member_of, self.weight, self.resolve, self.trace
        )


class Budget:
    """Counts down the items that loops visit."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps = MAX_STEPS


class Scope:
    """What the names of an expression mean at one point of its evaluation."""

    __slots__ = ("_budget", "context", "environment", "index", "this", "total", "variables")

    def __init__(self, environment: Environment, focus: Collection) -> None:
        self.environment = environment
        self.context = focus
        self.this = focus
        self.index = 0
        self.total = EMPTY
        self.variables: Mapping[str, Collection] = _NO_VARIABLES
        # Made when the first loop needs it: most expressions have none.
        self._budget: Budget | None = None

    def inner(self, this: Collection) -> Scope:
        """A scope for the arguments of a function on `this`; its variables begin as those of the outer scope."""
        if self._budget is None:
            self._budget = Budget()
        scope = Scope(self.environment, self.context)
        scope.this = this
        scope.index = self.index
        scope.total = self.total
        scope.variables = self.variables
        scope._budget = self._budget
        return scope

    def spend(self, steps: int) -> None:
        """Count items that a loop visits. Raises Fault when the evaluation has visited too many."""
        if self._budget is None:
            self._budget = Budget()
        self._budget.steps -= steps
        if self._budget.steps < 0:
            raise Fault(f"the evaluation visits more than {MAX_STEPS} items")

    def variable(self, name: str) -> Collection:
        """The collection called `%name`. Raises Fault when there is none."""
        try:
            return self.environment.variables[name]
        except KeyError:
            return self.default(name)

    def default(self, name: str) -> Collection:
        """What `%name` is where the environment does not say. Raises Fault when that is nothing."""
        if name == "context":
            return self.context
        if name in ("resource", "rootResource") and self._context_is_resource():
            return self.context
        raise Fault(f"the environment has no %{name}")

    def _context_is_resource(self) -> bool:
        return len(self.context) == 1 and isinstance(self.context[0], Node) and self.context[0].definition.is_resource


_NO_VARIABLES: Final[Mapping[str, Collection]] = MappingProxyType({})
