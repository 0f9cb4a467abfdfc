"""The keys that this service signs client assertions with (RFC 7523), one pair for each algorithm of SMART."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from service.records.ehr import LaunchStore, SecretBox
from service.records.ports import Clock

ALGORITHMS: Final = ("ES384", "RS384")
"""What SMART's asymmetric authentication asks every server to support."""

_KEPT_GENERATIONS: Final = 2


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """Keys kept encrypted in the database. The newest of an algorithm signs; those before it stay published."""

    store: LaunchStore
    box: SecretBox
    clock: Clock

    def signed(self, algorithm: str, claims: Mapping[str, Any]) -> str:
        """A JWT of `claims`, signed by the newest key of `algorithm`; keys are made where there are none."""
        key = next((one for one in self._keys() if one["alg"] == algorithm), None)
        if key is None:
            self.rotate()
            return self.signed(algorithm, claims)
        header = {"alg": algorithm, "kid": key["kid"], "typ": "JWT"}
        private = RSAKey.import_key(key) if key["kty"] == "RSA" else ECKey.import_key(key)
        return jwt.encode(header, dict(claims), private, algorithms=[algorithm])

    def public(self) -> dict[str, Any]:
        """The JWK Set that others verify by: bare public keys, newest first."""
        keys = self._keys()
        found = KeySet.import_key_set({"keys": keys}).as_dict(private=False)["keys"] if keys else []
        return {"keys": [{**key, "use": "sig"} for key in found]}

    def rotate(self) -> list[str]:
        """Make new keys, and forget those before the last ones; gives the ids of the new ones."""
        made: list[ECKey | RSAKey] = [ECKey.generate_key("P-384"), RSAKey.generate_key(3072)]
        now = self.clock()
        ids = []
        for algorithm, key in zip(ALGORITHMS, made, strict=True):
            ids.append(key.thumbprint())
            private = {**key.as_dict(private=True), "kid": ids[-1], "alg": algorithm}
            self.store.keep_signing_key(ids[-1], self.box.seal(json.dumps(private)), now)
        for algorithm in ALGORITHMS:
            for old in [one for one in self._keys() if one["alg"] == algorithm][_KEPT_GENERATIONS:]:
                self.store.drop_signing_key(old["kid"])
        return ids

    def _keys(self) -> list[dict[str, Any]]:
        return [json.loads(self.box.open(sealed)) for _, sealed, _ in self.store.signing_keys()]
