"""What the routes of the FHIR REST API share (http://hl7.org/fhir/R4/http.html)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from flask import Flask, Response, request
from werkzeug.exceptions import UnsupportedMediaType

from service.errors import DomainError, IssueType, NotFound, error
from service.fhir.json import Json
from service.records.references import localised
from service.records.retention import gone
from service.records.search import Bounds
from service.web.content import FORM, answer_type, body_resource, fhir_answer, has_body
from service.web.searching import Result, SearchRequest, searchset
from service.web.site import Site


def register_negotiation(app: Flask) -> None:
    """Refuses requests to the FHIR API that admit no answer of it, before anything is done for them."""

    @app.before_request
    def negotiate() -> None:
        if request.url_rule is not None and request.url_rule.rule.startswith("/fhir") and request.method != "OPTIONS":
            answer_type(request)


def sent_resource(site: Site) -> Json:
    """The FHIR resource in the body, with what lies below this service's own base referred to relatively.

    So `Patient/1` is the same patient however it is written, as it is in a search. Raises as `body_resource`.
    """
    return localised(body_resource(request), site.fhir_base(request))


def search_answer(site: Site, resource_type: str, search: SearchRequest, result: Result) -> Response:
    """The searchset that answers the search of the request."""
    base = site.fhir_base(request)
    return fhir_answer(request, searchset(search, result, f"{base}/{resource_type}", base))


def expect_form() -> None:
    """Raises UnsupportedMediaType for a search that is posted otherwise than as a form."""
    if request.method == "POST" and request.mimetype != FORM and has_body(request):
        raise UnsupportedMediaType(f"A search is posted as a form: 'Content-Type: {FORM}'.")


def missing(site: Site, resource_type: str, resource_id: str, within: Bounds) -> DomainError:
    """What is said of a resource of the record that is not here: that it was purged, or that there is none."""
    if site.store.was_purged(resource_type, resource_id, within):
        return gone()
    return NotFound([error(IssueType.NOT_FOUND, f"There is no such {resource_type} here.")])


def read_answer(resource: Json | None, resource_type: str) -> Response:
    """The resource, or that it was not changed since it was read. Raises NotFound where there is none."""
    if resource is None:
        raise NotFound([error(IssueType.NOT_FOUND, f"There is no such {resource_type} here.")])
    headers = version_headers(resource)
    if request.if_none_match.contains_weak(_version(resource)):
        return fhir_answer(request, None, 304, headers)
    return fhir_answer(request, resource, 200, headers)


def version_headers(resource: Json) -> dict[str, str]:
    """ETag and Last-Modified of a resource, as far as its meta tells them."""
    headers = {"ETag": f'W/"{_version(resource)}"'}
    changed = resource.get("meta", {}).get("lastUpdated")
    if changed is not None:
        headers["Last-Modified"] = format_datetime(datetime.fromisoformat(changed).astimezone(UTC), usegmt=True)
    return headers


def _version(resource: Json) -> str:
    return str(resource.get("meta", {}).get("versionId", "1"))
