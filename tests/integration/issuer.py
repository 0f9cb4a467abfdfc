"""An authorization server of the tests' own: publishes metadata and keys, answers introspection, signs any claims."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote

from joserfc import jwt
from joserfc.jwk import ECKey

KEY = ECKey.generate_key("P-256", {"kid": "k1"})
AUDIENCE = "https://intake.example/fhir"
CLIENT = ("intake+service", "s:e cret%")


@dataclass
class Issuer:
    """`url` is the issuer; `metadata` stands over what it publishes, a None leaves an element out.

    `active` are the claims of the opaque tokens that introspection knows; `down` makes every answer a 503.
    """

    url: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    active: dict[str, dict[str, Any]] = field(default_factory=dict)
    down: bool = False
    asked: list[str] = field(default_factory=list)

    def token(self, scope: str, key: ECKey = KEY, **claims: Any) -> str:
        """A signed token for this API, good for five minutes; a claim of None is left out."""
        now = int(time.time())
        told = {
            "iss": self.url,
            "aud": AUDIENCE,
            "exp": now + 300,
            "client_id": "app",
            "sub": "user-1",
            "scope": scope,
            **claims,
        }
        kept = {name: value for name, value in told.items() if value is not None}
        return jwt.encode({"alg": "ES256", "kid": "k1", "typ": "at+jwt"}, kept, key, algorithms=["ES256"])

    def published(self, path: str) -> dict[str, Any] | None:
        """What a GET of `path` answers."""
        told = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "introspection_endpoint": f"{self.url}/introspect",
            "code_challenge_methods_supported": ["S256", "plain"],
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
            "response_types_supported": ["code"],
            **self.metadata,
        }
        pages = {
            "/.well-known/openid-configuration": {k: v for k, v in told.items() if v is not None},
            "/jwks": {"keys": [KEY.as_dict(private=False)]},
        }
        return pages.get(path)

    def introspected(self, credentials: str, form: str) -> dict[str, Any] | None:
        """What introspection answers; None to others than the service itself."""
        name, _, secret = base64.b64decode(credentials.removeprefix("Basic ")).decode().partition(":")
        if (unquote(name), unquote(secret)) != CLIENT:
            return None
        claims = self.active.get(parse_qs(form)["token"][0])
        return {"active": False} if claims is None else {"active": True, **claims}


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    """An issuer on the loopback interface."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(issuer.published(self.path), 404)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer(issuer.introspected(self.headers["Authorization"], body), 401)

        def _answer(self, told: dict[str, Any] | None, otherwise: int) -> None:
            issuer.asked.append(self.path)
            self.send_response(503 if issuer.down else otherwise if told is None else 200)
            self.end_headers()
            self.wfile.write(b"" if told is None or issuer.down else json.dumps(told).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield issuer
        finally:
            server.shutdown()
