"""Whatever $populate is sent, it answers a response that is no error, or says what is wrong with the call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import DomainError
from service.fhir.json import dumps, parse_object
from service.records.library import Library
from service.records.population import Population
from service.records.population_request import read_request
from tests.fuzz.test_evaluation import CORE, SDC, mutated

Json = dict[str, Any]
POPULATION = Population(Library((), ()), lambda: datetime(2026, 3, 15, tzinfo=UTC), None, lambda: 0.0)
QUERY = "Condition?patient={{%patient.id}}"


def _expression(name: str, text: str, language: str = "text/fhirpath") -> Json:
    return {"name": name, "language": language, "expression": text}


CODE = [{"system": "urn:l", "code": "w"}]
CONCEPT = {"coding": CODE}
PERIOD = {"url": SDC + "observationLinkPeriod", "valueDuration": {"value": 1, "code": "a"}}
NAME = {"url": SDC + "initialExpression", "valueExpression": _expression("n", "%c.name.text")}
QUESTIONNAIRE: Json = {
    "resourceType": "Questionnaire",
    "url": "urn:q",
    "status": "active",
    "extension": [
        {
            "url": SDC + "launchContext",
            "extension": [{"url": "name", "valueCoding": {"code": "patient"}}, {"url": "type", "valueCode": "Patient"}],
        },
        {"url": SDC + "sourceQueries", "valueReference": {"reference": "#batch"}},
        {"url": CORE + "variable", "valueExpression": _expression("x", QUERY, "application/x-fhir-query")},
    ],
    "contained": [
        {
            "resourceType": "Bundle",
            "id": "batch",
            "type": "batch",
            "entry": [{"request": {"method": "GET", "url": QUERY}}],
        },
    ],
    "item": [
        {
            "linkId": "g",
            "type": "group",
            "repeats": True,
            "code": CODE,
            "extension": [
                PERIOD,
                {"url": SDC + "itemPopulationContext", "valueExpression": _expression("c", "%patient.contact")},
            ],
            "item": [
                {"linkId": "q", "type": "string", "extension": [NAME]},
                {"linkId": "n", "type": "integer", "code": CODE},
                {"linkId": "d", "type": "integer", "initial": [{"valueInteger": 3}]},
            ],
        }
    ],
}
ABOUT = {"subject": {"reference": "Patient/1"}}
RECORD: list[Json] = [
    {"resourceType": "Condition", "id": "c", **ABOUT, "code": CONCEPT},
    {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        **ABOUT,
        "effectiveDateTime": "2026-03-01",
        "code": CONCEPT,
        "valueInteger": 4,
        "component": [{"code": CONCEPT, "valueInteger": 5}],
    },
]
PATIENT: Json = {"resourceType": "Patient", "id": "1", "contact": [{"name": {"text": "A"}}, {"name": {"text": "B"}}]}


def _call(questionnaire: Json, patient: Json, record: list[Json]) -> Json:
    parts = [{"name": "name", "valueString": "patient"}, {"name": "content", "resource": patient}]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in record]}
    parameters = [
        {"name": "questionnaire", "resource": questionnaire},
        {"name": "subject", "valueReference": {"reference": "Patient/1"}},
        {"name": "context", "part": parts},
        {"name": "data", "resource": bundle},
    ]
    return {"resourceType": "Parameters", "parameter": parameters}


def _populated(body: Json) -> Json | None:
    try:
        return POPULATION.populate(read_request(body))
    except DomainError:
        return None


def test_the_call_that_is_mutated_populates() -> None:
    answer = _populated(_call(QUESTIONNAIRE, PATIENT, RECORD))
    assert answer is not None
    given_values = [item["answer"] for group in answer["parameter"][0]["resource"]["item"] for item in group["item"]]
    assert given_values == [
        [{"valueString": "A"}],
        [{"valueInteger": 5}],
        [{"valueInteger": 3}],
        [{"valueString": "B"}],
        [{"valueInteger": 5}],
        [{"valueInteger": 3}],
    ]


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_mutated_call_populates_or_is_refused(data: st.DataObject) -> None:
    changed = data.draw(st.sampled_from(["questionnaire", "patient", "record", "call"]))
    questionnaire = data.draw(mutated(QUESTIONNAIRE, 3)) if changed == "questionnaire" else QUESTIONNAIRE
    patient = data.draw(mutated(PATIENT, 2)) if changed == "patient" else PATIENT
    record = data.draw(mutated({"record": RECORD}, 2)).get("record", []) if changed == "record" else RECORD
    body = _call(questionnaire, patient, record if isinstance(record, list) else [])
    try:
        text = dumps(data.draw(mutated(body, 2)) if changed == "call" else body)
        body = parse_object(text)
    except DomainError:
        return
    answer = _populated(body)
    assert answer is None or answer["parameter"][0]["resource"]["resourceType"] == "QuestionnaireResponse"
