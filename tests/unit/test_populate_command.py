"""The command populate: what it reads, what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.config import PREFIX
from service.packs import shipped_pages

Json = dict[str, Any]
PATIENT: Json = {"resourceType": "Patient", "id": "1", "birthDate": "1980-05-17"}
ORDER: Json = {
    "resourceType": "MedicationRequest",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/1"},
    "medicationCodeableConcept": {"coding": [{"system": "http://www.whocc.no/atc", "code": "C03CA01"}]},
}
QUESTIONNAIRE: Json = {
    "resourceType": "Questionnaire",
    "status": "active",
    "item": [{"linkId": "q", "type": "integer", "initial": [{"valueInteger": 3}]}],
}


NOT_PREGNANT: Json = {"system": "http://snomed.info/sct", "code": "60001007", "display": "Not pregnant"}
PAGE: Json = json.loads((shipped_pages() / "muscle-fasciculation" / "questionnaire.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(f"{PREFIX}PACKS", str(shipped_pages() / "muscle-fasciculation"))


def run(content: Json, *options: str) -> Result:
    return CliRunner().invoke(main, ["populate", "-", *options], input=json.dumps(content))


def bundle(*resources: Json) -> Json:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}


def response_of(result: Result) -> Json:
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed["resourceType"] == "Parameters"
    response: Json = printed["parameter"][0]["resource"]
    return response


def codes(response: Json) -> dict[str, list[str]]:
    return {
        item["linkId"]: [answer["valueCoding"]["code"] for answer in item["answer"]]
        for group in response["item"]
        for item in group["item"]
        if "answer" in item
    }


def test_a_patient_populates_the_published_page() -> None:
    response = response_of(run(PATIENT))
    assert (response["status"], response["subject"]) == ("in-progress", {"reference": "Patient/1"})
    assert codes(response) == {"age-16-or-over": ["373066001"]}


def test_a_bundle_brings_more_of_the_record() -> None:
    response = response_of(run(bundle(PATIENT, ORDER)))
    assert codes(response) == {"age-16-or-over": ["373066001"], "medicines": ["C03"]}


def test_a_response_that_was_begun_keeps_its_answers() -> None:
    begun = response_of(run(PATIENT))
    del begun["item"]
    begun |= {
        "author": {"reference": "Patient/1"},
        "item": [
            {"linkId": group["linkId"], "item": [{"linkId": "pregnant", "answer": [{"valueCoding": NOT_PREGNANT}]}]}
            for group in PAGE["item"]
            if any(item["linkId"] == "pregnant" for item in group["item"])
        ],
    }
    response = response_of(run(begun))
    assert response["author"] == {"reference": "Patient/1"}
    assert response["subject"] == {"reference": "Patient/1"}
    assert codes(response) == {"pregnant": [NOT_PREGNANT["code"]]}


def test_parameters_are_taken_as_the_operation_takes_them() -> None:
    sent = {"resourceType": "Parameters", "parameter": [{"name": "questionnaire", "resource": QUESTIONNAIRE}]}
    assert response_of(run(sent))["item"][0]["answer"] == [{"valueInteger": 3}]


def test_another_questionnaire_and_another_subject(tmp_path: Path) -> None:
    file = tmp_path / "questionnaire.json"
    file.write_text(json.dumps(QUESTIONNAIRE))
    anonymous = {"resourceType": "Patient"}
    response = response_of(run(anonymous, "--questionnaire", str(file), "--subject", "Patient/9"))
    assert response["item"][0]["answer"] == [{"valueInteger": 3}]
    assert response["subject"] == {"reference": "Patient/9"}


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ({"resourceType": "Observation"}, ()),
        (bundle(ORDER), ()),
        (bundle(PATIENT, {**PATIENT, "id": "2"}), ()),
        (PATIENT, ("--page", "urn:unknown")),
        (PATIENT, ("--subject", "Patient/2")),
        ({**PATIENT, "nonsense": 1}, ()),
    ],
)
def test_input_at_fault_is_an_outcome_and_exit_code_1(content: Json, options: tuple[str, ...]) -> None:
    result = run(content, *options)
    assert (result.exit_code, json.loads(result.stdout)["resourceType"]) == (1, "OperationOutcome")
