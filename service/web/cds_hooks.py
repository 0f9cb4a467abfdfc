"""CDS Hooks 2.0: what charts call for, and what was found, told to clinicians who open a patient's record."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from service.errors import IssueType, NotFound, error
from service.fhir.json import Json
from service.records.access import Caller
from service.records.audit import Interaction
from service.records.ehr import Ehr
from service.records.feedback import read_feedback
from service.records.guidance import Links
from service.records.hook_request import read_request
from service.sdc.chart_trigger import PATIENT_VIEW
from service.web.audit import audit
from service.web.auth import call_as
from service.web.content import body_json, json_answer
from service.web.site import Site

SERVICE_ID: Final = "symptom-intake"
_DESCRIPTION: Final = (
    "Proposes to ask the patient when an entry in the chart calls for a symptom form that nobody answered recently, "
    "and tells of a pressing result of the patient's latest answers."
)
_REQUIREMENTS: Final = "Links that open a form launch this service as a SMART app: register it with the EHR."


def cds_routes(site: Site) -> Blueprint:
    """The routes of discovery, of the service, and of feedback on its cards."""
    routes = Blueprint("cds", __name__, url_prefix="/cds-services")

    @routes.get("")
    def discovery() -> ResponseReturnValue:
        # It tells of no patient, so nobody has to say who they are.
        return json_answer({"services": [_service(site.guidance.prefetch)]})

    @routes.post("/<service_id>")
    def call(service_id: str) -> ResponseReturnValue:
        _check_service(service_id)
        client = _client(site)
        chart = read_request(body_json(request))
        links = Links(site.address(request, url_for("smart.launch")), lambda response: _summary(site, response))
        cards = site.guidance.cards(chart, client, links)
        told = [card.response for card in cards if card.response is not None]
        if client is not None and told:
            _call_as(client, f"{client.issuer}/{chart.user}")
            audit(site, Interaction.OPERATION, told)
        return json_answer({"cards": [card.body for card in cards]})

    @routes.post("/<service_id>/feedback")
    def feedback(service_id: str) -> ResponseReturnValue:
        _check_service(service_id)
        _client(site)
        site.hook_store.keep_feedback(read_feedback(body_json(request)), site.clock())
        return Response(status=200)

    return routes


def _service(prefetch: dict[str, str]) -> Json:
    service: Json = {
        "hook": PATIENT_VIEW,
        "title": "Symptom Intake",
        "description": _DESCRIPTION,
        "id": SERVICE_ID,
        "usageRequirements": _REQUIREMENTS,
    }
    return {**service, "prefetch": prefetch} if prefetch else service


def _check_service(service_id: str) -> None:
    if service_id != SERVICE_ID:
        text = "There is no CDS service with this id. GET /cds-services lists those there are."
        raise NotFound([error(IssueType.NOT_FOUND, text)])


def _client(site: Site) -> Ehr | None:
    """The EHR that proves to have called this very address."""
    client = site.cds_clients.client(request.headers.get("Authorization"), site.asked_address(request))
    if client is not None:
        _call_as(client)
    return client


def _call_as(client: Ehr, user: str | None = None) -> None:
    call_as(Caller(client.cds_issuer or "", "", fhir_user=user, patient=None, scopes=()))


def _summary(site: Site, response_id: str) -> str:
    return site.address(request, url_for("summary.summary", response_id=response_id))
