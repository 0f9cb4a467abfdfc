"""A plain HTTP client for a server of our own on loopback; the way to other machines is the FHIR server adapter."""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import urlsplit

from service.fhir.json import Json, dumps, parse_object


@dataclass(frozen=True, slots=True)
class LoopbackClient:
    """Sends FHIR requests to `base` (an http address on this machine), whatever proxies the environment names."""

    base: str

    def send(self, method: str, path: str, body: Json | None = None) -> Json:
        """The resource answered to one request to `path` below the base. Raises RequestRefused for a 4xx or 5xx."""
        parts = urlsplit(self.base)
        connection = HTTPConnection(parts.hostname or "localhost", parts.port)
        try:
            content = None if body is None else dumps(body).encode()
            headers = {"Accept": "application/fhir+json", "Content-Type": "application/fhir+json"}
            connection.request(method, f"{parts.path}/{path}", content, headers)
            answer = connection.getresponse()
            resource = parse_object(answer.read())
        finally:
            connection.close()
        if answer.status >= 400:
            raise RequestRefused(f"{method} {path} was answered with {answer.status}")
        return resource


class RequestRefused(Exception):
    """Our own server did not do what it was asked."""
