"""Secrets at rest: tokens and private keys encrypted by a key that does not stand in the database."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from service.records.ehr import SealBroken


class FernetBox:
    """Implements service.records.ehr.SecretBox. The first key seals; each opens what it sealed."""

    def __init__(self, keys: Callable[[], Sequence[str]]) -> None:
        """`keys` is asked when the first secret is to be sealed or opened: without launches there is none."""
        self._keys = keys

    @cached_property
    def _fernet(self) -> MultiFernet:
        return MultiFernet([Fernet(key) for key in self._keys()])

    def seal(self, text: str) -> str:
        """`text` encrypted and authenticated."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """What was sealed. Raises SealBroken."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as fault:
            raise SealBroken from fault


def new_key() -> str:
    """A new random key: 32 bytes in URL-safe base64."""
    return Fernet.generate_key().decode()


def check_key(key: str) -> None:
    """Raises ValueError for a key that is not 32 bytes in URL-safe base64."""
    Fernet(key)


def key_in_file(path: Path) -> str:
    """The key in the file at `path`, which is made, readable by its owner alone, where there is none."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        key = new_key()
        file.write(key + "\n")
    return key
