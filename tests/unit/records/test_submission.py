"""The way in: what is accepted, refused, told once and kept together."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from threading import Barrier, Thread
from typing import Any

import pytest

from service.adapters.database import Database
from service.errors import Conflict, Detail, DomainError, Invalid, Malformed, PreconditionFailed, Unavailable
from service.fhir.models import model_issues
from service.packs import Pack, assemble_pack
from service.records.outbox import State
from service.records.ports import Key, Stored
from service.records.search import parse_query
from service.records.submission import Intake, Receipt, Sender

NOW = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)
TARGET = "https://ehr.example/fhir"
URL = "https://pages.example/Questionnaire/twitch"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
APP = Sender("app")
FORM = {"system": "urn:forms", "value": "1"}


def value_of(expression: str) -> dict[str, Any]:
    return {"extension": [{"url": f"{SDC}templateExtractValue", "valueString": expression}]}


QUESTIONNAIRE = {
    "resourceType": "Questionnaire",
    "id": "twitch",
    "url": URL,
    "version": "1.0.0",
    "status": "active",
    "title": "Twitching",
    "contained": [
        {
            "resourceType": "Observation",
            "id": "muscle",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "75325-1"}]},
            "subject": {
                "extension": [{"url": f"{SDC}templateExtractContext", "valueString": "%resource.subject"}],
                "_reference": value_of("reference"),
            },
            "_valueString": value_of("answer.value"),
        }
    ],
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/variable",
            "valueExpression": {
                "name": "many",
                "language": "text/fhirpath",
                "expression": "%resource.item.where(linkId = 'muscles').answer.count() > 1",
            },
        }
    ],
    "item": [
        {
            "linkId": "muscles",
            "type": "string",
            "text": "Which muscles?",
            "repeats": True,
            "required": True,
            "extension": [
                {
                    "url": f"{SDC}templateExtract",
                    "extension": [{"url": "template", "valueReference": {"reference": "#muscle"}}],
                }
            ],
        }
    ],
}
LEVELS = {
    "resourceType": "CodeSystem",
    "id": "level",
    "url": "https://pages.example/level",
    "status": "active",
    "content": "complete",
    "property": [{"code": "order", "type": "integer"}, {"code": "interpretation", "type": "code"}],
    "concept": [
        {
            "code": "urgent",
            "display": "Urgent",
            "property": [{"code": "order", "valueInteger": 1}, {"code": "interpretation", "valueCode": "AA"}],
        }
    ],
}
PLAN = {
    "resourceType": "PlanDefinition",
    "id": "twitch",
    "url": "https://pages.example/PlanDefinition/twitch",
    "status": "active",
    "topic": [{"coding": [{"system": "https://pages.example/codes", "code": "triage"}]}],
    "action": [
        {
            "id": "U1",
            "title": "Many muscles",
            "textEquivalent": "Call at once.",
            "code": [{"coding": [{"system": "https://pages.example/level", "code": "urgent"}]}],
            "condition": [
                {"kind": "applicability", "expression": {"language": "text/fhirpath", "expression": "%many"}}
            ],
            "documentation": [{"type": "citation", "label": "policy", "citation": "Ours"}],
        }
    ],
}


@dataclass(frozen=True)
class Shelf:
    """Pages by canonical; the last is the newest."""

    packs: Sequence[Pack]

    def resolve(self, canonical: str) -> Pack | None:
        url, _, version = canonical.partition("|")
        found = [pack for pack in self.packs if pack.url == url and version in ("", pack.version)]
        return found[-1] if found else None


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    newer = {**QUESTIONNAIRE, "version": "1.1.0"}
    return Shelf([assemble_pack("twitch", [one, PLAN, LEVELS]) for one in (QUESTIONNAIRE, newer)])


@pytest.fixture
def intake(shelf: Shelf, store: Database) -> Intake:
    numbers = count(1)
    return Intake(shelf, store, lambda: NOW, lambda: f"00000000-0000-4000-8000-{next(numbers):012}", TARGET)


def response(*muscles: str, **elements: Any) -> dict[str, Any]:
    answers = [{"valueString": muscle} for muscle in muscles or ("calf", "arm")]
    body = {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": f"{URL}|1.0.0",
        "status": "completed",
        "subject": {"reference": "Patient/1"},
        "authored": "2026-03-15T09:30:00+01:00",
        "item": [{"linkId": "muscles", "answer": answers}],
        **elements,
    }
    return {name: value for name, value in body.items() if value is not None}


def stored_total(store: Database) -> int:
    return store.search(parse_query("QuestionnaireResponse", [])).total


class TestAccepting:
    def test_all_of_it_stands_in_the_record(self, intake: Intake, store: Database) -> None:
        receipt = intake.submit(response(), APP)
        kept = store.record(receipt.id, 1)
        assert [one["resourceType"] for one in kept] == [
            "QuestionnaireResponse",
            "Observation",
            "Observation",
            "Observation",
            "Provenance",
        ]
        assert kept[0] == receipt.response
        assert [one.get("valueString") for one in kept[1:3]] == ["calf", "arm"]
        assert kept[3]["component"][0]["code"]["coding"][0]["code"] == "U1"
        assert [issue for one in kept for issue in model_issues(one)] == []

    def test_a_rule_that_cannot_be_evaluated_is_accepted_as_not_assessed_and_logged_without_answers(
        self, intake: Intake, caplog: pytest.LogCaptureFixture
    ) -> None:
        plan = copy.deepcopy(PLAN)
        plan["action"][0]["condition"][0]["expression"]["expression"] = "%resource.item.answer.value.length() > 3"  # type: ignore[index]
        shelf = Shelf([assemble_pack("twitch", [QUESTIONNAIRE, plan, LEVELS])])
        receipt = replace(intake, pages=shelf).submit(response(), APP)
        assert "U1" in receipt.triage["note"][0]["text"]
        assert [record.getMessage() for record in caplog.records] == [
            f"rule U1 of {URL}|1.0.0 could not be evaluated on a response"
        ]

    def test_the_receipt(self, intake: Intake) -> None:
        receipt = intake.submit(response(), APP)
        assert (receipt.version_id, receipt.created, receipt.warnings) == ("1", True, ())
        assert receipt.response["id"] == receipt.id
        assert receipt.response["meta"]["versionId"] == "1"
        assert receipt.response["meta"]["lastUpdated"] == "2026-03-15T09:00:00.000Z"
        assert receipt.triage["valueCodeableConcept"]["coding"][0]["code"] == "urgent"

    def test_an_id_and_version_of_the_sender_are_not_ours(self, intake: Intake) -> None:
        meta = {"versionId": "7", "profile": ["https://pages.example/profile"]}
        receipt = intake.submit(response(id="theirs", meta=meta), APP)
        assert receipt.id != "theirs"
        assert receipt.response["meta"]["versionId"] == "1"
        assert receipt.response["meta"]["profile"] == ["https://pages.example/profile"]

    @pytest.mark.parametrize("status", ["completed", "amended"])
    def test_a_complete_response_is_to_be_delivered(self, intake: Intake, store: Database, status: str) -> None:
        receipt = intake.submit(response(status=status), APP)
        [letter] = store.letters()
        assert (letter.response_id, letter.version, letter.target) == (receipt.id, 1, TARGET)
        assert (letter.state, letter.due_at) == (State.PENDING, NOW)

    def test_a_draft_is_kept_and_assessed_alone(self, intake: Intake, store: Database) -> None:
        receipt = intake.submit(response(status="in-progress"), APP)
        assert receipt.triage["status"] == "preliminary"
        assert len(store.record(receipt.id, 1)) == 1
        assert store.letters() == ()

    def test_a_retracted_response_says_nothing_clinical(self, intake: Intake, store: Database) -> None:
        receipt = intake.submit(response(status="entered-in-error"), APP)
        _, made = store.record(receipt.id, 1)
        assert made["activity"]["coding"][0]["code"] == "NULLIFY"
        assert made["target"] == [{"reference": f"QuestionnaireResponse/{receipt.id}"}]
        assert len(store.letters()) == 1

    def test_without_a_target_nothing_is_to_be_delivered(self, intake: Intake, store: Database) -> None:
        replace(intake, target_base_url=None).submit(response(), APP)
        assert store.letters() == ()

    def test_the_page_that_accepted_is_remembered(self, intake: Intake, store: Database) -> None:
        intake.submit(response(), APP)
        [pack] = store.remembered_packs()
        assert (pack.url, pack.version) == (URL, "1.0.0")
        assert assemble_pack(pack.name, pack.artifacts).canonical == f"{URL}|1.0.0"


def kinds(record: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Type, version and status of each resource."""
    return [(one["resourceType"], one["meta"]["versionId"], one.get("status", "")) for one in record]


class TestAmending:
    @pytest.fixture
    def first(self, intake: Intake) -> Receipt:
        return intake.submit(response("calf", "arm"), APP)

    def test_only_what_changed_is_written(self, intake: Intake, store: Database, first: Receipt) -> None:
        receipt = intake.update(response("calf", "foot", status="amended"), first.id, 1)
        assert (receipt.id, receipt.version_id, receipt.created) == (first.id, "2", False)
        assert kinds(store.record(first.id, 2)) == [
            ("QuestionnaireResponse", "2", "amended"),
            ("Observation", "1", "final"),
            ("Provenance", "1", ""),
            ("Observation", "2", "amended"),
            ("Observation", "1", "final"),
            ("Observation", "2", "entered-in-error"),
            ("Provenance", "1", ""),
            ("Provenance", "1", ""),
            ("Provenance", "1", ""),
        ]
        assert [issue for one in store.record(first.id, 2) for issue in model_issues(one)] == []
        assert [(letter.version, letter.target) for letter in store.letters()] == [(1, TARGET), (2, TARGET)]

    def test_sent_as_completed_it_is_kept_as_amended_with_a_warning(self, intake: Intake, first: Receipt) -> None:
        receipt = intake.update(response("calf"), first.id, None)
        assert receipt.response["status"] == "amended"
        assert [issue.detail for issue in receipt.warnings] == [Detail.KEPT_AS_AMENDED]

    def test_the_same_body_again_is_answered_with_what_stands(
        self, intake: Intake, store: Database, first: Receipt
    ) -> None:
        once, again = (intake.update(response("calf"), first.id, 1) for _ in range(2))
        assert again == once
        assert len(store.letters()) == 2

    def test_the_first_body_again_is_an_amendment_too(self, intake: Intake, first: Receipt) -> None:
        intake.update(response("calf"), first.id, None)
        assert intake.update(response("calf", "arm"), first.id, None).version_id == "3"

    def test_posting_the_first_body_again_gives_the_first_receipt(self, intake: Intake) -> None:
        body = response("calf", identifier=FORM)
        first = intake.submit(body, APP)
        intake.update(response("arm", identifier=FORM), first.id, None)
        assert intake.submit(body, APP) == replace(first, created=False)

    def test_another_version_than_the_newest_is_refused(self, intake: Intake, store: Database, first: Receipt) -> None:
        intake.update(response("calf"), first.id, 1)
        with pytest.raises(PreconditionFailed):
            intake.update(response("arm"), first.id, 1)
        assert len(store.history("QuestionnaireResponse", first.id)) == 2

    def test_a_text_generated_for_the_answers_before_is_made_anew(self, intake: Intake, first: Receipt) -> None:
        text = intake.update({**first.response, "status": "amended"}, first.id, 1).response["text"]["div"]
        assert ", amended, authored" in text

    def test_a_text_of_the_senders_stays(self, intake: Intake) -> None:
        text = {"status": "additional", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Twitching</div>'}
        first = intake.submit(response("calf", text=text), APP)
        assert intake.update({**first.response, "status": "amended"}, first.id, 1).response["text"] == text

    def test_a_retraction_voids_the_whole_record(self, intake: Intake, store: Database, first: Receipt) -> None:
        intake.update(response("calf", "arm", status="entered-in-error"), first.id, 1, reasons=({"text": "Not hers."},))
        found = store.record(first.id, 2)
        assert {one["status"] for one in found if one["resourceType"] != "Provenance"} == {"entered-in-error"}
        assert found[-1]["reason"] == [{"text": "Not hers."}]
        assert len(found[-1]["target"]) == 4

    @pytest.mark.parametrize("status", ["completed", "amended", "in-progress"])
    def test_a_retraction_is_not_taken_back(self, intake: Intake, store: Database, first: Receipt, status: str) -> None:
        retracted = intake.update(response(status="entered-in-error"), first.id, None)
        with pytest.raises(Invalid, match="stays so"):
            intake.update(response("calf", status=status), first.id, None)
        assert intake.update(response("arm", status="entered-in-error"), first.id, None) == retracted
        assert len(store.history("QuestionnaireResponse", first.id)) == 2

    @pytest.mark.parametrize(
        ("elements", "place"),
        [
            ({"status": "in-progress"}, "QuestionnaireResponse.status"),
            ({"questionnaire": "https://pages.example/Questionnaire/other"}, "QuestionnaireResponse.questionnaire"),
            ({"subject": {"reference": "Patient/2"}}, "QuestionnaireResponse.subject"),
        ],
    )
    def test_what_it_cannot_become(
        self, intake: Intake, store: Database, first: Receipt, elements: dict[str, Any], place: str
    ) -> None:
        with pytest.raises(Invalid) as refusal:
            intake.update(response(**elements), first.id, None)
        assert [issue.expression for issue in refusal.value.issues] == [place]
        assert len(store.history("QuestionnaireResponse", first.id)) == 1

    def test_it_goes_where_the_response_went(self, intake: Intake, store: Database, first: Receipt) -> None:
        moved = replace(intake, target_base_url="https://new.example/fhir")
        moved.update(response("calf"), first.id, None)
        assert {letter.target for letter in store.letters()} == {TARGET}

    def test_simultaneous_amendments_follow_each_other(self, intake: Intake, store: Database, first: Receipt) -> None:
        barrier, answered = Barrier(3), []

        def amend(muscle: str) -> None:
            barrier.wait()
            answered.append(intake.update(response(muscle), first.id, None).version_id)

        threads = [Thread(target=amend, args=(muscle,)) for muscle in ("thumb", "foot", "hand")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answered) == ["2", "3", "4"]
        newest = store.record(first.id, 4)
        said = [one["valueString"] for one in newest if "valueString" in one and one["status"] != "entered-in-error"]
        assert said == [newest[0]["item"][0]["answer"][0]["valueString"]]

    def test_of_simultaneous_amendments_of_one_version_one_is_taken(
        self, intake: Intake, store: Database, first: Receipt
    ) -> None:
        barrier, refused = Barrier(3), []

        def amend(muscle: str) -> None:
            barrier.wait()
            try:
                intake.update(response(muscle), first.id, 1)
            except PreconditionFailed:
                refused.append(muscle)

        threads = [Thread(target=amend, args=(muscle,)) for muscle in ("thumb", "foot", "hand")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 2
        assert len(store.history("QuestionnaireResponse", first.id)) == 2


class TestSaving:
    def test_a_draft_grows_by_versions(self, intake: Intake, store: Database) -> None:
        first = intake.save(response("calf", status="in-progress"), "d1", 0)
        second = intake.save(response("calf", "arm", status="in-progress"), "d1", 1)
        assert [(one.id, one.version_id, one.created) for one in (first, second)] == [
            ("d1", "1", True),
            ("d1", "2", False),
        ]
        assert len(store.record("d1", 2)) == 1
        assert store.letters() == ()

    def test_completed_it_is_recorded_and_delivered_once(self, intake: Intake, store: Database) -> None:
        intake.save(response("calf", status="in-progress"), "d1", 0)
        receipt = intake.save(response("calf", "arm"), "d1", 1)
        assert receipt.triage["status"] == "final"
        assert [one["resourceType"] for one in store.record("d1", 2)].count("Observation") == 3
        [letter] = store.letters()
        assert (letter.response_id, letter.version) == ("d1", 2)

    @pytest.mark.parametrize("version", [0, 1, 3])
    def test_another_version_than_the_newest_is_refused(self, intake: Intake, store: Database, version: int) -> None:
        for number in range(2):
            intake.save(response("calf", status="in-progress"), "d1", number)
        with pytest.raises(PreconditionFailed, match="changed or completed meanwhile"):
            intake.save(response("arm", status="in-progress"), "d1", version)
        assert len(store.history("QuestionnaireResponse", "d1")) == 2

    def test_what_is_complete_is_no_draft(self, intake: Intake, store: Database) -> None:
        intake.save(response("calf"), "d1", 0)
        for status in ("in-progress", "completed"):
            with pytest.raises(PreconditionFailed):
                intake.save(response("arm", status=status), "d1", 1)
        assert len(store.letters()) == 1

    def test_what_is_invalid_leaves_the_draft_as_it_is(self, intake: Intake, store: Database) -> None:
        intake.save(response("calf", status="in-progress"), "d1", 0)
        with pytest.raises(Invalid):
            intake.save(response("calf", subject=None), "d1", 1)
        assert store.read("QuestionnaireResponse", "d1")["meta"]["versionId"] == "1"  # type: ignore[index]


class TestFillingIn:
    def test_without_a_version_the_newest_is_taken_and_written(self, intake: Intake) -> None:
        receipt = intake.submit(response(questionnaire=URL), APP)
        assert receipt.response["questionnaire"] == f"{URL}|1.1.0"
        assert [(one.detail, one.is_error) for one in receipt.warnings] == [("no-version", False)]

    def test_without_authored_the_time_of_acceptance_is_taken_and_written(
        self, intake: Intake, store: Database
    ) -> None:
        receipt = intake.submit(response(authored=None), APP)
        assert receipt.response["authored"] == "2026-03-15T09:00:00.000Z"
        assert [(one.detail, one.is_error) for one in receipt.warnings] == [("no-authored", False)]
        assert store.record(receipt.id, 1)[3]["effectiveDateTime"] == "2026-03-15T09:00:00.000Z"

    @pytest.mark.parametrize(
        ("reference", "kept"),
        [
            (f"{TARGET}/Patient/1", "Patient/1"),
            ("Patient/1", "Patient/1"),
            ("https://other.example/fhir/Patient/1", "https://other.example/fhir/Patient/1"),
        ],
    )
    def test_a_subject_is_told_apart_by_server(
        self, intake: Intake, store: Database, reference: str, kept: str
    ) -> None:
        receipt = intake.submit(response(subject={"reference": reference}), APP)
        for resource in store.record(receipt.id, 1)[:4]:
            assert resource["subject"]["reference"] == kept
        assert store.search(parse_query("Observation", [("patient", kept)])).total == 3

    def test_a_subject_known_by_identifier_is_kept(self, intake: Intake, store: Database) -> None:
        subject = {"identifier": {"system": "urn:mrn", "value": "1"}}
        receipt = intake.submit(response(subject=subject), APP)
        assert receipt.response["subject"] == subject
        asked = parse_query("QuestionnaireResponse", [("patient", "Patient?identifier=urn%3Amrn%7C1")])
        assert store.search(asked).total == 1


class TestRefusing:
    @pytest.mark.parametrize(
        ("body", "details"),
        [
            (response(subject=None), [("QuestionnaireResponse.subject", "required-missing")]),
            (response(questionnaire=None), [("QuestionnaireResponse.questionnaire", "required-missing")]),
            (response(questionnaire=f"{URL}|9"), [("QuestionnaireResponse.questionnaire", "unknown-questionnaire")]),
            (response(status="stopped"), [("QuestionnaireResponse.status", "invalid-value")]),
            (response(item=None), [("QuestionnaireResponse", "required-missing")]),
            (
                response(subject=None, item=[{"linkId": "nose"}]),
                [
                    ("QuestionnaireResponse.subject", "required-missing"),
                    ("QuestionnaireResponse.item[0].linkId", "unknown-link-id"),
                    ("QuestionnaireResponse", "required-missing"),
                ],
            ),
        ],
    )
    def test_every_error_is_told_and_nothing_is_kept(
        self, intake: Intake, store: Database, body: dict[str, Any], details: list[tuple[str, str]]
    ) -> None:
        with pytest.raises(Invalid) as refused:
            intake.submit(body, APP)
        assert [(issue.expression, issue.detail) for issue in refused.value.issues] == details
        assert stored_total(store) == 0
        assert store.letters() == ()

    def test_another_resource_is_malformed(self, intake: Intake) -> None:
        with pytest.raises(Malformed):
            intake.submit({"resourceType": "Patient"}, APP)

    @pytest.mark.parametrize(
        "name", ["status", "subject", "authored", "identifier", "meta", "item", "author", "source"]
    )
    @pytest.mark.parametrize("value", [7, "x", [], {}, [7], {"x": 7}, True])
    def test_no_shape_of_an_element_is_beyond_refusal(
        self, intake: Intake, store: Database, name: str, value: Any
    ) -> None:
        with pytest.raises(DomainError):
            intake.submit(response(**{name: value}), APP)
        assert stored_total(store) == 0


class TestOnce:
    def test_the_same_identifier_and_body_give_the_first_receipt(self, intake: Intake, store: Database) -> None:
        body = response(identifier=FORM, questionnaire=URL)
        first = intake.submit(body, APP)
        again = intake.submit(body, APP)
        assert again == replace(first, created=False)
        assert stored_total(store) == len(store.letters()) == 1

    def test_the_same_identifier_with_another_body_is_a_conflict(self, intake: Intake, store: Database) -> None:
        first = intake.submit(response(identifier=FORM), APP)
        with pytest.raises(Conflict, match=first.id):
            intake.submit(response("neck", identifier=FORM), APP)
        assert stored_total(store) == 1

    @pytest.mark.parametrize(
        ("body", "sender"),
        [
            (response("neck", identifier=FORM), Sender("other")),
            (response("neck", identifier=FORM, subject={"reference": "Patient/2"}), APP),
            (response("neck", identifier={"system": "urn:forms", "value": "2"}), APP),
        ],
    )
    def test_a_key_counts_within_client_and_subject(
        self, intake: Intake, store: Database, body: dict[str, Any], sender: Sender
    ) -> None:
        intake.submit(response(identifier=FORM), APP)
        assert intake.submit(body, sender).created
        assert stored_total(store) == 2

    def test_an_identifier_without_a_system_is_no_key(self, intake: Intake, store: Database) -> None:
        for _ in range(2):
            assert intake.submit(response(identifier={"value": "form-1"}), APP).created
        assert stored_total(store) == 2

    def test_the_idempotency_key(self, intake: Intake, store: Database) -> None:
        sender = Sender("app", idempotency_key="k1")
        first = intake.submit(response(), sender)
        assert intake.submit(response(), sender) == replace(first, created=False)
        with pytest.raises(Conflict):
            intake.submit(response("neck"), sender)
        assert intake.submit(response("neck"), Sender("app", idempotency_key="k2")).created
        assert stored_total(store) == 2

    @pytest.mark.parametrize("identifier", [FORM, None])
    def test_if_none_exist_gives_the_first_receipt_whatever_the_body(
        self, intake: Intake, store: Database, identifier: Any
    ) -> None:
        sender = Sender("app", if_none_exist="identifier=urn:forms|1")
        first = intake.submit(response(identifier=identifier), sender)
        for body in (response("neck", identifier=identifier), response(status="nonsense")):
            assert intake.submit(body, sender) == replace(first, created=False)
        assert stored_total(store) == 1

    def test_if_none_exist_finds_what_was_posted_without_it(self, intake: Intake) -> None:
        first = intake.submit(response(identifier=FORM), APP)
        again = intake.submit(response("neck"), Sender("app", if_none_exist="identifier=urn%3Aforms%7C1"))
        assert (again.id, again.created) == (first.id, False)

    def test_a_search_that_could_match_others_is_refused(self, intake: Intake, store: Database) -> None:
        with pytest.raises(PreconditionFailed):
            intake.submit(response(), Sender("app", if_none_exist="status=completed"))
        assert stored_total(store) == 0

    def test_of_simultaneous_submissions_all_get_the_one_receipt(self, intake: Intake, store: Database) -> None:
        barrier = Barrier(4)
        receipts: list[Receipt] = []
        body = response(identifier=FORM)

        def submit() -> None:
            barrier.wait()
            receipts.append(intake.submit(body, APP))

        threads = [Thread(target=submit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({receipt.id for receipt in receipts}) == 1
        assert sorted(receipt.created for receipt in receipts) == [False, False, False, True]
        assert stored_total(store) == len(store.letters()) == 1

    def test_the_loser_of_the_race_reads_the_winners_receipt(
        self, intake: Intake, store: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        body = response(identifier=FORM)
        first = intake.submit(body, APP)
        find, calls = store.find, []

        def blind_once(keys: Sequence[Key]) -> Stored | None:
            calls.append(keys)
            return None if len(calls) == 1 else find(keys)

        monkeypatch.setattr(store, "find", blind_once)
        assert intake.submit(body, APP) == replace(first, created=False)

    def test_a_winner_that_cannot_be_read_asks_for_patience(
        self, intake: Intake, store: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        body = response(identifier=FORM)
        intake.submit(body, APP)
        monkeypatch.setattr(store, "find", lambda keys: None)
        with pytest.raises(Unavailable):
            intake.submit(body, APP)
