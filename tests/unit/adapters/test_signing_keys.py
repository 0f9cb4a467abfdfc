"""The keys that EHRs know this service by: what is published, what signs, and how they are replaced."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from service.adapters.database import Database, open_database
from service.adapters.secrets import FernetBox, check_key, key_in_file, new_key
from service.adapters.signing_keys import ALGORITHMS, SigningKeys

PRIVATE = {"d", "p", "q", "dp", "dq", "qi"}


class Clock:
    now = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path / 'keys.db'}")
    yield database
    database.close()


@pytest.fixture
def keys(store: Database) -> SigningKeys:
    key = new_key()
    return SigningKeys(store, FernetBox(lambda: [key]), Clock())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_signed_verifies_by_what_is_published(keys: SigningKeys, algorithm: str) -> None:
    signed = keys.signed(algorithm, {"iss": "app"})
    token = jwt.decode(signed, KeySet.import_key_set(keys.public()), algorithms=[algorithm])
    assert token.claims == {"iss": "app"}
    assert token.header["kid"] in [key["kid"] for key in keys.public()["keys"]]
    assert (token.header["alg"], token.header["typ"]) == (algorithm, "JWT")


def test_only_public_halves_are_published(keys: SigningKeys) -> None:
    keys.rotate()
    for key in keys.public()["keys"]:
        assert not PRIVATE & key.keys()
        assert key["use"] == "sig"
        assert key["kid"]
    assert {key["alg"] for key in keys.public()["keys"]} == set(ALGORITHMS)


def test_private_halves_are_encrypted_at_rest(keys: SigningKeys, store: Database) -> None:
    keys.rotate()
    for kid, sealed, _ in store.signing_keys():
        assert kid not in sealed
        assert '"d"' not in sealed


def test_after_a_rotation_the_new_one_signs_and_the_one_before_is_still_published(keys: SigningKeys) -> None:
    generations = [keys.rotate() for _ in range(3)]
    published = [key["kid"] for key in keys.public()["keys"]]
    assert set(published) == {*generations[1], *generations[2]}
    token = jwt.decode(keys.signed("ES384", {}), KeySet.import_key_set(keys.public()), algorithms=["ES384"])
    assert token.header["kid"] in generations[2]


def test_the_file_of_the_key_is_the_owners_alone_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "intake.db.key"
    key = key_in_file(file)
    assert key_in_file(file) == key
    assert file.stat().st_mode & 0o777 == 0o600
    check_key(key)


@pytest.mark.parametrize("key", ["", "short", "x" * 43])
def test_a_key_that_is_none(key: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each library words it another way
        check_key(key)
