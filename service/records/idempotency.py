"""The keys under which a submission is accepted once, and how two bodies are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

from service.errors import IssueType, PreconditionFailed, error
from service.fhir.json import Json, dumps
from service.records.ports import Key, KeyKind
from service.records.search import split_or, split_token
from service.records.searchable import subject_key


def identifier_key(response: Json, client: str) -> Key | None:
    """The key of the sender's `identifier`: only with a system, and within client and subject.

    Without a system two patients' forms may both be called "form-1".
    """
    identifier, subject = response.get("identifier"), subject_key(response.get("subject"))
    if not isinstance(identifier, dict) or subject is None:
        return None
    system, value = identifier.get("system"), identifier.get("value")
    if not (isinstance(system, str) and isinstance(value, str)):
        return None
    return Key(KeyKind.IDENTIFIER, client, subject, system, value)


def header_key(idempotency_key: str | None, client: str, user: str = "") -> Key | None:
    """The key of the Idempotency-Key header, within the client and, where an app has several, its user."""
    if idempotency_key is None:
        return None
    # No client's id has a line break (RFC 6749, appendix A.1).
    return Key(KeyKind.HEADER, f"{client}\n{user}" if user else client, "", "", idempotency_key)


def condition_key(if_none_exist: str | None, response: Json, client: str) -> Key | None:
    """The key of an If-None-Exist header `identifier=system|value`, within client and subject.

    Raises PreconditionFailed for any other search: it could match another sender's or patient's response.
    """
    if if_none_exist is None:
        return None
    text = if_none_exist.partition("?")[2] or if_none_exist
    system, value = selected_identifier(parse_qsl(text, keep_blank_values=True))
    subject = subject_key(response.get("subject"))
    return None if subject is None else Key(KeyKind.IDENTIFIER, client, subject, system, value)


def selected_identifier(search: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The system and value of a search `identifier=system|value`; raises PreconditionFailed for any other."""
    match search:
        case [("identifier", token)] if len(split_or(token)) == 1:
            system, value = split_token(token)
            if system and value:
                return system, value
    text = "A condition is understood as identifier=system|value, with both parts, and as nothing else."
    raise PreconditionFailed([error(IssueType.NOT_SUPPORTED, text)])


def body_digest(body: Json) -> str:
    """SHA-256 (hexadecimal) of `body`, whatever the order of its properties and its white space."""
    return sha256(dumps(_ordered(body)).encode()).hexdigest()


def _ordered(value: Any) -> Any:
    match value:
        case dict():
            return {name: _ordered(value[name]) for name in sorted(value)}
        case list():
            return [_ordered(child) for child in value]
        case _:
            return value
