"""Which EHR called a CDS service: its signed token, checked (CDS Hooks 2.0, "Trusting CDS Clients")."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NoReturn

from joserfc import jws
from joserfc.errors import JoseError

from service.adapters.published_keys import KeysUnavailable, PublishedKeys, Untrusted, verified_claims
from service.errors import Issue, IssueType, Unauthenticated, Unavailable, error
from service.records.ehr import Ehr, Ehrs
from service.records.ports import Clock

_LEEWAY_SECONDS: Final = 60
# A token is remembered until it ends, so that it is not used twice; what lasts for days is none of a client that calls.
_MAX_LIFETIME: Final = timedelta(hours=1)
_RETRY_AFTER_SECONDS: Final = 30

KeepTokenId = Callable[[str, str, datetime, datetime], bool]
"""Keeps that a token of an issuer was used, until a time, as of now; False when it was used before."""


@dataclass(frozen=True, slots=True)
class SignedCdsClients:
    """Implements service.records.ehr.CdsClients. `is_required` asks every caller for a token."""

    ehrs: Ehrs
    keys: PublishedKeys
    keep_token_id: KeepTokenId
    clock: Clock
    is_required: bool

    def client(self, authorization: str | None, audience: str) -> Ehr | None:
        """The EHR that called `audience`; None where no token is asked for. Raises Unauthenticated, Unavailable."""
        if not self.is_required:
            return None
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            text = "A signed token of a CDS client is needed: 'Authorization: Bearer <JWT>'."
            raise Unauthenticated([_issue(text)], refused=authorization is not None)
        header, claims = _unverified(token.strip())
        ehr = next((one for one in self.ehrs.values() if one.cds_issuer == claims.get("iss")), None)
        if ehr is None or ehr.cds_issuer is None or ehr.cds_jwks_url is None:
            _refuse("The 'iss' of the token is no CDS client that is registered here.")
        if not isinstance(header.get("kid"), str) or header.get("typ") != "JWT":
            _refuse("The header of the token needs 'kid', and 'typ' with the value JWT.")
        if header.get("jku", ehr.cds_jwks_url) != ehr.cds_jwks_url:
            _refuse("The 'jku' of the token is not the address of the keys that is registered here.")
        self._verify(token.strip(), ehr.cds_issuer, ehr.cds_jwks_url, header["kid"], audience)
        return ehr

    def _verify(self, token: str, issuer: str, jwks_url: str, kid: str, audience: str) -> None:
        now = self.clock()
        try:
            keys = self.keys.keys(jwks_url, kid)
            claims = verified_claims(token, keys, now, _LEEWAY_SECONDS, iss=issuer, aud=audience)
        except KeysUnavailable as fault:
            raise Unavailable([error(IssueType.TRANSIENT, str(fault))], _RETRY_AFTER_SECONDS) from fault
        except Untrusted as fault:
            _refuse(f"The token cannot be trusted: {fault}.", fault)
        if claims["aud"] not in (audience, [audience]):
            _refuse("The token is for others too: its 'aud' must be the address that is called, and no other.")
        if "iat" not in claims or not isinstance(claims.get("jti"), str) or not claims["jti"]:
            _refuse("The token needs 'iat' and 'jti'.")
        if claims["exp"] > (now + _MAX_LIFETIME).timestamp():
            _refuse(f"The token lasts longer than {_MAX_LIFETIME}.")
        ends_at = datetime.fromtimestamp(claims["exp"], UTC) + timedelta(seconds=_LEEWAY_SECONDS)
        if not self.keep_token_id(issuer, sha256(claims["jti"].encode()).hexdigest(), ends_at, now):
            _refuse("The token was used before: each call needs its own, with a 'jti' of its own.")


def _unverified(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What a token says of itself, which nobody has verified yet: its header and claims."""
    try:
        read = jws.extract_compact(token.encode())
        header, claims = read.headers(), json.loads(read.payload or b"")
    except (JoseError, ValueError, RecursionError) as fault:
        _refuse("The token cannot be read as a JWT.", fault)
    if not isinstance(claims, dict):
        _refuse("The token cannot be read as a JWT.")
    return header, claims


def _refuse(text: str, cause: Exception | None = None) -> NoReturn:
    raise Unauthenticated([_issue(text)], refused=True) from cause


def _issue(text: str) -> Issue:
    return error(IssueType.LOGIN, text, "http.Authorization")
