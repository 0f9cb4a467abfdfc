"""Which questions a fact rests on, told from its expression alone.

A fact may be enumerated by its questions only if nothing else can change it. So an expression may read the response
by linkId, the day of authoring, other facts, and the engine's variables about a question that it names; anything else
is refused, by name, rather than guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from service.errors import DomainError, IssueType, error
from service.fhirpath.focus import reads_focus
from service.fhirpath.parser import parse
from service.fhirpath.syntax import (
    Binary,
    Call,
    Index,
    Indexer,
    Literal,
    Member,
    Operator,
    Polarity,
    Syntax,
    Total,
    TypeOperation,
    Variable,
    children,
    parts,
)
from service.sdc.questionnaire import Item, Questionnaire

AUTHORED: Final = "authored"
"""Stands among linkIds for the day of authoring."""

_RESPONSE: Final = frozenset({"resource", "rootResource", "context"})
_BY_QUESTION: Final = frozenset({"exclusiveConflicts", "hidden"})
CONSTANT: Final = frozenset({"questionnaire", "ucum", "sct", "loinc"})
CLOCK: Final = frozenset({"now", "today", "timeOfDay", "resolve"})
_BLIND_TO_CODES: Final = frozenset(
    {"where", "exists", "empty", "not", "count", "iif", "select", "ofType", "repeat", "descendants", "distinct", "all"}
)
_ARITHMETIC: Final = frozenset(
    {Operator.ADD, Operator.SUBTRACT, Operator.MULTIPLY, Operator.DIVIDE, Operator.DIV, Operator.MOD}
)
_ORDERING: Final = frozenset({Operator.LESS, Operator.LESS_OR_EQUAL, Operator.GREATER, Operator.GREATER_OR_EQUAL})


class Unprovable(DomainError):
    """The page uses something that the proof cannot see through; the issue names it, and what to write instead."""


def unprovable(text: str, path: str | None = None) -> Unprovable:
    return Unprovable([error(IssueType.NOT_SUPPORTED, text, path)])


@dataclass(frozen=True, slots=True)
class Reading:
    """What one fact rests on. `questions` are linkIds, and AUTHORED; `expressions` all that are evaluated for it.

    `is_scattered`: it says whether any question at all has an exclusive conflict, so it is the `or` over all groups.
    """

    name: str
    questions: frozenset[str]
    expressions: tuple[Syntax, ...]
    is_scattered: bool


def readings(questionnaire: Questionnaire) -> dict[str, Reading | Unprovable]:
    """What each root variable rests on, or why that cannot be told."""
    found: dict[str, Reading | Unprovable] = {}
    for variable in questionnaire.variables:
        try:
            found[variable.name] = _reading(questionnaire, variable.name, variable.expression.text, found)
        except Unprovable as fault:
            found[variable.name] = fault
    return found


def _reading(
    questionnaire: Questionnaire, name: str, text: str, earlier: Mapping[str, Reading | Unprovable]
) -> Reading:
    path = f"Questionnaire.extension (variable {name})"
    syntax = parse(text)
    if _is_scattered(syntax):
        return Reading(name, frozenset(), (syntax,), is_scattered=True)
    questions: set[str] = set()
    expressions = [syntax]
    if reads_focus(text):
        raise unprovable(f"'{name}' reads the response without %resource. Write %resource in front.", path)
    for read in _reads(syntax):
        match read:
            case Question(link_id=link_id):
                if link_id in questionnaire.by_link_id:
                    questions |= {link_id, *deciding_questions(questionnaire, link_id)}
            case Variable(name="authoredDate"):
                questions.add(AUTHORED)
            case Variable(name=other) if other in questionnaire.look_back:
                raise unprovable(f"'{name}' builds on '{other}', which looks back. Join them in the rule.", path)
            case Variable(name=other) if other in earlier:
                known = earlier[other]
                if isinstance(known, Unprovable):
                    raise known
                if known.is_scattered:
                    raise unprovable(f"'{name}' builds on '{other}', which looks at all questions at once.", path)
                questions |= known.questions
                expressions += known.expressions
            case Variable(name=other) if other in CONSTANT:
                pass
            case Variable(name=other):
                raise unprovable(f"'{name}' reads %{other} in a way that hides what it rests on.", path)
            case Call(name=function):
                raise unprovable(f"'{name}' calls {function}(), which rests on more than the answers.", path)
    return Reading(name, frozenset(questions), tuple(expressions), is_scattered=False)


@dataclass(frozen=True, slots=True)
class Question:
    """A look at the response by this linkId."""

    link_id: str


def _reads(syntax: Syntax) -> Iterator[Question | Variable | Call]:
    """What an expression reads: questions, variables, and functions that look beyond."""
    found = question_path(syntax)
    if found is not None:
        yield from (Question(link_id) for link_id in found)
        return
    match syntax:
        case Binary(operator=Operator.CONTAINS, left=Variable(name=name), right=Literal(value=(str() as link_id,))) | (
            Binary(operator=Operator.IN, right=Variable(name=name), left=Literal(value=(str() as link_id,)))
        ) if name in _BY_QUESTION:
            yield Question(link_id)
            return
        case Variable():
            yield syntax
        case Call(name=name) if name in CLOCK:
            yield syntax
    for child in children(syntax):
        yield from _reads(child)


def question_path(syntax: Syntax) -> tuple[str, ...] | None:
    """The linkIds of `%resource...where(linkId = 'x')`, outermost first; None for anything else."""
    match syntax:
        case Call(name="where", source=source, arguments=(criterion,)) if source is not None:
            link_id = _link_id(criterion)
            before = _way(source)
            return None if link_id is None or before is None else (*before, link_id)
    return None


def _way(syntax: Syntax) -> tuple[str, ...] | None:
    """The linkIds on the way from the response to its items; None for any other way."""
    match syntax:
        case Variable(name=name):
            return () if name in _RESPONSE else None
        case Member(source=source, name="item") if source is not None:
            return _way(source)
        case Call(name="repeat", source=source, arguments=(Member(source=None, name="item"),)) if source is not None:
            return _way(source)
        case Call(name="descendants", source=source, arguments=()) if source is not None:
            return _way(source)
    return question_path(syntax)


def _link_id(criterion: Syntax) -> str | None:
    """The text of `linkId = 'x'`, either way round."""
    if not isinstance(criterion, Binary) or criterion.operator is not Operator.EQUAL:
        return None
    for name, text in ((criterion.left, criterion.right), (criterion.right, criterion.left)):
        match name, text:
            case Member(source=None, name="linkId"), Literal(value=(str() as found,)):
                return found
    return None


def _is_scattered(syntax: Syntax) -> bool:
    """True for `%exclusiveConflicts.exists()`, perhaps narrowed by where() to what `%hidden` has or has not.

    Each element is judged alone, so the whole is the `or` of what it says of each question.
    """
    match syntax:
        case Call(name="exists", source=Variable(name="exclusiveConflicts"), arguments=()):
            return True
        case Call(
            name="exists",
            source=Call(name="where", source=Variable(name="exclusiveConflicts"), arguments=(criterion,)),
            arguments=(),
        ):
            read = {part.name for part in parts(criterion) if isinstance(part, Variable)}
            return read <= {"hidden"} and _is_blind(criterion)
    return False


def deciding_questions(questionnaire: Questionnaire, link_id: str) -> frozenset[str]:
    """The questions whose answers decide whether an item, or one around it, is shown, and in turn those of these.

    Raises Unprovable where that rests on more than answers.
    """
    found: set[str] = set()
    waiting = [link_id]
    while waiting:
        item = questionnaire.by_link_id[waiting.pop()]
        for part in (item, *(questionnaire.by_link_id[one] for one in item.ancestors)):
            new = {one for one in _asked_by(questionnaire, part) if one in questionnaire.by_link_id} - found
            found |= new
            waiting += sorted(new)
    return frozenset(found)


def _asked_by(questionnaire: Questionnaire, item: Item) -> Iterator[str]:
    yield from (condition.question for condition in item.conditions)
    if item.enable_expression is None:
        return
    waiting = [item.enable_expression.text]
    while waiting:
        text = waiting.pop()
        for read in _reads(parse(text)):
            match read:
                case Question(link_id=one):
                    yield one
                case Variable(name=name) if name in questionnaire.expressions:
                    waiting.append(questionnaire.expressions[name].text)
                case Variable(name=name) if name not in CONSTANT:
                    raise unprovable(f"'{item.link_id}' is shown by what %{name} says.", item.path)
                case Call(name=function):
                    raise unprovable(f"'{item.link_id}' is shown by what {function}() says.", item.path)


def enabling_expressions(questionnaire: Questionnaire, link_ids: frozenset[str]) -> Iterator[Syntax]:
    """The enableWhenExpressions on the items and around them."""
    for link_id in sorted(link_ids & questionnaire.by_link_id.keys()):
        item = questionnaire.by_link_id[link_id]
        for part in (item, *(questionnaire.by_link_id[one] for one in item.ancestors)):
            if part.enable_expression is not None:
                yield parse(part.enable_expression.text)


def is_blind_to_codes(expressions: tuple[Syntax, ...]) -> bool:
    """True if codes and texts that the expressions do not name are all the same to them: only equality is asked for."""
    return all(map(_is_blind, expressions))


def _is_blind(syntax: Syntax) -> bool:
    match syntax:
        case Call(name=name) if name not in _BLIND_TO_CODES:
            return False
        case Binary(operator=operator, left=left, right=right):
            if operator in _ARITHMETIC or operator is Operator.CONCATENATE:
                return False
            if operator in _ORDERING and not any(is_number(side) for side in (left, right)):
                return False
        case Indexer() | Index() | Total() | Polarity() | TypeOperation():
            return False
    return all(map(_is_blind, children(syntax)))


def is_number(syntax: Syntax) -> bool:
    """True for a literal number."""
    return isinstance(syntax, Literal) and any(isinstance(one, int | Decimal) for one in syntax.value)


def literals(expressions: Iterable[Syntax]) -> Iterator[object]:
    """The constants in the expressions."""
    for syntax in expressions:
        for part in parts(syntax):
            if isinstance(part, Literal):
                yield from part.value


def counts(expressions: Iterable[Syntax]) -> bool:
    """True if the number of answers may matter, beyond none and some."""
    return any(isinstance(part, Call) and part.name == "count" for syntax in expressions for part in parts(syntax))
