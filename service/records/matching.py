"""Whether a resource meets the criteria of a search, judged without a store."""

from __future__ import annotations

from typing import assert_never

from service.fhir.json import Json
from service.records.search import (
    Bounds,
    Criterion,
    IdCriterion,
    PatientCriterion,
    Prefix,
    SpanCriterion,
    SpanTest,
    TermCriterion,
    TermTest,
)
from service.records.searchable import SearchValues, Span, Term, search_values


def is_within(resource: Json, bounds: Bounds) -> bool:
    """True for a well-formed resource that meets all criteria of one of `bounds`."""
    values = search_values(resource)
    return any(all(_meets(one, resource.get("id"), values) for one in criteria) for criteria in bounds)


def admits_patient(patient: str | None, bounds: Bounds) -> bool:
    """True where a resource about `patient` may be within `bounds`, as far as that depends on whose it is."""
    return any(
        all(patient in one.references for one in criteria if isinstance(one, PatientCriterion)) for criteria in bounds
    )


def _meets(criterion: Criterion, id_: str | None, values: SearchValues) -> bool:
    match criterion:
        case PatientCriterion(references):
            return values.patient in references
        case IdCriterion(ids):
            return id_ in ids
        case TermCriterion(parameter, tests):
            terms = [term for term in values.terms if term.parameter == parameter]
            return any(_has_term(term, test) for term in terms for test in tests)
        case SpanCriterion(parameter, tests):
            spans = [span for span in values.spans if span.parameter == parameter]
            return any(_has_span(span, test) for span in spans for test in tests)
        case _:
            assert_never(criterion)


def _has_term(term: Term, test: TermTest) -> bool:
    return test.value in (None, term.value) and test.system in (None, term.system)


def _has_span(span: Span, test: SpanTest) -> bool:
    """http://hl7.org/fhir/R4/search.html#prefix, on half-open spans."""
    low, high = span.low, span.high
    is_in = low >= test.low and high <= test.high
    match test.prefix:
        case Prefix.EQ:
            return is_in
        case Prefix.NE:
            return not is_in
        case Prefix.GT:
            return high > test.high
        case Prefix.LT:
            return low < test.low
        case Prefix.GE:
            return high > test.high or is_in
        case Prefix.LE:
            return low < test.low or is_in
        case Prefix.SA:
            return low >= test.high
        case Prefix.EB:
            return high <= test.low
        case Prefix.AP:
            return low < test.high and high > test.low
        case _:
            assert_never(test.prefix)
