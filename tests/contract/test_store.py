"""What every store promises, whatever its database."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import chain
from typing import Any

import pytest

from service.records import outbox
from service.records.clinician_visit import ClinicianVisit, VisitStore
from service.records.ehr import Launch, LaunchStore
from service.records.feedback import CardKind, Feedback, FeedbackCount, HookStore, IssuedCard, Outcome
from service.records.invitations import Invitation, InvitationStore
from service.records.outbox import WEBHOOK, Letter, Reason, State, Target
from service.records.ports import (
    Backlog,
    GivenUp,
    Key,
    KeyKind,
    KeyTaken,
    Placement,
    Store,
    Superseded,
)
from service.records.search import EVERYTHING, Bounds, PatientCriterion, Query, TermCriterion, TermTest, parse_query
from tests.contract.samples import (
    BUSY,
    LEASE,
    NOW,
    TARGET,
    WARNING,
    SamplePack,
    acceptance,
    at_once,
    draft,
    event,
    found,
    key,
    lease,
    leased,
    observation,
    provenance,
    response,
    set_target,
    version_of,
)


class TestAccept:
    def test_what_was_accepted_is_read_back_with_every_digit(self, store: Store) -> None:
        measured = observation("o1", valueQuantity={"value": Decimal("1.50")})
        store.accept(acceptance(response(), measured))
        assert store.read("QuestionnaireResponse", "r1") == response()
        assert str(store.read("Observation", "o1")["valueQuantity"]["value"]) == "1.50"  # type: ignore[index]

    def test_unknown_resources_are_none(self, store: Store) -> None:
        store.accept(acceptance())
        assert store.read("Observation", "r1") is None
        assert store.read("QuestionnaireResponse", "r1", version=2) is None
        assert store.history("QuestionnaireResponse", "r2") == ()

    def test_a_version_and_the_history_hold_the_first_version(self, store: Store) -> None:
        store.accept(acceptance())
        assert store.read("QuestionnaireResponse", "r1", version=1) == response()
        assert store.history("QuestionnaireResponse", "r1") == (response(),)

    def test_the_record_keeps_the_order_of_acceptance(self, store: Store) -> None:
        store.accept(acceptance(response(), observation("o2"), observation("o1"), provenance("p", "Observation/o1")))
        assert [one["id"] for one in store.record("r1", 1)] == ["r1", "o2", "o1", "p"]
        assert store.record("r1", 2) == ()

    def test_a_key_gives_back_what_was_acknowledged(self, store: Store) -> None:
        accepted = acceptance(keys=(key(),))
        store.accept(accepted)
        assert store.find([key("other"), key()]) == accepted.stored

    @pytest.mark.parametrize("other", [key("form-2"), key(client="web"), key(subject="Patient/2")])
    def test_a_key_counts_within_client_and_subject(self, store: Store, other: Key) -> None:
        store.accept(acceptance(keys=(key(),)))
        assert store.find([other]) is None
        store.accept(acceptance(response("r2"), keys=(other,)))
        assert store.find([other]).id == "r2"  # type: ignore[union-attr]

    def test_texts_of_any_length_and_odd_ones_are_keys_and_found(self, store: Store) -> None:
        # Digits that no compression makes short: a database may index no more than a few thousand bytes.
        long = "".join(sha256(str(number).encode()).hexdigest() for number in range(500))
        identifier = {"system": f"urn:{long}", "value": f"\U0001f9be {long}"}
        keys = [Key(KeyKind.IDENTIFIER, "app", f"Patient/{long}", f"urn:{long}", end + long) for end in "ab"]
        accepted = acceptance(
            response(identifier=identifier, subject={"reference": f"Patient?identifier={long}"}), keys=(keys[0],)
        )
        store.accept(accepted)
        assert store.find(keys[:1]) == accepted.stored
        assert store.find(keys[1:]) is None
        assert store.read("QuestionnaireResponse", "r1") == accepted.stored.resource
        assert found(store, "QuestionnaireResponse", ("identifier", f"urn:{long}|{identifier['value']}")) == ["r1"]
        assert found(store, "QuestionnaireResponse", ("identifier", f"urn:{long}|{long}")) == []
        assert found(store, "QuestionnaireResponse", ("patient", f"Patient?identifier={long}")) == ["r1"]

    def test_nothing_is_found_by_a_text_that_no_resource_can_hold(self, store: Store) -> None:
        store.accept(acceptance(keys=(key(),)))
        assert store.find([key("form-1\0")]) is None
        assert store.read("QuestionnaireResponse", "r1\0") is None
        assert store.history("QuestionnaireResponse", "\0") == ()
        for name in ("_id", "patient", "identifier", "status"):
            assert found(store, "QuestionnaireResponse", (name, "completed\0")) == []

    def test_a_taken_key_leaves_nothing_behind(self, store: Store) -> None:
        store.accept(acceptance(keys=(key(),)))
        with pytest.raises(KeyTaken):
            store.accept(acceptance(response("r2"), observation("o2"), keys=(key("new"), key())))
        assert store.read("QuestionnaireResponse", "r2") is None
        assert store.read("Observation", "o2") is None
        assert store.find([key("new")]) is None
        assert [letter.response_id for letter in store.letters()] == ["r1"]

    def test_of_simultaneous_acceptances_with_one_key_one_wins(self, store: Store) -> None:
        outcomes = at_once(lambda number: store.accept(acceptance(response(f"r{number}"), keys=(key(),))))
        assert outcomes.count(KeyTaken) == 3
        assert store.search(parse_query("QuestionnaireResponse", [])).total == 1

    def test_simultaneous_acceptances_with_the_same_keys_do_not_wait_for_each_other(self, store: Store) -> None:
        orders = ((key(), key("form-2")), (key("form-2"), key()))
        outcomes = at_once(lambda number: store.accept(acceptance(response(f"r{number}"), keys=orders[number % 2])))
        assert outcomes.count(KeyTaken) == 3

    def test_packs_are_remembered_once_a_version(self, store: Store) -> None:
        newer = SamplePack(version="1.1.0", artifacts=({"resourceType": "Questionnaire", "id": "newer"},))
        store.accept(acceptance())
        store.accept(acceptance(response("r2"), pack=newer, at=NOW + timedelta(days=1)))
        store.accept(acceptance(response("r3"), at=NOW + timedelta(days=2)))
        assert [(one.name, one.version, one.artifacts) for one in store.remembered_packs()] == [
            ("cough", "1.0.0", SamplePack().artifacts),
            ("cough", "1.1.0", newer.artifacts),
        ]


class TestVersions:
    def test_a_version_takes_the_place_of_the_one_before(self, store: Store) -> None:
        store.accept(acceptance(draft(1), targets=()))
        store.accept(acceptance(draft(2, authored="2026-03-16"), targets=()))
        assert store.read("QuestionnaireResponse", "r1") == draft(2, authored="2026-03-16")
        assert store.read("QuestionnaireResponse", "r1", version=1) == draft(1)
        assert [one["meta"]["versionId"] for one in store.history("QuestionnaireResponse", "r1")] == ["2", "1"]
        assert found(store, "QuestionnaireResponse") == ["r1"]
        assert found(store, "QuestionnaireResponse", ("authored", "2026-03-15")) == []

    @pytest.mark.parametrize("version", [1, 2, 4])
    def test_only_the_next_version_is_taken(self, store: Store, version: int) -> None:
        store.accept(acceptance(draft(1)))
        store.accept(acceptance(draft(2)))
        with pytest.raises(Superseded):
            store.accept(acceptance(draft(version, authored="2026-03-16"), observation("o1"), keys=(key(),)))
        assert store.read("QuestionnaireResponse", "r1") == draft(2)
        assert store.read("Observation", "o1") is None
        assert store.find([key()]) is None

    def test_of_simultaneous_first_versions_one_is_taken(self, store: Store) -> None:
        outcomes = at_once(lambda number: store.accept(acceptance(draft(1, authored=f"2026-04-0{number + 1}"))))
        assert outcomes.count(Superseded) == 3
        assert len(store.history("QuestionnaireResponse", "r1")) == 1

    def test_of_simultaneous_versions_one_is_taken(self, store: Store) -> None:
        store.accept(acceptance(draft(1)))
        outcomes = at_once(lambda number: store.accept(acceptance(draft(2, authored=f"2026-04-0{number + 1}"))))
        assert outcomes.count(Superseded) == 3
        assert len(store.history("QuestionnaireResponse", "r1")) == 2

    def test_a_proposal_stays_until_the_response_is_complete(self, store: Store) -> None:
        assert store.proposal("r1") is None
        store.keep_proposal("r1", {"item": [{"linkId": "a", "answer": [{"valueDecimal": Decimal("1.50")}]}]}, NOW)
        store.keep_proposal("r1", {"item": []}, NOW)
        store.accept(acceptance(draft(1)))
        kept = store.proposal("r1")
        assert kept is not None
        assert str(kept["item"][0]["answer"][0]["valueDecimal"]) == "1.50"
        store.accept(acceptance({**draft(2), "status": "completed"}))
        assert store.proposal("r1") is None


class TestAmendments:
    """A response of three versions: the second changes `o1`, the third adds `o3`; `o2` stays as it was."""

    @pytest.fixture(autouse=True)
    def _versions(self, store: Store) -> None:
        changed = version_of(observation("o1"), 2, code={"coding": [{"code": "changed"}]})
        store.accept(acceptance(response(), observation("o1"), observation("o2"), provenance("p1", "Observation/o1")))
        store.accept(acceptance(version_of(response(), 2), changed, provenance("p2", "Observation/o1")))
        store.accept(acceptance(version_of(response(), 3), observation("o3"), provenance("p3", "Observation/o3")))

    def test_searches_and_reads_answer_the_newest_version_alone(self, store: Store) -> None:
        assert found(store, "Observation") == ["o2", "o1", "o3"]
        assert found(store, "Observation", ("code", "75325-1")) == ["o2", "o3"]
        assert found(store, "Observation", ("code", "changed")) == ["o1"]
        assert store.read("Observation", "o1")["code"] == {"coding": [{"code": "changed"}]}  # type: ignore[index]

    def test_each_resource_has_a_history_of_its_own(self, store: Store) -> None:
        for id_, versions in (("o1", ["2", "1"]), ("o2", ["1"]), ("o3", ["1"])):
            assert [one["meta"]["versionId"] for one in store.history("Observation", id_)] == versions
        assert store.read("Observation", "o1", version=1) == observation("o1")

    def test_the_record_as_it_stood_with_each_version(self, store: Store) -> None:
        def names(version: int) -> list[str]:
            return [f"{one['id']}/{one['meta']['versionId']}" for one in store.record("r1", version)]

        assert names(1) == ["r1/1", "o1/1", "o2/1", "p1/1"]
        assert names(2) == ["r1/2", "o2/1", "p1/1", "o1/2", "p2/1"]
        assert names(3) == ["r1/3", "o2/1", "p1/1", "o1/2", "p2/1", "o3/1", "p3/1"]

    def test_the_newest_version_as_it_was_acknowledged(self, store: Store) -> None:
        newest = store.stored("r1")
        assert newest is not None
        assert (newest.version, newest.digest, newest.warnings) == (3, "digest", (WARNING,))
        assert store.stored("r2") is None

    def test_a_letter_brings_what_its_version_changed(self, store: Store) -> None:
        for names in (["r1", "o1", "o2", "p1"], ["r1", "o1", "p2"], ["r1", "o3", "p3"]):
            letter = leased(store)
            assert [one["id"] for one in store.outstanding(letter)] == names
            store.change(letter, outbox.delivered(letter, NOW))

    def test_a_letter_brings_what_a_discarded_one_did_not(self, store: Store) -> None:
        first, second, _ = store.letters()
        store.change(first, outbox.discarded(first, "sent by post", NOW))
        assert [f"{one['id']}/{one['meta']['versionId']}" for one in store.outstanding(second)] == [
            "r1/2",
            "o2/1",
            "p1/1",
            "o1/2",
            "p2/1",
        ]

    def test_what_another_target_has_is_brought_all_the_same(self, store: Store) -> None:
        letter = leased(store)
        store.change(letter, outbox.delivered(letter, NOW))
        elsewhere = replace(store.letters()[1], target="https://other.example/fhir")
        assert len(store.outstanding(elsewhere)) == 5


class TestSearch:
    @pytest.fixture(autouse=True)
    def _records(self, store: Store) -> None:
        other = {"subject": {"reference": "https://other.example/fhir/Patient/1"}}
        weak = {
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "26544005"}, {"code": "75325-1"}]},
            "effectiveDateTime": "2026-02",
            "derivedFrom": [{"reference": "QuestionnaireResponse/r2"}],
            **other,
        }
        condition = {
            "resourceType": "Condition",
            "id": "c1",
            "meta": {"versionId": "1"},
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "82470000"}]},
            "subject": {"reference": "Patient/1"},
            "onsetDateTime": "2026-03-01",
            "recordedDate": "2026-03-15T09:00:00.000Z",
        }
        first = response(identifier={"system": "urn:forms", "value": "a|b,c"})
        store.accept(
            acceptance(first, observation("o1"), condition, provenance("p1", "Observation/o1", "Condition/c1"))
        )
        second = response("r2", status="in-progress", authored="2026-04", **other)
        store.accept(acceptance(second, observation("o2", **weak), provenance("p2", "Observation/o2")))

    @pytest.mark.parametrize(
        ("parameters", "ids"),
        [
            ([], ["r1", "r2"]),
            ([("_id", "r2,r9")], ["r2"]),
            ([("patient", "1")], ["r1"]),
            ([("subject", "Patient/1")], ["r1"]),
            ([("patient", "https://other.example/fhir/Patient/1")], ["r2"]),
            ([("patient", "Patient/2")], []),
            ([("questionnaire", "https://pages.example/Questionnaire/cough")], ["r1", "r2"]),
            ([("questionnaire", "https://pages.example/Questionnaire/cough|1.0.0")], ["r1", "r2"]),
            ([("questionnaire", "https://pages.example/Questionnaire/cough|2.0.0")], []),
            ([("status", "completed")], ["r1"]),
            ([("status", "completed,in-progress")], ["r1", "r2"]),
            ([("status", "completed"), ("patient", "https://other.example/fhir/Patient/1")], []),
            ([("identifier", r"urn:forms|a\|b\,c")], ["r1"]),
            ([("identifier", r"a\|b\,c")], ["r1"]),
            ([("identifier", "urn:forms|")], ["r1"]),
            ([("identifier", r"|a\|b\,c")], []),
            ([("authored", "2026-03-15")], ["r1"]),
            ([("authored", "2026")], ["r1", "r2"]),
            ([("authored", "ge2026-03-16")], ["r2"]),
            ([("authored", "lt2026-04")], ["r1"]),
            ([("authored", "eb2026-04")], ["r1"]),
            ([("authored", "sa2026-03-15")], ["r2"]),
            ([("authored", "gt2026-04-15")], ["r2"]),
            ([("authored", "le2026-03-15T09:00:00Z")], ["r1"]),
            ([("authored", "ne2026-03")], ["r2"]),
            ([("authored", "ap2026-04-10")], ["r2"]),
            ([("_sort", "-_lastUpdated")], ["r2", "r1"]),
        ],
    )
    def test_responses(self, store: Store, parameters: list[tuple[str, str]], ids: list[str]) -> None:
        assert found(store, "QuestionnaireResponse", *parameters) == ids

    @pytest.mark.parametrize(
        ("parameters", "ids"),
        [
            ([("code", "http://loinc.org|75325-1")], ["o1"]),
            ([("code", "75325-1")], ["o1", "o2"]),
            ([("code", "|75325-1")], ["o2"]),
            ([("code", "http://snomed.info/sct|26544005,http://loinc.org|75325-1")], ["o1", "o2"]),
            ([("category", "survey"), ("patient", "1")], ["o1"]),
            ([("identifier", "urn:ours|o2")], ["o2"]),
            ([("date", "2026-02")], ["o2"]),
            ([("date", "2026-02-10")], []),
            ([("derived-from", "QuestionnaireResponse/r2")], ["o2"]),
            ([("derived-from", "r1")], ["o1"]),
        ],
    )
    def test_observations(self, store: Store, parameters: list[tuple[str, str]], ids: list[str]) -> None:
        assert found(store, "Observation", *parameters) == ids

    @pytest.mark.parametrize(
        ("parameters", "ids"),
        [
            ([("onset-date", "2026-03-01")], ["c1"]),
            ([("recorded-date", "2026-03-15")], ["c1"]),
            ([("recorded-date", "2026-03-16")], []),
            ([("code", "82470000"), ("patient", "Patient/1")], ["c1"]),
        ],
    )
    def test_conditions(self, store: Store, parameters: list[tuple[str, str]], ids: list[str]) -> None:
        assert found(store, "Condition", *parameters) == ids

    def test_provenance_by_target(self, store: Store) -> None:
        assert found(store, "Provenance", ("target", "Condition/c1")) == ["p1"]

    def test_an_unknown_type_finds_nothing(self, store: Store) -> None:
        assert store.search(parse_query("Encounter", [])).total == 0

    def test_pages_count_all(self, store: Store) -> None:
        page = store.search(parse_query("QuestionnaireResponse", [("_count", "1"), ("_offset", "1")]))
        assert (page.total, [one["id"] for one in page.matches]) == (2, ["r2"])
        assert store.search(parse_query("QuestionnaireResponse", [("_count", "0")])).matches == ()

    def test_provenance_comes_along(self, store: Store) -> None:
        asked = [("patient", "Patient/1"), ("_revinclude", "Provenance:target")]
        page = store.search(parse_query("Observation", asked))
        assert (page.total, [one["id"] for one in page.included]) == (1, ["p1"])


class TestBounds:
    """What a caller may not see is not there for them."""

    ONE: Bounds = ((PatientCriterion(("Patient/1",)),),)
    DRAFTS: Bounds = ((TermCriterion("status", (TermTest("in-progress", None),)),),)

    @pytest.fixture(autouse=True)
    def _records(self, store: Store) -> None:
        two = {"subject": {"reference": "Patient/2"}}
        store.accept(acceptance(response(status="in-progress")))
        newer = {"meta": {"versionId": "2", "lastUpdated": "2026-03-15T09:00:00.000Z"}}
        store.accept(acceptance(response(**newer), observation("o1"), provenance("p1", "Observation/o1")))
        store.accept(acceptance(response("r2", **two), observation("o2", **two), provenance("p2", "Observation/o2")))

    @pytest.mark.parametrize(
        ("resource_type", "id_", "other"),
        [("QuestionnaireResponse", "r1", "r2"), ("Observation", "o1", "o2"), ("Provenance", "p1", "p2")],
    )
    def test_of_one_patient(self, store: Store, resource_type: str, id_: str, other: str) -> None:
        assert store.read(resource_type, id_, within=self.ONE)
        assert store.read(resource_type, other, within=self.ONE) is None
        assert store.history(resource_type, id_, self.ONE)
        assert store.history(resource_type, other, self.ONE) == ()
        assert [one["id"] for one in store.search(Query(resource_type, (), within=self.ONE)).matches] == [id_]

    def test_hold_for_each_version(self, store: Store) -> None:
        assert [one["status"] for one in store.history("QuestionnaireResponse", "r1", self.DRAFTS)] == ["in-progress"]
        assert store.read("QuestionnaireResponse", "r1", within=self.DRAFTS) is None
        assert store.read("QuestionnaireResponse", "r1", 1, self.DRAFTS)
        assert store.read("QuestionnaireResponse", "r1", 2, self.DRAFTS) is None

    def test_are_alternatives(self, store: Store) -> None:
        two = (PatientCriterion(("Patient/2",)),)
        assert store.search(Query("Observation", (), within=(*self.ONE, two))).total == 2
        assert store.search(Query("Observation", (), within=EVERYTHING)).total == 2
        assert store.search(Query("Observation", (), within=())).total == 0

    def test_of_what_comes_along(self, store: Store) -> None:
        def included(within: Bounds) -> list[str]:
            query = Query("Observation", (), include_provenance=True, provenance_within=within)
            return [one["id"] for one in store.search(query).included]

        assert included(EVERYTHING) == ["p1", "p2"]
        assert included(self.ONE) == ["p1"]
        assert included(()) == []


class TestAudit:
    def test_events_are_kept_and_found(self, store: Store) -> None:
        store.keep_audit([event("a1", "Patient/1"), event("a2", "Patient/2"), event("a3", None)])
        assert store.read("AuditEvent", "a3") == event("a3", None)
        assert found(store, "AuditEvent", ("patient", "1")) == ["a1"]
        assert found(store, "AuditEvent", ("entity", "Observation/o1")) == ["a1", "a2", "a3"]
        assert found(store, "AuditEvent", ("entity", "Patient/2"), ("agent", "Practitioner/9")) == ["a2"]
        assert found(store, "AuditEvent", ("date", "2026-03-15"), ("action", "C")) == []

    def test_events_of_an_acceptance_are_kept_with_it_or_not_at_all(self, store: Store) -> None:
        store.accept(acceptance(keys=(key(),), audit=(event("a1"), event("a2", "Patient/2"))))
        with pytest.raises(KeyTaken):
            store.accept(acceptance(response("r2"), keys=(key(),), audit=(event("a3"),)))
        with pytest.raises(Superseded):
            store.accept(acceptance(audit=(event("a4"),)))
        assert found(store, "AuditEvent") == ["a1", "a2"]
        assert found(store, "AuditEvent", ("patient", "1")) == ["a1"]
        assert [one["id"] for one in store.record("r1", 1)] == ["r1"]


class TestOutbox:
    def test_no_letter_without_a_target(self, store: Store) -> None:
        store.accept(acceptance(targets=()))
        assert store.letters() == ()

    def test_a_letter_is_leased_once(self, store: Store) -> None:
        store.accept(acceptance())
        letter = leased(store)
        assert (letter.response_id, letter.version, letter.target) == ("r1", 1, TARGET)
        assert (letter.state, letter.leased_by, letter.leases) == (State.LEASED, "worker", 1)
        assert store.letter(letter.id) == letter
        assert lease(store) is None

    def test_the_letters_of_one_response(self, store: Store) -> None:
        store.accept(acceptance())
        store.accept(acceptance(response("r2")))
        store.accept(acceptance({**response(), "meta": {"versionId": "2"}}))
        assert [(one.response_id, one.version) for one in store.letters_of("r1")] == [("r1", 1), ("r1", 2)]
        assert store.letters_of("unknown") == ()

    def test_a_letter_for_each_target(self, store: Store) -> None:
        store.accept(acceptance(targets=(WEBHOOK, TARGET)))
        assert [one.target for one in store.letters_of("r1")] == [WEBHOOK, TARGET]

    def test_the_versions_that_were_acknowledged(self, store: Store) -> None:
        store.accept(acceptance(draft(1), targets=()))
        store.accept(acceptance(version_of(response(), 2)))
        assert [store.stored("r1", version).version for version in (1, 2)] == [1, 2]  # type: ignore[union-attr]
        assert store.stored("r1", 3) is None

    def test_nothing_for_another_target(self, store: Store) -> None:
        store.accept(acceptance(targets=("https://elsewhere.example/fhir",)))
        assert lease(store) is None

    def test_a_lease_that_ran_out_is_taken_up(self, store: Store) -> None:
        store.accept(acceptance())
        first = leased(store)
        assert lease(store, NOW + LEASE - timedelta(microseconds=1)) is None
        second = leased(store, NOW + LEASE)
        assert (second.leases, second.attempts) == (2, 1)
        assert store.change(first, outbox.delivered(first, NOW)) is False
        assert store.letter(first.id) == second

    def test_a_change_writes_letter_placements_and_target_together(self, store: Store) -> None:
        store.accept(acceptance())
        letter = leased(store)
        placed = Placement("QuestionnaireResponse", "r1", "QuestionnaireResponse/77", 'W/"1"')
        held = outbox.held(Target(TARGET), BUSY, NOW + LEASE)
        after = outbox.delivered(letter, NOW)
        assert store.change(letter, after, placements=[placed], target=held)
        assert store.letter(letter.id) == after
        assert store.placements(TARGET, "r1") == (placed,)
        assert store.placements("https://elsewhere.example/fhir", "r1") == ()
        assert store.target(TARGET) == held

    def test_a_change_of_what_no_longer_stands_writes_nothing(self, store: Store) -> None:
        store.accept(acceptance())
        letter = leased(store)
        assert store.change(letter, outbox.buried(letter, BUSY, NOW))
        placed = Placement("QuestionnaireResponse", "r1", "QuestionnaireResponse/77", None)
        held = outbox.held(Target(TARGET), BUSY, NOW)
        assert not store.change(letter, outbox.delivered(letter, NOW), placements=[placed], target=held)
        assert store.placements(TARGET, "r1") == ()
        assert store.target(TARGET) == Target(TARGET)

    def test_a_problem_is_kept_whole(self, store: Store) -> None:
        store.accept(acceptance())
        letter = leased(store)
        store.change(letter, outbox.buried(letter, BUSY, NOW))
        assert store.letter(letter.id).problem == BUSY  # type: ignore[union-attr]

    def test_a_placement_is_replaced(self, store: Store) -> None:
        store.accept(acceptance())
        for version in ("1", "2"):
            letter = leased(store)
            placed = Placement("QuestionnaireResponse", "r1", "QuestionnaireResponse/77", f'W/"{version}"')
            store.change(letter, outbox.postponed(letter, BUSY, NOW, NOW), placements=[placed])
        assert store.placements(TARGET, "r1") == (placed,)

    @pytest.mark.parametrize("state", ["pending", "leased", "held"])
    def test_a_clock_that_is_set_back_keeps_nothing_waiting(self, store: Store, state: str) -> None:
        ahead = NOW + timedelta(days=400)
        store.accept(acceptance(at=ahead))
        if state == "leased":
            leased(store, ahead)
        if state == "held":
            set_target(store, Target(TARGET, 1, ahead, BUSY))
        assert leased(store, NOW).response_id == "r1"

    def test_a_step_of_the_clock_takes_no_lease_away(self, store: Store) -> None:
        store.accept(acceptance())
        leased(store)
        assert lease(store, NOW - timedelta(minutes=10)) is None

    def test_the_longest_due_goes_first(self, store: Store) -> None:
        store.accept(acceptance())
        store.accept(acceptance(response("r2"), at=NOW + timedelta(seconds=1)))
        letter = leased(store)
        store.change(letter, outbox.postponed(letter, BUSY, NOW + timedelta(minutes=1), NOW))
        assert leased(store, NOW + timedelta(minutes=2)).response_id == "r2"
        assert leased(store, NOW + timedelta(minutes=2)).response_id == "r1"

    @pytest.mark.parametrize("settle", [outbox.delivered, None])
    def test_letters_of_one_response_stay_in_order(self, store: Store, settle: Any) -> None:
        second = {**response(), "meta": {"versionId": "2"}}
        store.accept(acceptance())
        store.accept(acceptance(second, at=NOW - timedelta(hours=1)))
        first = leased(store)
        assert first.version == 1
        assert lease(store) is None
        if settle is None:
            dead = outbox.buried(first, BUSY, NOW)
            store.change(first, dead)
            assert lease(store) is None
            store.change(dead, outbox.discarded(dead, "sent by post", NOW))
        else:
            store.change(first, settle(first, NOW))
        assert leased(store).version == 2

    def test_a_held_target_is_left_alone(self, store: Store) -> None:
        store.accept(acceptance())
        held = outbox.held(Target(TARGET), BUSY, NOW + LEASE)
        set_target(store, held)
        assert store.targets() == (held,)
        assert lease(store) is None
        assert leased(store, NOW + LEASE).response_id == "r1"
        set_target(store, outbox.resumed(held))
        assert store.targets() == ()

    def test_the_backlog_counts_and_ages(self, store: Store) -> None:
        for number in range(3):
            store.accept(acceptance(response(f"r{number}"), at=NOW + timedelta(seconds=number)))
        letter = leased(store, NOW + timedelta(seconds=9))
        store.change(letter, outbox.buried(letter, BUSY, NOW))
        assert store.backlog() == (
            Backlog(TARGET, State.DEAD, 1, NOW),
            Backlog(TARGET, State.PENDING, 2, NOW + timedelta(seconds=1)),
        )
        assert [letter.response_id for letter in store.letters(State.PENDING, limit=1)] == ["r1"]

    def test_dead_letters_are_counted_by_target_and_reason(self, store: Store) -> None:
        refused = replace(BUSY, reason=Reason.REFUSED)
        for number, problem in enumerate((BUSY, refused, refused)):
            store.accept(acceptance(response(f"r{number}"), at=NOW + timedelta(minutes=number)))
            letter = leased(store, NOW + timedelta(hours=1))
            store.change(letter, outbox.buried(letter, problem, NOW))
        store.accept(acceptance(response("r3")))
        assert store.given_up() == (
            GivenUp(TARGET, Reason.BUSY, 1, NOW),
            GivenUp(TARGET, Reason.REFUSED, 2, NOW + timedelta(minutes=1)),
        )

    def test_a_change_keeps_its_audit_event_or_nothing(self, store: Store) -> None:
        store.accept(acceptance())
        [letter] = store.letters()
        gone = outbox.discarded(letter, "sent by post", NOW)
        event = {"resourceType": "AuditEvent", "id": "a1", "meta": {"versionId": "1"}, "recorded": NOW.isoformat()}
        assert store.change(letter, gone, audit=[event])
        assert not store.change(letter, gone, audit=[{**event, "id": "a2"}])
        assert store.read("AuditEvent", "a1") == event
        assert store.read("AuditEvent", "a2") is None
        assert store.letter(letter.id) == gone

    def test_each_of_many_workers_gets_a_letter_of_its_own(self, store: Store) -> None:
        for number in range(8):
            store.accept(acceptance(response(f"r{number}")))

        def work(number: int) -> list[int]:
            return [letter.id for letter in iter(lambda: lease(store, owner=str(number)), None)]

        assert sorted(chain(*at_once(work))) == [letter.id for letter in store.letters()]

    def test_no_more_are_leased_than_may_be_under_way_to_one_target(self, store: Store) -> None:
        elsewhere = "https://elsewhere.example/fhir"
        for number in range(8):
            store.accept(acceptance(response(f"r{number}")))
        store.accept(acceptance(response("r8"), targets=(elsewhere,)))

        def take(target: str = TARGET, now: datetime = NOW) -> Letter | None:
            return store.lease(target, now, lambda letter: outbox.take(letter, "worker", now, LEASE), 3)

        taken = [letter for letter in at_once(lambda _: take()) if letter is not None]
        assert len(taken) == 3
        assert take(elsewhere) is not None
        assert store.change(taken[0], outbox.delivered(taken[0], NOW))
        assert take() is not None
        assert take() is None
        assert take(now=NOW + LEASE) is not None

    def test_many_workers_keep_the_versions_of_a_response_in_order(self, store: Store) -> None:
        for number in range(3):
            for version in range(1, 5):
                store.accept(acceptance({**response(f"r{number}"), "meta": {"versionId": str(version)}}))
        delivered: list[tuple[str, int]] = []

        def work(number: int) -> None:
            while len(delivered) < 12:
                if letter := lease(store, owner=str(number)):
                    delivered.append((letter.response_id, letter.version))
                    assert store.change(letter, outbox.delivered(letter, NOW))

        at_once(work)
        for number in range(3):
            assert [version for id_, version in delivered if id_ == f"r{number}"] == [1, 2, 3, 4]

    def test_a_store_that_works_passes_its_check(self, store: Store) -> None:
        store.check()
        store.accept(acceptance())
        assert store.read("QuestionnaireResponse", "r1") is not None


class TestLaunches:
    def test_a_request_is_taken_once(self, store: LaunchStore) -> None:
        store.keep_launch_request("state", "sealed", NOW)
        assert store.take_launch_request("other") is None
        taken = at_once(lambda _: store.take_launch_request("state"))
        assert [one for one in taken if one is not None] == [("sealed", NOW)]

    def test_requests_that_nobody_came_back_from_are_forgotten(self, store: LaunchStore) -> None:
        store.keep_launch_request("old", "sealed", NOW)
        store.keep_launch_request("new", "sealed", NOW + timedelta(hours=2))
        assert store.take_launch_request("old") is None

    def test_the_launch_of_a_response(self, store: LaunchStore) -> None:
        launch = Launch("r1", TARGET, "p1", NOW, "Encounter/1", "Practitioner/1", "Ada, 1815-12-10")
        store.keep_launch(launch)
        assert store.launch("r1") == launch
        assert store.launch("r2") is None

    def test_grants_of_a_patient_newest_first_and_replaced_by_id(self, store: LaunchStore) -> None:
        store.keep_grant("a", TARGET, "p1", "one", NOW)
        store.keep_grant("b", TARGET, "p1", "two", NOW + timedelta(hours=1))
        store.keep_grant("c", TARGET, "p2", "other", NOW)
        assert list(store.grants(TARGET, "p1")) == [("b", "two"), ("a", "one")]
        store.keep_grant("a", TARGET, "p1", "three", NOW + timedelta(hours=2))
        assert list(store.grants(TARGET, "p1")) == [("a", "three"), ("b", "two")]
        store.drop_grant("a")
        assert list(store.grants(TARGET, "p1")) == [("b", "two")]

    def test_signing_keys_newest_first(self, store: LaunchStore) -> None:
        store.keep_signing_key("a", "one", NOW)
        store.keep_signing_key("b", "two", NOW + timedelta(days=1))
        assert [kid for kid, _, _ in store.signing_keys()] == ["b", "a"]
        store.drop_signing_key("b")
        assert list(store.signing_keys()) == [("a", "one", NOW)]


class TestInvitations:
    def test_the_invitation_to_a_response(self, store: InvitationStore) -> None:
        invitation = Invitation("r1", "cough", "Patient/1", NOW, NOW + timedelta(days=14))
        store.keep_invitation(invitation)
        assert store.invitation("r1") == invitation
        assert store.invitation("r2") is None

    def test_an_invitation_is_taken_back_once(self, store: InvitationStore) -> None:
        invitation = Invitation("r1", "cough", "Patient/1", NOW, NOW + timedelta(days=14))
        store.keep_invitation(invitation)
        assert store.revoke_invitation("r1", NOW + timedelta(hours=1))
        assert not store.revoke_invitation("r1", NOW + timedelta(hours=2))
        assert not store.revoke_invitation("r2", NOW)
        assert store.invitation("r1") == replace(invitation, revoked_at=NOW + timedelta(hours=1))


class TestClinicianVisits:
    def test_a_visit_is_known_by_what_it_was_kept_under(self, store: VisitStore) -> None:
        visit = ClinicianVisit("https://ehr.example/fhir", "p1", "Practitioner/9", NOW + timedelta(hours=1))
        store.keep_visit("a", visit, NOW)
        assert store.visit("a") == visit
        assert store.visit("b") is None

    def test_those_that_ended_are_forgotten(self, store: VisitStore) -> None:
        visit = ClinicianVisit("https://ehr.example/fhir", "p1", "Practitioner/9", NOW + timedelta(hours=1))
        store.keep_visit("a", visit, NOW)
        store.keep_visit("b", replace(visit, expires_at=NOW + timedelta(hours=2)), NOW + timedelta(hours=1))
        assert store.visit("a") is None


class TestHooks:
    def test_a_token_is_used_once_by_each_issuer_until_it_ends(self, store: HookStore) -> None:
        ends_at = NOW + timedelta(minutes=5)
        assert store.keep_token_id("a", "one", ends_at, NOW)
        assert not store.keep_token_id("a", "one", ends_at, NOW + timedelta(minutes=4))
        assert store.keep_token_id("b", "one", ends_at, NOW)
        assert store.keep_token_id("a", "one", ends_at, ends_at)

    def test_of_simultaneous_uses_of_a_token_one_wins(self, store: HookStore) -> None:
        taken = at_once(lambda _: store.keep_token_id("a", "one", NOW + LEASE, NOW))
        assert sorted(taken) == [False, False, False, True]

    def test_feedback_is_counted_by_card_and_outcome_each_entry_once(self, store: HookStore) -> None:
        store.keep_cards(
            [IssuedCard("c1", CardKind.ASK, "cough", NOW), IssuedCard("c2", CardKind.RESULT, "cough", NOW)]
        )
        dismissed = Feedback("c1", Outcome.OVERRIDDEN, {"card": "c1", "n": 1})
        accepted = Feedback("c2", Outcome.ACCEPTED, {"card": "c2"})
        store.keep_feedback([dismissed, Feedback("c1", Outcome.OVERRIDDEN, {"card": "c1", "n": 2})], NOW)
        store.keep_feedback([dismissed, accepted, Feedback("c3", Outcome.ACCEPTED, {"card": "c3"})], NOW)
        assert store.feedback_counts() == (
            FeedbackCount(None, None, Outcome.ACCEPTED, 1),
            FeedbackCount(CardKind.ASK, "cough", Outcome.OVERRIDDEN, 2),
            FeedbackCount(CardKind.RESULT, "cough", Outcome.ACCEPTED, 1),
        )

    def test_cards_are_forgotten_after_90_days_and_their_feedback_is_not(self, store: HookStore) -> None:
        store.keep_cards([IssuedCard("c1", CardKind.ASK, "cough", NOW)])
        store.keep_feedback([Feedback("c1", Outcome.ACCEPTED, {"n": 1})], NOW)
        store.keep_cards([IssuedCard("c2", CardKind.ASK, "cough", NOW + timedelta(days=90))])
        store.keep_feedback([Feedback("c1", Outcome.ACCEPTED, {"n": 2})], NOW)
        store.keep_cards([IssuedCard("c3", CardKind.ASK, "cough", NOW + timedelta(days=91))])
        store.keep_feedback([Feedback("c1", Outcome.ACCEPTED, {"n": 3})], NOW)
        assert [(one.kind, one.count) for one in store.feedback_counts()] == [(None, 1), (CardKind.ASK, 2)]
