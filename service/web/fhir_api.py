"""The record by FHIR REST: read, vread, history, search; of responses create and update."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from service.errors import Invalid, IssueType, Malformed, NotSupported, error
from service.fhir.json import Json
from service.fhir.outcome import operation_outcome
from service.records.access import expect_own_patients
from service.records.audit import Interaction
from service.records.scopes import Permission
from service.records.search import EVERYTHING, Query, parse_query
from service.records.submission import Receipt, Sender
from service.web.audit import audit, writing_audit
from service.web.auth import caller, demand
from service.web.capability import RECORD_TYPES, RESPONSE_TYPE, record_parameters
from service.web.content import (
    Return,
    change_reasons,
    fhir_answer,
    idempotency_key,
    if_match,
    preferences,
)
from service.web.rest import expect_form, missing, read_answer, search_answer, sent_resource, version_headers
from service.web.searching import PRESENTATION, Found, Mode, Result, SearchRequest, history_bundle, read_search
from service.web.site import Site


def fhir_routes(site: Site) -> Blueprint:
    """The routes of responses, and of what follows from them."""
    routes = Blueprint("fhir", __name__, url_prefix="/fhir")
    recorded = f"/<any({','.join(RECORD_TYPES)}):resource_type>"

    @routes.get(f"{recorded}/<resource_id>")
    def read_recorded(resource_type: str, resource_id: str) -> ResponseReturnValue:
        within = demand(resource_type, Permission.READ)
        found = site.store.read(resource_type, resource_id, within=within)
        if found is None:
            raise missing(site, resource_type, resource_id, within)
        audit(site, Interaction.READ, [found])
        return read_answer(found, resource_type)

    @routes.get(f"{recorded}/<resource_id>/_history/<version>")
    def vread(resource_type: str, resource_id: str, version: str) -> ResponseReturnValue:
        within = demand(resource_type, Permission.READ)
        known = version.isascii() and version.isdigit() and len(version) < 10
        found = site.store.read(resource_type, resource_id, int(version), within) if known else None
        if found is None:
            raise missing(site, resource_type, resource_id, within)
        audit(site, Interaction.VREAD, [found])
        return read_answer(found, resource_type)

    @routes.get(f"{recorded}/<resource_id>/_history")
    def history(resource_type: str, resource_id: str) -> ResponseReturnValue:
        within = demand(resource_type, Permission.READ)
        versions = site.store.history(resource_type, resource_id, within)
        if not versions:
            raise missing(site, resource_type, resource_id, within)
        audit(site, Interaction.HISTORY, versions[:1])
        return fhir_answer(request, history_bundle(versions, site.fhir_base(request)))

    @routes.get(recorded)
    @routes.post(f"{recorded}/_search")
    def search_recorded(resource_type: str) -> ResponseReturnValue:
        expect_form()
        search = read_search(request, record_parameters(resource_type))
        result = _stored_result(site, _query(site, resource_type, search))
        audit(site, Interaction.SEARCH, (one.resource for one in result.found))
        return search_answer(site, resource_type, search, result)

    @routes.post(f"/{RESPONSE_TYPE}")
    def create() -> ResponseReturnValue:
        return _created(site, sent_resource(site), request.headers.get("If-None-Exist"))

    @routes.put(f"/{RESPONSE_TYPE}/<resource_id>")
    def update(resource_id: str) -> ResponseReturnValue:
        return _updated(site, sent_resource(site), resource_id)

    @routes.put(f"/{RESPONSE_TYPE}")
    def conditional_update() -> ResponseReturnValue:
        body = sent_resource(site)
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


def _query(site: Site, resource_type: str, search: SearchRequest) -> Query:
    within = demand(resource_type, Permission.SEARCH)
    try:
        query = parse_query(resource_type, search.pairs, site.own_bases(request))
    except Invalid as refusal:
        # A search has no resource at fault: what cannot be read is the request itself.
        issues = [replace(issue, expression=f"http.{issue.expression}") for issue in refusal.issues]
        raise Malformed(issues) from refusal
    included = demand("Provenance", Permission.SEARCH) if query.include_provenance else EVERYTHING
    query = replace(query, within=within, provenance_within=included)
    expect_own_patients(query)
    return query


def _stored_result(site: Site, query: Query) -> Result:
    page = site.store.search(query)
    found = [*(Found(one) for one in page.matches), *(Found(one, Mode.INCLUDE) for one in page.included)]
    return Result(page.total, tuple(found), query.count, query.offset, query.ignored)


def _created(site: Site, body: Json, condition: str | None) -> Response:
    sender = Sender(
        client=caller().client,
        user=caller().subject,
        idempotency_key=idempotency_key(request),
        if_none_exist=condition,
        within=demand(RESPONSE_TYPE, Permission.CREATE),
        audit=writing_audit(site, Interaction.CREATE),
    )
    return _receipt_answer(site, site.intake.submit(body, sender))


def _updated(site: Site, body: Json, resource_id: str) -> Response:
    within = demand(RESPONSE_TYPE, Permission.UPDATE)
    launch = site.launch_store.launch(resource_id)
    target = None if launch is None else launch.issuer
    receipt = site.intake.update(
        body,
        resource_id,
        if_match(request),
        target,
        within,
        change_reasons(request),
        writing_audit(site, Interaction.UPDATE),
    )
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
