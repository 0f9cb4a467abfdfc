"""What expressions name exists: options, linkIds, value sets, resources of the page; and what facts are for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from service.errors import Issue, IssueType, Severity, error
from service.fhirpath.parser import parse
from service.fhirpath.syntax import Binary, Call, Literal, Member, Operator, Syntax, Variable, parts
from service.packs.check import expressions
from service.packs.pack import Pack
from service.sdc.questionnaire import Questionnaire
from service.sdc.triage import facts_of

_COMPARING: Final = frozenset(
    {Operator.EQUAL, Operator.NOT_EQUAL, Operator.EQUIVALENT, Operator.NOT_EQUIVALENT, Operator.IN, Operator.CONTAINS}
)
_LINK_ID_VARIABLES: Final = frozenset({"hidden", "exclusiveConflicts"})
_RULE_ID_VARIABLES: Final = frozenset({"fired", "notAssessed"})


def reference_issues(pack: Pack) -> Iterator[Issue]:
    """Codes, linkIds, rule ids, value sets and canonicals in expressions that name nothing; facts that nobody reads."""
    for path, expression in expressions(pack):
        syntax = parse(expression.text)
        yield from _value_set_issues(pack, syntax, path)
        yield from _canonical_issues(pack, syntax, path)
        yield from _name_issues(pack, syntax, path)
    yield from _option_issues(pack.questionnaire)
    yield from _unread_facts(pack)


def _value_set_issues(pack: Pack, syntax: Syntax, path: str) -> Iterator[Issue]:
    for part in parts(syntax):
        match part:
            case Call(name="memberOf", arguments=(Literal(value=(str() as url,)),)):
                if pack.questionnaire.terminology.expand(url) is None:
                    yield error(IssueType.NOT_FOUND, f"The value set '{url}' is not in the page.", path)


def _canonical_issues(pack: Pack, syntax: Syntax, path: str) -> Iterator[Issue]:
    """A canonical below the page's own base address is one of the page's resources."""
    base = pack.url.rpartition("/Questionnaire/")[0] + "/"
    known = {artifact["url"] for artifact in pack.artifacts}
    for part in parts(syntax):
        match part:
            case Literal(value=(str() as text,)) if text.startswith(base) and text.partition("|")[0] not in known:
                yield error(IssueType.NOT_FOUND, f"The page has no resource '{text}'.", path)


def _name_issues(pack: Pack, syntax: Syntax, path: str) -> Iterator[Issue]:
    rules = {rule.id for rule in pack.plan.rules}
    for variable, literal in _compared(syntax):
        if not isinstance(variable, Variable):
            continue
        if variable.name in _LINK_ID_VARIABLES and literal not in pack.questionnaire.by_link_id:
            yield error(IssueType.NOT_FOUND, f"'{literal}' is compared with linkIds, but is no item.", path)
        if variable.name in _RULE_ID_VARIABLES and literal not in rules:
            yield error(IssueType.NOT_FOUND, f"'{literal}' is compared with rule ids, but is no rule.", path)


def _option_issues(questionnaire: Questionnaire) -> Iterator[Issue]:
    """A fact that compares an answer with a code which no option of its questions has can never be true."""
    facts = facts_of(questionnaire)
    named = [
        (f"Questionnaire.extension (variable {one.name})", one.expression.text, facts[one.name].link_ids)
        for one in questionnaire.variables
    ]
    shown = [
        (item.path, item.enable_expression.text, item.enable_expression.link_ids)
        for item in questionnaire.by_link_id.values()
        if item.enable_expression is not None
    ]
    for path, text, link_ids in (*named, *shown):
        questions = [questionnaire.by_link_id[one] for one in link_ids if one in questionnaire.by_link_id]
        codes = {str(option.key[-1]) for question in questions for option in question.options or ()}
        if not codes:
            continue
        for compared, literal in _compared(parse(text)):
            of_engine = isinstance(compared, Variable) and compared.name in _LINK_ID_VARIABLES | _RULE_ID_VARIABLES
            if not of_engine and not _is_link_id(compared) and literal not in codes:
                asked = ", ".join(sorted(f"'{one}'" for one in link_ids))
                yield error(IssueType.CODE_INVALID, f"No option of {asked} has the code '{literal}'.", path)


def _unread_facts(pack: Pack) -> Iterator[Issue]:
    read = {name for _, expression in expressions(pack) for name in expression.variables}
    for variable in pack.questionnaire.variables:
        if variable.name not in read:
            text = f"No rule, condition or template reads '{variable.name}'. Leave it out, or use it."
            path = f"Questionnaire.extension (variable {variable.name})"
            yield Issue(Severity.WARNING, IssueType.BUSINESS_RULE, text, path)


def _compared(syntax: Syntax) -> Iterator[tuple[Syntax, str]]:
    """The strings that something is compared with, each with that something."""
    for part in parts(syntax):
        match part:
            case Binary(operator=operator, left=left, right=right) if operator in _COMPARING:
                for one, other in ((left, right), (right, left)):
                    for literal in _strings(other):
                        yield one, literal


def _strings(syntax: Syntax) -> Iterator[str]:
    match syntax:
        case Literal(value=(str() as text,)):
            yield text
        case Binary(operator=Operator.UNION, left=left, right=right):
            yield from _strings(left)
            yield from _strings(right)


def _is_link_id(syntax: Syntax) -> bool:
    return isinstance(syntax, Member) and syntax.name == "linkId"
