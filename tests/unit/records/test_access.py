"""What a token's claims let its bearer do."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import Forbidden
from service.records.access import (
    ANYONE,
    Caller,
    expect_own_patients,
    expect_subject,
    expect_within,
    read_caller,
)
from service.records.scopes import Permission
from service.records.search import EVERYTHING, PatientCriterion, Query, TermCriterion, TermTest

BASES = ("https://fhir.example/r4", "https://intake.example/fhir")
ONE = (PatientCriterion(("Patient/1",)),)


def caller(scope: Any, **claims: Any) -> Caller:
    return read_caller({"client_id": "app", "sub": "s", "scope": scope, **claims}, BASES)


class TestClaims:
    @pytest.mark.parametrize(
        ("told", "patient"),
        [
            ("1", "Patient/1"),
            ("Patient/1", "Patient/1"),
            ("https://fhir.example/r4/Patient/1", "Patient/1"),
            ("https://other.example/r4/Patient/1", "https://other.example/r4/Patient/1"),
            ("Practitioner/1", None),
            ("a b", None),
            ("", None),
            (1, None),
            (["1"], None),
            (None, None),
        ],
    )
    def test_the_patient_whose_record_is_open(self, told: Any, patient: str | None) -> None:
        assert caller("patient/*.rs", patient=told).patient == patient

    def test_scopes_are_a_text_or_a_list(self) -> None:
        assert caller("patient/A.r openid patient/B.s").scopes == caller(["patient/A.r", 7, "patient/B.s"]).scopes
        assert len(caller("patient/A.r openid patient/B.s").scopes) == 2

    @pytest.mark.parametrize("told", [None, 5, True, {"patient/*.rs": 1}, [None, 5], ""])
    def test_what_is_no_list_of_scopes_gives_no_right(self, told: Any) -> None:
        assert caller(told).scopes == ()

    def test_the_client_is_named_by_either_claim(self) -> None:
        assert read_caller({"azp": "app"}, BASES).client == "app"
        assert read_caller({}, BASES) == Caller("", "", None, None, ())


class TestBounds:
    @pytest.mark.parametrize(
        ("scope", "claims", "bounds"),
        [
            ("system/Observation.rs", {}, EVERYTHING),
            ("patient/Observation.rs", {"patient": "1"}, (ONE,)),
            ("patient/Observation.rs", {}, ()),
            ("patient/Observation.rs", {"fhirUser": "Patient/1"}, ()),
            ("user/Observation.rs", {"fhirUser": "Practitioner/9"}, EVERYTHING),
            ("user/Observation.rs", {"fhirUser": "https://fhir.example/r4/PractitionerRole/9"}, EVERYTHING),
            ("user/Observation.rs", {"fhirUser": "Practitioner/9", "patient": "1"}, EVERYTHING),
            ("user/Observation.rs", {"fhirUser": "Patient/1"}, (ONE,)),
            ("user/Observation.rs", {"fhirUser": "Patient/1", "patient": "2"}, (ONE,)),
            ("user/Observation.rs", {"fhirUser": "RelatedPerson/5", "patient": "1"}, (ONE,)),
            ("user/Observation.rs", {"fhirUser": "RelatedPerson/5"}, ()),
            ("user/Observation.rs", {"patient": "1"}, (ONE,)),
            ("user/Observation.rs", {}, ()),
            ("user/Observation.c patient/Condition.rs", {"fhirUser": "Practitioner/9", "patient": "1"}, ()),
            ("patient/Observation.rs patient/*.read", {"patient": "1"}, (ONE,)),
        ],
    )
    def test_of_what_may_be_searched(self, scope: str, claims: dict[str, str], bounds: Any) -> None:
        assert caller(scope, **claims).bounds("Observation", Permission.SEARCH) == bounds

    def test_a_search_narrows_them(self) -> None:
        narrowed = caller("patient/Observation.rs?category=survey&status=final", patient="1")
        assert narrowed.bounds("Observation", Permission.READ) == ()
        narrowed = caller("patient/Observation.rs?category=survey", patient="1")
        survey = TermCriterion("category", (TermTest("survey", None),))
        assert narrowed.bounds("Observation", Permission.READ) == ((*ONE, survey),)

    @pytest.mark.parametrize("search", ["shoe=42", "date=yesterday", "_count=5", "_sort=_lastUpdated", "category"])
    def test_a_search_that_cannot_be_honoured_gives_no_right(self, search: str) -> None:
        with pytest.raises(Forbidden, match="cannot be honoured") as refusal:
            caller(f"system/Observation.rs?{search}").demand("Observation", Permission.READ)
        assert refusal.value.scope == "system/Observation.r"

    @pytest.mark.parametrize(
        ("scope", "reason"),
        [
            ("openid", "No scope of the token lets it read Observation: patient/Observation.r would."),
            ("system/Condition.rs", "No scope of the token lets it read Observation: system/Observation.r would."),
            ("patient/*.rs", "needs the claim patient"),
            ("user/*.rs", "needs the claim fhirUser"),
        ],
    )
    def test_a_refusal_says_what_is_missing(self, scope: str, reason: str) -> None:
        with pytest.raises(Forbidden, match=reason):
            caller(scope).demand("Observation", Permission.READ)

    def test_any_right_to_a_type_will_do_for_what_keeps_nothing(self) -> None:
        assert caller("patient/QuestionnaireResponse.c", patient="1").demand_any("QuestionnaireResponse") == (ONE,)
        with pytest.raises(Forbidden):
            caller("patient/Observation.rs", patient="1").demand_any("QuestionnaireResponse")

    def test_anyone_may_do_everything_where_nobody_is_asked(self) -> None:
        for permission in Permission:
            assert ANYONE.demand("QuestionnaireResponse", permission) == EVERYTHING


def response(subject: Any = None, **elements: Any) -> Any:
    told = {"resourceType": "QuestionnaireResponse", "id": "r1", "status": "completed", **elements}
    return told if subject is None else {**told, "subject": subject}


class TestWriting:
    def test_another_patient_is_refused(self) -> None:
        expect_subject(response({"reference": "Patient/1"}), (ONE,))
        expect_subject(response({"reference": "Patient/2"}), EVERYTHING)
        for subject in (
            {"reference": "Patient/2"},
            {"reference": "https://other.example/Patient/1"},
            {"type": "Patient", "identifier": {"system": "urn:x", "value": "1"}},
        ):
            with pytest.raises(Forbidden, match="another patient"):
                expect_subject(response(subject), (ONE,))

    @pytest.mark.parametrize("subject", [None, {}, "x", {"reference": 5}, {"reference": "Group/1"}])
    def test_what_names_no_patient_is_for_the_validation_to_refuse(self, subject: Any) -> None:
        expect_subject(response(subject), (ONE,))

    def test_what_is_kept_must_match_the_search_that_narrows_the_scope(self) -> None:
        bounds = caller("patient/QuestionnaireResponse.c?status=completed", patient="1").demand(
            "QuestionnaireResponse", Permission.CREATE
        )
        expect_within(response({"reference": "Patient/1"}), bounds)
        with pytest.raises(Forbidden, match="narrowed"):
            expect_within(response({"reference": "Patient/1"}, status="in-progress"), bounds)
        with pytest.raises(Forbidden, match="narrowed"):
            expect_within(response(), bounds)


def test_a_search_that_names_others_alone_is_refused() -> None:
    def search(*references: str) -> Query:
        return Query("Observation", (PatientCriterion(references),), within=(ONE,))

    expect_own_patients(search("Patient/1"))
    expect_own_patients(search("Patient/2", "Patient/1"))
    expect_own_patients(Query("Observation", (), within=(ONE,)))
    with pytest.raises(Forbidden):
        expect_own_patients(search("Patient/2"))
