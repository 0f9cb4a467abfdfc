"""The operations on QuestionnaireResponse: $validate, $assess, $extract; on the type and on a stored response."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from service.errors import Detail, IssueType, Malformed, error
from service.fhir.json import Json
from service.fhir.outcome import operation_outcome
from service.records.access import expect_subject
from service.records.audit import Interaction
from service.records.evaluation import RESPONSE_TYPE, LookBack, refuse_inline
from service.records.latest_answers import earlier_answers
from service.records.references import localised
from service.records.scopes import Permission
from service.web.audit import audit
from service.web.auth import caller, demand
from service.web.content import body_resource, fhir_answer, has_body
from service.web.rest import missing, sent_resource
from service.web.site import Site


@dataclass(frozen=True, slots=True)
class Input:
    """What an operation works on: a response, and the Questionnaire that came along, if one did."""

    response: Json
    questionnaire: Json | None = None


def operation_routes(site: Site) -> Blueprint:
    """The routes of the operations."""
    routes = Blueprint("operations", __name__, url_prefix=f"/fhir/{RESPONSE_TYPE}")

    @routes.post("/$validate")
    def validate_type() -> ResponseReturnValue:
        return _validate(site, _sent_input(site, "resource"))

    @routes.route("/<resource_id>/$validate", methods=["GET", "POST"])
    def validate_instance(resource_id: str) -> ResponseReturnValue:
        return _validate(site, _stored_input(site, resource_id, "resource"))

    @routes.post("/$assess")
    def assess_type() -> ResponseReturnValue:
        return _assess(site, _sent_input(site, "questionnaire-response"))

    @routes.route("/<resource_id>/$assess", methods=["GET", "POST"])
    def assess_instance(resource_id: str) -> ResponseReturnValue:
        given = _stored_input(site, resource_id, "questionnaire-response")
        return _assess(site, given, partial(earlier_answers, site.store))

    @routes.post("/$extract")
    def extract_type() -> ResponseReturnValue:
        return _extract(site, _sent_input(site, "questionnaire-response"))

    @routes.route("/<resource_id>/$extract", methods=["GET", "POST"])
    def extract_instance(resource_id: str) -> ResponseReturnValue:
        return _extract(site, _stored_input(site, resource_id, "questionnaire-response"))

    return routes


def read_input(body: Json, response_name: str) -> Input:
    """The response in `body`: the bare resource, or Parameters with the parameter `response_name` and, optionally,
    `questionnaire`.

    Raises Malformed when the Parameters do not hold exactly one response. What is no Parameters is taken as the
    response, whatever it is: to judge it is the operation's business.
    """
    if body.get("resourceType") != "Parameters":
        return Input(body)
    response = _parameter(body, response_name)
    if response is None:
        text = f"The operation needs the parameter '{response_name}' with a {RESPONSE_TYPE} as its resource."
        raise Malformed([error(IssueType.REQUIRED, text, "Parameters.parameter", Detail.MALFORMED)])
    return Input(response, _parameter(body, "questionnaire"))


def _parameter(body: Json, name: str) -> Json | None:
    """The resource of the parameter `name`; None when it is absent."""
    entries = body.get("parameter", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        text = "Parameters.parameter is an array of objects."
        raise Malformed([error(IssueType.STRUCTURE, text, "Parameters.parameter", Detail.MALFORMED)])
    found = [index for index, entry in enumerate(entries) if entry.get("name") == name]
    if not found:
        return None
    place = f"Parameters.parameter[{found[-1]}]"
    if len(found) > 1:
        text = f"The parameter '{name}' is given {len(found)} times. Give it once."
        raise Malformed([error(IssueType.STRUCTURE, text, place, Detail.MALFORMED)])
    resource = entries[found[0]].get("resource")
    if not isinstance(resource, dict):
        text = f"The parameter '{name}' needs a resource."
        raise Malformed([error(IssueType.STRUCTURE, text, f"{place}.resource", Detail.MALFORMED)])
    return resource


def _sent_input(site: Site, response_name: str) -> Input:
    """What came with the request. Whoever may work with responses may have one judged, if it is not another's."""
    within = caller().demand_any(RESPONSE_TYPE)
    given = read_input(sent_resource(site), response_name)
    expect_subject(localised(given.response, site.fhir_server_url), within)
    return given


def _stored_input(site: Site, resource_id: str, response_name: str) -> Input:
    within = demand(RESPONSE_TYPE, Permission.READ)
    response = site.store.read(RESPONSE_TYPE, resource_id, within=within)
    if response is None:
        raise missing(site, RESPONSE_TYPE, resource_id, within)
    audit(site, Interaction.OPERATION, [response])
    body = body_resource(request) if has_body(request) else {"resourceType": "Parameters"}
    if body.get("resourceType") != "Parameters" or _parameter(body, response_name) is not None:
        text = f"The operation works on the stored {RESPONSE_TYPE}. Call it on the type to send another along."
        raise Malformed([error(IssueType.STRUCTURE, text, "Parameters.parameter", Detail.MALFORMED)])
    return Input(response, _parameter(body, "questionnaire"))


def _validate(site: Site, given: Input) -> ResponseReturnValue:
    issues = site.evaluation.validate(given.response, given.questionnaire)
    return fhir_answer(request, operation_outcome(issues))


def _assess(site: Site, given: Input, look_back: LookBack | None = None) -> ResponseReturnValue:
    if given.questionnaire is not None:
        raise refuse_inline()
    return fhir_answer(request, site.evaluation.assess(given.response, look_back=look_back).observation)


def _extract(site: Site, given: Input) -> ResponseReturnValue:
    return fhir_answer(request, site.evaluation.extract(given.response, given.questionnaire))
