"""A patient's token opens that patient's data alone, whichever way it is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.integration.access.conftest import Api
from tests.integration.answers import MakeResponse, issues_of

RESPONSES = "/fhir/QuestionnaireResponse"
ONE = "patient/*.cruds"


def _ids(answer: TestResponse, mode: str = "match") -> set[str]:
    entries = [one for one in answer.json.get("entry", []) if one["search"]["mode"] == mode]
    return {one["resource"]["id"] for one in entries}


@pytest.fixture
def records(api: Api, make_response: MakeResponse) -> dict[str, str]:
    """The id of a response of each of two patients."""
    made = {}
    for number in "12":
        body = make_response("case-08", subject={"reference": f"Patient/{number}"})
        made[number] = api.post(RESPONSES, body).json["id"]
    return made


@pytest.mark.parametrize("kind", ["QuestionnaireResponse", "Observation", "Condition", "Provenance"])
def test_a_search_finds_what_is_theirs(api: Api, records: dict[str, str], kind: str) -> None:
    everything = api.get(f"/fhir/{kind}").json["total"]
    theirs = api.as_(ONE, patient="1").get(f"/fhir/{kind}").json["total"]
    assert 0 < theirs == everything / 2
    staff = api.as_("user/*.rs", fhirUser="Practitioner/9")
    assert staff.get(f"/fhir/{kind}").json["total"] == everything


def test_what_comes_along_is_theirs_and_needs_a_scope(api: Api, records: dict[str, str]) -> None:
    search = "/fhir/Observation?_revinclude=Provenance:target"
    mine = api.as_(ONE, patient="1")
    assert _ids(mine.get(search), "include") == _ids(mine.get("/fhir/Provenance"))
    refused = api.as_("patient/Observation.rs", patient="1").get(search)
    assert refused.status_code == 403
    assert 'scope="patient/Provenance.s"' in refused.headers["WWW-Authenticate"]


def test_a_search_for_another_is_refused_but_one_for_both_finds_theirs(api: Api, records: dict[str, str]) -> None:
    mine = api.as_(ONE, patient="1")
    assert mine.get(f"{RESPONSES}?patient=2").status_code == 403
    assert mine.get(f"{RESPONSES}?subject=Patient/2").status_code == 403
    assert _ids(mine.get(f"{RESPONSES}?patient=1,2")) == {records["1"]}
    assert _ids(mine.get(f"{RESPONSES}?_id={records['2']}")) == set()
    assert mine.get(f"/fhir/Observation?derived-from={records['2']}").json["total"] == 0
    assert mine.get(f"/fhir/Provenance?target=QuestionnaireResponse/{records['2']}").json["total"] == 0


def test_what_cannot_be_read_is_not_there(api: Api, records: dict[str, str]) -> None:
    mine = api.as_(ONE, patient="1")
    for path in ("", "/_history", "/_history/1", "/$assess", "/$extract", "/$validate"):
        assert mine.get(f"{RESPONSES}/{records['1']}{path}").status_code == 200
        theirs, nobodys = (mine.get(f"{RESPONSES}/{one}{path}") for one in (records["2"], "none"))
        assert (theirs.status_code, theirs.json) == (nobodys.status_code, nobodys.json)
        assert theirs.status_code == 404


def test_writing_for_another_is_refused(api: Api, make_response: MakeResponse) -> None:
    mine = api.as_(ONE, patient="1")
    other = make_response(subject={"reference": "Patient/2"})
    for path in (RESPONSES, f"{RESPONSES}/$validate", f"{RESPONSES}/$assess", f"{RESPONSES}/$extract"):
        refused = mine.post(path, other)
        assert refused.status_code == 403
        assert issues_of(refused)[0]["expression"] == ["QuestionnaireResponse.subject"]
    assert api.get(RESPONSES).json["total"] == 0
    assert mine.post(RESPONSES, make_response()).status_code == 201


def test_an_update_stays_with_its_patient(api: Api, make_response: MakeResponse) -> None:
    draft = make_response(status="in-progress")
    place = f"{RESPONSES}/{api.post(RESPONSES, draft).json['id']}"
    assert api.as_(ONE, patient="2").call("PUT", place, draft).status_code == 404
    moved = {**draft, "subject": {"reference": "Patient/2"}}
    assert api.as_(ONE, patient="1").call("PUT", place, moved).status_code == 403
    assert api.as_("patient/*.rs", patient="1").call("PUT", place, draft).status_code == 403
    assert api.as_(ONE, patient="1").call("PUT", place, draft).status_code == 200


def test_permissions_are_told_apart(api: Api, records: dict[str, str], make_response: MakeResponse) -> None:
    place = f"{RESPONSES}/{records['1']}"
    calls: dict[str, Any] = {
        "c": lambda caller: caller.post(RESPONSES, make_response()),
        "r": lambda caller: caller.get(place),
        "s": lambda caller: caller.get(RESPONSES),
    }
    for permission, call in calls.items():
        for granted in calls:
            caller = api.as_(f"patient/QuestionnaireResponse.{granted}", patient="1")
            assert (call(caller).status_code == 403) == (permission != granted), (permission, granted)


class TestNarrowedScopes:
    SCOPE = "patient/Observation.rs?category=survey patient/QuestionnaireResponse.crus?status=completed"

    def test_are_honoured_in_reading(self, api: Api, records: dict[str, str]) -> None:
        narrow = api.as_("patient/Condition.rs?code=http://snomed.info/sct|82470000", patient="1")
        wide = api.as_("patient/Condition.rs", patient="1")
        found = {one["resource"]["id"] for one in wide.get("/fhir/Condition").json["entry"]}
        inside = _ids(narrow.get("/fhir/Condition"))
        assert inside == {
            one["resource"]["id"]
            for one in wide.get("/fhir/Condition").json["entry"]
            if "82470000" in str(one["resource"]["code"])
        }
        for one in found:
            assert (narrow.get(f"/fhir/Condition/{one}").status_code == 200) == (one in inside)

    def test_are_honoured_in_writing(self, api: Api, make_response: MakeResponse) -> None:
        narrow = api.as_(self.SCOPE, patient="1")
        refused = narrow.post(RESPONSES, make_response(status="in-progress"))
        assert refused.status_code == 403
        assert "narrowed" in issues_of(refused)[0]["details"]["text"]
        assert narrow.post(RESPONSES, make_response()).status_code == 201

    def test_that_cannot_be_honoured_are_refused(self, api: Api) -> None:
        refused = api.as_("patient/Observation.rs?value-quantity=5", patient="1").get("/fhir/Observation")
        assert refused.status_code == 403
        assert "cannot be honoured" in issues_of(refused)[0]["details"]["text"]


IDENTIFIER = {"system": "https://app.example/forms", "value": "form-1"}


class TestIdempotency:
    def test_a_key_counts_within_the_user_of_an_app(self, api: Api, make_response: MakeResponse) -> None:
        mine, theirs = (api.as_(ONE, patient=one, sub=f"user-{one}") for one in "12")
        key = {"Idempotency-Key": "k1"}
        first = mine.post(RESPONSES, make_response(), **key)
        assert mine.post(RESPONSES, make_response(), **key).json["id"] == first.json["id"]
        other = theirs.post(RESPONSES, make_response(subject={"reference": "Patient/2"}), **key)
        assert other.status_code == 201

    def test_a_key_that_stands_for_another_patients_response_says_no_more(
        self, api: Api, make_response: MakeResponse
    ) -> None:
        one, two = (api.as_(ONE, patient=patient, sub="nurse") for patient in "12")
        key = {"Idempotency-Key": "k1"}
        first = one.post(RESPONSES, make_response(), **key)
        refused = two.post(RESPONSES, make_response(subject={"reference": "Patient/2"}), **key)
        assert refused.status_code == 409
        assert first.json["id"] not in refused.text
        assert first.json["id"] in one.post(RESPONSES, make_response("case-05"), **key).text

    def test_an_identifier_counts_within_the_app(self, api: Api, make_response: MakeResponse) -> None:
        body = make_response(identifier=IDENTIFIER)
        condition = {"If-None-Exist": "identifier=https://app.example/forms|form-1"}
        first = api.as_(ONE, patient="1").post(RESPONSES, body)
        again = api.as_("user/*.cruds", fhirUser="Practitioner/9", sub="user-9").post(RESPONSES, body, **condition)
        assert (again.status_code, again.json["id"]) == (200, first.json["id"])
        other_app = api.as_(ONE, patient="1", client_id="another").post(RESPONSES, body)
        assert other_app.status_code == 201

    def test_a_receipt_is_not_for_others(self, api: Api, make_response: MakeResponse) -> None:
        body = make_response(identifier=IDENTIFIER)
        api.as_(ONE, patient="1").post(RESPONSES, body)
        assert api.as_(ONE, patient="2").post(RESPONSES, body).status_code == 403
        narrow = api.as_("patient/QuestionnaireResponse.c?status=in-progress", patient="1")
        assert narrow.post(RESPONSES, body).status_code == 403


def test_patients_of_two_servers_never_meet(api: Api, make_response: MakeResponse) -> None:
    elsewhere = make_response(subject={"reference": "https://ehr.example/fhir/Patient/1"})
    made = api.post(RESPONSES, elsewhere).json["id"]
    assert api.as_(ONE, patient="1").get(f"{RESPONSES}/{made}").status_code == 404
    there = api.as_(ONE, patient="https://ehr.example/fhir/Patient/1")
    assert there.get(f"{RESPONSES}/{made}").status_code == 200
