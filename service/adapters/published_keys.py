"""The public keys that others publish (RFC 7517), and what they sign (RFC 7519)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import requests
from joserfc import jwt
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError
from joserfc.jwk import KeySet

from service.records.ports import Clock

SIGNING_ALGORITHMS: Final = ("RS256", "RS384", "ES256", "ES384")
"""What a signature may be made by: never none, and never a secret that both sides know."""

_KEY_TYPES: Final = ("RSA", "EC")
_KEPT: Final = timedelta(minutes=10)
# A key that is not known may be new; asking for every invented one would let anybody keep us asking.
_ASKED_AGAIN_AFTER: Final = timedelta(seconds=30)


class KeysUnavailable(Exception):
    """The keys cannot be had now. The message names no secret."""


class Untrusted(Exception):
    """A signed token that cannot be trusted; the message says why, without what stands in it."""


def fetch_keys(url: str, timeout_seconds: float) -> KeySet:
    """The keys in the JWK Set at `url`. Raises KeysUnavailable."""
    try:
        found = requests.get(url, timeout=timeout_seconds, allow_redirects=False)
        if found.status_code != 200:
            raise KeysUnavailable(f"The keys at {url} cannot be had (HTTP {found.status_code}).")
        told = found.json()["keys"]
        return KeySet.import_key_set({"keys": [one for one in told if one.get("kty") in _KEY_TYPES]})
    except (requests.RequestException, JoseError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise KeysUnavailable(f"The keys at {url} cannot be had ({type(fault).__name__}).") from fault


def verified_claims(
    token: str, keys: KeySet, now: datetime, leeway_seconds: int, **expected: str | Collection[str]
) -> Mapping[str, Any]:
    """The claims of a JWT that one of `keys` signed, that is valid `now`, and whose claims are as `expected`.

    A claim of several allowed values takes any of them; `exp` must be there. Raises Untrusted.
    """
    try:
        claims = jwt.decode(token, keys, algorithms=list(SIGNING_ALGORITHMS)).claims
        # Half of a surrogate pair is no text that could be kept.
        json.dumps(claims, ensure_ascii=False).encode()
    except (JoseError, ValueError, RecursionError) as fault:
        raise Untrusted("its signature cannot be verified, or its claims cannot be read") from fault
    check_claims(claims, now, leeway_seconds, essential=True, **expected)
    return claims


def check_claims(
    claims: Mapping[str, Any],
    now: datetime,
    leeway_seconds: int,
    *,
    essential: bool,
    **expected: str | Collection[str],
) -> None:
    """Raises Untrusted unless `claims` are valid `now` and as `expected`; `essential` ones must be there."""
    wanted: dict[str, Any] = {
        name: {"essential": essential, **({"value": one} if isinstance(one, str) else {"values": list(one)})}
        for name, one in {"exp": (), **expected}.items()
    }
    try:
        jwt.JWTClaimsRegistry(int(now.timestamp()), leeway_seconds, **wanted).validate(dict(claims))
    except ExpiredTokenError as fault:
        raise Untrusted("it has expired") from fault
    except ClaimError as fault:
        raise Untrusted(f"its '{fault.claim}' is not as it must be here") from fault


@dataclass(slots=True)
class PublishedKeys:
    """Keys by the address of their set, kept for ten minutes. Safe for threads."""

    clock: Clock
    timeout_seconds: float
    _kept: dict[str, tuple[datetime, KeySet]] = field(default_factory=dict)

    def keys(self, url: str, kid: str | None) -> KeySet:
        """The set at `url`, asked for again where it does not have the key `kid`. Raises KeysUnavailable."""
        now = self.clock()
        asked_at, known = self._kept.get(url, (None, None))
        if asked_at is not None and known is not None:
            age = now - asked_at
            is_there = kid is None or any(key.kid == kid for key in known)
            if age < _ASKED_AGAIN_AFTER or (is_there and age < _KEPT):
                return known
        fresh = fetch_keys(url, self.timeout_seconds)
        self._kept[url] = now, fresh
        return fresh
