"""SMART as an app sees it: what is read of a server's words, what is asked for, and what a grant covers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.records.ehr import Ehr, WriteBack
from service.records.scopes import ScopeSyntax
from service.records.smart import (
    Failure,
    LaunchFailed,
    challenge,
    expiry,
    fhir_user,
    granted_scopes,
    is_writing,
    missing_scopes,
    read_capability,
    read_configuration,
    read_context,
    wanted_scopes,
)

BASE = "https://ehr.example/fhir"
NOW = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)
CONFIGURATION = {
    "authorization_endpoint": "https://auth.example/authorize",
    "token_endpoint": "https://auth.example/token",
    "issuer": "https://auth.example",
    "jwks_uri": "https://auth.example/jwks",
    "capabilities": ["launch-ehr", "permission-v2"],
    "code_challenge_methods_supported": ["S256"],
}
OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"


def ehr(**more: Any) -> Ehr:
    return Ehr(BASE, "The EHR", "app", **more)


class TestDiscovery:
    def test_what_smart_configuration_says(self) -> None:
        found = read_configuration(CONFIGURATION, BASE)
        assert found.authorization_endpoint == "https://auth.example/authorize"
        assert found.token_endpoint == "https://auth.example/token"
        assert (found.issuer, found.jwks_uri) == ("https://auth.example", "https://auth.example/jwks")

    @pytest.mark.parametrize(
        ("told", "whole"),
        [
            ("auth/token", f"{BASE}/auth/token"),
            ("/auth/token", "https://ehr.example/auth/token"),
            ("//auth.example/token", "https://auth.example/token"),
        ],
    )
    def test_relative_urls_lead_from_the_fhir_base(self, told: str, whole: str) -> None:
        assert read_configuration({**CONFIGURATION, "token_endpoint": told}, BASE).token_endpoint == whole

    @pytest.mark.parametrize(
        ("capabilities", "scopes", "syntax"),
        [
            (["permission-v2"], [], ScopeSyntax.V2),
            (["permission-v1"], [], ScopeSyntax.V1),
            (["permission-v1", "permission-v2"], [], ScopeSyntax.V2),
            ([], ["patient/*.read"], ScopeSyntax.V1),
            ([], ["patient/*.rs", "patient/*.read"], ScopeSyntax.V2),
            ([], ["openid"], ScopeSyntax.V2),
            (None, None, ScopeSyntax.V2),
        ],
    )
    def test_the_server_says_which_scopes_it_knows(self, capabilities: Any, scopes: Any, syntax: ScopeSyntax) -> None:
        told = {**CONFIGURATION, "capabilities": capabilities, "scopes_supported": scopes}
        assert read_configuration(told, BASE).syntax is syntax

    def test_pkce_that_is_not_advertised_does_not_matter(self) -> None:
        told = {name: value for name, value in CONFIGURATION.items() if not name.startswith("code_challenge")}
        assert read_configuration(told, BASE) == read_configuration(CONFIGURATION, BASE)

    @pytest.mark.parametrize("endpoint", [None, "", 7, "http://elsewhere.example/token", "ftp://auth.example/token"])
    def test_an_endpoint_that_is_missing_or_not_encrypted_ends_the_launch(self, endpoint: Any) -> None:
        with pytest.raises(LaunchFailed) as failed:
            read_configuration({**CONFIGURATION, "token_endpoint": endpoint}, BASE)
        assert failed.value.kind is Failure.NO_SMART

    def test_a_capability_statement_serves_where_there_is_nothing_newer(self) -> None:
        parts = [{"url": "authorize", "valueUri": "auth"}, {"url": "token", "valueUri": "https://auth.example/token"}]
        security = {"extension": [{"url": OAUTH_URIS, "extension": parts}]}
        found = read_capability({"rest": [{"security": security}]}, BASE)
        assert found.authorization_endpoint == f"{BASE}/auth"
        assert found.syntax is ScopeSyntax.V1
        with pytest.raises(LaunchFailed):
            read_capability({"rest": [{}]}, BASE)


V2 = read_configuration(CONFIGURATION, BASE)
V1 = replace(V2, syntax=ScopeSyntax.V1)


class TestScopes:
    def test_from_an_ehr_in_v2(self) -> None:
        assert wanted_scopes(ehr(), ["Condition", "MedicationRequest"], V2, from_ehr=True) == (
            "openid",
            "fhirUser",
            "launch",
            "offline_access",
            "patient/MedicationRequest.rs",
            "patient/Patient.rs",
            "patient/QuestionnaireResponse.crus",
            "patient/Observation.crus",
            "patient/Condition.crus",
            "patient/Provenance.crus",
        )

    def test_standalone_in_v1(self) -> None:
        scopes = wanted_scopes(ehr(), [], V1, from_ehr=False)
        assert "launch/patient" in scopes
        assert "launch" not in scopes
        assert "patient/Patient.read" in scopes
        assert "patient/Observation.*" in scopes

    def test_identity_only_where_its_keys_are_published(self) -> None:
        scopes = wanted_scopes(ehr(), [], replace(V2, jwks_uri=None), from_ehr=True)
        assert not {"openid", "fhirUser"} & set(scopes)

    def test_with_backend_credentials_the_launch_only_reads(self) -> None:
        scopes = wanted_scopes(ehr(write_back=WriteBack.BACKEND), ["Condition"], V2, from_ehr=True)
        assert not any(is_writing(scope) for scope in scopes)
        assert "offline_access" not in scopes

    @pytest.mark.parametrize(
        ("wanted", "granted", "missing"),
        [
            ("patient/Observation.crus", ["patient/Observation.crus"], False),
            ("patient/Observation.crus", ["patient/Observation.cruds"], False),
            ("patient/Observation.crus", ["patient/*.cruds"], False),
            ("patient/Observation.crus", ["patient/Observation.rs", "patient/Observation.cu"], False),
            ("patient/Observation.crus", ["patient/Observation.rs"], True),
            ("patient/Observation.crus", ["patient/Observation.c"], True),
            ("patient/Observation.crus", [], True),
            ("patient/Observation.crus", ["patient/Condition.cruds"], True),
            ("patient/Observation.crus", ["user/Observation.cruds"], False),
            ("patient/Observation.crus", ["system/Observation.cruds"], True),
            ("patient/Observation.rs", ["patient/Observation.read"], False),
            ("patient/Observation.*", ["patient/Observation.read"], True),
            ("patient/Observation.*", ["patient/Observation.read", "patient/Observation.write"], False),
            ("patient/Observation.rs", ["patient/Observation.rs?category=survey"], True),
            ("openid", [], False),
        ],
    )
    def test_what_a_grant_covers(self, wanted: str, granted: list[str], missing: bool) -> None:
        assert missing_scopes([wanted], granted) == ((wanted,) if missing else ())

    def test_a_response_that_names_no_scopes_granted_what_was_asked(self) -> None:
        assert granted_scopes({}, ["a", "b"]) == {"a", "b"}
        assert granted_scopes({"scope": "a  c"}, ["a", "b"]) == {"a", "c"}


class TestContext:
    def test_all_of_it(self) -> None:
        found = read_context(
            {
                "patient": "p1",
                "encounter": "e1",
                "intent": "muscle-fasciculation",
                "appContext": "muscle-fasciculation",
                "need_patient_banner": False,
                "fhirContext": [
                    {"reference": "ImagingStudy/1"},
                    {"canonical": "https://x.example/Questionnaire/q|1", "type": "Questionnaire"},
                ],
            }
        )
        assert (found.patient, found.encounter, found.intent) == ("p1", "Encounter/e1", "muscle-fasciculation")
        assert found.questionnaire == "https://x.example/Questionnaire/q|1"
        assert found.app_context == "muscle-fasciculation"
        assert not found.needs_banner

    @pytest.mark.parametrize("patient", [None, "", 7, "Patient/p1", "p 1", "../p1"])
    def test_without_a_patient_nothing_is_begun(self, patient: Any) -> None:
        with pytest.raises(LaunchFailed) as failed:
            read_context({"patient": patient})
        assert failed.value.kind is Failure.NO_PATIENT

    @pytest.mark.parametrize(
        ("contexts", "canonical"),
        [
            (None, None),
            ("odd", None),
            ([], None),
            ([{"canonical": "https://x.example/q"}], "https://x.example/q"),
            ([{"canonical": "https://x.example/p", "type": "PlanDefinition"}], None),
            ([7, {"canonical": 7}], None),
        ],
    )
    def test_a_questionnaire_by_fhir_context(self, contexts: Any, canonical: str | None) -> None:
        assert read_context({"patient": "p1", "fhirContext": contexts}).questionnaire == canonical

    @pytest.mark.parametrize(("told", "needed"), [(True, True), (False, False), (None, True), ("no", True)])
    def test_the_banner_is_left_out_only_where_the_ehr_shows_one(self, told: Any, needed: bool) -> None:
        assert read_context({"patient": "p1", "need_patient_banner": told}).needs_banner is needed

    @pytest.mark.parametrize(
        ("told", "summary"),
        [
            ("summary/r1", "r1"),
            ("r1", None),
            ("summary/", None),
            ("summary/a/b", None),
            ("summary/../x", None),
            (7, None),
        ],
    )
    def test_a_card_asks_for_the_summary_of_a_response(self, told: Any, summary: str | None) -> None:
        assert read_context({"patient": "p1", "appContext": told}).summary == summary


@pytest.mark.parametrize(
    ("claims", "user"),
    [
        ({"fhirUser": "Practitioner/1"}, "Practitioner/1"),
        ({"fhirUser": f"{BASE}/Practitioner/1"}, "Practitioner/1"),
        ({"fhirUser": "https://other.example/fhir/Patient/1"}, "https://other.example/fhir/Patient/1"),
        ({"profile": "Patient/1"}, "Patient/1"),
        ({"fhirUser": "not a reference"}, None),
        ({"fhirUser": 7}, None),
        ({}, None),
    ],
)
def test_who_is_there(claims: dict[str, Any], user: str | None) -> None:
    assert fhir_user(claims, BASE) == user


@pytest.mark.parametrize(
    ("told", "seconds"),
    [(3600, 3600), ("60", 60), (None, 300), ("soon", 300), (-1, 300), (10**20, 300), ("9" * 5000, 300), ("²", 300)],
)
def test_when_a_token_ends(told: Any, seconds: int) -> None:
    assert expiry({"expires_in": told}, NOW) == NOW + timedelta(seconds=seconds)


def test_the_challenge_of_the_specification() -> None:
    # RFC 7636, appendix B.
    assert challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
