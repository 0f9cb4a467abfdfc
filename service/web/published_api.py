"""What the FHIR API publishes for everyone: what it can do, and the artifacts of the pages."""

from __future__ import annotations

import logging

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from service.errors import IssueType, NotFound, Unavailable, error
from service.fhir.json import Json
from service.fhir.outcome import issue_code_system
from service.fhir.primitives import instant
from service.web.capability import capability_statement, operation_definitions
from service.web.content import fhir_answer
from service.web.language import in_language, wanted_languages
from service.web.openapi import openapi
from service.web.publications import KNOWN_NAMES, PUBLISHED_TYPES, Publications
from service.web.rest import expect_form, read_answer, search_answer
from service.web.searching import read_search
from service.web.site import Site
from service.web.smart_configuration import security_statement, smart_document

log = logging.getLogger(__name__)


def published_routes(site: Site) -> Blueprint:
    """The routes of descriptions and definitions."""
    routes = Blueprint("published", __name__, url_prefix="/fhir")
    publications = Publications.of(
        [*(artifact for pack in site.packs for artifact in pack.artifacts), issue_code_system()]
    )
    definitions = Publications.of(operation_definitions())
    published = f"/<any({','.join(PUBLISHED_TYPES)}):resource_type>"

    @routes.get("/metadata")
    def metadata() -> ResponseReturnValue:
        base = site.fhir_base(request)
        security = security_statement(_metadata_at_hand(site), open_to_all=site.is_open)
        statement = capability_statement(base, site.version, instant(site.started_at), security)
        return fhir_answer(request, statement)

    @routes.get("/openapi.json")
    def description() -> ResponseReturnValue:
        return openapi(site.fhir_base(request), site.version, is_open=site.is_open)

    @routes.get("/.well-known/smart-configuration")
    def smart_configuration() -> ResponseReturnValue:
        if site.authorization_metadata is None:
            text = "This server asks for no access tokens (AUTH=open), so there is no authorization server to name."
            raise NotFound([error(IssueType.NOT_FOUND, text)])
        return smart_document(site.authorization_metadata())

    @routes.get(f"{published}/<resource_id>")
    def read_published(resource_type: str, resource_id: str) -> ResponseReturnValue:
        resource = publications.read(resource_type, resource_id, wanted_languages())
        return in_language(read_answer(resource, resource_type), [resource])

    @routes.get("/OperationDefinition/<resource_id>")
    def read_definition(resource_id: str) -> ResponseReturnValue:
        return read_answer(definitions.read("OperationDefinition", resource_id), "OperationDefinition")

    @routes.get(published)
    @routes.post(f"{published}/_search")
    def search_published(resource_type: str) -> ResponseReturnValue:
        expect_form()
        search = read_search(request, KNOWN_NAMES)
        result = publications.search(resource_type, search, wanted_languages())
        answer = search_answer(site, resource_type, search, result)
        return in_language(answer, [one.resource for one in result.found])

    return routes


def _metadata_at_hand(site: Site) -> Json | None:
    """What the authorization server says of itself; None where there is none, or it cannot be asked now."""
    try:
        return None if site.authorization_metadata is None else site.authorization_metadata()
    except Unavailable as fault:
        log.warning("the CapabilityStatement names no authorization server: %s", fault)
        return None
