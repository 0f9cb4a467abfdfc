"""A search Query as a condition in SQL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from sqlalchemy import ColumnElement, Table, and_, exists, false, or_, select, true

from service.adapters.schema import resource, span, term
from service.records.search import (
    EVERYTHING,
    Bounds,
    Criterion,
    IdCriterion,
    PatientCriterion,
    Prefix,
    Query,
    SpanCriterion,
    SpanTest,
    TermCriterion,
    TermTest,
)


def condition(query: Query) -> ColumnElement[bool]:
    """What a row of `resource` must meet to match `query`."""
    newest = and_(resource.c.type == query.resource_type, resource.c.current == true())
    return and_(newest, _all_of(query.criteria), is_within(query.within))


def is_within(bounds: Bounds) -> ColumnElement[bool]:
    """What a row of `resource`, of any version, must meet to lie within `bounds`."""
    if bounds == EVERYTHING:
        return true()
    return or_(false(), *(_all_of(criteria) for criteria in bounds))


def _all_of(criteria: Iterable[Criterion]) -> ColumnElement[bool]:
    told = tuple(criteria)
    is_of_few = any(isinstance(one, PatientCriterion | IdCriterion) for one in told)
    return and_(true(), *(_condition(one, is_of_few=is_of_few) for one in told))


def _condition(criterion: Criterion, *, is_of_few: bool) -> ColumnElement[bool]:
    match criterion:
        case PatientCriterion(references):
            return resource.c.patient.in_(references)
        case IdCriterion(ids):
            return resource.c.id.in_(ids)
        case TermCriterion(parameter, tests):
            met = or_(*(_term(test) for test in tests))
            return _found_by(term, and_(term.c.parameter == parameter, met), is_of_few=is_of_few)
        case SpanCriterion(parameter, tests):
            within = or_(*(_span(test) for test in tests))
            return _found_by(span, and_(span.c.parameter == parameter, within), is_of_few=is_of_few)
        case _:
            assert_never(criterion)


def _found_by(table: Table, met: ColumnElement[bool], *, is_of_few: bool) -> ColumnElement[bool]:
    """Whether a row of `table` about the resource is `met`.

    Where few resources are asked about, each is looked up; else all that are met are, which SQLite would also do for
    the few, however many others had the same value.
    """
    if is_of_few:
        return exists().where(table.c.seq == resource.c.seq, met)
    return resource.c.seq.in_(select(table.c.seq).where(met))


def _term(test: TermTest) -> ColumnElement[bool]:
    parts: list[ColumnElement[bool]] = [true()]
    if test.value is not None:
        parts.append(term.c.value == test.value)
    if test.system is not None:
        parts.append(term.c.system == test.system)
    return and_(*parts)


def _span(test: SpanTest) -> ColumnElement[bool]:
    """http://hl7.org/fhir/R4/search.html#prefix, on half-open spans."""
    low, high = span.c.low, span.c.high
    within = and_(low >= test.low, high <= test.high)
    match test.prefix:
        case Prefix.EQ:
            return within
        case Prefix.NE:
            return or_(low < test.low, high > test.high)
        case Prefix.GT:
            return high > test.high
        case Prefix.LT:
            return low < test.low
        case Prefix.GE:
            return or_(high > test.high, within)
        case Prefix.LE:
            return or_(low < test.low, within)
        case Prefix.SA:
            return low >= test.high
        case Prefix.EB:
            return high <= test.low
        case Prefix.AP:
            return and_(low < test.high, high > test.low)
        case _:
            assert_never(test.prefix)
