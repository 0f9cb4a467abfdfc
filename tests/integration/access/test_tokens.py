"""How access tokens are checked: by their signature, or by asking the authorization server."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

import pytest
from joserfc.jwk import ECKey
from werkzeug.test import TestResponse

from service.web.app import create_app
from tests.integration.access.conftest import EVERYTHING, Api, MakeServices
from tests.integration.answers import MakeResponse, issues_of
from tests.integration.issuer import AUDIENCE, CLIENT, Issuer

PATH = "/fhir/Observation"


def _api(make_services: MakeServices, issuer: Issuer, token: str = "", **settings: Any) -> Api:
    return Api(create_app(make_services(**settings).site()).test_client(), issuer, token or issuer.token(EVERYTHING))


def _expect_unavailable(answer: TestResponse) -> None:
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert issues_of(answer)[0]["code"] == "transient"


class TestSignedTokens:
    def test_metadata_and_keys_are_asked_for_once(self, api: Api) -> None:
        for _ in range(3):
            assert api.get(PATH).status_code == 200
        assert api.issuer.asked == ["/.well-known/openid-configuration", "/jwks"]

    @pytest.mark.parametrize("claims", [{"aud": [AUDIENCE, "another"]}, {"aud": f"{AUDIENCE}/"}, {"extra": {"a": 1}}])
    def test_what_servers_write_in_several_ways(self, api: Api, claims: dict[str, Any]) -> None:
        assert api.as_(EVERYTHING, **claims).get(PATH).status_code == 200

    def test_the_audience_may_be_set(self, make_services: MakeServices, issuer: Issuer) -> None:
        api = _api(make_services, issuer, public_url=None, auth_audience="urn:intake")
        assert api.get(PATH).status_code == 401
        assert api.as_(EVERYTHING, aud="urn:intake").get(PATH).status_code == 200

    def test_a_server_that_cannot_be_asked_is_no_fault_of_the_caller(self, api: Api) -> None:
        api.issuer.down = True
        _expect_unavailable(api.get(PATH))
        api.issuer.down = False
        assert api.get(PATH).status_code == 200

    @pytest.mark.parametrize(
        "metadata",
        [{"issuer": "https://elsewhere.example"}, {"jwks_uri": None}, {"jwks_uri": "http://keys.example/jwks"}],
    )
    def test_a_server_that_says_odd_things_is_not_believed(self, api: Api, metadata: dict[str, Any]) -> None:
        api.issuer.metadata = metadata
        _expect_unavailable(api.get(PATH))

    def test_an_unknown_key_is_asked_for(self, api: Api) -> None:
        assert api.get(PATH).status_code == 200
        other = ECKey.generate_key("P-256", {"kid": "k1"})
        assert Api(api.client, api.issuer, api.issuer.token(EVERYTHING, other)).get(PATH).status_code == 401


class TestIntrospection:
    @pytest.fixture
    def api(self, make_services: MakeServices, issuer: Issuer) -> Api:
        return _api(make_services, issuer, "opaque", auth_client_id=CLIENT[0], auth_client_secret=CLIENT[1])

    def test_an_active_token_opens_what_its_scopes_say(self, api: Api) -> None:
        api.issuer.active["opaque"] = {"scope": "patient/Observation.rs", "patient": "1", "client_id": "app"}
        assert api.get(f"{PATH}?patient=1").status_code == 200
        assert api.get("/fhir/Condition").status_code == 403

    @pytest.mark.parametrize(
        "claims",
        [None, {"aud": "elsewhere"}, {"iss": "https://b.example"}, {"exp": int(time.time()) - 60}, {"exp": "x"}],
    )
    def test_others_are_refused(self, api: Api, claims: dict[str, Any] | None) -> None:
        if claims is not None:
            api.issuer.active["opaque"] = {"scope": EVERYTHING, **claims}
        answer = api.get(PATH)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]

    def test_a_token_that_was_revoked_ends_at_once(self, api: Api) -> None:
        api.issuer.active["opaque"] = {"scope": EVERYTHING, "aud": AUDIENCE, "iss": api.issuer.url}
        assert api.get(PATH).status_code == 200
        del api.issuer.active["opaque"]
        assert api.get(PATH).status_code == 401

    def test_a_server_that_does_not_answer_is_no_fault_of_the_caller(
        self, api: Api, make_services: MakeServices
    ) -> None:
        api.issuer.down = True
        _expect_unavailable(api.get(PATH))
        api.issuer.down = False
        wrong = _api(make_services, api.issuer, "x", auth_client_id="other", auth_client_secret="wrong")
        _expect_unavailable(wrong.get(PATH))


class TestPublished:
    def test_smart_configuration(self, api: Api) -> None:
        told = api.client.get("/fhir/.well-known/smart-configuration").json
        assert told["issuer"] == api.issuer.url
        assert told["token_endpoint"] == f"{api.issuer.url}/token"
        assert told["code_challenge_methods_supported"] == ["S256"]
        assert "client_credentials" in told["grant_types_supported"]
        assert {"permission-v1", "permission-v2", "client-public", "client-confidential-asymmetric"} <= set(
            told["capabilities"]
        )
        assert "patient/QuestionnaireResponse.crus" in told["scopes_supported"]

    def test_the_capability_statement_names_the_server(self, api: Api) -> None:
        security = api.client.get("/fhir/metadata").json["rest"][0]["security"]
        assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
        endpoints = {one["url"]: one["valueUri"] for one in security["extension"][0]["extension"]}
        assert endpoints["token"] == f"{api.issuer.url}/token"

    def test_the_capability_statement_is_there_without_the_server(self, api: Api) -> None:
        api.issuer.down = True
        answer = api.client.get("/fhir/metadata")
        assert answer.status_code == 200
        assert "extension" not in answer.json["rest"][0]["security"]
        _expect_unavailable(api.client.get("/fhir/.well-known/smart-configuration"))

    def test_browsers_may_ask_and_read_why_they_are_refused(self, make_services: MakeServices, issuer: Issuer) -> None:
        api = _api(make_services, issuer, cors_origins=("https://app.example",))
        ask = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
        preflight = api.client.options(PATH, headers=ask)
        assert preflight.status_code == 200
        assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
        refused = api.client.get(PATH, headers={"Origin": "https://app.example"})
        assert refused.status_code == 401
        assert refused.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "WWW-Authenticate" in refused.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("good", [True, False])
def test_tokens_and_who_they_name_stand_in_no_log_and_no_answer(
    api: Api, make_response: MakeResponse, caplog: pytest.LogCaptureFixture, good: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    bad = replace(api, token="Zaphod.Zaphod.Zaphod")
    caller = api.as_(EVERYTHING, sub="ZaphodB", patient="Zaphod42") if good else bad
    answers = [
        caller.get(PATH),
        caller.get(f"{PATH}?patient=Zaphod42"),
        caller.post("/fhir/QuestionnaireResponse", make_response(subject={"reference": "Patient/Zaphod42"})),
    ]
    assert {answer.status_code < 400 for answer in answers} == {good}
    told = [record.getMessage() for record in caplog.records]
    assert any("route=" in line for line in told)
    secrets = [caller.token, "ZaphodB", "Zaphod42"] if good else ["Zaphod"]
    assert not [line for line in told for secret in secrets if secret in line]
    if not good:
        assert not [one for one in answers if "Zaphod" in one.text or "Zaphod" in str(one.headers)]
