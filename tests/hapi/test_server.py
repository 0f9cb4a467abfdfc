"""The facts about a FHIR server that delivery relies on. If one of these fails, delivery is wrong however green."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.hapi.client import TEST_TAG_SYSTEM, FhirClient, Json, SyntheticPatient


def observation(patient: SyntheticPatient, key: str) -> Json:
    return {
        "resourceType": "Observation",
        "identifier": [{"system": TEST_TAG_SYSTEM, "value": key}],
        "status": "final",
        "code": {"text": "A thing seen"},
        "subject": {"reference": patient.reference},
        "valueBoolean": True,
    }


def create_once(patient: SyntheticPatient, key: str) -> list[Json]:
    """Entries of an Observation and its Provenance, each created only where its key is not there yet."""
    provenance = {
        "resourceType": "Provenance",
        "meta": {"tag": [{"system": TEST_TAG_SYSTEM, "code": key}]},
        "target": [{"reference": f"urn:uuid:{key}"}],
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"who": {"display": "Test run"}}],
    }
    token = f"{TEST_TAG_SYSTEM}|{key}"
    return [
        {
            "fullUrl": f"urn:uuid:{key}",
            "resource": observation(patient, key),
            "request": {"method": "POST", "url": "Observation", "ifNoneExist": f"identifier={token}"},
        },
        {
            "fullUrl": f"urn:uuid:{uuid.uuid4()}",
            "resource": provenance,
            "request": {"method": "POST", "url": "Provenance", "ifNoneExist": f"_tag={token}"},
        },
    ]


@pytest.fixture
def key() -> str:
    return str(uuid.uuid4())


def entry_answers(bundle: Json) -> list[tuple[str, str, str]]:
    """Status code, location and ETag of each entry of a transaction's answer."""
    answers = [entry["response"] for entry in bundle["entry"]]
    return [(answer["status"][:3], answer["location"], answer["etag"]) for answer in answers]


def diagnostics(outcome: Json) -> str:
    assert outcome["resourceType"] == "OperationOutcome"
    return " ".join(issue.get("diagnostics", "") for issue in outcome["issue"])


def test_it_speaks_fhir_r4(fhir: FhirClient) -> None:
    capabilities = fhir.read("metadata")

    assert capabilities["resourceType"] == "CapabilityStatement"
    assert capabilities["fhirVersion"] == "4.0.1"


def test_a_transaction_resolves_references_between_its_entries(
    fhir: FhirClient, patient: SyntheticPatient, key: str
) -> None:
    answer = fhir.transaction(create_once(patient, key))

    assert answer.status_code == 200
    (seen_status, seen, _), (told_status, told, _) = entry_answers(answer.json())
    assert (seen_status, told_status) == ("201", "201")
    target = fhir.read(told)["target"][0]["reference"]
    assert seen.startswith(f"{target}/_history/")


def test_a_repeated_conditional_create_changes_nothing(fhir: FhirClient, patient: SyntheticPatient, key: str) -> None:
    first = entry_answers(fhir.transaction(create_once(patient, key)).json())

    again = entry_answers(fhir.transaction(create_once(patient, key)).json())

    assert [(location, etag) for _, location, etag in again] == [(location, etag) for _, location, etag in first]
    assert [status for status, _, _ in again] == ["200", "200"]
    for _, location, _ in first:
        assert fhir.read(f"{location.partition('/_history')[0]}/_history")["total"] == 1


def test_identical_transactions_at_once_leave_one_of_each(
    fhir: FhirClient, patient: SyntheticPatient, key: str
) -> None:
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(fhir.transaction, [create_once(patient, key)] * 4))

    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len(fhir.search("Observation", identifier=f"{TEST_TAG_SYSTEM}|{key}")) == 1
    assert len(fhir.search("Provenance", _tag=f"{TEST_TAG_SYSTEM}|{key}")) == 1


def test_a_stale_version_is_refused(fhir: FhirClient, patient: SyntheticPatient, key: str) -> None:
    stored = fhir.create(observation(patient, key))
    reference = f"Observation/{stored['id']}"
    newer = fhir.request("PUT", reference, {**stored, "status": "amended"}, If_Match='W/"1"')
    assert newer.status_code == 200

    late = fhir.request("PUT", reference, {**stored, "status": "cancelled"}, If_Match='W/"1"')

    assert late.status_code in {409, 412}
    assert fhir.read(reference)["status"] == "amended"


def test_a_stale_version_in_a_transaction_undoes_all_of_it(
    fhir: FhirClient, patient: SyntheticPatient, key: str
) -> None:
    stored = fhir.create(observation(patient, key))
    reference = f"Observation/{stored['id']}"
    assert fhir.request("PUT", reference, {**stored, "status": "amended"}).status_code == 200
    other = str(uuid.uuid4())
    stale = {
        "resource": {**stored, "status": "cancelled"},
        "request": {"method": "PUT", "url": reference, "ifMatch": 'W/"1"'},
    }

    answer = fhir.transaction([*create_once(patient, other), stale])

    assert answer.status_code in {409, 412}
    assert fhir.read(reference)["status"] == "amended"
    assert fhir.search("Observation", identifier=f"{TEST_TAG_SYSTEM}|{other}") == []


def test_conditional_update_and_delete_find_by_identifier(
    fhir: FhirClient, patient: SyntheticPatient, key: str
) -> None:
    condition = f"Observation?identifier={TEST_TAG_SYSTEM}|{key}"
    created = fhir.request("PUT", condition, observation(patient, key))
    updated = fhir.request("PUT", condition, {**observation(patient, key), "status": "amended"})

    assert (created.status_code, updated.status_code) == (201, 200)
    assert [found["status"] for found in fhir.search("Observation", subject=patient.reference)] == ["amended"]

    assert fhir.request("DELETE", condition).status_code in {200, 204}
    assert fhir.search("Observation", subject=patient.reference) == []


def test_a_dangling_reference_is_a_bad_request_that_names_it(
    fhir: FhirClient, patient: SyntheticPatient, key: str
) -> None:
    answer = fhir.request("POST", "Observation", {**observation(patient, key), "subject": {"reference": "Patient/0"}})

    assert answer.status_code == 400
    assert "Patient/0" in diagnostics(answer.json())


def test_an_unknown_element_is_refused(fhir: FhirClient, patient: SyntheticPatient, key: str) -> None:
    answer = fhir.request("POST", "Observation", {**observation(patient, key), "colour": "blue"})

    assert answer.status_code == 400
    assert "colour" in diagnostics(answer.json())


def test_an_unknown_status_is_refused(fhir: FhirClient, patient: SyntheticPatient, key: str) -> None:
    answer = fhir.request("POST", "Observation", {**observation(patient, key), "status": "bogus"})

    assert answer.status_code == 400


def test_provenance_is_found_by_its_target_and_by_its_tag(
    fhir: FhirClient, patient: SyntheticPatient, key: str
) -> None:
    (_, seen, _), (_, told, _) = entry_answers(fhir.transaction(create_once(patient, key)).json())
    told_id = told.split("/")[1]

    by_tag = fhir.search("Provenance", _tag=f"{TEST_TAG_SYSTEM}|{key}")
    by_target = fhir.search("Observation", _id=seen.split("/")[1], _revinclude="Provenance:target")

    assert [found["id"] for found in by_tag] == [told_id]
    assert [found["id"] for found in by_target if found["resourceType"] == "Provenance"] == [told_id]


def test_validate_answers_ok_with_the_errors_inside(fhir: FhirClient, patient: SyntheticPatient, key: str) -> None:
    good = observation(patient, key)
    without_status = {name: value for name, value in good.items() if name != "status"}

    answers = [fhir.request("POST", "Observation/$validate", resource) for resource in (good, without_status)]

    assert [answer.status_code for answer in answers] == [200, 200]
    errors = [
        [issue for issue in answer.json()["issue"] if issue["severity"] in {"error", "fatal"}] for answer in answers
    ]
    assert errors[0] == []
    assert [issue["location"][0] for issue in errors[1]] == ["Observation"]


def test_history_counts_every_version(fhir: FhirClient, patient: SyntheticPatient, key: str) -> None:
    stored = fhir.create(observation(patient, key))
    reference = f"Observation/{stored['id']}"
    assert fhir.request("PUT", reference, {**stored, "status": "amended"}).status_code == 200

    history = fhir.read(f"{reference}/_history")

    assert history["total"] == 2
    assert [entry["resource"]["status"] for entry in history["entry"]] == ["amended", "final"]
    assert fhir.read(f"{reference}/_history/1")["status"] == "final"
