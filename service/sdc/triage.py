"""Red-flag logic as data: a PlanDefinition (eca-rule) compiled into rules.

One action is one rule: `id`, `title`, `textEquivalent` (the sentence for the patient), `code` (the level), `condition`
(FHIRPath, three-valued), `documentation` (the sources, each with `label` page, guidance or policy), `priority` (how
pressing it is to others than the patient). A nested action with a condition adds a sentence where it holds. Levels are
ordered by the property `order` of their CodeSystem. The actions of a contained PlanDefinition are no rules: those with
a `trigger` say when a chart calls for the page, the others are advice, shown with a result where their condition holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import total_ordering

from service.errors import Detail, Issue, IssueType, error
from service.fhir.json import Json
from service.fhir.terminology import Terminology, concept_property, concepts
from service.fhirpath import Expression, FhirPathError, compile_expression
from service.sdc import vocabulary as sdc
from service.sdc.chart_trigger import ChartTrigger, compile_trigger
from service.sdc.questionnaire import Questionnaire, look_back_hint

_STRING_LITERAL = re.compile(r"'((?:[^'\\]|\\.)*)'")


class Priority(StrEnum):
    """FHIR R4 request-priority, the least pressing first."""

    ROUTINE = "routine"
    URGENT = "urgent"
    ASAP = "asap"
    STAT = "stat"


@total_ordering
@dataclass(frozen=True, slots=True)
class Level:
    """A triage level: its code, how high it stands, and its interpretation code (N, A, AA) when it has one.

    `definition` says to people what to do, and by when.
    """

    system: str
    code: str
    display: str
    definition: str
    order: int
    interpretation: str | None

    def __lt__(self, other: Level) -> bool:
        return self.order < other.order

    @property
    def coding(self) -> Json:
        """The level as a FHIR Coding."""
        return {"system": self.system, "code": self.code, "display": self.display}


class SourceLabel(StrEnum):
    """Whose a source is: the page that questions come from, other guidance, or the project's own policy."""

    PAGE = "page"
    GUIDANCE = "guidance"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a rule comes from: `label` is a SourceLabel, or what stands there in its place."""

    label: str
    citation: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Fact:
    """A variable that a rule reads: the questions it rests on, the codes it names, and whether it looks back."""

    name: str
    link_ids: frozenset[str]
    literals: frozenset[str]
    looks_back: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One red-flag rule. `additions` are sentences for the patient that hold under a condition of their own."""

    id: str
    title: str
    level: Level
    priority: Priority
    sentence: str
    additions: tuple[tuple[Expression, str], ...]
    sources: tuple[Source, ...]
    expression: Expression
    facts: tuple[Fact, ...]

    @property
    def stage(self) -> int:
        """When the rule is judged: 0 from answers alone, 1 after those (`%notAssessed`), 2 last (`%fired`)."""
        if "fired" in self.expression.variables:
            return 2
        return 1 if "notAssessed" in self.expression.variables else 0


@dataclass(frozen=True, slots=True)
class Advice:
    """What a result says beside its rules, such as home care; shown where `expression` is true, or always without."""

    id: str
    title: str
    text: str
    sources: tuple[Source, ...]
    expression: Expression | None


@dataclass(frozen=True, slots=True)
class TriagePlan:
    """A compiled PlanDefinition; `code` is the CodeableConcept of its result. `issues` say what is unusable in it."""

    definition: Json
    code: Json
    rules: tuple[Rule, ...]
    advice: tuple[Advice, ...]
    triggers: tuple[ChartTrigger, ...]
    levels: tuple[Level, ...]
    issues: tuple[Issue, ...]

    @property
    def highest(self) -> Level:
        """The level that no other exceeds."""
        return max(self.levels)

    @property
    def disclaimer(self) -> str:
        """What goes with every result: what it is not."""
        return str(self.definition.get("usage", ""))


def compile_plan(definition: Json, questionnaire: Questionnaire, terminology: Terminology) -> TriagePlan:
    """The compiled form of a PlanDefinition whose conditions read the facts (root variables) of `questionnaire`.

    `terminology` holds the CodeSystem of the levels. Raises nothing for what is wrong inside: see `TriagePlan.issues`.
    """
    return _Compiler(definition, questionnaire, terminology).compile()


@dataclass(slots=True)
class _Compiler:
    definition: Json
    questionnaire: Questionnaire
    terminology: Terminology
    issues: list[Issue] = field(default_factory=list)

    def compile(self) -> TriagePlan:
        facts = facts_of(self.questionnaire)
        levels = {(level.system, level.code): level for level in self._levels()}
        rules = tuple(self._rules(facts, levels))
        advice = tuple(self._advice())
        triggers = tuple(self._triggers())
        topics = self.definition.get("topic", [])
        if not topics:
            text = "The plan needs a topic: the code of the Observation that carries its result."
            self._refuse(IssueType.REQUIRED, text, "PlanDefinition.topic")
        if not rules:
            self._refuse(IssueType.REQUIRED, "The plan has no usable rule.", "PlanDefinition.action")
        return TriagePlan(
            definition=self.definition,
            code=topics[0] if topics else {},
            rules=rules,
            advice=advice,
            triggers=triggers,
            levels=tuple(sorted(levels.values())),
            issues=tuple(self.issues),
        )

    def _levels(self) -> Iterator[Level]:
        systems = {action["code"][0]["coding"][0].get("system") for action in self._actions() if _has_level(action)}
        for system in sorted(system for system in systems if system):
            code_system = self.terminology.code_systems.get(system)
            if code_system is None:
                text = f"The CodeSystem '{system}' of the levels is not in the page."
                self._refuse(IssueType.NOT_FOUND, text, "PlanDefinition.action.code")
                continue
            for concept in concepts(code_system):
                order = concept_property(concept, "order")
                if isinstance(order, int):
                    interpretation = concept_property(concept, "interpretation")
                    display = str(concept.get("display", concept["code"]))
                    definition = str(concept.get("definition", display))
                    yield Level(str(system), concept["code"], display, definition, order, interpretation)

    def _actions(self) -> list[Json]:
        actions: list[Json] = self.definition.get("action", [])
        return actions

    def _rules(self, facts: Mapping[str, Fact], levels: Mapping[tuple[str, str], Level]) -> Iterator[Rule]:
        seen: set[str] = set()
        for index, action in enumerate(self._actions()):
            path = f"PlanDefinition.action[{index}]"
            identity = action.get("id", "")
            missing = [name for name in ("id", "title", "textEquivalent", "condition") if not action.get(name)]
            if missing:
                self._refuse(IssueType.REQUIRED, f"A rule needs {', '.join(missing)}.", path)
                continue
            if identity in seen:
                self._refuse(IssueType.DUPLICATE, f"The rule id '{identity}' stands twice.", path)
            seen.add(identity)
            coding = action["code"][0]["coding"][0] if _has_level(action) else {}
            level = levels.get((coding.get("system", ""), coding.get("code", "")))
            if level is None:
                text = f"The rule {identity} needs a level: a code of a CodeSystem whose concepts have an `order`."
                self._refuse(IssueType.REQUIRED, text, f"{path}.code")
            expression = self._condition(action, path)
            if level is None or expression is None:
                continue
            yield Rule(
                id=identity,
                title=action["title"],
                level=level,
                priority=self._priority(action, path),
                sentence=action["textEquivalent"],
                additions=tuple(self._additions(action, path)),
                sources=tuple(self._sources(action, path)),
                expression=expression,
                facts=tuple(facts[name] for name in sorted(expression.variables) if name in facts),
            )

    def _priority(self, action: Json, path: str) -> Priority:
        try:
            return Priority(action.get("priority", Priority.ROUTINE))
        except ValueError:
            text = f"'{action['priority']}' is no priority. Use {', '.join(Priority)}."
            self._refuse(IssueType.CODE_INVALID, text, f"{path}.priority")
            return Priority.ROUTINE

    def _advice(self) -> Iterator[Advice]:
        for action, path in self._contained_actions():
            if "trigger" in action:
                continue
            missing = [name for name in ("id", "title", "textEquivalent") if not action.get(name)]
            if missing:
                self._refuse(IssueType.REQUIRED, f"Advice needs {', '.join(missing)}.", path)
                continue
            expression = self._condition(action, path) if "condition" in action else None
            sources = tuple(self._sources(action, path))
            yield Advice(action["id"], action["title"], action["textEquivalent"], sources, expression)

    def _triggers(self) -> Iterator[ChartTrigger]:
        for action, path in self._contained_actions():
            if "trigger" in action:
                trigger, faults = compile_trigger(action, path)
                self.issues.extend(faults)
                if trigger is not None:
                    yield trigger

    def _contained_actions(self) -> Iterator[tuple[Json, str]]:
        for position, contained in enumerate(self.definition.get("contained", [])):
            for index, action in enumerate(contained.get("action", [])):
                yield action, f"PlanDefinition.contained[{position}].action[{index}]"

    def _additions(self, action: Json, path: str) -> Iterator[tuple[Expression, str]]:
        for index, nested in enumerate(action.get("action", [])):
            expression = self._condition(nested, f"{path}.action[{index}]")
            if expression is not None and nested.get("textEquivalent"):
                yield expression, nested["textEquivalent"]

    def _sources(self, action: Json, path: str) -> Iterator[Source]:
        for document in action.get("documentation", []):
            citation = document.get("citation") or document.get("display") or ""
            yield Source(document.get("label", ""), citation, document.get("url"))
        if not action.get("documentation"):
            self._refuse(IssueType.REQUIRED, f"'{action.get('id')}' names no source.", f"{path}.documentation")

    def _condition(self, action: Json, path: str) -> Expression | None:
        conditions = action.get("condition", [])
        place = f"{path}.condition[0].expression"
        if len(conditions) != 1 or conditions[0].get("expression", {}).get("language") != "text/fhirpath":
            self._refuse(IssueType.INVALID, "A rule has exactly one condition, in text/fhirpath.", place)
            return None
        names = self.questionnaire.fact_names | sdc.RULE_VARIABLES
        text = conditions[0]["expression"].get("expression", "")
        try:
            return compile_expression(text, context_type="QuestionnaireResponse", variables=names)
        except FhirPathError as fault:
            hint = look_back_hint(text, frozenset())
            self._refuse(IssueType.INVALID, f"The condition cannot be compiled: {fault}{hint}", place)
            return None

    def _refuse(self, code: IssueType, text: str, path: str) -> None:
        self.issues.append(error(code, text, path, Detail.PLAN_UNUSABLE))


def _has_level(action: Json) -> bool:
    codes = action.get("code") or [{}]
    return bool(codes[0].get("coding"))


def facts_of(questionnaire: Questionnaire) -> dict[str, Fact]:
    """Each root variable with the questions and codes that it, or a variable it reads, names."""
    facts: dict[str, Fact] = {}
    for variable in questionnaire.variables:
        expression = variable.expression
        read = [facts[name] for name in expression.variables if name in facts]
        literals = frozenset(_STRING_LITERAL.findall(expression.text))
        facts[variable.name] = Fact(
            variable.name,
            expression.link_ids.union(*(fact.link_ids for fact in read)),
            literals.union(*(fact.literals for fact in read)),
            variable.name in questionnaire.look_back,
        )
    return facts
