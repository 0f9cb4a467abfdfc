"""One response read against its Questionnaire: what is hidden, what counts, and what expressions see of it.

Validation looks at the response as sent. Assessment and extraction look at what counts: without answers to hidden
questions, and without an exclusive option ("none of these") that stands beside another answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType

from service.fhir.elements import choice_key
from service.fhir.json import Json
from service.fhir.primitives import date_of, is_datetime
from service.fhir.terminology import Terminology
from service.fhirpath import Environment, Expression, Node, index_items, json_value
from service.fhirpath import Item as Value
from service.sdc import vocabulary as sdc
from service.sdc.comparison import answer_key
from service.sdc.enablement import Enablement, ExpressionTest, disabled_entries, hidden_link_ids, prune
from service.sdc.items import Entry, Paired, Scope, pair
from service.sdc.questionnaire import Item, Questionnaire

_MOST_ROUNDS = 16
"""How long a chain of questions that hide one another by expressions is followed."""


_NOTHING: Mapping[str, Expression] = MappingProxyType({})


class Variables(Mapping[str, Sequence[Value]]):
    """Values known by name, and named expressions evaluated when first read, before those of an outer mapping."""

    def __init__(
        self,
        outer: Environment,
        focus: Sequence[Value],
        named: Mapping[str, Expression] = _NOTHING,
        known: Mapping[str, Sequence[Value]] | None = None,
    ) -> None:
        self._outer = outer.variables
        self._focus = focus
        self._expressions = named
        self._values: dict[str, Sequence[Value]] = dict(known or {})
        self.environment = outer.with_variables(self)

    def __getitem__(self, name: str) -> Sequence[Value]:
        if name in self._values:
            return self._values[name]
        expression = self._expressions.get(name)
        if expression is None:
            return self._outer[name]
        value = self._values[name] = expression.evaluate(self._focus, self.environment)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(self._outer), **self._expressions, **self._values})

    def __len__(self) -> int:
        return len({*self._outer, *self._expressions, *self._values})


@dataclass(frozen=True)
class ResponseContext:
    """A response (its shape already checked) read against its Questionnaire.

    `counted` is the response as assessment and extraction see it; `disabled` the entries that are hidden though they
    stand in the response; `exclusive_conflicts` the entries where an exclusive option stands beside another answer;
    `previous` are the earlier responses that facts read, the newest authored first.
    """

    questionnaire: Questionnaire
    response: Json
    now: datetime
    paired: Paired
    enablement: Enablement
    disabled: frozenset[Entry]
    exclusive_conflicts: tuple[Entry, ...]
    counted: Json
    environment: Environment
    previous: tuple[Json, ...] = ()

    @cached_property
    def counted_entries(self) -> Paired:
        """`counted` paired with the Questionnaire."""
        return self.paired if self.counted is self.response else pair(self.questionnaire, self.counted)

    @cached_property
    def counted_answers(self) -> Mapping[str, Sequence[Json]]:
        """The answers that count, by linkId, in the order of the response."""
        answers: dict[str, list[Json]] = {}
        for entry in self.counted_entries.entries:
            answers.setdefault(entry.item.link_id, []).extend(entry.answers)
        return answers

    def looking_back(self, previous: tuple[Json, ...]) -> ResponseContext:
        """The same with these earlier responses, which nothing but the facts that read them depends on."""
        if previous == self.previous:
            return self
        known = {sdc.LOOK_BACK: [Node.of_resource(one) for one in previous]}
        root = self.environment.variables["resource"]
        environment = Variables(self.environment, root, self.questionnaire.expressions, known).environment
        return replace(self, previous=previous, environment=environment)

    def environment_of(self, entry: Entry) -> Environment:
        """What an expression on the entry's item sees: its own variables and those around it."""
        return _entry_environment(self.environment, entry)


def read_response(
    questionnaire: Questionnaire, response: Json, now: datetime, launch: Mapping[str, Json] | None = None
) -> ResponseContext:
    """`response` read against `questionnaire` at the time `now` (aware).

    `launch` holds resources by the name of their launch context ("patient"). Raises EvaluationError when an expression
    that decides what is shown cannot be evaluated.
    """
    paired = pair(questionnaire, response)
    conflicts = tuple(entry for entry in paired.entries if _conflicting(entry))
    dropped = {id(entry.node): _exclusive_positions(entry) for entry in conflicts}
    base = base_variables(questionnaire, response, now, launch or {}, conflicts)
    disabled = frozenset[Entry]()
    counted = prune(response, disabled, dropped)
    environment = root_environment(questionnaire, counted, now, base)
    for _ in range(_MOST_ROUNDS):
        enablement = Enablement(questionnaire, _expression_test(environment))
        before, disabled = disabled, disabled_entries(enablement, paired)
        if disabled == before:
            break
        counted = prune(response, disabled, dropped)
        environment = root_environment(questionnaire, counted, now, base)
    hidden = list(dict.fromkeys(hidden_link_ids(enablement, paired.root)))
    root = environment.variables["resource"]
    environment = Variables(environment, root, questionnaire.expressions, {"hidden": hidden}).environment
    return ResponseContext(questionnaire, response, now, paired, enablement, disabled, conflicts, counted, environment)


def base_variables(
    questionnaire: Questionnaire,
    response: Json,
    now: datetime,
    launch: Mapping[str, Json],
    conflicts: Sequence[Entry] = (),
) -> dict[str, Sequence[Value]]:
    """The variables that every expression sees, but for those that the Questionnaire defines and those of the response.

    What queries find is nothing here: only a population asks.
    """
    return {
        "questionnaire": [Node.of_resource(questionnaire.definition)],
        "ucum": ["http://unitsofmeasure.org"],
        "sct": ["http://snomed.info/sct"],
        "loinc": ["http://loinc.org"],
        "hidden": [],
        sdc.LOOK_BACK: [],
        "exclusiveConflicts": [entry.item.link_id for entry in conflicts],
        "authoredDate": _authored_date(response, now),
        **{name: [] for name in questionnaire.launch_contexts | questionnaire.population_names},
        **{name: [Node.of_resource(resource)] for name, resource in launch.items()},
    }


def _authored_date(response: Json, now: datetime) -> list[Value]:
    authored = response.get("authored")
    if authored is None:
        return [Node.of(now.date().isoformat(), "date")]
    day = date_of(authored) if is_datetime(authored) else None
    return [] if day is None else [Node.of(day.isoformat(), "date")]


def root_environment(
    questionnaire: Questionnaire,
    response: Json,
    now: datetime,
    base: Mapping[str, Sequence[Value]],
    resolve: Callable[[str], Node | None] | None = None,
) -> Environment:
    """What an expression at the Questionnaire's root sees: `base`, the response, and the root's own variables.

    `resolve` finds what references outside of the response name.
    """
    root = Node.of_resource(response)
    variables = {**base, "resource": [root], "rootResource": [root], "context": [root]}
    outer = Environment(
        now=now,
        variables=variables,
        items_by_link_id=index_items(root),
        member_of=_membership(questionnaire.terminology),
        weight=_weighing(questionnaire.weights),
        resolve=resolve,
    )
    return Variables(outer, [root], questionnaire.expressions).environment


def _membership(terminology: Terminology) -> Callable[[Value, str], bool | None]:
    def member_of(value: Value, value_set: str) -> bool | None:
        held = json_value(value)
        if isinstance(held, dict):
            codings = held.get("coding", [held])
            found = [terminology.contains(value_set, one.get("system"), str(one.get("code"))) for one in codings]
            return True if True in found else None if None in found else False
        return terminology.contains(value_set, None, str(held))

    return member_of


def _weighing(weights: Mapping[tuple[str | None, str | None], Decimal]) -> Callable[[Value], Decimal | None]:
    def weight(value: Value) -> Decimal | None:
        coding = json_value(value)
        return weights.get((coding.get("system"), coding.get("code"))) if isinstance(coding, dict) else None

    return weight


def _expression_test(environment: Environment) -> ExpressionTest:
    def test(item: Item, expression: Expression, scope: Scope) -> bool:
        entries = scope.entries.get(item.link_id)
        entry = entries[0] if entries else Entry(item, {"linkId": item.link_id}, scope.path, scope)
        return expression.test([_node(entry)], _entry_environment(environment, entry)) is True

    return test


def _entry_environment(root: Environment, entry: Entry) -> Environment:
    outer = root if entry.scope.owner is None else _entry_environment(root, entry.scope.owner)
    focus = [_node(entry)]
    known = {"context": focus, "qitem": [Node.of(entry.item.definition, "Questionnaire.item")]}
    return Variables(outer, focus, entry.item.expressions, known).environment


def _node(entry: Entry) -> Node:
    return Node.of(entry.node, "QuestionnaireResponse.item")


def _conflicting(entry: Entry) -> bool:
    return len(entry.answers) > 1 and bool(_exclusive_positions(entry))


def _exclusive_positions(entry: Entry) -> set[int]:
    positions = set()
    for position, answer in enumerate(entry.answers):
        key = choice_key(answer)
        option = entry.item.option_keys.get(answer_key(key, answer[key])) if key else None
        if option is not None and option.exclusive:
            positions.add(position)
    return positions
