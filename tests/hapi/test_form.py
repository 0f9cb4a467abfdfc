"""The form in front of a real FHIR server: it takes first answers from the record there, and writes into it."""

from __future__ import annotations

import re
from html import unescape

import pytest
import requests

from tests.hapi.client import FhirClient, SyntheticPatient
from tests.hapi.record import Record
from tests.hapi.service import Service, eventually

YES, NO = "373066001", "373067005"
STEPS: tuple[dict[str, str], ...] = (
    {"danger-signs": "none"},
    {"first-noticed.year": "2020", "episode-duration": "seconds", "frequency": "daily"},
    {"muscles": "85562004", "side": "7771000", "same-location": YES},
    {"weakness": "none", "symptoms": "88092000"},
    {"age-16-or-over": YES, "age-16-or-over.confirm": "yes", "pregnant": "60001007"},
    {"medicines": "none", "diet": "none", "diagnosed-condition": "none"},
    {},
)


class Person:
    """Somebody in front of the form, with a browser that runs no scripts."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._http = requests.Session()
        self.page = ""

    def open(self, path: str) -> None:
        self._show(self._http.get(f"{self._address}{path}", timeout=60))

    def send(self, **answers: str) -> None:
        """Answer the questions of the page, and go on; what the page holds already goes with it."""
        tags = re.findall(r"<input [^>]*>", self.page)
        kept = [_attributes(tag) for tag in tags if 'type="hidden"' in tag and "disabled" not in tag]
        action = re.search(r'<form method="post" action="([^"]+)"', self.page)
        assert action is not None
        pairs = [*((one["name"], one["value"]) for one in kept), *answers.items()]
        self._show(self._http.post(f"{self._address}{action[1]}", data=pairs, timeout=60))

    @property
    def text(self) -> str:
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", self.page)).split())

    @property
    def address(self) -> str:
        return self._last.url

    def _show(self, answer: requests.Response) -> None:
        answer.raise_for_status()
        self._last, self.page = answer, answer.text


def _attributes(tag: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}


@pytest.fixture
def person(service: Service) -> Person:
    return Person(service.address)


def test_a_form_ends_in_the_record_once_and_the_result_says_so(
    service: Service, person: Person, fhir: FhirClient, patient: SyntheticPatient
) -> None:
    identity = patient.reference.partition("/")[2]
    born = {**fhir.read(patient.reference), "birthDate": "1980-05-17"}
    fhir.request("PUT", patient.reference, born).raise_for_status()
    person.open(f"/forms/muscle-fasciculation?patient={identity}")
    for step in STEPS[:4]:
        person.send(**step)
    assert f"This comes from your health record ({patient.reference})" in person.text
    for step in STEPS[4:]:
        person.send(**step)
    assert "Be seen within days" in person.text
    result = person.address.removeprefix(service.address)

    def arrived() -> bool:
        person.open(result)
        return "Delivered to your medical record on" in person.text

    eventually(arrived)
    record = Record.of(fhir, patient.reference)
    [response] = record.responses
    assert response["status"] == "completed"
    assert record.versions == {"1"}
    values = [
        coding["code"]
        for one in record.observations
        for coding in one.get("valueCodeableConcept", {}).get("coding", [])
    ]
    assert {"82470000", "88092000", "prompt"} <= set(values)
