"""A FHIR server over HTTP. One request is one try: retries are the outbox's business."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from time import monotonic
from typing import Final, Protocol
from urllib.parse import SplitResult, urlsplit

import requests

from service.adapters.exchange import Exchange, Timeouts
from service.fhir.json import Json, dumps
from service.records.ports import Answer


class TokenSource(Protocol):
    """Gives bearer tokens."""

    def __call__(self, refused: str | None = None) -> str | None:
        """The token to send, None for none; `refused` is one just answered with 401: another than that, if there is."""
        ...


class RequestsFhirServer:
    """Implements service.records.ports.FhirServer. Not shared between threads."""

    def __init__(
        self,
        base_url: str,
        token: TokenSource | None = None,
        timeouts: Timeouts | None = None,
        session: requests.Session | None = None,
        elapsed: Callable[[], float] = monotonic,
    ) -> None:
        """Raises ValueError unless `base_url` is https, or http to this very machine."""
        self._base_url = checked_base_url(base_url)
        self._token = token
        self._exchange = Exchange(timeouts, session, elapsed)

    @property
    def base_url(self) -> str:
        """Without a trailing slash."""
        return self._base_url

    def send(
        self, method: str, path: str, body: Json | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request to `path` below the base ("" is the base itself). Raises Unreachable or AnswerLost.

        A 401 is met once with a fresh token, where there is one.
        """
        url = f"{self._base_url}/{path}" if path else self._base_url
        content = None if body is None else dumps(body).encode()
        told = {**_HEADERS, **(headers or {})}
        token = self._token() if self._token is not None else None
        answer = self._exchange.send(method, url, content, told, token)
        if answer.status == 401 and self._token is not None:
            fresh = self._token(refused=token)
            if fresh is not None and fresh != token:
                return self._exchange.send(method, url, content, told, fresh)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()


def checked_base_url(url: str) -> str:
    """`url` without trailing slashes. Raises ValueError unless it is https, or http to this very machine."""
    parts = urlsplit(url)
    if not parts.hostname or "?" in url or "#" in url or parts.username is not None or not _has_port(parts):
        raise ValueError(
            "A FHIR server's URL is like https://host/fhir, without user, query or fragment, its port a number."
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ValueError("A FHIR server must be reached by https; http is for localhost alone.")
    return url.rstrip("/")


_HEADERS: Final = {
    "Accept": "application/fhir+json",
    "Content-Type": "application/fhir+json",
    "Prefer": "return=minimal",
}


def _has_port(parts: SplitResult) -> bool:
    try:
        _ = parts.port
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
