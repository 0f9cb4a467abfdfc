"""Keys that others publish: when they are asked for, and what is trusted by them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from service.adapters.published_keys import KeysUnavailable, PublishedKeys, Untrusted, fetch_keys, verified_claims

NOW = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)


def key(kid: str, kind: str = "P-256") -> ECKey:
    return ECKey.generate_key(kind, {"kid": kid})


OLD, NEW = key("old"), key("new")


@dataclass
class Publisher:
    """Publishes `told` at `url`; `asked` counts the requests."""

    url: str = ""
    told: Any = None
    status: int = 200
    asked: int = 0
    keys: list[ECKey] = field(default_factory=list)

    def body(self) -> bytes:
        own = {"keys": [one.as_dict(private=False) for one in self.keys]}
        return json.dumps(own if self.told is None else self.told).encode()


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    found = Publisher(keys=[OLD])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked += 1
            self.send_response(found.status)
            self.send_header("Location", "http://127.0.0.1:9/")
            self.end_headers()
            self.wfile.write(found.body())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        found.url = f"http://127.0.0.1:{server.server_address[1]}/jwks"
        yield found
        server.shutdown()


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class TestCache:
    def test_keys_are_asked_for_once_in_ten_minutes(self, publisher: Publisher) -> None:
        clock = Clock()
        keys = PublishedKeys(clock, 5)
        for _ in range(3):
            assert [one.kid for one in keys.keys(publisher.url, "old")] == ["old"]
        assert publisher.asked == 1
        clock.now += timedelta(minutes=10)
        keys.keys(publisher.url, "old")
        assert publisher.asked == 2

    def test_a_key_that_is_not_known_is_asked_for_but_not_all_the_time(self, publisher: Publisher) -> None:
        clock = Clock()
        keys = PublishedKeys(clock, 5)
        keys.keys(publisher.url, "old")
        publisher.keys = [NEW, OLD]
        assert [one.kid for one in keys.keys(publisher.url, "new")] == ["old"]
        clock.now += timedelta(seconds=30)
        assert [one.kid for one in keys.keys(publisher.url, "new")] == ["new", "old"]
        for invented in ("a", "b", "c"):
            keys.keys(publisher.url, invented)
        assert publisher.asked == 2

    def test_a_failure_is_not_kept(self, publisher: Publisher) -> None:
        keys = PublishedKeys(Clock(), 5)
        publisher.status = 503
        with pytest.raises(KeysUnavailable):
            keys.keys(publisher.url, "old")
        publisher.status = 200
        assert keys.keys(publisher.url, "old")

    @pytest.mark.parametrize("told", [[], {}, {"keys": []}, {"keys": None}, {"keys": ["x"]}, {"keys": [{"kty": "EC"}]}])
    def test_what_is_no_set_of_keys_is_refused(self, publisher: Publisher, told: Any) -> None:
        publisher.told = told
        with pytest.raises(KeysUnavailable):
            fetch_keys(publisher.url, 5)

    def test_secrets_and_redirects_are_not_followed(self, publisher: Publisher) -> None:
        shared = OctKey.import_key("a shared secret that is long enough").as_dict(private=True)
        publisher.told = {"keys": [shared, OLD.as_dict(private=False)]}
        assert [one.key_type for one in fetch_keys(publisher.url, 5)] == ["EC"]
        publisher.status = 302
        with pytest.raises(KeysUnavailable):
            fetch_keys(publisher.url, 5)


def token(key: ECKey | RSAKey | OctKey = OLD, algorithm: str = "ES256", **claims: Any) -> str:
    told = {"iss": "https://a.example", "aud": ["x", "api"], "exp": int(NOW.timestamp()) + 60, **claims}
    return jwt.encode({"alg": algorithm, "kid": "old"}, told, key, algorithms=[algorithm])


def claims_of(text: str, keys: KeySet) -> Any:
    return verified_claims(text, keys, NOW, 30, iss="https://a.example", aud=["api", "api/"])


@pytest.mark.parametrize(
    ("algorithm", "kind"), [("ES256", "P-256"), ("ES384", "P-384"), ("RS256", 2048), ("RS384", 2048)]
)
def test_every_algorithm_of_signatures_is_understood(algorithm: str, kind: Any) -> None:
    made = RSAKey.generate_key(kind, {"kid": "old"}) if algorithm.startswith("RS") else key("old", kind)
    assert claims_of(token(made, algorithm, sub="s"), KeySet([made]))["sub"] == "s"


def signed(payload: bytes) -> str:
    return jws.serialize_compact({"alg": "ES256", "kid": "old"}, payload, OLD)


SECONDS = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (token(key("old")), "signature"),
        (token(OctKey.import_key("a shared secret that is long enough"), "HS256"), "signature"),
        (token(iss="https://b.example"), "'iss'"),
        (token(aud="elsewhere"), "'aud'"),
        (token(aud=None), "'aud'"),
        (token(exp=None), "'exp'"),
        (signed(rb'{"jti": "\ud800"}'), "claims cannot be read"),
        (token(exp=SECONDS - 30), "expired"),
        (token(nbf=SECONDS + 31), "'nbf'"),
        (signed(b"[" * 6000), "claims cannot be read"),
        ("", "signature"),
        ("a.b", "signature"),
        ("e30.e30.", "signature"),
        ("bnVsbA.bnVsbA.bnVsbA", "signature"),
        ("W10.W10.W10", "signature"),
        ("é.é.é", "signature"),
    ],
)
def test_what_is_not_right_is_not_trusted(text: str, reason: str) -> None:
    with pytest.raises(Untrusted, match=reason):
        claims_of(text, KeySet([OLD]))


def test_clocks_may_differ_by_the_leeway() -> None:
    assert claims_of(token(exp=SECONDS - 29, nbf=SECONDS + 30), KeySet([OLD]))
