"""One HTTP request and its answer: bounded in time and size, no redirect followed, nothing tried again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final

import requests
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError

from service.errors import DomainError
from service.fhir.json import Json, parse
from service.records.ports import Answer, AnswerLost, Unreachable

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
_PIECE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait: for the connection, for the next bytes, and for the whole answer."""

    connect_seconds: float = 5.0
    read_seconds: float = 60.0
    answer_seconds: float = 120.0


class Exchange:
    """Sends requests over connections that it keeps. Not shared between threads (its session is not)."""

    def __init__(
        self,
        timeouts: Timeouts | None = None,
        session: requests.Session | None = None,
        elapsed: Callable[[], float] = monotonic,
    ) -> None:
        self._timeouts = timeouts or Timeouts()
        self._session = session or requests.Session()
        self._elapsed = elapsed

    def send(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str], token: str | None = None
    ) -> Answer:
        """One request, with `token` as the bearer's where there is one. Raises Unreachable or AnswerLost."""
        began = self._elapsed()
        try:
            with self._session.request(
                method,
                url,
                data=content,
                headers=dict(headers),
                auth=_Bearer(token),
                timeout=(self._timeouts.connect_seconds, self._timeouts.read_seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                answered = self._read(response, began)
        except requests.RequestException as fault:
            raise _told(fault) from fault
        except HTTPError as fault:
            raise AnswerLost(type(fault).__name__) from fault
        lower = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, lower, _json_object(answered))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _read(self, response: requests.Response, began: float) -> bytes:
        content = bytearray()
        while piece := response.raw.read1(_PIECE_BYTES, decode_content=True):
            content += piece
            if len(content) > MAX_ANSWER_BYTES:
                raise AnswerLost(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
            if self._elapsed() - began > self._timeouts.answer_seconds:
                raise AnswerLost(f"the answer took longer than {self._timeouts.answer_seconds:g} seconds")
        return bytes(content)


class _Bearer(requests.auth.AuthBase):
    """Sets the token. Given even without one, because requests would otherwise send what a .netrc holds."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


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
