"""The authorization server whose access tokens open the API: its metadata, and its word on a token.

RFC 8414 and OpenID Connect Discovery (metadata), RFC 7519 and RFC 9068 (signed tokens), RFC 7662 (introspection).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlsplit

import requests
from joserfc.errors import JoseError
from joserfc.jws import extract_compact

from service.adapters.published_keys import (
    KeysUnavailable,
    PublishedKeys,
    Untrusted,
    check_claims,
    verified_claims,
)
from service.errors import IssueType, Unauthenticated, Unavailable, error
from service.fhir.json import Json
from service.records.ports import Clock

LEEWAY_SECONDS: Final = 30
_KEPT: Final = timedelta(minutes=10)
_RETRY_AFTER_SECONDS: Final = 5


@dataclass(slots=True)
class AuthorizationServer:
    """The authorization server `issuer` (a URL without a trailing slash). Its metadata is kept for ten minutes."""

    issuer: str
    clock: Clock
    timeout_seconds: float
    _kept: tuple[datetime, Json] | None = field(default=None)

    def metadata(self) -> Json:
        """What it says of itself. Raises Unavailable when that cannot be had now."""
        now = self.clock()
        if self._kept is not None and now - self._kept[0] < _KEPT:
            return self._kept[1]
        for address in _places(self.issuer):
            told = self._told(address)
            if told is not None:
                self._kept = now, told
                return told
        raise _unavailable(f"{self.issuer} publishes no metadata of an authorization server")

    def endpoint(self, name: str) -> str:
        """The address in the metadata under `name`. Raises Unavailable where there is none, or none by https."""
        found = self.metadata().get(name)
        if not isinstance(found, str):
            raise _unavailable(f"The metadata of {self.issuer} has no {name}")
        issuer, there = urlsplit(self.issuer), urlsplit(found)
        if there.scheme != "https" and (there.scheme, there.hostname) != (issuer.scheme, issuer.hostname):
            raise _unavailable(f"The {name} of {self.issuer} is not reached by https")
        return found

    def _told(self, address: str) -> Json | None:
        """The metadata at `address`; None where there is none. Raises Unavailable."""
        try:
            answer = requests.get(address, timeout=self.timeout_seconds, allow_redirects=False)
            told: Any = answer.json() if answer.status_code == 200 else None
        except (requests.RequestException, ValueError) as fault:
            raise _unavailable(f"{self.issuer} cannot be asked ({type(fault).__name__})") from fault
        if not isinstance(told, dict):
            return None
        if str(told.get("issuer", "")).rstrip("/") != self.issuer:
            raise _unavailable(f"The metadata at {address} is that of another issuer")
        return told


@dataclass(frozen=True, slots=True)
class SignedTokens:
    """Checks tokens by their signature. Implements service.records.access.TokenCheck."""

    server: AuthorizationServer
    keys: PublishedKeys
    audience: str

    def __call__(self, token: str) -> Mapping[str, Any]:
        """The claims of a JWT of the server, for this API. Raises Unauthenticated, Unavailable."""
        try:
            keys = self.keys.keys(self.server.endpoint("jwks_uri"), _key_id(token))
            return verified_claims(
                token,
                keys,
                self.server.clock(),
                LEEWAY_SECONDS,
                iss=_spellings(self.server.issuer),
                aud=_spellings(self.audience),
            )
        except KeysUnavailable as fault:
            raise _unavailable(str(fault).rstrip(".")) from fault
        except Untrusted as fault:
            raise _refused(fault) from fault


@dataclass(frozen=True, slots=True)
class IntrospectedTokens:
    """Checks tokens by asking the server. Implements service.records.access.TokenCheck."""

    server: AuthorizationServer
    client_id: str
    client_secret: str
    audience: str

    def __call__(self, token: str) -> Mapping[str, Any]:
        """What the server says of an active token for this API. Raises Unauthenticated, Unavailable."""
        told = self._told(token)
        if told.get("active") is not True:
            raise _refused("it is not active")
        try:
            check_claims(
                told,
                self.server.clock(),
                LEEWAY_SECONDS,
                essential=False,
                iss=_spellings(self.server.issuer),
                aud=_spellings(self.audience),
            )
        except Untrusted as fault:
            raise _refused(fault) from fault
        return told

    def _told(self, token: str) -> Json:
        # RFC 6749, 2.3.1: both are form-encoded before they are joined.
        credentials = quote(self.client_id, safe=""), quote(self.client_secret, safe="")
        try:
            answer = requests.post(
                self.server.endpoint("introspection_endpoint"),
                data={"token": token, "token_type_hint": "access_token"},
                auth=credentials,
                headers={"Accept": "application/json"},
                timeout=self.server.timeout_seconds,
                allow_redirects=False,
            )
            told: Any = answer.json() if answer.status_code == 200 else None
        except (requests.RequestException, ValueError) as fault:
            raise _unavailable(f"{self.server.issuer} cannot be asked ({type(fault).__name__})") from fault
        if not isinstance(told, dict):
            raise _unavailable(f"{self.server.issuer} did not say whether a token is good (HTTP {answer.status_code})")
        return told


def _places(issuer: str) -> tuple[str, ...]:
    parts = urlsplit(issuer)
    return (
        f"{issuer}/.well-known/openid-configuration",
        f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path}",
    )


def _key_id(token: str) -> str | None:
    """The id of the key that a token says it was signed with. Raises Untrusted for what is no JWT."""
    try:
        told = extract_compact(token.encode()).headers().get("kid")
    except (JoseError, ValueError) as fault:
        raise Untrusted("it is no signed token") from fault
    return told if isinstance(told, str) else None


def _spellings(url: str) -> tuple[str, str]:
    """`url` with and without the slash at its end, which servers write as they like."""
    return url.rstrip("/"), f"{url.rstrip('/')}/"


def _refused(reason: object) -> Unauthenticated:
    return Unauthenticated([error(IssueType.LOGIN, f"The access token is refused: {reason}.")], refused=True)


def _unavailable(reason: str) -> Unavailable:
    text = f"Access tokens cannot be checked now. {reason}."
    return Unavailable([error(IssueType.TRANSIENT, text)], _RETRY_AFTER_SECONDS)
