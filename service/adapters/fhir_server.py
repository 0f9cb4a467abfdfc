"""A FHIR server over HTTP. One request is one try: retries are the outbox's business."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from time import monotonic
from typing import Final, Protocol
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError

from service.errors import DomainError
from service.fhir.json import Json, dumps, parse
from service.records.ports import Answer, AnswerLost, Unreachable

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
_PIECE_BYTES: Final = 64 * 1024


class TokenSource(Protocol):
    """Gives bearer tokens."""

    def __call__(self, refused: str | None = None) -> str | None:
        """The token to send, None for none; `refused` is one just answered with 401: another than that, if there is."""
        ...


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait: for the connection, for the next bytes, and for the whole answer."""

    connect_seconds: float = 5.0
    read_seconds: float = 60.0
    answer_seconds: float = 120.0


class RequestsFhirServer:
    """Implements service.records.ports.FhirServer. Not shared between threads (its session is not)."""

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
        self._timeouts = timeouts or Timeouts()
        self._session = session or requests.Session()
        self._elapsed = elapsed

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
        token = self._token() if self._token is not None else None
        answer = self._try(method, path, body, headers or {}, token)
        if answer.status == 401 and self._token is not None:
            fresh = self._token(refused=token)
            if fresh is not None and fresh != token:
                return self._try(method, path, body, headers or {}, fresh)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _try(self, method: str, path: str, body: Json | None, headers: Mapping[str, str], token: str | None) -> Answer:
        began = self._elapsed()
        try:
            with self._session.request(
                method,
                f"{self._base_url}/{path}" if path else self._base_url,
                data=None if body is None else dumps(body).encode(),
                headers={**_HEADERS, **headers},
                auth=_Bearer(token),
                timeout=(self._timeouts.connect_seconds, self._timeouts.read_seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                content = self._read(response, began)
        except requests.RequestException as fault:
            raise _told(fault) from fault
        except HTTPError as fault:
            raise AnswerLost(type(fault).__name__) from fault
        lower = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, lower, _json_object(content))

    def _read(self, response: requests.Response, began: float) -> bytes:
        content = bytearray()
        while piece := response.raw.read1(_PIECE_BYTES, decode_content=True):
            content += piece
            if len(content) > MAX_ANSWER_BYTES:
                raise AnswerLost(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
            if self._elapsed() - began > self._timeouts.answer_seconds:
                raise AnswerLost(f"the answer took longer than {self._timeouts.answer_seconds:g} seconds")
        return bytes(content)


def checked_base_url(url: str) -> str:
    """`url` without trailing slashes. Raises ValueError unless it is https, or http to this very machine."""
    parts = urlsplit(url)
    if not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("A FHIR server's URL is like https://host/fhir, without user, query or fragment.")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ValueError("A FHIR server must be reached by https; http is for localhost alone.")
    return url.rstrip("/")


_HEADERS: Final = {
    "Accept": "application/fhir+json",
    "Content-Type": "application/fhir+json",
    "Prefer": "return=minimal",
}


class _Bearer(requests.auth.AuthBase):
    """Sets the token. Given even without one, because requests would otherwise send what a .netrc holds."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _told(fault: requests.RequestException) -> Unreachable | AnswerLost:
    """Whether the request can have arrived at all."""
    name = type(fault).__name__
    if isinstance(fault, requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError):
        return Unreachable(name)
    cause = fault.args[0] if fault.args else None
    reason = getattr(cause, "reason", None)
    if isinstance(reason, NameResolutionError):
        return Unreachable("the host name is not known")
    if isinstance(reason, NewConnectionError):
        return Unreachable("the connection was refused or failed")
    return AnswerLost(name)


def _json_object(content: bytes) -> Json | None:
    try:
        value = parse(content)
    except DomainError:
        return None
    return value if isinstance(value, dict) else None
