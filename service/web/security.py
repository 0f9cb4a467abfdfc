"""What every answer carries: request id, security headers, CORS; and the access log."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Flask, Response, g, request

from service.errors import IssueType, Malformed, error

log = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}"
)
_CROSS_ORIGIN = ("/fhir", "/cds-services")
_EMBEDDED = ("/launch", "/callback", "/forms/", "/responses/")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_CORS_METHODS = "GET, HEAD, POST, PUT, OPTIONS"
_CORS_REQUEST_HEADERS = (
    "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-Modified-Since, If-None-Exist, "
    "If-None-Match, Origin, Prefer, X-Provenance, X-Request-Id, X-Requested-With"
)
_CORS_ANSWER_HEADERS = "Content-Location, ETag, Last-Modified, Location, Retry-After, WWW-Authenticate, X-Request-Id"
_PREFLIGHT_SECONDS = "600"


def register_request_id(app: Flask, new_id: Callable[[], str]) -> None:
    """Gives each request an id (the caller's, where it is a plain one), and logs each answer under it.

    What the caller says of a trace is kept for logs (https://www.w3.org/TR/trace-context/).
    """

    @app.before_request
    def begin() -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else new_id()
        trace = request.headers.get("traceparent", "")
        g.traceparent = trace if _TRACEPARENT.fullmatch(trace) else None
        g.started = time.perf_counter()

    @app.after_request
    def finish(answer: Response) -> Response:
        answer.headers["X-Request-Id"] = g.request_id
        # The route, not the address: ids and search values may name a patient.
        fields = {
            "method": request.method,
            "route": request.url_rule.rule if request.url_rule else "-",
            "status": answer.status_code,
            "ms": round((time.perf_counter() - g.started) * 1000, 1),
        }
        told = " ".join(f"{name}={value}" for name, value in fields.items())
        log.info("request id=%s %s", g.request_id, told, extra={"fields": fields})
        return answer


def register_trusted_hosts(app: Flask, trusts_host: Callable[[str], bool]) -> None:
    """Refuses requests to a host name that is not trusted, as a page that lets its own name point here would send."""

    @app.before_request
    def check() -> None:
        host = urlsplit(f"//{request.host}").hostname or ""
        if not trusts_host(host):
            text = "This server does not answer to that host name. Its operator can set SYMPTOM_INTAKE_PUBLIC_URL."
            raise Malformed([error(IssueType.SECURITY, text, "http.Host")])


def register_security_headers(app: Flask, frame_origins: tuple[str, ...], new_nonce: Callable[[], str]) -> None:
    """Headers that keep browsers from guessing, framing, and storing what patients said.

    Pages of `frame_origins` (EHRs) may embed the form. Scripts and styles run where they carry the nonce of the answer
    (`g.nonce`), and nowhere else.
    """

    @app.before_request
    def choose_nonce() -> None:
        g.nonce = new_nonce()

    @app.after_request
    def secure(answer: Response) -> Response:
        answer.headers.setdefault("X-Content-Type-Options", "nosniff")
        answer.headers.setdefault("Referrer-Policy", "no-referrer")
        is_embedded = bool(frame_origins) and request.path.startswith(_EMBEDDED)
        ancestors = " ".join(frame_origins) if is_embedded else "'none'"
        policy = CONTENT_SECURITY_POLICY.format(nonce=g.nonce, ancestors=ancestors)
        answer.headers.setdefault("Content-Security-Policy", policy)
        if not is_embedded:
            answer.headers.setdefault("X-Frame-Options", "DENY")
        answer.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer


def register_cors(app: Flask, origins: tuple[str, ...]) -> None:
    """Lets browser apps of these origins ("*" for any) call the APIs, without cookies."""

    @app.after_request
    def allow(answer: Response) -> Response:
        if not origins or not request.path.startswith(_CROSS_ORIGIN):
            return answer
        answer.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin is None or not ("*" in origins or origin in origins):
            return answer
        answer.headers["Access-Control-Allow-Origin"] = "*" if "*" in origins else origin
        answer.headers["Access-Control-Expose-Headers"] = _CORS_ANSWER_HEADERS
        answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            answer.headers["Access-Control-Allow-Methods"] = _CORS_METHODS
            answer.headers["Access-Control-Allow-Headers"] = _CORS_REQUEST_HEADERS
            answer.headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
        return answer
