"""Search values of resources, and search parameters read into queries."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Invalid
from service.records.search import (
    MAX_COUNT,
    IdCriterion,
    PatientCriterion,
    Prefix,
    SpanCriterion,
    SpanTest,
    TermCriterion,
    TermTest,
    parse_query,
    split_or,
    split_token,
)
from service.records.searchable import Span, Term, search_values, subject_key, token_query


def milliseconds(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc, arg-type]


def test_a_response_is_found_by_its_own_elements() -> None:
    found_by = search_values(
        {
            "resourceType": "QuestionnaireResponse",
            "questionnaire": "https://pages.example/q|1.0",
            "status": "completed",
            "identifier": {"system": "urn:forms", "value": "1"},
            "subject": {"reference": "Patient/1"},
            "authored": "2026",
        }
    )
    assert found_by.patient == "Patient/1"
    assert set(found_by.terms) == {
        Term("questionnaire", "https://pages.example/q", "1.0"),
        Term("status", "completed", ""),
        Term("identifier", "1", "urn:forms"),
    }
    assert found_by.spans == (Span("authored", milliseconds(2026, 1, 1), milliseconds(2027, 1, 1)),)


def test_a_period_may_be_open() -> None:
    def of(period: dict[str, str]) -> Span:
        return search_values({"resourceType": "Observation", "effectivePeriod": period}).spans[0]

    assert of({"start": "2026"}).low == milliseconds(2026, 1, 1)
    assert of({"start": "2026"}).high > milliseconds(9999, 1, 1)
    assert of({"end": "2026"}).high == milliseconds(2027, 1, 1)
    assert of({"end": "2026"}).low < milliseconds(1, 1, 1)


def test_a_coding_said_twice_is_one_value() -> None:
    coding = {"system": "s", "code": "c"}
    found_by = search_values({"resourceType": "Observation", "code": {"coding": [coding, coding, {"display": "d"}]}})
    assert found_by.terms == (Term("code", "c", "s"),)


def test_a_date_that_cannot_be_read_is_not_found_by() -> None:
    assert search_values({"resourceType": "Observation", "effectiveDateTime": "yesterday"}).spans == ()


@pytest.mark.parametrize(
    ("subject", "key"),
    [
        ({"reference": "Patient/1", "identifier": {"system": "s", "value": "v"}}, "Patient/1"),
        ({"identifier": {"system": "urn:mrn", "value": "a,b"}}, "Patient?identifier=urn%3Amrn%7Ca%5C%2Cb"),
        ({"identifier": {"value": "v"}}, None),
        ({"display": "somebody"}, None),
        (None, None),
        ([], None),
    ],
)
def test_the_subject_key(subject: Any, key: str | None) -> None:
    assert subject_key(subject) == key


@pytest.mark.parametrize(
    ("system", "code", "query"),
    [
        ("urn:s", "plain", "identifier=urn%3As%7Cplain"),
        ("urn:s", r"a\b", "identifier=urn%3As%7Ca%5C%5Cb"),
        ("urn:s", "a,b$c|d", "identifier=urn%3As%7Ca%5C%2Cb%5C%24c%5C%7Cd"),
        ("urn:s", "a&b+c d=e%", "identifier=urn%3As%7Ca%26b%2Bc%20d%3De%25"),
        ("urn:s|t", "é/", "identifier=urn%3As%5C%7Ct%7C%C3%A9%2F"),
    ],
)
def test_a_token_is_escaped_then_percent_encoded(system: str, code: str, query: str) -> None:
    assert token_query("identifier", system, code) == query


@given(st.text(min_size=1), st.text(min_size=1))
def test_whatever_a_token_holds_comes_back(system: str, code: str) -> None:
    [(name, value)] = parse_qsl(token_query("_tag", system, code), keep_blank_values=True, errors="strict")
    assert name == "_tag"
    assert split_token(value) == (system, code)


def test_alternatives_part_at_bare_commas() -> None:
    assert split_or(r"a\,b,c\\,d") == ("a,b", "c\\", "d")


@pytest.mark.parametrize(
    ("value", "test"),
    [
        ("c", TermTest("c", None)),
        ("s|c", TermTest("c", "s")),
        ("|c", TermTest("c", "")),
        ("s|", TermTest(None, "s")),
        (r"s|a\|b", TermTest("a|b", "s")),
    ],
)
def test_a_token_asked_for(value: str, test: TermTest) -> None:
    assert parse_query("Observation", [("code", value)]).criteria == (TermCriterion("code", (test,)),)


@pytest.mark.parametrize("value", ["https://pages.example/q|1.0", r"https://pages.example/q\|1.0"])
def test_a_canonical_asked_for(value: str) -> None:
    criteria = parse_query("QuestionnaireResponse", [("questionnaire", value)]).criteria
    assert criteria == (TermCriterion("questionnaire", (TermTest("https://pages.example/q", "1.0"),)),)


def test_references_below_our_own_server_are_relative() -> None:
    bases = ("https://ehr.example/fhir",)
    asked = [("patient", "https://ehr.example/fhir/Patient/1,https://other.example/fhir/Patient/1,2")]
    assert parse_query("Condition", asked, bases).criteria == (
        PatientCriterion(("Patient/1", "https://other.example/fhir/Patient/1", "Patient/2")),
    )


def test_a_date_asked_for() -> None:
    day = SpanTest(Prefix.GE, milliseconds(2026, 3, 1), milliseconds(2026, 3, 2))
    assert parse_query("Observation", [("date", "ge2026-03-01")]).criteria == (SpanCriterion("date", (day,)),)


def test_settings_and_unknown_parameters() -> None:
    asked = [("_count", "99999"), ("_offset", "20"), ("_sort", "-_lastUpdated"), ("_id", "a,b"), ("colour", "red")]
    query = parse_query("Observation", [*asked, ("_revinclude", "Provenance:target"), ("_sort", "code")])
    assert (query.count, query.offset, query.newest_first, query.include_provenance) == (MAX_COUNT, 20, True, True)
    assert query.criteria == (IdCriterion(("a", "b")),)
    assert query.ignored == ("colour", "_sort")


def test_provenance_has_no_patient_parameter() -> None:
    assert parse_query("Provenance", [("patient", "1")]).ignored == ("patient",)


@pytest.mark.parametrize(("name", "value"), [("date", "soon"), ("_count", "-1"), ("_count", "²"), ("_offset", "")])
def test_what_cannot_be_read_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_query("Observation", [(name, value)])
    assert refused.value.issues[0].expression == name
