"""The service as an EHR calls it, at a time that is set, with answers of patients in its record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.bootstrap import Services, start
from service.config import load_settings
from service.packs import Pack
from service.records.clinical_data import ServerData
from service.web.app import create_app
from tests.integration.answers import MakeResponse
from tests.integration.cds_hooks.logical_models import DISCOVERY, RESPONSE, faults
from tests.integration.patient_record import FakeServer, bundle, concept, condition
from tests.unit.records.samples import Clock

Json = dict[str, Any]

EHR = "https://ehr.example/fhir"
SERVICE = "/cds-services/symptom-intake"
SCT, ICD10 = "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10-cm"
INSTANCE = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"

TWITCHING = condition("c1", concept(SCT, "82470000"))
CHART = {"conditions": bundle(TWITCHING)}
EMPTY = {"conditions": bundle()}
AUTHORIZATION = {
    "access_token": "token-of-the-ehr",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "user/Condition.read",
    "subject": "symptom-intake",
}


def hook(prefetch: Json | None = None, **elements: Any) -> Json:
    """A call for Patient/1 of the EHR, with `elements` set over it; None leaves one out."""
    whole = {
        "hook": "patient-view",
        "hookInstance": INSTANCE,
        "fhirServer": EHR,
        "context": {"userId": "Practitioner/9", "patientId": "1"},
        "prefetch": prefetch,
        **elements,
    }
    return {name: value for name, value in whole.items() if value is not None}


@dataclass
class Caller:
    """An EHR that calls the service; every answer is judged by the logical models of CDS Hooks."""

    http: FlaskClient

    def discover(self) -> Json:
        """The one service."""
        answer = self.http.get("/cds-services")
        assert (answer.status_code, answer.content_type) == (200, "application/json")
        assert faults(DISCOVERY, answer.json) == []
        (service,) = answer.json["services"]
        return dict(service)

    def post(self, body: Any, path: str = SERVICE, **headers: str) -> TestResponse:
        data = body if isinstance(body, bytes) else json.dumps(body)
        return self.http.post(path, data=data, headers={"Content-Type": "application/json", **headers})

    def cards(self, body: Json, **headers: str) -> list[Json]:
        answer = self.post(body, **headers)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        assert answer.content_type == "application/json"
        assert faults(RESPONSE, answer.json) == []
        return list(answer.json["cards"])

    def errors(self, body: Any, status: int, path: str = SERVICE, **headers: str) -> list[Json]:
        answer = self.post(body, path, **headers)
        assert (answer.status_code, answer.content_type) == (status, "application/json")
        errors: list[Json] = answer.json["errors"]
        assert all(one["message"] for one in errors)
        return errors


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer() -> str:
    """The FHIR base URL of the EHR."""
    return EHR


@pytest.fixture
def ehr_entry() -> str:
    """What the file of EHRs says of this one beside its issuer and client id."""
    return ""


@pytest.fixture
def services(tmp_path: Path, page: Pack, clock: Clock, issuer: str, ehr_entry: str) -> Iterator[Services]:
    """The service with one EHR."""
    file = tmp_path / "ehrs.toml"
    file.write_text(f'[[ehr]]\nissuer = "{issuer}"\nclient_id = "app"\n{ehr_entry}', encoding="utf-8")
    settings = load_settings(database_url=f"sqlite:///{tmp_path / 'intake.db'}", ehrs=file)
    services = start(settings, clock=clock, packs=(page,))
    yield services
    services.store.close()


@pytest.fixture
def caller(services: Services) -> Caller:
    return Caller(create_app(services.site()).test_client())


@pytest.fixture
def opened() -> list[tuple[str, str]]:
    """The FHIR servers that were asked, each with the token."""
    return []


@pytest.fixture
def caller_of(services: Services, opened: list[tuple[str, str]]) -> Callable[[FakeServer], Caller]:
    """The same with an EHR whose FHIR server is this one."""

    def make(server: FakeServer) -> Caller:
        def open_chart(issuer: str, token: str) -> nullcontext[ServerData]:
            opened.append((issuer, token))
            return nullcontext(ServerData(server, lambda: 0.0))

        site = services.site()
        return Caller(create_app(replace(site, guidance=replace(site.guidance, open_chart=open_chart))).test_client())

    return make


@pytest.fixture
def answered(caller: Caller, make_response: MakeResponse) -> Callable[..., str]:
    """Submits the response of a vignette for Patient/1 of the EHR, and gives its id."""

    def submit(case: str, /, **elements: Any) -> str:
        body = make_response(case, **{"subject": {"reference": f"{EHR}/Patient/1"}, **elements})
        headers = {"Content-Type": "application/fhir+json"}
        answer = caller.http.post("/fhir/QuestionnaireResponse", data=json.dumps(body), headers=headers)
        assert answer.status_code == 201, answer.get_data(as_text=True)
        return str(answer.json["id"])

    return submit
