"""Whatever a CDS client sends, it is read, or refused with what is wrong; and what is read can be used."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings

from service.errors import Malformed
from service.fhir.primitives import is_id
from service.records.feedback import read_feedback
from service.records.hook_request import read_request
from service.records.prefetch import conditions_of, conditions_sent
from tests.fuzz.test_evaluation import PACK, mutated

Json = dict[str, Any]
CALL: Json = {
    "hook": "patient-view",
    "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
    "fhirServer": "https://ehr.example/fhir",
    "fhirAuthorization": {
        "access_token": "secret",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "user/Condition.read",
        "subject": "intake",
        "patient": "1",
    },
    "context": {"userId": "Practitioner/9", "patientId": "1"},
    "prefetch": {
        "conditions": {
            "resourceType": "Bundle",
            "type": "searchset",
            "link": [{"relation": "self", "url": "https://ehr.example/fhir/Condition"}],
            "entry": [
                {
                    "resource": {
                        "resourceType": "Condition",
                        "subject": {"reference": "Patient/1"},
                        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "82470000"}]},
                        "clinicalStatus": {"coding": [{"system": "urn:x", "code": "active"}]},
                        "verificationStatus": {"coding": [{"system": "urn:x", "code": "confirmed"}]},
                    }
                }
            ],
        }
    },
}
REPORT: Json = {
    "feedback": [
        {
            "card": "c1",
            "outcome": "accepted",
            "acceptedSuggestions": [{"id": "s1"}],
            "outcomeTimestamp": "2026-03-15T09:00:00Z",
        },
        {
            "card": "c2",
            "outcome": "overridden",
            "overrideReason": {"reason": {"code": "a", "system": "urn:r"}, "userComment": "no"},
            "outcomeTimestamp": "2026-03-15T09:00:00Z",
        },
    ]
}


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(body=mutated(CALL, 4))
def test_a_mutated_call_is_read_or_refused(body: Json) -> None:
    try:
        request = read_request(body)
    except Malformed:
        return
    assert is_id(request.patient)
    assert "secret" not in repr(request)
    sent, _ = conditions_sent(request.prefetch)
    conditions = list(conditions_of(sent, request.patient))
    assert all(trigger.is_met_by(conditions) in (True, False) for trigger in PACK.plan.triggers)


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(body=mutated(REPORT, 3))
def test_a_mutated_report_is_read_or_refused(body: Json) -> None:
    try:
        entries = read_feedback(body)
    except Malformed:
        return
    assert [one.body for one in entries] == body["feedback"]
    assert all(len(one.digest) == 64 for one in entries)
