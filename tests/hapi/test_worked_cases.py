"""The worked cases, posted over HTTP and delivered: what stands in the patient's record on a real FHIR server.

What is expected of each answer is written down here from the clinical sources, not taken from the page's templates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import pytest

from service.packs.vignettes import Vignette
from tests.hapi.cases import case, page, response_to, worked_cases
from tests.hapi.client import FhirClient, Json, SyntheticPatient
from tests.hapi.published import verdict
from tests.hapi.record import Record, as_list, codes, identity_search, references
from tests.hapi.service import Service

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
PAGE_CODES = "https://symptom-intake.example/fhir/CodeSystem/muscle-fasciculation"
TRIAGE_LEVELS = "https://symptom-intake.example/fhir/CodeSystem/triage-level"

SYMPTOM = f"{LOINC}|75325-1"
FASCICULATION = f"{SNOMED}|82470000"
# Questions with a code of their own in a standard; the others are coded by the page, with their linkId.
QUESTION_CODES = {
    "first-noticed": f"{LOINC}|11368-8",
    "episode-duration": f"{LOINC}|104226-6",
    "frequency": f"{LOINC}|104156-5",
    "weakness": f"{SNOMED}|26544005",
    "pregnant": f"{LOINC}|82810-3",
    "triggers": f"{LOINC}|100752-5",
}
# LOINC's own answers, which stand beside the SNOMED code.
SECOND_CODES = {"77386006": f"{LOINC}|LA15173-0", "60001007": f"{LOINC}|LA26683-5"}
INTERPRETATIONS = {"self-care": "N", "routine": "A", "prompt": "A", "urgent": "AA"}


class Finding(NamedTuple):
    """An Observation without what all of them carry: its code, the codes or text of its value, its body site."""

    code: str
    value: tuple[str, ...]
    site: str = ""


@pytest.fixture(params=worked_cases(), ids=lambda one: one.name)
def vignette(request: pytest.FixtureRequest) -> Vignette:
    """One worked case, or a variant of one."""
    found: Vignette = request.param
    return found


@pytest.fixture
def response(vignette: Vignette, patient: SyntheticPatient) -> Json:
    """The response of the case about the patient."""
    return response_to(vignette, patient.reference)


@pytest.fixture
def record(service: Service, fhir: FhirClient, response: Json, patient: SyntheticPatient) -> Record:
    """The patient's record on the server under test, after the response was posted to our service."""
    assert service.fhir.request("POST", "QuestionnaireResponse", response).status_code == 201
    assert set(service.await_settled()) == {"delivered"}
    return Record.of(fhir, patient.reference)


def test_the_record_says_what_the_patient_said(
    service: Service,
    fhir: FhirClient,
    judge: FhirClient,
    vignette: Vignette,
    response: Json,
    patient: SyntheticPatient,
    record: Record,
) -> None:
    check_findings(record, response)
    check_triage(record.triage, vignette)
    check_condition(record, response, patient)
    check_references(fhir, record, patient)
    check_identities(service, fhir, record, patient)
    (stored,) = record.responses
    assert all(stored[name] == value for name, value in response.items())
    assert record.versions == {"1"}
    with ThreadPoolExecutor(4) as threads:
        assert [fault for found in threads.map(partial(verdict, judge), record.all) for fault in found] == []


def check_findings(record: Record, response: Json) -> None:
    """Every answer is an Observation, and every Observation but the triage result is an answer."""
    expected = Counter(finding for link_id, answer in answers(response) for finding in findings(link_id, answer))
    found = Counter(finding_of(one) for one in record.observations if one is not record.triage)
    assert found == expected
    side = [answer["valueCoding"]["code"] for link_id, answer in answers(response) if link_id == "side"]
    for one in record.observations:
        assert one["status"] == "final"
        assert one["effectiveDateTime"] == response["authored"]
        assert one["text"]["status"] == "generated"
        sites = [codes(component["valueCodeableConcept"]) for component in one.get("component", [])]
        if "bodySite" in one:
            assert sites == [set(side)]


def check_triage(triage: Json, vignette: Vignette) -> None:
    """The level of the case, and each rule that fires, with its level."""
    (level,) = triage["valueCodeableConcept"]["coding"]
    assert (level["system"], level["code"]) == (TRIAGE_LEVELS, vignette.level)
    assert [codes(one) for one in triage["interpretation"]] == [{INTERPRETATIONS[vignette.level]}]
    assert sorted(code for one in triage["component"] for code in codes(one["code"])) == sorted(vignette.rules)
    assert vignette.level in {code for one in triage["component"] for code in codes(one["valueCodeableConcept"])}
    notes = [note["text"] for note in triage["note"]]
    for rule in vignette.rules:
        (explanation,) = [note for note in notes if note.startswith(f"{rule} ")]
        assert "Source: " in explanation


def check_condition(record: Record, response: Json, patient: SyntheticPatient) -> None:
    """Twitching is on the problem list, as the patient tells it: nobody confirmed it, and nothing else is concluded."""
    (condition,) = record.conditions
    assert concept_codes(condition["code"]) == (FASCICULATION, "http://hl7.org/fhir/sid/icd-10-cm|R25.3")
    assert codes(condition["clinicalStatus"]) == {"active"}
    assert codes(condition["verificationStatus"]) == {"unconfirmed"}
    assert [codes(one) for one in condition["category"]] == [{"problem-list-item"}]
    assert condition["asserter"] == {"reference": patient.reference}
    told = [(link_id, answer) for link_id, answer in answers(response) if link_id in {"first-noticed", "muscles"}]
    assert [condition["onsetDateTime"]] == [answer["valueDate"] for link_id, answer in told if link_id[0] == "f"]
    muscles = [{answer["valueCoding"]["code"]} for link_id, answer in told if link_id == "muscles"]
    assert [codes(site) for site in condition["bodySite"]] == muscles


def check_references(fhir: FhirClient, record: Record, patient: SyntheticPatient) -> None:
    """All of it hangs together: every reference is to the patient or to something in the record."""
    (response,) = [reference_to(one) for one in record.responses]
    observations = {reference_to(one) for one in record.observations}
    conditions = {reference_to(one) for one in record.conditions}
    triage = reference_to(record.triage)

    assert set(references(record.all)) <= {patient.reference, response, *observations, *conditions}
    for one in [*record.observations, *record.conditions]:
        assert one["subject"] == {"reference": patient.reference}
    for one in record.observations:
        assert one["derivedFrom"] == [{"reference": response}]
        assert one["performer"] == [{"reference": patient.reference}]
    for one in record.conditions:
        evidence = [detail["reference"] for part in one["evidence"] for detail in part["detail"]]
        assert set(evidence) == observations - {triage}
        assert len(evidence) == len(set(evidence))
    (provenance,) = record.provenances
    targets = [target["reference"] for target in provenance["target"]]
    assert sorted(targets) == sorted(observations | conditions)
    assert [(one["role"], one["what"]) for one in provenance["entity"]] == [("source", {"reference": response})]
    agents = {next(iter(codes(one["type"]))): one["who"] for one in provenance["agent"]}
    assert agents.keys() == {"informant", "assembler"}
    assert agents["informant"] == {"reference": patient.reference}
    assert codes(provenance["activity"]) == {"CREATE"}


def check_identities(service: Service, fhir: FhirClient, record: Record, patient: SyntheticPatient) -> None:
    """Each resource is found by its identity alone, there and in our own record, which holds the same."""
    assert len(set(record.identities)) == len(record.all)
    assert Record.of(service.fhir, patient.reference).identities == record.identities
    for one in record.all:
        found = fhir.search(one["resourceType"], **identity_search(one))
        assert [match["id"] for match in found] == [one["id"]]


def answers(holder: Json) -> Iterator[tuple[str, Json]]:
    """Each answer of a response, with the linkId of its question."""
    for item in holder.get("item", []):
        yield from ((item["linkId"], answer) for answer in item.get("answer", []))
        yield from answers(item)


def findings(link_id: str, answer: Json) -> Iterator[Finding]:
    """The Observation that one answer becomes; the side is told with the muscle, and is none of its own."""
    question = QUESTION_CODES.get(link_id, f"{PAGE_CODES}|{link_id}")
    coding = answer.get("valueCoding")
    if coding is None:
        yield Finding(question, (answer["valueDate"],))
        return
    value = coding_code(coding)
    match link_id:
        case "side":
            return
        case "muscles":
            yield Finding(SYMPTOM, (FASCICULATION,), value)
        case "symptoms" if coding["code"] != "none":
            yield Finding(SYMPTOM, (value,))
        case "pregnant":
            yield Finding(question, (value, SECOND_CODES[coding["code"]]))
        case _:
            yield Finding(question, (value,))


def finding_of(observation: Json) -> Finding:
    """An Observation of the record in the terms of `findings`."""
    value = observation.get("valueCodeableConcept")
    told = concept_codes(value) if value else (observation["valueDateTime"],)
    (code,) = concept_codes(observation["code"])
    site = [code for one in as_list(observation.get("bodySite")) for code in concept_codes(one)]
    return Finding(code, told, *site)


def concept_codes(concept: Json) -> tuple[str, ...]:
    """The codings of a CodeableConcept as `system|code`, in their order."""
    return tuple(coding_code(coding) for coding in concept["coding"])


def coding_code(coding: Json) -> str:
    return f"{coding['system']}|{coding['code']}"


def reference_to(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def test_own_words_and_unsure_answers_make_a_valid_record(
    service: Service, fhir: FhirClient, judge: FhirClient, patient: SyntheticPatient
) -> None:
    words = '<b>thigh</b> & "back"\n\u2014 \U0001f600 a|b,$\\'
    unsure = ("danger-signs", "episode-duration", "frequency", "diet", "pregnancy-warning")
    unknown = ("same-location", "age-16-or-over", "pregnant", "medicine-suspected")
    given = {
        **case("case-05").answers,
        **dict.fromkeys(unsure, "unsure"),
        **dict.fromkeys(unknown, "261665006"),
        "first-noticed": "2026-01",
        "muscles": ["85562004", {"text": words}],
        "medicines": ["C03", {"text": words}],
        "diagnosed-condition": ["86044005", {"text": words}],
        "symptoms-other": words,
        "anything-else": words,
    }
    response = response_to(replace(case("case-05"), answers=given), patient.reference)

    assert service.fhir.request("POST", "QuestionnaireResponse", response).status_code == 201
    assert set(service.await_settled()) == {"delivered"}

    record = Record.of(fhir, patient.reference)
    sites = [one["bodySite"]["text"] for one in record.observations if "bodySite" in one]
    assert [site for site in sites if words in site] != []
    told = [one["valueString"] for one in record.observations if "valueString" in one]
    assert told == [words, words]
    names = [one["code"].get("text") for one in record.conditions]
    assert (len(names), names.count(words)) == (3, 1)
    absent = [one for one in record.observations if codes(one.get("dataAbsentReason")) == {"asked-unknown"}]
    # Of the pregnancy, Unknown is a value.
    assert len(absent) == len(unsure) + len(unknown) - 1
    assert all("valueCodeableConcept" not in one for one in absent)
    with ThreadPoolExecutor(4) as threads:
        assert [fault for found in threads.map(partial(verdict, judge), record.all) for fault in found] == []


def test_the_worked_cases_are_all_there() -> None:
    numbers = {one.name.split("-")[1] for one in worked_cases()}

    assert numbers == {f"{number:02}" for number in range(1, 13)}
    assert {level.code for level in page().plan.levels} == INTERPRETATIONS.keys()
