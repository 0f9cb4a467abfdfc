"""Which tokens of CDS clients are trusted: each part that the specification asks for, and each that can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from service.adapters.cds_clients import SignedCdsClients
from service.adapters.database import open_database
from service.adapters.published_keys import KeysUnavailable, PublishedKeys
from service.errors import Unauthenticated, Unavailable
from service.records.ehr import Ehr

NOW = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
CALLED = "https://intake.example/cds-services/symptom-intake"
ISSUER, JWKS = "https://ehr.example/cds", "https://ehr.example/jwks.json"
EHR = Ehr("https://ehr.example/fhir", "The EHR", "app", cds_issuer=ISSUER, cds_jwks_url=JWKS)
SILENT = Ehr("https://silent.example/fhir", "Another", "app")
KEY = ECKey.generate_key("P-384", {"kid": "k1"})
STRANGER = ECKey.generate_key("P-384", {"kid": "k1"})


@dataclass
class FakeKeys(PublishedKeys):
    """Publishes KEY at JWKS, and remembers what was asked for."""

    asked: list[tuple[str, str | None]] = field(default_factory=list)
    gone: bool = False

    def keys(self, url: str, kid: str | None) -> KeySet:
        self.asked.append((url, kid))
        if self.gone:
            raise KeysUnavailable("The keys cannot be had.")
        return KeySet([KEY])


@pytest.fixture
def keys() -> FakeKeys:
    return FakeKeys(lambda: NOW, 1)


MakeClients = Callable[..., SignedCdsClients]


@pytest.fixture
def clients(tmp_path: Path, keys: FakeKeys) -> Any:
    store = open_database(f"sqlite:///{tmp_path / 'records.db'}")
    ehrs = {one.issuer: one for one in (SILENT, EHR)}
    yield SignedCdsClients(ehrs, keys, store.keep_token_id, lambda: NOW, is_required=True)
    store.close()


def token(key: Any = KEY, header: dict[str, Any] | None = None, algorithm: str = "ES384", **claims: Any) -> str:
    told = {"iss": ISSUER, "aud": CALLED, "exp": SECONDS + 300, "iat": SECONDS, "jti": "one", **claims}
    head = {"alg": algorithm, "kid": "k1", "typ": "JWT", **(header or {})}
    kept = {name: value for name, value in told.items() if value is not None}
    shown = {name: value for name, value in head.items() if value is not None}
    return jwt.encode(shown, kept, key, algorithms=[algorithm], default_type=None)


def bearer(**parts: Any) -> str:
    return f"Bearer {token(**parts)}"


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"aud": [CALLED]},
        {"header": {"jku": JWKS}},
        {"exp": SECONDS - 59},
        {"iat": SECONDS + 59},
        {"tenant": "2ddd6c3a"},
        {"exp": SECONDS + 3600},
    ],
)
def test_a_token_that_is_right_names_its_ehr(clients: SignedCdsClients, keys: FakeKeys, parts: dict[str, Any]) -> None:
    assert clients.client(bearer(**parts), CALLED) is EHR
    assert keys.asked == [(JWKS, "k1")]


WRONG: list[tuple[str | None, str]] = [
    (None, "is needed"),
    ("", "is needed"),
    ("Bearer ", "is needed"),
    (f"Basic {token()}", "is needed"),
    ("Bearer x", "cannot be read"),
    ("Bearer e30.W10.", "cannot be read"),
    ("Bearer é.é.é", "cannot be read"),
    (bearer(iss=None), "'iss'"),
    (bearer(iss="https://evil.example"), "'iss'"),
    (bearer(iss=EHR.issuer), "'iss'"),
    (bearer(header={"kid": None}), "'kid'"),
    (bearer(header={"typ": None}), "'typ'"),
    (bearer(header={"typ": "at+jwt"}), "'typ'"),
    (bearer(header={"jku": "https://evil.example/jwks.json"}), "'jku'"),
    (bearer(key=STRANGER), "signature"),
    (bearer(key=OctKey.import_key("a shared secret that is long enough"), algorithm="HS256"), "signature"),
    (bearer(key=RSAKey.generate_key(2048, {"kid": "k1"}), algorithm="RS384"), "signature"),
    (bearer(aud="https://intake.example/cds-services"), "'aud'"),
    (bearer(aud=f"{CALLED}/feedback"), "'aud'"),
    (bearer(aud=f"{CALLED}/"), "'aud'"),
    (bearer(aud=[CALLED, "https://other.example/cds-services/x"]), "'aud'"),
    (bearer(aud=[]), "'aud'"),
    (bearer(aud=None), "'aud'"),
    (bearer(exp=None), "'exp'"),
    (bearer(exp=SECONDS - 60), "expired"),
    (bearer(exp=SECONDS + 3601), "lasts longer"),
    (bearer(exp=10**30), "lasts longer"),
    (bearer(exp="soon"), "'exp'"),
    (bearer(iat=None), "'iat'"),
    (bearer(iat=SECONDS + 61), "'iat'"),
    (bearer(nbf=SECONDS + 61), "'nbf'"),
    (bearer(jti=None), "'jti'"),
    (bearer(jti=""), "'jti'"),
    (bearer(jti=7), "'jti'"),
]


@pytest.mark.parametrize(("authorization", "said"), WRONG)
def test_what_is_wrong_is_said(clients: SignedCdsClients, authorization: str | None, said: str) -> None:
    with pytest.raises(Unauthenticated, match=said):
        clients.client(authorization, CALLED)


def test_keys_are_asked_for_at_the_listed_address_alone(clients: SignedCdsClients, keys: FakeKeys) -> None:
    for parts in ({"header": {"jku": "https://evil.example/jwks.json"}}, {"iss": "https://evil.example"}):
        with pytest.raises(Unauthenticated):
            clients.client(bearer(**parts), CALLED)
    assert keys.asked == []


def test_a_token_is_good_once(clients: SignedCdsClients) -> None:
    assert clients.client(bearer(), CALLED) is EHR
    for again in (bearer(), bearer(exp=SECONDS + 200)):
        with pytest.raises(Unauthenticated, match="used before"):
            clients.client(again, CALLED)
    assert clients.client(bearer(jti="two"), CALLED) is EHR


def test_a_token_that_was_refused_is_not_used_up(clients: SignedCdsClients) -> None:
    with pytest.raises(Unauthenticated, match="'aud'"):
        clients.client(bearer(), f"{CALLED}/feedback")
    assert clients.client(bearer(), CALLED) is EHR


def test_a_token_is_remembered_for_as_long_as_it_is_taken(tmp_path: Path) -> None:
    store = open_database(f"sqlite:///{tmp_path / 'records.db'}")
    times = [NOW, NOW + timedelta(seconds=359), NOW + timedelta(seconds=360)]
    clients = [
        SignedCdsClients({EHR.issuer: EHR}, FakeKeys(lambda: NOW, 1), store.keep_token_id, lambda now=now: now, True)
        for now in times
    ]
    assert clients[0].client(bearer(), CALLED) is EHR
    with pytest.raises(Unauthenticated, match="used before"):
        clients[1].client(bearer(), CALLED)
    with pytest.raises(Unauthenticated, match="expired"):
        clients[2].client(bearer(), CALLED)
    store.close()


def test_keys_that_cannot_be_had_are_no_fault_of_the_caller(clients: SignedCdsClients, keys: FakeKeys) -> None:
    keys.gone = True
    with pytest.raises(Unavailable):
        clients.client(bearer(), CALLED)


def test_where_no_token_is_asked_for_none_is_looked_at(keys: FakeKeys) -> None:
    open_clients = SignedCdsClients({EHR.issuer: EHR}, keys, lambda *_: False, lambda: NOW, is_required=False)
    for authorization in (None, bearer(), "Bearer x"):
        assert open_clients.client(authorization, CALLED) is None
    assert keys.asked == []
