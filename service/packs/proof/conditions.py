"""The conditions of rules as formulas over facts.

What counts is the syntax that the engine compiles. Anything but logic over facts, and looks at `%fired` and
`%notAssessed` that judge each rule id alone, is refused: the proof would not see through it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from service.fhirpath import Environment, compile_expression
from service.fhirpath.parser import parse
from service.fhirpath.syntax import Binary, Call, Literal, Operator, Syntax, Variable, parts
from service.fhirpath.writing import written
from service.packs.proof.formula import (
    EMPTY,
    FALSE,
    TRUE,
    Atom,
    Constant,
    Formula,
    among,
    conjunction,
    disjunction,
    exclusive,
    negation,
)
from service.packs.proof.reading import unprovable
from service.sdc.triage import Rule

_OF_RULES: Final = {"fired": TRUE, "notAssessed": EMPTY}
"""The variables about rules judged before, and the value of a rule whose id is in them."""


def rule_formulas(rules: Sequence[Rule], scattered: Mapping[str, Sequence[str]]) -> dict[str, Formula]:
    """The condition of each rule, by id; `scattered` are facts that are the `or` of others. Raises Unprovable."""
    found: dict[str, Formula] = {}
    for stage in sorted({rule.stage for rule in rules}):
        earlier = dict(found)
        for rule in rules:
            if rule.stage == stage:
                found[rule.id] = _formula(parse(rule.expression.text), rule.id, scattered, earlier)
    return {rule.id: found[rule.id] for rule in rules}


def _formula(
    syntax: Syntax, rule_id: str, scattered: Mapping[str, Sequence[str]], earlier: Mapping[str, Formula]
) -> Formula:
    def of(part: Syntax) -> Formula:
        return _formula(part, rule_id, scattered, earlier)

    looked_at = _variables(syntax) & _OF_RULES.keys()
    if looked_at and (ids := _each_alone(syntax, looked_at, earlier)) is not None:
        return ids
    match syntax:
        case Literal(value=()):
            return Constant(EMPTY)
        case Literal(value=(bool() as value,)):
            return Constant(TRUE if value else FALSE)
        case Variable(name=name) if name in scattered:
            return disjunction(*map(Atom, scattered[name]))
        case Variable(name=name):
            return Atom(name)
        case Binary(operator=Operator.AND, left=left, right=right):
            return conjunction(of(left), of(right))
        case Binary(operator=Operator.OR, left=left, right=right):
            return disjunction(of(left), of(right))
        case Binary(operator=Operator.XOR, left=left, right=right):
            return exclusive(of(left), of(right))
        case Binary(operator=Operator.IMPLIES, left=left, right=right):
            return disjunction(negation(of(left)), of(right))
        case Call(name="not", source=source, arguments=()) if source is not None:
            return negation(of(source))
        case Call(name="exists", source=source, arguments=()) if source is not None:
            return among(of(source), TRUE | FALSE)
        case Call(name="empty", source=source, arguments=()) if source is not None:
            return among(of(source), EMPTY)
    text = f"The rule {rule_id} says '{written(syntax)}', which is no logic over facts. Make a fact of it."
    raise unprovable(text, "PlanDefinition.action")


def _each_alone(syntax: Syntax, looked_at: Iterable[str], earlier: Mapping[str, Formula]) -> Formula | None:
    """`%fired.exists()` or `.empty()`, perhaps narrowed by where(), and `contains`: one judgement of each rule id."""
    (name,) = looked_at
    match syntax:
        case Call(name="exists" | "empty" as function, source=source, arguments=()) if source is not None:
            if not _is_filtered(source, name):
                return None
            kept = [one for one in earlier if _keeps(source, name, one)]
            some = disjunction(*(among(earlier[one], _OF_RULES[name]) for one in kept))
            return some if function == "exists" else negation(some)
        case Binary(operator=Operator.CONTAINS, left=Variable(), right=Literal(value=(str() as wanted,))) | (
            Binary(operator=Operator.IN, left=Literal(value=(str() as wanted,)), right=Variable())
        ):
            return among(earlier[wanted], _OF_RULES[name]) if wanted in earlier else Constant(FALSE)
    return None


def _is_filtered(syntax: Syntax, name: str) -> bool:
    match syntax:
        case Variable(name=other):
            return other == name
        case Call(name="where", source=source, arguments=(criterion,)) if source is not None:
            return _is_filtered(source, name) and not _variables(criterion)
    return False


def _keeps(syntax: Syntax, name: str, rule_id: str) -> bool:
    expression = compile_expression(written(syntax))
    environment = Environment(now=datetime(2020, 1, 1, tzinfo=UTC), variables={name: [rule_id]})
    return bool(expression.evaluate([], environment))


def _variables(syntax: Syntax) -> set[str]:
    return {part.name for part in parts(syntax) if isinstance(part, Variable)}
