"""The test EHR itself: an app that is a few plain requests gets from it what SMART promises, and no more."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests

from tests.hapi.client import FhirClient, Json, SyntheticPatient, synthetic_patient
from tests.smart.ehr import PROJECT, Ehr, EhrFailed, sign_in

REDIRECT_URI = "http://127.0.0.1:1/callback"
SCOPE = "openid fhirUser launch offline_access patient/Patient.r patient/QuestionnaireResponse.cruds"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
VERIFIER = secrets.token_urlsafe(48)


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims_of(token: str) -> Json:
    claims: Json = json.loads(unbase64url(token.split(".")[1]))
    return claims


class App:
    """A SMART app that does as it is told, right or wrong, and the browser of its user."""

    def __init__(self, ehr: Ehr, **metadata: object) -> None:
        self.ehr = ehr
        self.browser = requests.Session()
        self.client = ehr.register_client(redirect_uris=[REDIRECT_URI], **metadata)

    def asks(self, **changes: str | None) -> str:
        """Address of its authorization request; a parameter that is None is left out."""
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client["client_id"],
            "redirect_uri": REDIRECT_URI,
            "scope": SCOPE,
            "state": "its-state",
            "aud": self.ehr.fhir_base,
            "code_challenge": base64url(hashlib.sha256(VERIFIER.encode()).digest()),
            "code_challenge_method": "S256",
            **changes,
        }
        return f"{self.ehr.issuer}/authorize?{urlencode({k: v for k, v in parameters.items() if v is not None})}"

    def is_told(self, *, patient: str | None = None, answer: str = "allow", **changes: str | None) -> dict[str, str]:
        """Parameters with which it is called back."""
        address = sign_in(self.asks(**changes), REDIRECT_URI, patient=patient, answer=answer, browser=self.browser)
        return dict(parse_qsl(urlsplit(address).query))

    def token(self, **parameters: str) -> requests.Response:
        """The answer to a token request, with the client's own authentication."""
        method = self.client["token_endpoint_auth_method"]
        identity = {"client_id": self.client["client_id"]}
        basic = None
        if method == "client_secret_basic":
            basic, identity = (self.client["client_id"], self.client["client_secret"]), {}
        elif method == "client_secret_post":
            identity["client_secret"] = self.client["client_secret"]
        elif method == "private_key_jwt":
            identity = {}
        return requests.post(f"{self.ehr.issuer}/token", data={**identity, **parameters}, auth=basic, timeout=30)

    def redeem(self, code: str, **changes: str) -> requests.Response:
        parameters = {"code": code, "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER, **changes}
        return self.token(grant_type="authorization_code", **parameters)

    def refresh(self, refresh_token: str, **changes: str) -> requests.Response:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token, **changes)

    def signs_in(self, *, patient: str | None = None, **changes: str) -> Json:
        """A token response."""
        told = self.is_told(patient=patient, **changes)
        answer = self.redeem(told["code"])
        assert answer.status_code == 200, answer.text
        response: Json = answer.json()
        return response


@pytest.fixture
def app(ehr: Ehr) -> Iterator[App]:
    app = App(ehr)
    yield app
    app.browser.close()


@pytest.fixture
def other(fhir: FhirClient) -> Iterator[SyntheticPatient]:
    """A second Patient."""
    with synthetic_patient(fhir) as patient:
        yield patient


def id_of(patient: SyntheticPatient) -> str:
    return patient.reference.removeprefix("Patient/")


def fhir_with(ehr: Ehr, token: Json | str) -> FhirClient:
    client = FhirClient(ehr.fhir_base)
    client.session.headers["Authorization"] = f"Bearer {token if isinstance(token, str) else token['access_token']}"
    return client


def response_of(patient: SyntheticPatient) -> Json:
    return {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "subject": {"reference": patient.reference},
    }


def configuration(ehr: Ehr) -> Json:
    told: Json = requests.get(f"{ehr.fhir_base}/.well-known/smart-configuration", timeout=30).json()
    return told


# Discovery


def test_configuration_has_what_smart_requires(ehr: Ehr) -> None:
    told = configuration(ehr)
    assert told["issuer"] == ehr.issuer
    assert told["authorization_endpoint"] == f"{ehr.issuer}/authorize"
    assert told["token_endpoint"] == f"{ehr.issuer}/token"
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["grant_types_supported"] == ["authorization_code", "refresh_token", "client_credentials"]
    assert {"launch-ehr", "launch-standalone", "permission-v1", "permission-v2"} <= set(told["capabilities"])
    assert told["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]


def test_capability_statement_tells_the_endpoints_too(ehr: Ehr) -> None:
    statement = FhirClient(ehr.fhir_base).read("metadata")
    extension = statement["rest"][0]["security"]["extension"][0]
    assert extension["url"].endswith("/oauth-uris")
    told = {one["url"]: one["valueUri"] for one in extension["extension"]}
    assert told["authorize"] == f"{ehr.issuer}/authorize"
    assert told["token"] == f"{ehr.issuer}/token"
    assert statement["implementation"]["url"] == ehr.fhir_base


def test_discovery_that_breaks(ehr: Ehr) -> None:
    ehr.set(advertise_pkce=False, relative_urls=True, only_v1_scopes=True)
    told = configuration(ehr)
    assert "code_challenge_methods_supported" not in told
    assert told["token_endpoint"] == "/token"
    assert "permission-v2" not in told["capabilities"]
    assert "patient/*.read" in told["scopes_supported"]
    assert "patient/*.cruds" not in told["scopes_supported"]
    ehr.set(no_smart_configuration=True)
    assert requests.get(f"{ehr.fhir_base}/.well-known/smart-configuration", timeout=30).status_code == 404
    ehr.reset()
    assert configuration(ehr)["token_endpoint"] == f"{ehr.issuer}/token"


def test_a_setting_that_is_not_known_is_refused(ehr: Ehr) -> None:
    with pytest.raises(EhrFailed, match="no such setting: omit_contexts"):
        ehr.set(omit_contexts=True)


# Launches


def test_ehr_launch_gives_context_scopes_and_identity(ehr: Ehr, app: App) -> None:
    context = {
        "patient": "p1",
        "encounter": "e1",
        "intent": "reconcile",
        "fhirContext": [{"reference": "Questionnaire/q1", "role": "https://symptom-intake.example/role"}],
        "need_patient_banner": False,
        "smart_style_url": "http://127.0.0.1:1/style.json",
    }
    user = f"{ehr.fhir_base}/Practitioner/who"
    launch = ehr.launch(**context, fhirUser=user)
    told = app.is_told(launch=launch, nonce="n-1")
    assert told["state"] == "its-state"
    assert told["iss"] == ehr.issuer
    answer = app.redeem(told["code"])
    token = answer.json()
    assert answer.headers["Cache-Control"] == "no-store"
    assert {name: token[name] for name in context} == context
    assert set(token["scope"].split()) == set(SCOPE.split())
    assert token["token_type"] == "Bearer"
    assert token["expires_in"] == 3600

    identity = claims_of(token["id_token"])
    assert (identity["iss"], identity["aud"], identity["nonce"]) == (ehr.issuer, app.client["client_id"], "n-1")
    assert identity["fhirUser"] == user
    access = claims_of(token["access_token"])
    assert (access["iss"], access["aud"], access["patient"]) == (ehr.issuer, ehr.fhir_base, "p1")
    assert access["client_id"] == app.client["client_id"]
    assert access["exp"] - access["iat"] == 3600


def test_tokens_are_signed_with_the_published_key(ehr: Ehr, app: App) -> None:
    token = app.signs_in(launch=ehr.launch(patient="p1"))
    (key,) = requests.get(configuration(ehr)["jwks_uri"], timeout=30).json()["keys"]
    modulus, exponent = (int.from_bytes(unbase64url(key[name]), "big") for name in ("n", "e"))
    for name in ("id_token", "access_token"):
        signed, _, signature = token[name].rpartition(".")
        recovered = pow(int.from_bytes(unbase64url(signature), "big"), exponent, modulus).to_bytes(256, "big")
        assert recovered.endswith(hashlib.sha256(signed.encode()).digest())


def test_unknown_launch_and_launch_without_its_scope_are_refused(ehr: Ehr, app: App) -> None:
    assert app.is_told(launch="unknown")["error"] == "invalid_request"
    assert app.is_told(launch=None)["error"] == "invalid_request"
    assert app.is_told(launch=ehr.launch(patient="p1"), scope="patient/*.rs")["error"] == "invalid_scope"


def test_context_left_out_by_setting(ehr: Ehr, app: App) -> None:
    ehr.set(omit_context=True)
    token = app.signs_in(launch=ehr.launch(patient="p1", intent="reconcile"))
    assert not {"patient", "intent"} & set(token)


def test_standalone_launch_lets_the_user_choose_a_patient(ehr: Ehr, app: App) -> None:
    ehr.offer_patients({"p1": "One", "p2": "Two & <Co>"})
    scope = "launch/patient patient/*.rs"
    assert app.signs_in(scope=scope, patient="p2")["patient"] == "p2"
    with pytest.raises(EhrFailed, match="Two &#38; &#60;Co&#62;"):
        app.is_told(scope=scope)
    with pytest.raises(EhrFailed, match="400"):
        app.is_told(scope=scope, patient="not-offered")


def test_standalone_launch_without_context_asks_for_no_patient(ehr: Ehr, app: App) -> None:
    ehr.offer_patients({"p1": "One"})
    assert "patient" not in app.signs_in(scope="openid user/Patient.rs")


def test_user_may_refuse(ehr: Ehr, app: App) -> None:
    assert app.is_told(launch=ehr.launch(patient="p1"), answer="refuse")["error"] == "access_denied"


def test_each_launch_of_a_browser_stands_alone(ehr: Ehr, app: App) -> None:
    first = app.signs_in(launch=ehr.launch(patient="p1", fhirUser="Practitioner/1"))
    second = app.signs_in(launch=ehr.launch(patient="p2", fhirUser="Practitioner/2"), scope="openid fhirUser launch")
    assert (first["patient"], second["patient"]) == ("p1", "p2")
    assert set(second["scope"].split()) == {"openid", "fhirUser", "launch"}
    assert claims_of(second["id_token"])["fhirUser"] == "Practitioner/2"


# Scopes


def test_scopes_are_dropped_without_a_word(ehr: Ehr, app: App) -> None:
    limited = ehr.launch(patient="p1", scope_limit=["launch", "patient/Patient.r"])
    token = app.signs_in(launch=limited)
    assert token["scope"].split() == ["launch", "patient/Patient.r"]
    assert not {"id_token", "refresh_token"} & set(token)
    nonsense = "launch patient/Patient.sr patient/Patient. patient/patient.r other/Patient.r system/*.rs unheard-of"
    assert app.signs_in(launch=ehr.launch(patient="p1"), scope=nonsense)["scope"] == "launch"


def test_no_scope_left_is_a_refusal(ehr: Ehr, app: App) -> None:
    assert app.is_told(launch=ehr.launch(patient="p1", scope_limit=[]))["error"] == "access_denied"


def test_scopes_of_a_client_limit_it(ehr: Ehr) -> None:
    app = App(ehr, scope="launch patient/Patient.rs")
    wanted = "launch patient/Patient.rs patient/Condition.rs"
    assert app.signs_in(launch=ehr.launch(patient="p1"), scope=wanted)["scope"] == "launch patient/Patient.rs"


def test_server_that_knows_version_1_alone(ehr: Ehr, app: App) -> None:
    ehr.set(only_v1_scopes=True)
    wanted = "launch patient/Patient.read patient/*.write patient/Patient.rs patient/*.cruds user/*.*"
    token = app.signs_in(launch=ehr.launch(patient="p1"), scope=wanted)
    assert set(token["scope"].split()) == {"launch", "patient/Patient.read", "patient/*.write", "user/*.*"}


# What is refused at the authorization and the token endpoint


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge_method": "plain", "code_challenge": VERIFIER},
        {"code_challenge_method": None},
        {"code_challenge_method": None, "code_challenge": None},
        {"aud": "https://other.example/fhir"},
        {"aud": None},
    ],
)
def test_invalid_authorization_requests(ehr: Ehr, app: App, changes: dict[str, Any]) -> None:
    told = app.is_told(launch=ehr.launch(patient="p1"), **changes)
    assert told["error"] == "invalid_request"
    assert "code" not in told


def test_redirect_uri_that_is_not_registered(ehr: Ehr, app: App) -> None:
    with pytest.raises(EhrFailed, match="invalid_redirect_uri"):
        app.is_told(launch=ehr.launch(patient="p1"), redirect_uri=f"{REDIRECT_URI}/other")


def test_code_needs_its_verifier_and_serves_once(ehr: Ehr, app: App) -> None:
    code = app.is_told(launch=ehr.launch(patient="p1"))["code"]
    assert app.redeem(code, code_verifier="x" * 43).json()["error"] == "invalid_grant"
    assert app.redeem(code).status_code == 200
    assert app.redeem(code).json()["error"] == "invalid_grant"


def test_refresh_tokens_rotate(ehr: Ehr, app: App) -> None:
    first = app.signs_in(launch=ehr.launch(patient="p1"))
    second = app.refresh(first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert set(second["scope"].split()) == set(SCOPE.split())
    assert "patient" not in second, "a client has to remember its context"
    assert claims_of(second["access_token"])["patient"] == "p1"
    narrowed = app.refresh(second["refresh_token"], scope="patient/Patient.r").json()
    assert narrowed["scope"] == "patient/Patient.r"
    replayed = app.refresh(first["refresh_token"])
    assert (replayed.status_code, replayed.json()["error"]) == (400, "invalid_grant")
    # Replay ends the whole grant.
    assert app.refresh(narrowed["refresh_token"]).json()["error"] == "invalid_grant"


def test_refresh_tokens_are_for_those_who_ask(ehr: Ehr, app: App) -> None:
    assert "refresh_token" not in app.signs_in(launch=ehr.launch(patient="p1"), scope="launch patient/*.rs")
    assert "refresh_token" in app.signs_in(launch=ehr.launch(patient="p1"), scope="launch online_access patient/*.rs")


def test_refresh_that_is_refused(ehr: Ehr, app: App) -> None:
    token = app.signs_in(launch=ehr.launch(patient="p1"))
    ehr.set(refuse_refresh=True)
    assert app.refresh(token["refresh_token"]).json()["error"] == "invalid_grant"
    ehr.set(refuse_refresh=False)
    assert app.refresh(token["refresh_token"]).status_code == 200


# Client authentication


@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
def test_clients_prove_who_they_are(ehr: Ehr, method: str) -> None:
    app = App(ehr, token_endpoint_auth_method=method)
    app.signs_in(launch=ehr.launch(patient="p1"))
    (seen,) = ehr.requests("token")
    assert (seen["client_auth"], seen["client_id"]) == (method, app.client["client_id"])
    assert ("client_secret" in app.client) == (method != "none")


def test_wrong_secret_is_refused(ehr: Ehr, app: App) -> None:
    code = app.is_told(launch=ehr.launch(patient="p1"))["code"]
    app.client["client_secret"] = "wrong"
    assert (app.redeem(code).status_code, app.redeem(code).json()["error"]) == (401, "invalid_client")


def signed(algorithm: str, *assertions: Json) -> tuple[Json, list[str]]:
    """A public key set, and these assertions ({"header", "claims"}) signed with its key."""
    asked = json.dumps({"algorithm": algorithm, "assertions": assertions})
    command = ["node", "assertions.mjs"]
    done = subprocess.run(command, cwd=PROJECT, input=asked, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    return told["jwks"], told["assertions"]


def assertion(ehr: Ehr, client_id: str, **changes: object) -> Json:
    """What a client asserts of itself; `changes` are of its claims."""
    identity = {"iss": client_id, "sub": client_id, "aud": f"{ehr.issuer}/token", "jti": str(uuid.uuid4())}
    return {"claims": {**identity, "exp": int(time.time()) + 240, **changes}}


@contextmanager
def published(keys: Json) -> Iterator[str]:
    """An address on loopback where a key set is found."""

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(keys).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Keys) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/jwks.json"
        server.shutdown()
        thread.join()


def test_key_found_at_the_clients_jwks_uri(ehr: Ehr) -> None:
    client_id = str(uuid.uuid4())
    keys, (own,) = signed("ES384", assertion(ehr, client_id))
    with published(keys) as jwks_uri:
        app = App(ehr, client_id=client_id, token_endpoint_auth_method="private_key_jwt", jwks_uri=jwks_uri)
        code = app.is_told(launch=ehr.launch(patient="p1"))["code"]
        answer = app.redeem(code, client_assertion_type=ASSERTION_TYPE, client_assertion=own)
    assert answer.status_code == 200, answer.text
    (seen,) = ehr.requests("token")
    assert seen["assertion"]["header"] == {"alg": "ES384", "kid": "test-key", "typ": "JWT"}
    assert seen["assertion"]["claims"]["aud"] == f"{ehr.issuer}/token"


def backend(ehr: Ehr, client_id: str, keys: Json) -> App:
    return App(
        ehr,
        client_id=client_id,
        token_endpoint_auth_method="private_key_jwt",
        grant_types=["client_credentials"],
        jwks=keys,
    )


def test_backend_service_gets_system_scopes_alone(ehr: Ehr, patient: SyntheticPatient) -> None:
    client_id = str(uuid.uuid4())
    keys, (own, second) = signed("RS384", assertion(ehr, client_id), assertion(ehr, client_id))
    app = backend(ehr, client_id, keys)
    identity = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": own}
    token = app.token(grant_type="client_credentials", scope="system/Patient.rs user/Patient.rs", **identity).json()
    assert token["scope"] == "system/Patient.rs"
    assert "refresh_token" not in token
    assert fhir_with(ehr, token).read(patient.reference)["id"] == id_of(patient)
    assert fhir_with(ehr, token).request("GET", "Condition?subject=x").status_code == 403
    identity["client_assertion"] = second
    nothing = app.token(grant_type="client_credentials", scope="user/Patient.rs", **identity)
    assert nothing.json()["error"] == "invalid_scope"


def test_assertion_serves_once(ehr: Ehr) -> None:
    client_id = str(uuid.uuid4())
    keys, (own,) = signed("RS384", assertion(ehr, client_id))
    app = backend(ehr, client_id, keys)
    identity = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": own, "scope": "system/*.rs"}
    assert app.token(grant_type="client_credentials", **identity).status_code == 200
    replayed = app.token(grant_type="client_credentials", **identity)
    assert (replayed.status_code, replayed.json()["error"]) == (401, "invalid_client")


def test_assertions_that_smart_forbids(ehr: Ehr) -> None:
    client_id = str(uuid.uuid4())
    now = int(time.time())
    wrong = [
        assertion(ehr, client_id, exp=now + 3600),
        assertion(ehr, client_id, exp=now - 3600),
        assertion(ehr, client_id, aud=ehr.issuer),
        assertion(ehr, client_id, iss="another"),
        assertion(ehr, client_id, jti=None),
        {"header": {"kid": None}, **assertion(ehr, client_id)},
        {"header": {"typ": "at+jwt"}, **assertion(ehr, client_id)},
    ]
    keys, assertions = signed("RS384", *wrong, assertion(ehr, client_id))
    foreign_keys, (foreign,) = signed("RS384", assertion(ehr, client_id))
    assert foreign_keys != keys
    app = backend(ehr, client_id, keys)
    identity = {"client_assertion_type": ASSERTION_TYPE, "scope": "system/*.rs"}
    answers = [
        app.token(grant_type="client_credentials", client_assertion=one, **identity) for one in (foreign, *assertions)
    ]
    assert [answer.status_code for answer in answers] == [401] * (len(wrong) + 1) + [200]


# Tokens for other APIs


def test_tokens_for_another_api(ehr: Ehr, app: App) -> None:
    api = "https://intake.example/fhir"
    ehr.register_api(api, "jwt")
    claims = claims_of(app.signs_in(launch=ehr.launch(patient="p1"), aud=api)["access_token"])
    assert (claims["aud"], claims["patient"]) == (api, "p1")
    nightly = App(ehr, grant_types=["client_credentials"])
    asked = {"grant_type": "client_credentials", "scope": "system/Observation.rs"}
    assert claims_of(nightly.token(**asked, resource=api).json()["access_token"])["aud"] == api
    assert nightly.token(**asked, resource=f"{api}/unknown").json()["error"] == "invalid_target"


def test_opaque_tokens_are_asked_about(ehr: Ehr, app: App) -> None:
    api = "https://other-intake.example/fhir"
    ehr.register_api(api, "opaque")
    token = app.signs_in(launch=ehr.launch(patient="p1"), aud=api)["access_token"]
    owner = ehr.register_client(grant_types=[])

    def asked(token: str, secret: str) -> Json:
        address, credentials = f"{ehr.issuer}/introspect", (owner["client_id"], secret)
        told: Json = requests.post(address, data={"token": token}, auth=credentials, timeout=30).json()
        return told

    told = asked(token, owner["client_secret"])
    assert (told["active"], told["aud"], told["patient"]) == (True, api, "p1")
    assert told["client_id"] == app.client["client_id"]
    assert asked("another", owner["client_secret"]) == {"active": False}
    assert asked(token, "another")["error"] == "invalid_client"


# The FHIR base


def test_fhir_needs_a_token_that_is_good(ehr: Ehr, app: App, patient: SyntheticPatient) -> None:
    token = app.signs_in(launch=ehr.launch(patient=id_of(patient)))
    header, payload, signature = token["access_token"].split(".")
    forged = base64url(json.dumps({**claims_of(token["access_token"]), "scope": "user/*.cruds"}).encode())
    without = FhirClient(ehr.fhir_base).request("GET", patient.reference)
    assert (without.status_code, "error=" in without.headers["WWW-Authenticate"]) == (401, False)
    for bad in ("nonsense", f"{header}.{forged}.{signature}", token["id_token"], f"{header}.{payload}."):
        answer = fhir_with(ehr, bad).request("GET", patient.reference)
        assert (answer.status_code, 'error="invalid_token"' in answer.headers["WWW-Authenticate"]) == (401, True)
        assert answer.json()["resourceType"] == "OperationOutcome"
    assert fhir_with(ehr, token).read(patient.reference)["id"] == id_of(patient)


def test_access_tokens_expire(ehr: Ehr, app: App, patient: SyntheticPatient) -> None:
    token = app.signs_in(launch=ehr.launch(patient=id_of(patient)))
    assert fhir_with(ehr, token).request("GET", patient.reference).status_code == 200
    ehr.expire_access_tokens()
    assert fhir_with(ehr, token).request("GET", patient.reference).status_code == 401
    token = app.refresh(token["refresh_token"]).json()
    assert fhir_with(ehr, token).request("GET", patient.reference).status_code == 200
    ehr.set(access_token_seconds=0)
    token = app.refresh(token["refresh_token"]).json()
    assert token["expires_in"] == 0
    assert fhir_with(ehr, token).request("GET", patient.reference).status_code == 401


@pytest.mark.parametrize("status", [401, 403, 503])
def test_fhir_refuses_by_setting(ehr: Ehr, app: App, patient: SyntheticPatient, status: int) -> None:
    fhir = fhir_with(ehr, app.signs_in(launch=ehr.launch(patient=id_of(patient))))
    ehr.set(refuse_fhir=status)
    assert fhir.request("GET", patient.reference).status_code == status
    assert fhir.request("GET", "metadata").status_code == 200
    ehr.set(refuse_fhir=None)
    assert fhir.request("GET", patient.reference).status_code == 200


def test_patient_scopes_reach_one_patient(
    ehr: Ehr, app: App, patient: SyntheticPatient, other: SyntheticPatient, fhir: FhirClient
) -> None:
    theirs = fhir.create(response_of(other))
    launch = ehr.launch(patient=id_of(patient))
    guarded = fhir_with(ehr, app.signs_in(launch=launch, scope="launch patient/*.cruds"))
    own = guarded.create(response_of(patient))
    reference = f"QuestionnaireResponse/{own['id']}"
    foreign = f"QuestionnaireResponse/{theirs['id']}"

    allowed = [
        ("GET", patient.reference, None),
        ("GET", f"Patient?_id={id_of(patient)}", None),
        ("GET", reference, None),
        ("GET", f"{reference}/_history/1", None),
        ("GET", f"QuestionnaireResponse?subject={patient.reference}", None),
        ("GET", f"QuestionnaireResponse?patient={id_of(patient)}", None),
        ("GET", f"QuestionnaireResponse?patient={ehr.fhir_base}/{patient.reference}", None),
        ("PUT", reference, {**own, "status": "amended"}),
        ("DELETE", reference, None),
    ]
    refused = [
        ("GET", other.reference, None),
        ("GET", f"Patient?_id={id_of(other)}", None),
        ("GET", "Patient?name=synthetic", None),
        ("GET", foreign, None),
        ("GET", f"QuestionnaireResponse?subject={other.reference}", None),
        ("GET", f"QuestionnaireResponse?subject={patient.reference},{other.reference}", None),
        ("GET", f"QuestionnaireResponse?subject={patient.reference}&patient={id_of(other)}", None),
        ("GET", "QuestionnaireResponse?status=completed", None),
        ("GET", "QuestionnaireResponse", None),
        ("GET", "", None),
        ("GET", f"{patient.reference}/$everything", None),
        ("POST", "QuestionnaireResponse", response_of(other)),
        ("POST", "QuestionnaireResponse", {"resourceType": "QuestionnaireResponse", "status": "completed"}),
        ("PUT", foreign, {**response_of(patient), "id": theirs["id"]}),
        ("PUT", reference, {**own, "subject": {"reference": other.reference}}),
        ("DELETE", foreign, None),
    ]
    for method, path, body in refused:
        answer = guarded.request(method, path, body)
        assert (answer.status_code, path, method) == (403, path, method)
        assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    for method, path, body in allowed:
        answer = guarded.request(method, path, body)
        assert (answer.ok, path, method) == (True, path, method), answer.text
    assert fhir.read(foreign)["meta"]["versionId"] == "1"


def test_scopes_name_types_and_permissions(ehr: Ehr, app: App, patient: SyntheticPatient) -> None:
    launch = ehr.launch(patient=id_of(patient))
    token = app.signs_in(launch=launch, scope="launch patient/Patient.r patient/QuestionnaireResponse.c")
    guarded = fhir_with(ehr, token)
    response = response_of(patient)
    identifier = f"{uuid.uuid4()}"
    asked = [
        guarded.request("GET", patient.reference),
        guarded.request("GET", f"Patient?_id={id_of(patient)}"),
        guarded.request("GET", f"Observation?patient={id_of(patient)}"),
        guarded.request("POST", "QuestionnaireResponse", response),
        # To look whether it is there is a search.
        guarded.request("POST", "QuestionnaireResponse", response, If_None_Exist=f"identifier={identifier}"),
        guarded.request("PUT", f"QuestionnaireResponse?identifier={identifier}", response),
    ]
    assert [answer.status_code for answer in asked] == [200, 403, 403, 201, 403, 403]


@pytest.mark.parametrize(("scope", "statuses"), [("read", [200, 403]), ("write", [403, 201]), ("*", [200, 201])])
def test_scopes_of_version_1(ehr: Ehr, app: App, patient: SyntheticPatient, scope: str, statuses: list[int]) -> None:
    launch = ehr.launch(patient=id_of(patient))
    guarded = fhir_with(ehr, app.signs_in(launch=launch, scope=f"launch patient/*.{scope}"))
    read = guarded.request("GET", f"QuestionnaireResponse?patient={id_of(patient)}")
    written = guarded.request("POST", "QuestionnaireResponse", response_of(patient))
    assert [read.status_code, written.status_code] == statuses


def entry(resource: Json, **request: str) -> Json:
    return {
        "fullUrl": f"urn:uuid:{uuid.uuid4()}",
        "resource": resource,
        "request": {"method": "POST", "url": resource["resourceType"], **request},
    }


def provenance(*targets: str) -> Json:
    return {
        "resourceType": "Provenance",
        "target": [{"reference": target} for target in targets],
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"who": {"display": "Test run"}}],
    }


def test_transactions_are_checked_entry_by_entry(
    ehr: Ehr, app: App, patient: SyntheticPatient, other: SyntheticPatient, fhir: FhirClient
) -> None:
    theirs = fhir.create(response_of(other))
    launch = ehr.launch(patient=id_of(patient))
    scope = "launch patient/QuestionnaireResponse.cs patient/Provenance.c"
    guarded = fhir_with(ehr, app.signs_in(launch=launch, scope=scope))
    identifier = {"system": "https://symptom-intake.example/test-run", "value": str(uuid.uuid4())}
    token = f"{identifier['system']}|{identifier['value']}"
    own = entry({**response_of(patient), "identifier": identifier}, ifNoneExist=f"identifier={token}")
    refused = [
        [own, entry(response_of(other))],
        [own, entry({"resourceType": "Condition", "subject": {"reference": patient.reference}})],
        [own, entry(provenance(own["fullUrl"]), ifNoneExist="_tag=x|y")],
        [own, entry(provenance(own["fullUrl"], f"QuestionnaireResponse/{theirs['id']}"))],
    ]
    assert [guarded.transaction(entries).status_code for entries in refused] == [403] * len(refused)
    assert fhir.search("QuestionnaireResponse", subject=patient.reference) == []
    done = guarded.transaction([own, entry(provenance(own["fullUrl"]))])
    assert done.status_code == 200, done.text
    (stored,) = fhir.search("QuestionnaireResponse", subject=patient.reference)
    assert stored["id"] in done.json()["entry"][0]["response"]["location"]


def test_user_scopes_reach_every_patient(ehr: Ehr, app: App, patient: SyntheticPatient) -> None:
    guarded = fhir_with(ehr, app.signs_in(scope="user/Patient.r"))
    assert guarded.request("GET", patient.reference).status_code == 200
    assert guarded.request("GET", f"Patient?_id={id_of(patient)}").status_code == 403


def test_fhir_user_may_be_read(ehr: Ehr, app: App, patient: SyntheticPatient, other: SyntheticPatient) -> None:
    launch = ehr.launch(patient="p1", fhirUser=f"{ehr.fhir_base}/{patient.reference}")
    guarded = fhir_with(ehr, app.signs_in(launch=launch, scope="openid fhirUser launch"))
    statuses = [guarded.request("GET", each.reference).status_code for each in (patient, other)]
    assert statuses == [200, 403]


def test_addresses_are_the_ehrs_own(
    ehr: Ehr, app: App, patient: SyntheticPatient, fhir: FhirClient, fhir_server: str
) -> None:
    launch = ehr.launch(patient=id_of(patient))
    guarded = fhir_with(ehr, app.signs_in(launch=launch, scope="launch patient/*.cruds"))
    absolute = {**response_of(patient), "subject": {"reference": f"{ehr.fhir_base}/{patient.reference}"}}
    created = [guarded.request("POST", "QuestionnaireResponse", absolute) for _ in range(3)]
    assert [answer.status_code for answer in created] == [201] * 3, created[0].text
    assert all(answer.headers["Location"].startswith(f"{ehr.fhir_base}/") for answer in created)
    assert len(fhir.search("QuestionnaireResponse", subject=patient.reference)) == len(created)
    named = guarded.search("QuestionnaireResponse", subject=f"{ehr.fhir_base}/{patient.reference}")
    assert len(named) == len(created)
    found = guarded.search("QuestionnaireResponse", subject=patient.reference, _count="1")
    assert len(found) == len(created), "its further pages are this patient's"
    page = guarded.request("GET", f"QuestionnaireResponse?subject={patient.reference}&_count=1")
    assert fhir_server not in page.text
    following = next(link["url"] for link in page.json()["link"] if link["relation"] == "next")
    stranger = fhir_with(ehr, app.signs_in(launch=ehr.launch(patient="p1"), scope="launch patient/*.cruds"))
    assert stranger.session.get(following, timeout=30).status_code == 403


def test_included_resources_need_a_scope_too(ehr: Ehr, app: App, patient: SyntheticPatient, fhir: FhirClient) -> None:
    response = fhir.create(response_of(patient))
    fhir.create(provenance(f"QuestionnaireResponse/{response['id']}"))
    launch = ehr.launch(patient=id_of(patient))
    for scope, types in [
        ("launch patient/QuestionnaireResponse.rs", {"QuestionnaireResponse"}),
        ("launch patient/*.rs", {"QuestionnaireResponse", "Provenance"}),
    ]:
        guarded = fhir_with(ehr, app.signs_in(launch=launch, scope=scope))
        found = guarded.search("QuestionnaireResponse", subject=patient.reference, _revinclude="Provenance:target")
        assert {one["resourceType"] for one in found} == types


# The log


def test_requests_are_told_as_they_came(ehr: Ehr, app: App) -> None:
    launch = ehr.launch(patient="p1")
    app.is_told(launch=launch, aud="https://other.example/fhir")
    token = app.signs_in(launch=launch)
    fhir_with(ehr, token).request("GET", "Patient/other")
    refused, accepted, redeemed = ehr.requests()
    assert (refused["endpoint"], refused["error"]) == ("authorize", "invalid_request")
    assert accepted["parameters"] == dict(parse_qsl(urlsplit(app.asks(launch=launch)).query))
    assert "error" not in accepted
    assert (redeemed["endpoint"], redeemed["status"]) == ("token", 200)
    assert redeemed["parameters"]["code_verifier"] == VERIFIER
    assert [(one["path"], one["status"]) for one in ehr.requests("fhir")] == [("/Patient/other", 403)]
    ehr.reset()
    assert ehr.requests("authorize", "token", "fhir") == []
