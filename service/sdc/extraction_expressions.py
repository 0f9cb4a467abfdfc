"""The FHIRPath expressions of extraction: compiled once, and evaluated once for each focus that asks.

Many templates ask the same of a response (its subject, when it was authored). What does not look at the focus is
evaluated once for the whole extraction; anything else once for all templates at the same place of the response.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from service.errors import Detail, Issue, IssueType, error
from service.fhirpath import Environment, EvaluationError, Expression, FhirPathError, compile_expression
from service.fhirpath import Item as Value
from service.fhirpath.focus import reads_focus
from service.sdc.context import Variables
from service.sdc.element_value import Incompatible
from service.sdc.questionnaire import look_back_hint

_SAME_EVERYWHERE: Final = frozenset({"resource", "rootResource", "questionnaire"})
"""Variables that mean the same for every item of a response."""


_OF_THE_ITEM: Final = frozenset({"context", "qitem"})


class ExtractionError(ValueError):
    """An expression met data for which it has no answer; `path` is its place in the Questionnaire."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        super().__init__(reason)

    @classmethod
    def several(cls, path: str, number: int) -> ExtractionError:
        """The refusal of `number` values for one element."""
        return cls(path, f"{number} values for an element that takes one.")

    @classmethod
    def wrong(cls, path: str, refusal: Incompatible) -> ExtractionError:
        """The refusal of a value whose type does not fit."""
        return cls(path, str(refusal))


class View:
    """A focus in its environment, with what is known of it so far."""

    __slots__ = ("environment", "focus", "known", "shared")

    def __init__(self, focus: Sequence[Value], environment: Environment, shared: dict[str, list[Value]]) -> None:
        self.focus = focus
        self.environment = environment
        self.shared = shared
        self.known: dict[str, list[Value]] = {}

    def on(self, item: Value, name: str | None = None) -> View:
        """The same with the focus on `item`, which expressions may also read by `name`."""
        if name is None:
            return View([item], self.environment, self.shared)
        return View([item], Variables(self.environment, [item], known={name: [item]}).environment, self.shared)


@dataclass(frozen=True, slots=True, eq=False)
class ExtractionExpression:
    """An expression at its place in the Questionnaire; `name` is how what stands below may read its result."""

    expression: Expression
    path: str
    name: str | None
    is_shared: bool
    """Gives the same wherever it is evaluated in one response."""

    def results(self, view: View) -> list[Value]:
        """The items found, not to be changed. Raises ExtractionError when the expression cannot be evaluated."""
        known = view.shared if self.is_shared else view.known
        text = self.expression.text
        found = known.get(text)
        if found is None:
            try:
                found = known[text] = self.expression.evaluate(view.focus, view.environment)
            except EvaluationError as fault:
                raise ExtractionError(self.path, str(fault)) from fault
        return found

    def result(self, view: View) -> Value | None:
        """The only item found; None when there is none. Raises ExtractionError also when there are several."""
        found = self.results(view)
        if len(found) > 1:
            raise ExtractionError.several(self.path, len(found))
        return found[0] if found else None


@dataclass(frozen=True, slots=True)
class ExpressionCompiler:
    """Compiles the expressions on the item `link_id` ("" for the root), and notes what stands wrong in `issues`.

    `self_aware` gets the linkIds whose expressions read the item that they stand on by %context or %qitem; `look_back`
    are the variables that they must not read.
    """

    issues: list[Issue] = field(default_factory=list)
    self_aware: set[str] = field(default_factory=set)
    link_id: str = ""
    look_back: frozenset[str] = frozenset()

    def on(self, link_id: str) -> ExpressionCompiler:
        """The same for the expressions on another item."""
        return replace(self, link_id=link_id)

    def refuse(self, code: IssueType, text: str, path: str) -> None:
        """Notes that the element at `path` makes the extraction unusable."""
        self.issues.append(error(code, text, path, Detail.TEMPLATE_UNUSABLE))

    def compile(self, source: Any, path: str, names: frozenset[str]) -> ExtractionExpression | None:
        """The expression in `source`, a text or an Expression; None, and an issue more, when it cannot be compiled."""
        parts = source if isinstance(source, dict) else {"expression": source}
        text, language = parts.get("expression"), parts.get("language", "text/fhirpath")
        if not isinstance(text, str) or language != "text/fhirpath":
            reason = "An extraction expression is a FHIRPath text in valueString or valueExpression."
            self.refuse(IssueType.INVALID, reason, path)
            return None
        try:
            expression = compile_expression(text, variables=names)
            is_shared = expression.variables <= _SAME_EVERYWHERE and not reads_focus(text)
        except FhirPathError as fault:
            hint = look_back_hint(text, self.look_back)
            self.refuse(IssueType.INVALID, f"The expression cannot be compiled: {fault}{hint}", path)
            return None
        if not expression.variables.isdisjoint(_OF_THE_ITEM):
            self.self_aware.add(self.link_id)
        return ExtractionExpression(expression, path, parts.get("name"), is_shared)
