"""$populate reads the record by this service's right, and no more of it than its caller's token allows."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from service.bootstrap import Services
from service.web.app import create_app
from tests.integration.access.conftest import Api
from tests.integration.patient_record import ICD10, FakeServer, bundle, concept, condition, patient

POPULATE = "/fhir/Questionnaire/muscle-fasciculation/$populate"
WRITING = "patient/QuestionnaireResponse.c"


@pytest.fixture
def record() -> FakeServer:
    """A record in which everything that the page asks for can be found."""
    kinds = ("MedicationRequest", "MedicationStatement", "Observation")
    answers = {
        "Patient/1": patient(),
        "Patient?": bundle(patient()),
        "Condition?": bundle(condition("c", concept(ICD10, "E05.90"))),
        **{f"{kind}?": bundle() for kind in kinds},
    }
    return FakeServer(answers)


@pytest.fixture
def api(services: Services, api: Api, record: FakeServer) -> Api:
    site = services.site()
    population = replace(site.population, open_server=lambda: nullcontext(record))
    return replace(api, client=create_app(replace(site, population=population)).test_client())


def _asked(number: str, *more: Any) -> Any:
    subject = {"name": "subject", "valueReference": {"reference": f"Patient/{number}"}}
    return {"resourceType": "Parameters", "parameter": [subject, {"name": "local", "valueBoolean": True}, *more]}


def _kinds(record: FakeServer) -> set[str]:
    return {path.partition("?")[0].partition("/")[0] for path in record.asked}


def test_a_token_for_the_record_has_it_read(api: Api, record: FakeServer) -> None:
    answer = api.as_(f"{WRITING} patient/*.rs", patient="1").post(POPULATE, _asked("1"))
    assert answer.status_code == 200
    assert {"Condition", "Patient", "Observation"} <= _kinds(record)


def test_what_no_scope_covers_is_not_read_and_told(api: Api, record: FakeServer) -> None:
    answer = api.as_(f"{WRITING} patient/Patient.rs patient/Condition.rs", patient="1").post(POPULATE, _asked("1"))
    assert _kinds(record) == {"Patient", "Condition"}
    issues = next(one["resource"] for one in answer.json["parameter"] if one["name"] == "issues")["issue"]
    assert any("the token does not let it read Observation" in one["details"]["text"] for one in issues)


def test_a_narrowed_scope_does_not_open_another_server(api: Api, record: FakeServer) -> None:
    scopes = f"{WRITING} patient/Patient.rs patient/Condition.rs?category=problem-list-item"
    api.as_(scopes, patient="1").post(POPULATE, _asked("1"))
    assert _kinds(record) == {"Patient"}


@pytest.mark.parametrize("claims", [{"patient": "1"}, {"patient": "1", "fhirUser": "Patient/1"}])
def test_another_patient_is_refused(api: Api, record: FakeServer, claims: dict[str, str]) -> None:
    answer = api.as_("patient/*.cruds user/*.cruds", **claims).post(POPULATE, _asked("2"))
    assert (answer.status_code, record.asked) == (403, [])


def test_a_context_does_not_name_another_patient(api: Api, record: FakeServer) -> None:
    parts = [
        {"name": "name", "valueString": "patient"},
        {"name": "content", "valueReference": {"reference": "Patient/2"}},
    ]
    asked = {"resourceType": "Parameters", "parameter": [{"name": "context", "part": parts}]}
    asked["parameter"].append({"name": "local", "valueBoolean": True})
    api.as_("patient/*.cruds", patient="1").post(POPULATE, asked)
    assert not [path for path in record.asked if "Patient/2" in path or "=2" in path]


def test_staff_may_have_any_record_read(api: Api, record: FakeServer) -> None:
    api.as_("user/*.cruds", fhirUser="Practitioner/9").post(POPULATE, _asked("1"))
    assert "Condition" in _kinds(record)


def test_what_was_read_is_kept_in_the_audit(api: Api) -> None:
    api.as_("patient/*.cruds", patient="1", fhirUser="Patient/1").post(POPULATE, _asked("1"))
    (event,) = (one["resource"] for one in api.get("/fhir/AuditEvent?patient=1").json["entry"])
    assert event["subtype"][0]["code"] == "operation"
