"""The one table from exceptions to HTTP answers. Under /fhir every error is an OperationOutcome, under /cds-services
JSON that lists what is wrong."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from pathlib import Path

from flask import Flask, Response, g, render_template, request
from werkzeug.exceptions import HTTPException

from service.errors import (
    Conflict,
    DomainError,
    Forbidden,
    Gone,
    Invalid,
    Issue,
    IssueType,
    Malformed,
    NotFound,
    NotSupported,
    PreconditionFailed,
    Severity,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    error,
)
from service.fhir.json import Json
from service.fhir.outcome import operation_outcome
from service.web.auth import challenge
from service.web.content import fhir_answer, json_answer
from service.web.metrics import Metrics

log = logging.getLogger(__name__)

STATUS: Mapping[type[DomainError], int] = {
    Malformed: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Gone: 410,
    PreconditionFailed: 412,
    TooLarge: 413,
    Invalid: 422,
    NotSupported: 422,
    TooManyRequests: 429,
    Unavailable: 503,
}

_HTTP_ISSUES: Mapping[int, tuple[IssueType, str]] = {
    400: (IssueType.INVALID, "The request cannot be read."),
    404: (IssueType.NOT_FOUND, "There is nothing at this address. GET /fhir/metadata lists what the FHIR API serves."),
    405: (IssueType.NOT_SUPPORTED, "This address does not take that method; the Allow header names those it takes."),
    406: (IssueType.NOT_SUPPORTED, "Only JSON is served here."),
    413: (IssueType.TOO_LONG, "The body is larger than this server reads."),
    415: (IssueType.NOT_SUPPORTED, "Send FHIR R4 as JSON."),
}
# werkzeug's own sentences are written for web pages; only what this service raises itself is passed on.
_OWN_SENTENCES = (406, 415)


def register_errors(app: Flask, max_body_bytes: int, metrics: Metrics) -> None:
    """Makes every exception of a request an answer."""

    def http_fault(fault: HTTPException) -> Response:
        if fault.response is not None and isinstance(fault.response, Response):
            return fault.response
        status = fault.code or 500
        headers = {name: value for name, value in fault.get_headers() if name.lower() != "content-type"}
        kind, text = _HTTP_ISSUES.get(status, (IssueType.PROCESSING, fault.name))
        if status in _OWN_SENTENCES and fault.description:
            text = fault.description
        if status == 413:
            text = f"The body is larger than the {max_body_bytes} bytes that this server reads."
        return _answer([error(kind, text)], status, headers)

    def domain_error(fault: DomainError) -> Response:
        metrics.count_refusal(fault, request.url_rule.rule if request.url_rule else "none")
        return _domain_error(fault)

    app.register_error_handler(HTTPException, http_fault)
    app.register_error_handler(DomainError, domain_error)
    app.register_error_handler(Exception, _unexpected)


def _domain_error(fault: DomainError) -> Response:
    status = next(STATUS[kind] for kind in type(fault).__mro__ if kind in STATUS)
    headers = {}
    if isinstance(fault, Unavailable):
        headers["Retry-After"] = str(fault.retry_after_seconds)
    if isinstance(fault, Unauthenticated | Forbidden):
        headers["WWW-Authenticate"] = challenge(fault, request.host_url.rstrip("/"))
    return _answer(fault.issues, status, headers)


def _unexpected(fault: Exception) -> Response:
    log.error("request failed id=%s %s", g.request_id, describe(fault))
    text = f"This server failed to answer. Its log has the reason under request id {g.request_id}."
    return _answer([Issue(Severity.FATAL, IssueType.EXCEPTION, text)], 500, {})


def describe(fault: BaseException) -> str:
    """Type and place of an exception and of what caused it, on one line.

    Messages are left out: they may quote what a patient answered.
    """
    parts = []
    current: BaseException | None = fault
    while current is not None:
        frames = traceback.extract_tb(current.__traceback__)
        places = " > ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
        parts.append(f"{type(current).__name__} at {places}")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return " caused by ".join(parts)


def _answer(issues: Iterable[Issue], status: int, headers: Mapping[str, str]) -> Response:
    if request.path == "/fhir" or request.path.startswith("/fhir/"):
        return fhir_answer(request, operation_outcome(issues), status, headers)
    if request.path == "/cds-services" or request.path.startswith("/cds-services/"):
        return json_answer({"errors": [_as_json(issue) for issue in issues]}, status, headers)
    told = [*issues]
    if request.accept_mimetypes.accept_html:
        page = render_template("error.html", status=HTTPStatus(status), issues=told)
        return Response(page, status, headers, content_type="text/html; charset=utf-8")
    text = "\n".join(issue.text for issue in told)
    return Response(f"{text}\n", status, headers, content_type="text/plain; charset=utf-8")


def _as_json(issue: Issue) -> Json:
    place: Json = {} if issue.expression is None else {"expression": issue.expression}
    return {"message": issue.text, **place}
