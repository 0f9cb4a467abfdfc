"""The FHIR REST API below /fhir: metadata, read, vread, history, search, create, update."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import UnsupportedMediaType

from service.errors import Invalid, IssueType, Malformed, NotFound, NotSupported, Unavailable, error
from service.fhir.json import Json
from service.fhir.outcome import issue_code_system, operation_outcome
from service.fhir.primitives import instant
from service.records.access import expect_own_patients
from service.records.audit import Interaction
from service.records.scopes import Permission
from service.records.search import EVERYTHING, Query, parse_query
from service.records.searchable import PARAMETERS, PATIENT_PARAMETERS
from service.records.submission import Receipt, Sender
from service.web.audit import audit
from service.web.auth import caller, demand
from service.web.capability import ResourceCapability, capability_statement, operation_definitions
from service.web.content import (
    FORM,
    Return,
    answer_type,
    body_resource,
    fhir_answer,
    has_body,
    idempotency_key,
    if_match,
    preferences,
)
from service.web.openapi import openapi
from service.web.publications import KNOWN_NAMES, PUBLISHED_PARAMETERS, PUBLISHED_TYPES, Publications
from service.web.searching import (
    PRESENTATION,
    Found,
    Mode,
    Result,
    SearchRequest,
    history_bundle,
    read_search,
    searchset,
)
from service.web.site import Site
from service.web.smart_configuration import security_statement, smart_document

log = logging.getLogger(__name__)

RESPONSE_TYPE = "QuestionnaireResponse"
RECORD_TYPES = tuple(PARAMETERS)
_RECORD_INTERACTIONS = ("read", "vread", "history-instance", "search-type")
_PROVENANCE = "Provenance:target"
_DOCUMENTATION = {
    RESPONSE_TYPE: "Responses to the published pages: in-progress, completed, amended, entered-in-error.",
    "AuditEvent": "Who read or wrote which patient's data, where tokens are asked for. A scope must name it.",
}
_PUBLISHED_DOCUMENTATION = "The artifacts of the published pages; a Questionnaire's id is its folder's name."
_DEFINITION_DOCUMENTATION = "The operations of this service's own."
_RECORD_DOCUMENTATION = "What this service extracted from responses, as delivered or waiting for delivery."


def fhir_routes(site: Site) -> Blueprint:
    """The routes of the FHIR REST API."""
    routes = Blueprint("fhir", __name__, url_prefix="/fhir")
    publications = Publications.of(
        [*(artifact for pack in site.packs for artifact in pack.artifacts), issue_code_system()]
    )
    definitions = Publications.of(operation_definitions())
    published = f"/<any({','.join(PUBLISHED_TYPES)}):resource_type>"
    recorded = f"/<any({','.join(RECORD_TYPES)}):resource_type>"

    @routes.before_request
    def negotiate() -> None:
        if request.method != "OPTIONS":
            answer_type(request)

    @routes.get("/metadata")
    def metadata() -> ResponseReturnValue:
        base = site.fhir_base(request)
        security = security_statement(_metadata_at_hand(site), open_to_all=site.is_open)
        statement = capability_statement(base, site.version, instant(site.started_at), security, capabilities())
        return fhir_answer(request, statement)

    @routes.get("/openapi.json")
    def description() -> ResponseReturnValue:
        return openapi(site.fhir_base(request), site.version, capabilities(), is_open=site.is_open)

    @routes.get("/.well-known/smart-configuration")
    def smart_configuration() -> ResponseReturnValue:
        if site.authorization_metadata is None:
            text = "This server asks for no access tokens (AUTH=open), so there is no authorization server to name."
            raise NotFound([error(IssueType.NOT_FOUND, text)])
        return smart_document(site.authorization_metadata())

    @routes.get(f"{published}/<resource_id>")
    def read_published(resource_type: str, resource_id: str) -> ResponseReturnValue:
        return _read_answer(publications.read(resource_type, resource_id), resource_type)

    @routes.get("/OperationDefinition/<resource_id>")
    def read_definition(resource_id: str) -> ResponseReturnValue:
        return _read_answer(definitions.read("OperationDefinition", resource_id), "OperationDefinition")

    @routes.get(published)
    @routes.post(f"{published}/_search")
    def search_published(resource_type: str) -> ResponseReturnValue:
        _expect_form()
        search = read_search(request, KNOWN_NAMES)
        return _search_answer(site, resource_type, search, publications.search(resource_type, search))

    @routes.get(f"{recorded}/<resource_id>")
    def read_recorded(resource_type: str, resource_id: str) -> ResponseReturnValue:
        found = site.store.read(resource_type, resource_id, within=demand(resource_type, Permission.READ))
        return _audited_answer(site, Interaction.READ, found, resource_type)

    @routes.get(f"{recorded}/<resource_id>/_history/<version>")
    def vread(resource_type: str, resource_id: str, version: str) -> ResponseReturnValue:
        within = demand(resource_type, Permission.READ)
        known = version.isascii() and version.isdigit() and len(version) < 10
        found = site.store.read(resource_type, resource_id, int(version), within) if known else None
        return _audited_answer(site, Interaction.VREAD, found, resource_type)

    @routes.get(f"{recorded}/<resource_id>/_history")
    def history(resource_type: str, resource_id: str) -> ResponseReturnValue:
        versions = site.store.history(resource_type, resource_id, demand(resource_type, Permission.READ))
        if not versions:
            raise NotFound([error(IssueType.NOT_FOUND, f"There is no such {resource_type} here.")])
        audit(site, Interaction.HISTORY, versions[:1])
        return fhir_answer(request, history_bundle(versions, site.fhir_base(request)))

    @routes.get(recorded)
    @routes.post(f"{recorded}/_search")
    def search_recorded(resource_type: str) -> ResponseReturnValue:
        _expect_form()
        search = read_search(request, _known_names(resource_type))
        result = _stored_result(site, _query(site, resource_type, search))
        audit(site, Interaction.SEARCH, (one.resource for one in result.found))
        return _search_answer(site, resource_type, search, result)

    @routes.post(f"/{RESPONSE_TYPE}")
    def create() -> ResponseReturnValue:
        return _created(site, body_resource(request), request.headers.get("If-None-Exist"))

    @routes.put(f"/{RESPONSE_TYPE}/<resource_id>")
    def update(resource_id: str) -> ResponseReturnValue:
        return _updated(site, body_resource(request), resource_id)

    @routes.put(f"/{RESPONSE_TYPE}")
    def conditional_update() -> ResponseReturnValue:
        body = body_resource(request)
        search = [pair for pair in request.args.items(multi=True) if pair[0] not in PRESENTATION]
        found = site.intake.selected(body, search, demand(RESPONSE_TYPE, Permission.UPDATE))
        if found is not None:
            return _updated(site, body, found)
        if "id" in body:
            text = "Nothing has this identifier yet, and ids are given here. Leave the id out."
            raise NotSupported([error(IssueType.NOT_SUPPORTED, text, "QuestionnaireResponse.id")])
        return _created(site, body, urlencode(search))

    @routes.post("")
    def refuse_bundle() -> ResponseReturnValue:
        text = f"Batches and transactions are not taken. POST each response to [base]/{RESPONSE_TYPE}."
        raise NotSupported([error(IssueType.NOT_SUPPORTED, text)])

    return routes


def capabilities() -> Iterator[ResourceCapability]:
    """What each resource type offers, as the CapabilityStatement tells it."""
    read_only = ("read", "search-type")
    for resource_type in PUBLISHED_TYPES:
        yield ResourceCapability(resource_type, read_only, PUBLISHED_PARAMETERS, (), _PUBLISHED_DOCUMENTATION)
    yield ResourceCapability("OperationDefinition", ("read",), {}, (), _DEFINITION_DOCUMENTATION)
    for resource_type in RECORD_TYPES:
        is_response = resource_type == RESPONSE_TYPE
        yield ResourceCapability(
            type=resource_type,
            interactions=(*_RECORD_INTERACTIONS, "create", "update") if is_response else _RECORD_INTERACTIONS,
            parameters=_parameter_types(resource_type),
            reverse_includes=() if resource_type in ("Provenance", "AuditEvent") else (_PROVENANCE,),
            documentation=_DOCUMENTATION.get(resource_type, _RECORD_DOCUMENTATION),
        )


def _parameter_types(resource_type: str) -> Mapping[str, str]:
    types = {"_id": "token"}
    types |= dict.fromkeys(PATIENT_PARAMETERS.get(resource_type, ()), "reference")
    # FHIR calls a search by canonical a search by reference.
    for name, parameter in PARAMETERS[resource_type].items():
        types[name] = "reference" if parameter.kind.value == "canonical" else parameter.kind.value
    return types


def _known_names(resource_type: str) -> frozenset[str]:
    return frozenset(_parameter_types(resource_type))


def _query(site: Site, resource_type: str, search: SearchRequest) -> Query:
    within = demand(resource_type, Permission.SEARCH)
    try:
        query = parse_query(resource_type, search.pairs, site.own_bases(request))
    except Invalid as refusal:
        # A search has no resource at fault: what cannot be read is the request itself.
        raise Malformed(refusal.issues) from refusal
    included = demand("Provenance", Permission.SEARCH) if query.include_provenance else EVERYTHING
    query = replace(query, within=within, provenance_within=included)
    expect_own_patients(query)
    return query


def _metadata_at_hand(site: Site) -> Json | None:
    """What the authorization server says of itself; None where there is none, or it cannot be asked now."""
    try:
        return None if site.authorization_metadata is None else site.authorization_metadata()
    except Unavailable as fault:
        log.warning("the CapabilityStatement names no authorization server: %s", fault)
        return None


def _audited_answer(site: Site, interaction: Interaction, resource: Json | None, resource_type: str) -> Response:
    if resource is not None:
        audit(site, interaction, [resource])
    return _read_answer(resource, resource_type)


def _stored_result(site: Site, query: Query) -> Result:
    page = site.store.search(query)
    found = [*(Found(one) for one in page.matches), *(Found(one, Mode.INCLUDE) for one in page.included)]
    return Result(page.total, tuple(found), query.count, query.offset, query.ignored)


def _search_answer(site: Site, resource_type: str, search: SearchRequest, result: Result) -> Response:
    base = site.fhir_base(request)
    return fhir_answer(request, searchset(search, result, f"{base}/{resource_type}", base))


def _expect_form() -> None:
    if request.method == "POST" and request.mimetype != FORM and has_body(request):
        raise UnsupportedMediaType(f"A search is posted as a form: 'Content-Type: {FORM}'.")


def _read_answer(resource: Json | None, resource_type: str) -> Response:
    if resource is None:
        raise NotFound([error(IssueType.NOT_FOUND, f"There is no such {resource_type} here.")])
    headers = version_headers(resource)
    if request.if_none_match.contains_weak(_version(resource)):
        return fhir_answer(request, None, 304, headers)
    return fhir_answer(request, resource, 200, headers)


def _created(site: Site, body: Json, condition: str | None) -> Response:
    sender = Sender(
        client=caller().client,
        user=caller().subject,
        idempotency_key=idempotency_key(request),
        if_none_exist=condition,
        within=demand(RESPONSE_TYPE, Permission.CREATE),
    )
    receipt = site.intake.submit(body, sender)
    audit(site, Interaction.CREATE, [receipt.response])
    return _receipt_answer(site, receipt)


def _updated(site: Site, body: Json, resource_id: str) -> Response:
    within = demand(RESPONSE_TYPE, Permission.UPDATE)
    launch = site.launch_store.launch(resource_id)
    target = None if launch is None else launch.issuer
    receipt = site.intake.update(body, resource_id, if_match(request), target, within)
    audit(site, Interaction.UPDATE, [receipt.response])
    return _receipt_answer(site, receipt)


def _receipt_answer(site: Site, receipt: Receipt) -> Response:
    location = f"{site.fhir_base(request)}/{RESPONSE_TYPE}/{receipt.id}/_history/{receipt.version_id}"
    headers = {**version_headers(receipt.response), "Location": location}
    body: Json | None = None
    match preferences(request).returning:
        case Return.REPRESENTATION:
            body = receipt.response
        case Return.OPERATION_OUTCOME:
            body = operation_outcome(receipt.warnings)
        case Return.MINIMAL:
            pass
    return fhir_answer(request, body, 201 if receipt.created else 200, headers)


def version_headers(resource: Json) -> dict[str, str]:
    """ETag and Last-Modified of a resource, as far as its meta tells them."""
    headers = {"ETag": f'W/"{_version(resource)}"'}
    changed = resource.get("meta", {}).get("lastUpdated")
    if changed is not None:
        headers["Last-Modified"] = format_datetime(datetime.fromisoformat(changed).astimezone(UTC), usegmt=True)
    return headers


def _version(resource: Json) -> str:
    return str(resource.get("meta", {}).get("versionId", "1"))
