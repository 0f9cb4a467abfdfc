"""PyPI's fhirclient as a patient's app. Standard input is the order, standard output what it saw: see ordering.py."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from fhirclient.client import FHIRClient
from fhirclient.models.condition import Condition
from fhirclient.models.fhirsearch import FHIRSearch
from fhirclient.models.observation import Observation
from fhirclient.models.operationoutcome import OperationOutcome
from fhirclient.models.provenance import Provenance
from fhirclient.models.questionnaire import Questionnaire
from fhirclient.models.questionnaireresponse import QuestionnaireResponse
from fhirclient.models.resource import Resource
from fhirclient.server import FHIRPermissionDeniedException, FHIRUnauthorizedException

from tests.smart.ehr import sign_in

Json = dict[str, Any]


def signed_in(order: Json) -> FHIRClient:
    """The app, once its patient has signed in and allowed what it asks for."""
    smart = FHIRClient(
        {
            "app_id": order["client_id"],
            "api_base": order["base"],
            "redirect_uri": order["redirect_uri"],
            "scope": order["scope"],
        }
    )
    smart.prepare()
    smart.handle_callback(sign_in(smart.authorize_url, order["redirect_uri"], patient=order["patient"]))
    return smart


def refused(action: Callable[[], object]) -> Json:
    """How the app is told that it may not do this."""
    try:
        action()
    except (FHIRUnauthorizedException, FHIRPermissionDeniedException) as refusal:
        answer = refusal.response
        text = OperationOutcome(answer.json()).issue[0].diagnostics
        return {"type": type(refusal).__name__, "status": answer.status_code, "text": text}
    raise AssertionError("was not refused")


def state_of(response: QuestionnaireResponse) -> Json:
    return {"id": response.id, "status": response.status, "version": response.meta.versionId}


def ids(found: Iterable[Resource], kind: type[Resource]) -> list[str]:
    return [one.id for one in found if isinstance(one, kind)]


def visited(smart: FHIRClient, order: Json) -> Json:
    """What the signed-in app sees of the API."""
    server = smart.server
    of_patient = {"patient": smart.patient_id}
    url, version = order["canonical"].split("|")

    def found(search: FHIRSearch) -> list[Resource]:
        return list(search.perform_resources_iter(server))

    def questionnaires(**parameters: str) -> list[str]:
        return [f"{one.url}|{one.version}" for one in found(Questionnaire.where(parameters))]

    seen: Json = {"questionnaires": {"canonical": questionnaires(url=order["canonical"])}}
    seen["questionnaires"]["version"] = questionnaires(url=url, version=version)

    draft = QuestionnaireResponse(QuestionnaireResponse(order["draft"]).create(server))
    seen["draft"] = state_of(draft)
    draft.status = "completed"
    seen["completed"] = state_of(QuestionnaireResponse(draft.update(server)))

    seen["submitted"] = [QuestionnaireResponse(order["response"]).create(server)["id"] for _ in range(2)]
    seen["read"] = QuestionnaireResponse.read(seen["submitted"][0], server).as_json()
    seen["responses"] = ids(found(QuestionnaireResponse.where(of_patient)), QuestionnaireResponse)
    observations = Observation.where({**of_patient, "_count": str(order["page_size"])})
    pages = list(observations.include("target", Provenance, reverse=True).perform_iter(server))
    resources = [entry.resource for page in pages for entry in page.entry]
    seen["observations"] = {
        "ids": ids(resources, Observation),
        "provenances": ids(resources, Provenance),
        "pages": len(pages),
    }
    seen["conditions"] = ids(found(Condition.where(of_patient)), Condition)

    stranger = FHIRClient({"app_id": order["client_id"], "api_base": order["base"]})
    seen["anonymous"] = refused(lambda: QuestionnaireResponse.read(seen["submitted"][0], stranger.server))
    seen["forbidden"] = refused(lambda: found(QuestionnaireResponse.where({"patient": "another"})))
    return seen


if __name__ == "__main__":
    told = json.load(sys.stdin)
    json.dump(visited(signed_in(told), told), sys.stdout)
