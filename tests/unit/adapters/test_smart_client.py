"""What goes over the wire to an EHR's authorization server, and what of its answers is trusted."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from service.adapters.database import open_database
from service.adapters.exchange import Timeouts
from service.adapters.secrets import FernetBox, new_key
from service.adapters.signing_keys import SigningKeys
from service.adapters.smart_client import ASSERTION_TYPE, SmartClient
from service.records.ehr import ClientAuthentication, Ehr, SmartConfiguration
from service.records.scopes import ScopeSyntax
from service.records.smart import Failure, LaunchFailed

NOW = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)
TOKEN = {"access_token": "access", "token_type": "Bearer", "expires_in": 60, "patient": "p1"}
THEIRS = ECKey.generate_key("P-256", {"kid": "theirs"})
OTHERS = ECKey.generate_key("P-256", {"kid": "theirs"})


@dataclass
class Request:
    """What was posted to the token endpoint."""

    headers: dict[str, str]
    form: dict[str, str]


@dataclass
class Endpoint:
    """An authorization server that answers as it is told, and remembers."""

    status: int = 200
    body: bytes = json.dumps(TOKEN).encode()
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    def configuration(self) -> SmartConfiguration:
        return SmartConfiguration(
            f"{self.url}/authorize", f"{self.url}/token", "https://auth.example", f"{self.url}/jwks", ScopeSyntax.V2
        )


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    told = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            told.requests.append(Request(dict(self.headers), dict(parse_qsl(form, strict_parsing=True))))
            self._answer(told.status, told.body, told.headers)

        def do_GET(self) -> None:
            keys = json.dumps(KeySet([THEIRS]).as_dict(private=False)).encode()
            self._answer(200, keys, {"Content-Type": "application/json"})

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        told.url = f"http://127.0.0.1:{server.server_port}"
        yield told
        server.shutdown()
        thread.join()


@pytest.fixture
def client(tmp_path: Path, endpoint: Endpoint) -> Iterator[SmartClient]:
    store = open_database(f"sqlite:///{tmp_path / 'keys.db'}")
    key, ids = new_key(), count(1)
    keys = SigningKeys(store, FernetBox(lambda: [key]), lambda: NOW)
    ehr = Ehr(f"{endpoint.url}/fhir", "The EHR", "app")
    yield SmartClient(ehr, keys, lambda: NOW, lambda: f"jti-{next(ids)}", Timeouts(2, 2, 2))
    store.close()


def authenticating(client: SmartClient, by: ClientAuthentication, **more: Any) -> SmartClient:
    return replace(client, ehr=replace(client.ehr, authentication=by, **more))


def exchanged(client: SmartClient, endpoint: Endpoint) -> Request:
    client.exchange(endpoint.configuration(), "the-code", "the-verifier", "https://app.example/callback")
    return endpoint.requests[-1]


class TestTokenRequests:
    CODE = {  # noqa: RUF012
        "grant_type": "authorization_code",
        "code": "the-code",
        "code_verifier": "the-verifier",
        "redirect_uri": "https://app.example/callback",
    }

    def test_of_a_public_client(self, client: SmartClient, endpoint: Endpoint) -> None:
        request = exchanged(client, endpoint)
        assert request.form == {**self.CODE, "client_id": "app"}
        assert "Authorization" not in request.headers
        assert request.headers["Content-Type"].startswith("application/x-www-form-urlencoded")

    def test_with_a_client_secret(self, client: SmartClient, endpoint: Endpoint) -> None:
        secret = authenticating(client, ClientAuthentication.SECRET, client_secret="s3cret")
        request = exchanged(secret, endpoint)
        assert request.form == self.CODE
        assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"app:s3cret"

    @pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
    def test_with_a_signed_assertion(self, client: SmartClient, endpoint: Endpoint, algorithm: str) -> None:
        signing = authenticating(client, ClientAuthentication.PRIVATE_KEY, algorithm=algorithm)
        forms = [exchanged(signing, endpoint).form for _ in range(2)]
        tokens = [
            jwt.decode(form["client_assertion"], KeySet.import_key_set(client.keys.public()), algorithms=[algorithm])
            for form in forms
        ]
        assert {form["client_assertion_type"] for form in forms} == {ASSERTION_TYPE}
        assert tokens[0].header["kid"] in [key["kid"] for key in client.keys.public()["keys"]]
        assert tokens[0].claims == {
            "iss": "app",
            "sub": "app",
            "aud": f"{endpoint.url}/token",
            "jti": "jti-1",
            "iat": int(NOW.timestamp()),
            "exp": int(NOW.timestamp()) + 240,
        }
        assert tokens[1].claims["jti"] == "jti-2"

    def test_by_the_proxy_that_is_set_for_the_machine(
        self, client: SmartClient, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", endpoint.url)
        monkeypatch.setenv("no_proxy", "")
        elsewhere = replace(endpoint.configuration(), token_endpoint="http://auth.example/token")
        client.exchange(elsewhere, "the-code", "the-verifier", "https://app.example/callback")
        assert endpoint.requests[-1].headers["Host"] == "auth.example"

    def test_without_what_a_netrc_says(
        self, client: SmartClient, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "netrc").write_text("default login ada password secret\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        assert "Authorization" not in exchanged(client, endpoint).headers

    def test_of_a_refresh(self, client: SmartClient, endpoint: Endpoint) -> None:
        client.refresh(endpoint.configuration(), "the-refresh-token")
        form = endpoint.requests[-1].form
        assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "the-refresh-token")
        assert form["client_id"] == "app"

    def test_of_backend_services(self, client: SmartClient, endpoint: Endpoint) -> None:
        backend = replace(client, ehr=replace(client.ehr, backend_client_id="backend"))
        backend.backend_token(endpoint.configuration(), ["system/Observation.crus", "system/Condition.crus"])
        form = endpoint.requests[-1].form
        assert form["grant_type"] == "client_credentials"
        assert form["scope"] == "system/Observation.crus system/Condition.crus"
        assertion = jwt.decode(
            form["client_assertion"], KeySet.import_key_set(client.keys.public()), algorithms=["ES384"]
        )
        assert assertion.claims["iss"] == assertion.claims["sub"] == "backend"


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (400, b'{"error": "invalid_grant", "error_description": "Zaphod"}', Failure.REFUSED),
            (401, b'{"error": "invalid_client"}', Failure.REFUSED),
            (200, b'{"token_type": "Bearer"}', Failure.BAD_ANSWER),
            (200, b'{"access_token": "a", "token_type": "mac"}', Failure.BAD_ANSWER),
            (200, b'{"access_token": 7, "token_type": "Bearer"}', Failure.BAD_ANSWER),
            (200, b'{"access_token": "", "token_type": "Bearer"}', Failure.BAD_ANSWER),
            (200, b"<html>", Failure.BAD_ANSWER),
            (200, b"[]", Failure.BAD_ANSWER),
            (500, b"Zaphod", Failure.UNREACHABLE),
        ],
    )
    def test_that_will_not_do(
        self, client: SmartClient, endpoint: Endpoint, status: int, body: bytes, kind: Failure
    ) -> None:
        endpoint.status, endpoint.body = status, body
        with pytest.raises(LaunchFailed) as failed:
            exchanged(client, endpoint)
        assert failed.value.kind is kind
        assert "Zaphod" not in str(failed.value)

    def test_that_lead_elsewhere_are_not_followed(self, client: SmartClient, endpoint: Endpoint) -> None:
        endpoint.status, endpoint.headers = 307, {"Location": f"{endpoint.url}/elsewhere"}
        with pytest.raises(LaunchFailed):
            exchanged(client, endpoint)
        assert len(endpoint.requests) == 1

    def test_that_do_not_come(self, client: SmartClient, endpoint: Endpoint) -> None:
        nowhere = replace(endpoint.configuration(), token_endpoint="http://127.0.0.1:9/token")
        with pytest.raises(LaunchFailed) as failed:
            client.exchange(nowhere, "c", "v", "https://app.example/callback")
        assert failed.value.kind is Failure.UNREACHABLE


def id_token(key: ECKey | RSAKey | OctKey = THEIRS, algorithm: str = "ES256", **claims: Any) -> str:
    told = {
        "iss": "https://auth.example",
        "aud": "app",
        "sub": "someone",
        "nonce": "the-nonce",
        "exp": int((NOW + timedelta(minutes=5)).timestamp()),
        "fhirUser": "Practitioner/9",
        **claims,
    }
    kept = {name: value for name, value in told.items() if value is not None}
    return jwt.encode({"alg": algorithm, "kid": "theirs"}, kept, key, algorithms=[algorithm])


class TestIdentity:
    def test_that_is_right(self, client: SmartClient, endpoint: Endpoint) -> None:
        claims = client.identity(endpoint.configuration(), id_token(), "the-nonce")
        assert claims["fhirUser"] == "Practitioner/9"

    @pytest.mark.parametrize(
        "token",
        [
            id_token(OTHERS),
            id_token(OctKey.import_key("a shared secret that is long enough"), "HS256"),
            id_token(iss="https://elsewhere.example"),
            id_token(aud="another-app"),
            id_token(nonce="another"),
            id_token(nonce=None),
            id_token(exp=int((NOW - timedelta(minutes=2)).timestamp())),
            id_token(exp=None),
            "e30.e30.",
            base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=") + ".e30.",
            "not a token",
        ],
        ids=["key", "hmac", "issuer", "audience", "nonce", "no-nonce", "expired", "no-expiry", "empty", "none", "odd"],
    )
    def test_that_is_not_is_refused(self, client: SmartClient, endpoint: Endpoint, token: str) -> None:
        with pytest.raises(LaunchFailed) as failed:
            client.identity(endpoint.configuration(), token, "the-nonce")
        assert failed.value.kind is Failure.BAD_IDENTITY
