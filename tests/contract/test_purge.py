"""What a purge removes, what it leaves alone, and what stays known, on every store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from service.adapters import schema
from service.adapters.database import Database
from service.records import outbox
from service.records.audit import purge_event
from service.records.ehr import Launch
from service.records.invitations import Invitation
from service.records.outbox import WEBHOOK, Letter, Problem, Reason
from service.records.ports import Placement, Purged, Superseded
from service.records.retention import Aged, Cutoff, Standing
from service.records.search import PatientCriterion
from tests.contract.samples import (
    NOW,
    TARGET,
    acceptance,
    at_once,
    draft,
    event,
    found,
    key,
    leased,
    observation,
    provenance,
    response,
    version_of,
)

LATER = NOW + timedelta(days=400)
CUTOFF = Cutoff(LATER - timedelta(days=365), LATER - timedelta(days=365))
ALL = frozenset(Standing)
DELIVERED = frozenset({Standing.DELIVERED})
REFUSED = Problem(Reason.REFUSED, "No such patient.", 422, None)


def purged(store: Database, standings: Iterable[Standing] = DELIVERED, cutoff: Cutoff = CUTOFF) -> list[str]:
    def tell(resource: dict[str, Any]) -> dict[str, Any]:
        return purge_event(resource, "ada", LATER, f"purge-of-{resource['id']}")

    return store.purge(cutoff, frozenset(standings), LATER, tell, at_most=20)


def deliver(store: Database, at: datetime = NOW) -> Letter:
    letter = leased(store, at)
    assert store.change(letter, outbox.delivered(letter, at), placements=[Placement("Observation", "o", "o/1", None)])
    return letter


def delivered_response(store: Database, id_: str = "r1", at: datetime = NOW) -> None:
    store.accept(acceptance(response(id_), observation(f"o-{id_}"), provenance(f"p-{id_}"), keys=(key(id_),), at=at))
    deliver(store, at)


class TestWhatIsRemoved:
    def test_a_delivered_response_with_all_that_followed(self, store: Database) -> None:
        store.accept(acceptance(draft(1), targets=()))
        store.keep_proposal("r1", {"item": []}, NOW)
        store.keep_launch(Launch("r1", TARGET, "1", NOW, banner="Ada, 1815-12-10"))
        store.keep_invitation(Invitation("r1", "cough", "Patient/1", NOW, NOW + timedelta(days=14)))
        store.accept(acceptance(version_of(response(), 2), observation("o1"), provenance("p1", "Observation/o1")))
        deliver(store)
        amended = version_of(response(), 3, status="amended")
        store.accept(acceptance(amended, version_of(observation("o1"), 2), provenance("p2", "Observation/o1")))
        deliver(store)
        assert purged(store) == ["r1"]
        with store._read() as connection:
            left = {
                table.name: rows
                for table in schema.metadata.sorted_tables
                if (rows := connection.execute(select(table)).all())
            }
        assert set(left) == {"pack", "purged", "resource", "term", "span"}
        assert [row.type for row in left["resource"]] == ["AuditEvent"]
        assert {row.seq for row in (*left["term"], *left["span"])} == {row.seq for row in left["resource"]}
        assert {row.patient for row in left["purged"]} == {"Patient/1"}

    def test_nothing_of_what_others_sent(self, store: Database) -> None:
        delivered_response(store, "r1")
        delivered_response(store, "r2", LATER)
        before = store.record("r2", 1)
        assert purged(store) == ["r1"]
        assert store.record("r2", 1) == before
        assert found(store, "Observation") == ["o-r2"]
        assert found(store, "Observation", ("code", "75325-1"), ("date", "2026")) == ["o-r2"]
        assert store.find([key("r2")]) is not None
        assert [one.response_id for one in store.letters()] == ["r2"]

    def test_so_many_at_a_time_each_once(self, store: Database) -> None:
        for number in range(5):
            delivered_response(store, f"r{number}")

        def some(after: str) -> list[str]:
            return store.purge(CUTOFF, DELIVERED, LATER, lambda one: event(f"a-{one['id']}"), at_most=2, after=after)

        assert [some(after) for after in ("", "r1", "r3", "r4")] == [["r0", "r1"], ["r2", "r3"], ["r4"], []]

    def test_who_removed_it_is_found_with_the_patient(self, store: Database) -> None:
        delivered_response(store)
        purged(store)
        [told] = [store.read("AuditEvent", id_) for id_ in found(store, "AuditEvent", ("patient", "1"))]
        assert told is not None
        assert (told["action"], told["type"]["code"]) == ("D", "destroy")
        assert told["agent"][0]["who"]["identifier"]["value"] == "ada"
        assert told["entity"][1]["what"]["reference"] == "QuestionnaireResponse/r1"

    def test_numbers_of_removed_rows_are_not_given_again(self, store: Database) -> None:
        delivered_response(store)
        purged(store)
        store.accept(acceptance(response("r2")))
        with store._read() as connection:
            numbers = connection.execute(select(schema.resource.c.seq).order_by(schema.resource.c.seq)).scalars().all()
        assert numbers[0] > 3


class TestWhatIsLeftAlone:
    def test_what_is_under_way_whatever_is_asked_for(self, store: Database) -> None:
        store.accept(acceptance(response("waiting")))
        store.accept(acceptance(response("dead"), targets=("https://other.example/fhir",)))
        letter = store.letters()[1]
        taken = store.lease(letter.target, NOW, lambda one: outbox.take(one, "worker", NOW, timedelta(minutes=5)))
        assert taken is not None
        assert store.change(taken, outbox.buried(taken, REFUSED, NOW))
        assert purged(store, ALL) == []
        leased(store)
        assert purged(store, ALL) == []
        assert store.aged(CUTOFF) == (Aged(Standing.UNDER_WAY, 2, NOW, NOW),)

    def test_a_response_whose_amendment_is_under_way(self, store: Database) -> None:
        delivered_response(store)
        store.accept(acceptance(version_of(response(), 2, status="amended")))
        assert purged(store, ALL) == []
        deliver(store)
        assert purged(store) == ["r1"]

    def test_a_response_that_was_amended_lately(self, store: Database) -> None:
        delivered_response(store)
        store.accept(acceptance(version_of(response(), 2, status="amended"), at=LATER))
        deliver(store, LATER)
        assert purged(store, ALL) == []

    def test_the_only_copy_unless_asked_for(self, store: Database) -> None:
        store.accept(acceptance(response("r1"), targets=()))
        store.accept(acceptance(response("r2")))
        letter = store.letters()[0]
        assert store.change(letter, outbox.discarded(letter, "moved away", NOW))
        assert purged(store) == []
        assert store.aged(CUTOFF) == (Aged(Standing.ONLY_COPY, 2, NOW, NOW),)
        assert purged(store, {Standing.ONLY_COPY}) == ["r1", "r2"]

    def test_that_the_webhook_was_told_makes_no_copy(self, store: Database) -> None:
        store.accept(acceptance(targets=(WEBHOOK,)))
        assert store.aged(CUTOFF) == (Aged(Standing.UNDER_WAY, 1, NOW, NOW),)
        [letter] = store.letters()
        taken = outbox.take(letter, "worker", NOW, timedelta(minutes=1))
        assert store.change(letter, taken)
        assert store.change(taken, outbox.delivered(taken, NOW))
        assert store.aged(CUTOFF) == (Aged(Standing.ONLY_COPY, 1, NOW, NOW),)

    def test_a_discarded_version_whose_successor_brought_the_rest_is_delivered(self, store: Database) -> None:
        store.accept(acceptance())
        letter = store.letters()[0]
        assert store.change(letter, outbox.discarded(letter, "wrong", NOW))
        store.accept(acceptance(version_of(response(), 2, status="amended")))
        deliver(store)
        assert purged(store) == ["r1"]

    def test_drafts_unless_asked_for_and_those_that_can_be_gone_on_with(self, store: Database) -> None:
        store.accept(acceptance(draft(1), targets=()))
        assert purged(store) == []
        assert purged(store, {Standing.DRAFT}, replace(CUTOFF, drafts=NOW)) == []
        assert purged(store, {Standing.DRAFT}) == ["r1"]

    def test_what_was_begun_and_never_answered_unless_asked_for(self, store: Database) -> None:
        for id_, at in {"launched": NOW, "launched-lately": LATER}.items():
            store.keep_launch(Launch(id_, TARGET, "1", at, banner="Ada, 1815-12-10"))
        for id_, at in {"invited": NOW, "invited-long-ago-till-lately": LATER}.items():
            store.keep_invitation(Invitation(id_, "cough", "Patient/1", NOW, at))
        store.keep_proposal("launched", {"item": []}, NOW + timedelta(days=1))
        store.keep_launch(Launch("r1", TARGET, "1", NOW))
        store.accept(acceptance(draft(1), targets=()))
        unanswered = Aged(Standing.UNANSWERED, 2, NOW, NOW + timedelta(days=1))
        assert [one for one in store.aged(CUTOFF) if one.standing is Standing.UNANSWERED] == [unanswered]
        assert purged(store) == []
        assert store.purge_unanswered(CUTOFF) == 2
        assert (store.launch("launched"), store.proposal("launched"), store.invitation("invited")) == (None, None, None)
        assert store.launch("launched-lately") is not None
        assert store.invitation("invited-long-ago-till-lately") is not None
        assert store.launch("r1") is not None
        assert store.purge_unanswered(CUTOFF) == 0

    def test_drafts_with_a_danger_sign_are_counted_apart(self, store: Database) -> None:
        store.accept(acceptance(draft(1), targets=()))
        urgent = acceptance({**draft(1), "id": "r2"}, targets=(), at=NOW + timedelta(days=1))
        triage = {"resourceType": "Observation", "component": [{"code": {"text": "U7"}}]}
        store.accept(replace(urgent, stored=replace(urgent.stored, triage=triage)))
        assert store.aged(CUTOFF) == (
            Aged(Standing.DRAFT, 1, NOW, NOW),
            Aged(Standing.URGENT_DRAFT, 1, NOW + timedelta(days=1), NOW + timedelta(days=1)),
        )


def test_of_an_amendment_and_a_purge_at_once_one_wins(store: Database) -> None:
    for id_ in ("r1", "r2", "r3"):
        delivered_response(store, id_)
        amended = version_of(response(id_), 2, status="amended")

        def work(number: int, amended: dict[str, Any] = amended) -> Any:
            return purged(store) if number == 0 else store.accept(acceptance(amended, at=LATER))

        removed, *amendments = at_once(work)
        stands = store.stored(id_)
        assert (removed == [id_]) == (stands is None)
        assert amendments.count(Superseded) == (3 if stands is None else 2)


class TestWhatStaysKnown:
    def test_that_it_was_here_and_that_of_what_followed(self, store: Database) -> None:
        delivered_response(store)
        assert not store.was_purged("QuestionnaireResponse", "r1")
        purged(store)
        for resource_type, id_ in (("QuestionnaireResponse", "r1"), ("Observation", "o-r1")):
            assert store.read(resource_type, id_) is None
            assert store.history(resource_type, id_) == ()
            assert store.was_purged(resource_type, id_)
        assert not store.was_purged("Observation", "r1")
        assert store.stored("r1") is None

    def test_to_those_alone_whose_patient_it_was_about(self, store: Database) -> None:
        delivered_response(store)
        purged(store)
        mine, anothers = (((PatientCriterion((f"Patient/{number}",)),),) for number in "12")
        assert store.was_purged("QuestionnaireResponse", "r1", mine)
        assert not store.was_purged("QuestionnaireResponse", "r1", anothers)

    def test_its_keys_so_that_it_is_not_accepted_again(self, store: Database) -> None:
        delivered_response(store)
        purged(store)
        with pytest.raises(Purged) as told:
            store.find([key("other"), key("r1")])
        assert told.value.id == "r1"

    def test_a_later_version_finds_nothing_to_follow(self, store: Database) -> None:
        delivered_response(store)
        purged(store)
        with pytest.raises(Superseded):
            store.accept(acceptance(version_of(response(), 2, status="amended")))
