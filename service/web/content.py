"""Content negotiation, bodies and preferences of FHIR over HTTP (http://hl7.org/fhir/R4/http.html)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flask import Request, Response
from werkzeug.exceptions import NotAcceptable, UnsupportedMediaType
from werkzeug.http import parse_list_header, parse_options_header

from service.errors import Detail, IssueType, Malformed, PreconditionFailed, error
from service.fhir.json import Json, dumps, parse, parse_object
from service.fhir.models import model_issues

FHIR_JSON = "application/fhir+json"
PLAIN_JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
_JSON_TYPES = (FHIR_JSON, PLAIN_JSON, "text/json")
_FORMATS = (*_JSON_TYPES, "json")
_FHIR_VERSIONS = ("4.0", "4.0.1")
MAX_KEY_LENGTH = 255
_ENTITY_TAG = re.compile(r'(?:W/)?"(\d{1,9})"', re.ASCII)


class Return(StrEnum):
    """What an answer to a write holds (`Prefer: return=`)."""

    MINIMAL = "minimal"
    REPRESENTATION = "representation"
    OPERATION_OUTCOME = "OperationOutcome"


@dataclass(frozen=True, slots=True)
class Preferences:
    """The `Prefer` header: what to return, and whether unknown search parameters are refused."""

    returning: Return = Return.REPRESENTATION
    strict: bool = False


def preferences(request: Request) -> Preferences:
    """The preferences of a request; what is not understood is passed over, as RFC 7240 asks."""
    given = {}
    for header in request.headers.getlist("Prefer"):
        for entry in parse_list_header(header.replace(";", ",")):
            name, _, value = entry.partition("=")
            given[name.strip().lower()] = value.strip().strip('"').lower()
    returning = next((kind for kind in Return if kind.lower() == given.get("return")), Return.REPRESENTATION)
    return Preferences(returning, strict=given.get("handling") == "strict")


def answer_type(request: Request) -> str:
    """The media type to answer with: `_format` before `Accept`, FHIR's own type before plain JSON.

    Raises NotAcceptable when the request admits no JSON of FHIR R4.
    """
    wanted = request.args.get("_format")
    if wanted is not None:
        # A '+' that was not escaped in the address arrives as a space.
        media_type, options = parse_options_header(wanted.replace(" ", "+"))
        if media_type.lower() not in _FORMATS or not _is_r4(options):
            raise NotAcceptable(f"'{wanted}' is not served here. Use _format=json.")
        return PLAIN_JSON if media_type.lower() == PLAIN_JSON else FHIR_JSON
    if not request.headers.get("Accept", "").strip():
        return FHIR_JSON
    admitted = tuple(_admitted(request))
    if any(kind in (FHIR_JSON, "application/*", "*/*") for kind in admitted):
        return FHIR_JSON
    if any(kind in _JSON_TYPES for kind in admitted):
        return PLAIN_JSON
    raise NotAcceptable(f"Only JSON is served here. Send 'Accept: {FHIR_JSON}'.")


def fhir_answer(
    request: Request, resource: Json | None, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer with a resource, or without a body, in the type the request asks for (JSON where it asks amiss)."""
    if resource is None:
        empty = Response(status=status, headers=headers)
        del empty.headers["Content-Type"]
        return empty
    try:
        media_type = answer_type(request)
    except NotAcceptable:
        media_type = FHIR_JSON
    indent = 2 if request.args.get("_pretty") == "true" else None
    answer = Response(dumps(resource, indent=indent), status=status, headers=headers)
    answer.headers["Content-Type"] = f"{media_type}; charset=utf-8"
    answer.vary.add("Accept")
    return answer


def json_answer(value: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with JSON that is no FHIR resource."""
    return Response(dumps(value), status, headers, content_type=PLAIN_JSON)


def body_resource(request: Request) -> Json:
    """The FHIR resource in the body.

    Raises UnsupportedMediaType, RequestEntityTooLarge (both of werkzeug), Malformed or TooLarge.
    """
    return parse_object(_body(request, _JSON_TYPES, f"Send FHIR R4 as JSON: 'Content-Type: {FHIR_JSON}'."))


def body_json(request: Request) -> Any:
    """The JSON value in the body, which is no FHIR resource. Raises as `body_resource`."""
    return parse(_body(request, (PLAIN_JSON,), f"Send JSON: 'Content-Type: {PLAIN_JSON}'."))


def _body(request: Request, media_types: Collection[str], advice: str) -> bytes:
    data = request.get_data(cache=False)
    sent = request.headers.get("Content-Type")
    media_type, options = parse_options_header(sent)
    if media_type.lower() not in media_types or not _is_r4(options):
        given = f"'{sent}'" if sent else "no Content-Type"
        raise UnsupportedMediaType(f"The request has {given}. {advice}")
    if options.get("charset", "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType("JSON is UTF-8.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body without Content-Encoding.")
    if not data.strip():
        raise Malformed([error(IssueType.STRUCTURE, "The request has no body.", detail=Detail.MALFORMED)])
    return data


def has_body(request: Request) -> bool:
    """True if the request carries a body (of known or unknown length)."""
    return bool(request.content_length) or "chunked" in request.headers.get("Transfer-Encoding", "")


def idempotency_key(request: Request) -> str | None:
    """The `Idempotency-Key` header, None when absent; raises Malformed when it cannot be kept."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    key = key.strip().strip('"')
    if not key or len(key) > MAX_KEY_LENGTH or not key.isprintable():
        text = f"Idempotency-Key takes 1 to {MAX_KEY_LENGTH} printable characters."
        raise Malformed([error(IssueType.VALUE, text, "http.Idempotency-Key")])
    return key


def if_match(request: Request) -> int | None:
    """The version of an If-Match header, None without one; raises PreconditionFailed for what is no version here."""
    told = request.headers.get("If-Match")
    if told is None:
        return None
    match = _ENTITY_TAG.fullmatch(told.strip())
    if match is None:
        text = 'If-Match takes the ETag of the version that you saw, such as W/"2".'
        raise PreconditionFailed([error(IssueType.VALUE, text, "http.If-Match")])
    return int(match[1])


def change_reasons(request: Request) -> tuple[Json, ...]:
    """Why something is changed: the reasons (CodeableConcepts) of a Provenance in an X-Provenance header.

    http://hl7.org/fhir/R4/provenance.html#header. Raises Malformed when that is no Provenance. The rest of it is passed
    over: who changed what, and when, this service knows by itself.
    """
    told = request.headers.get("X-Provenance")
    if told is None:
        return ()
    reasons = parse_object(told.encode("latin-1")).get("reason", [])
    # Any resource that takes a CodeableConcept can judge one.
    if not isinstance(reasons, list) or any(model_issues({"resourceType": "Basic", "code": one}) for one in reasons):
        text = "X-Provenance takes a Provenance as JSON whose 'reason' is a list of CodeableConcepts."
        raise Malformed([error(IssueType.STRUCTURE, text, "http.X-Provenance", Detail.MALFORMED)])
    return tuple(reasons)


def _admitted(request: Request) -> Iterator[str]:
    for entry in parse_list_header(request.headers.get("Accept", "")):
        media_type, options = parse_options_header(entry)
        if _is_r4(options) and _weight(options) > 0:
            yield media_type.lower()


def _is_r4(options: Mapping[str, str]) -> bool:
    version = {name.lower(): value for name, value in options.items()}.get("fhirversion")
    return version is None or version in _FHIR_VERSIONS


def _weight(options: Mapping[str, str]) -> float:
    try:
        return float(options.get("q", "1"))
    except ValueError:
        return 0
