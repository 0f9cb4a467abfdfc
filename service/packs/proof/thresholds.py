"""Where facts turn with a number or a span of time: each such place is stated, and is where the statement says."""

from __future__ import annotations

from collections.abc import Iterator

from service.fhirpath import Quantity
from service.fhirpath.parser import parse
from service.fhirpath.syntax import Binary, Operator, Syntax, parts
from service.packs.proof.answering import ANY_DAY, Alternative, alternatives, authored_days
from service.packs.proof.cases import Case, case_context, described, truth_value
from service.packs.proof.formula import FALSE, TRUE
from service.packs.proof.reading import AUTHORED, Unprovable, literals, readings
from service.packs.statements import PROOF_FILE, Statements, Threshold
from service.sdc.questionnaire import Questionnaire

_ORDERING = frozenset({Operator.LESS, Operator.LESS_OR_EQUAL, Operator.GREATER, Operator.GREATER_OR_EQUAL})


def threshold_differences(questionnaire: Questionnaire, facts: frozenset[str], statements: Statements) -> Iterator[str]:
    """Comparisons behind `facts` without a statement, and answers that a stated threshold judges otherwise."""
    stated = {threshold.fact for threshold in statements.thresholds}
    # What looks back is not looked into: vignettes have to notice each slip of a number there.
    for name in sorted(_comparing_facts(questionnaire, facts) - stated - questionnaire.look_back):
        yield f"'{name}' compares with a number or a span of time. State its threshold in {PROOF_FILE}."
    for threshold in statements.thresholds:
        yield from _wrong_side(questionnaire, threshold)


def _comparing_facts(questionnaire: Questionnaire, facts: frozenset[str]) -> set[str]:
    """Those of the facts, and of the facts behind them, that compare by rank with a constant."""
    found: set[str] = set()
    waiting, seen = list(facts), set(facts)
    while waiting:
        name = waiting.pop()
        expression = questionnaire.expressions[name]
        if _compares(parse(expression.text)):
            found.add(name)
        new = (expression.variables & questionnaire.expressions.keys()) - seen
        seen |= new
        waiting += new
    return found


def _compares(syntax: Syntax) -> bool:
    compared = (part for part in parts(syntax) if isinstance(part, Binary) and part.operator in _ORDERING)
    return any(isinstance(one, int | Quantity) and not isinstance(one, bool) for one in literals(compared))


def _wrong_side(questionnaire: Questionnaire, threshold: Threshold) -> Iterator[str]:
    reading = readings(questionnaire).get(threshold.fact)
    if reading is None or isinstance(reading, Unprovable):
        yield f"'{threshold.fact}' has a threshold, but cannot be looked at."
        return
    if reading.questions - {AUTHORED} != {threshold.question}:
        yield f"'{threshold.fact}' has a threshold on '{threshold.question}', but rests on other questions."
        return
    item = questionnaire.by_link_id[threshold.question]
    for day in authored_days(reading.expressions) if AUTHORED in reading.questions else (ANY_DAY,):
        for one in alternatives(item, reading.expressions, day):
            amount = _amount(one, threshold.unit)
            if amount is None:
                continue
            case = Case(day, {threshold.question: one})
            context = case_context(questionnaire, case)
            expected = TRUE if amount > threshold.limit else FALSE
            if truth_value(context.environment.variables[threshold.fact]) != expected:
                side = "true" if expected == TRUE else "false"
                told = described(questionnaire, case)
                yield f"{told}: {amount} {threshold.unit}, but '{threshold.fact}' is not {side}."
                return


def _amount(alternative: Alternative, unit: str) -> float | None:
    """How much an alternative is in this unit; None where that is no question."""
    match unit:
        case "days":
            days = alternative.days_before
            return days if days is not None and days >= 0 else None
        case "answers":
            is_plain = alternative.value is None and not alternative.has_exclusive
            return (alternative.count or None) if is_plain else None
    held = None if alternative.value is None else next(iter(alternative.value.values()))
    return None if held is None else float(held)
