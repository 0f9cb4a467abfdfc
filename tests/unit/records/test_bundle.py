"""The Bundle that is sent, and the verification of its answer entry by entry."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from service.adapters.database import Database
from service.fhir.models import model_issues
from service.records.delivery import Delivery
from service.records.identity import IDENTITY_SYSTEM
from service.records.outbox import Reason, State
from service.records.ports import Answer, Placement
from tests.unit.records.samples import (
    IDS,
    MRN,
    Clock,
    ScriptedServer,
    acceptance,
    confirmed,
    confirming,
    only_letter,
    outcome,
    worker,
)

pytestmark = pytest.mark.usefixtures("accepted")


class TestTheBundle:
    def test_one_transaction_of_conditional_creates(self, delivery: Delivery, server: ScriptedServer) -> None:
        delivery.run_once()
        [request] = server.sent
        assert (request.method, request.path, request.body["type"]) == ("POST", "", "transaction")
        assert model_issues(request.body) == []
        kinds = ["QuestionnaireResponse", "Observation", "Observation", "Condition", "Provenance"]
        assert [entry["request"]["url"] for entry in request.body["entry"]] == kinds
        for entry in request.body["entry"]:
            uuid = entry["fullUrl"].removeprefix("urn:uuid:")
            searched = "identifier" if entry["request"]["url"] in ("Observation", "Condition") else "_tag"
            assert entry["request"]["method"] == "POST"
            assert unquote(entry["request"]["ifNoneExist"]) == f"{searched}={IDENTITY_SYSTEM}|{uuid}"
            assert "id" not in entry["resource"]

    def test_the_servers_own_meta_is_not_sent_and_our_tag_is(self, delivery: Delivery, server: ScriptedServer) -> None:
        delivery.run_once()
        response = server.sent[0].body["entry"][0]["resource"]
        assert response["meta"] == {"tag": [{"system": IDENTITY_SYSTEM, "code": IDS[0]}]}

    def test_references_within_the_record_are_full_urls(self, delivery: Delivery, server: ScriptedServer) -> None:
        delivery.run_once()
        response, finding, triage, illness, made = server.sent[0].body["entry"]
        assert finding["resource"]["derivedFrom"] == [{"reference": response["fullUrl"]}]
        assert illness["resource"]["evidence"] == [{"detail": [{"reference": finding["fullUrl"]}]}]
        targets = [one["reference"] for one in made["resource"]["target"]]
        assert targets == [finding["fullUrl"], triage["fullUrl"], illness["fullUrl"]]
        assert finding["resource"]["subject"] == {"reference": "Patient/1"}

    def test_a_subject_known_by_identifier_becomes_a_conditional_reference(
        self, store: Database, server: ScriptedServer, clock: Clock
    ) -> None:
        delivery = worker(store, server, clock)
        delivery.run_once()
        store.accept(acceptance(clock(), server.base_url, IDS[1], subject=MRN))
        delivery.run_once()
        reference = r"Patient?identifier=urn%3Amrn%7Ca%5C%2C1"
        for entry in server.sent[-1].body["entry"][:-1]:
            assert entry["resource"]["subject"] == {"reference": reference, **MRN}
        assert model_issues(server.sent[-1].body) == []


class TestVerification:
    def test_delivered_when_every_entry_is_confirmed(self, delivery: Delivery, store: Database) -> None:
        report = delivery.run_once()
        assert report is not None
        assert (report.recorded, report.letter.state, report.letter.attempts) == (True, State.DELIVERED, 1)
        assert only_letter(store) == report.letter
        placed = store.placements(report.letter.target, IDS[0])
        assert Placement("QuestionnaireResponse", IDS[0], "QuestionnaireResponse/100", 'W/"1"') in placed
        assert sorted(placed, key=lambda one: one.id) == sorted(report.placements, key=lambda one: one.id)
        assert len(placed) == 5
        assert delivery.run_once() is None

    def test_resources_that_were_there_already_count(
        self, delivery: Delivery, server: ScriptedServer, store: Database
    ) -> None:
        server.script.append(confirming(confirmed(store.record(IDS[0], 1), "200 OK")))
        delivery.run_once()
        assert only_letter(store).state is State.DELIVERED

    @pytest.mark.parametrize(("told", "kept"), [("1", 'W/"1"'), ('W/"1"', 'W/"1"'), ('"a"', '"a"'), (None, None)])
    def test_an_etag_is_kept_as_if_match_takes_it(
        self, delivery: Delivery, server: ScriptedServer, store: Database, told: str | None, kept: str | None
    ) -> None:
        good = confirmed(store.record(IDS[0], 1))
        good[0]["response"]["etag"] = told
        server.script.append(confirming(good))
        delivery.run_once()
        etags = {one.id: one.etag for one in store.placements(server.base_url, IDS[0])}
        assert etags[IDS[0]] == kept

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda entries: entries.pop(),
            lambda entries: entries.append(entries[0]),
            lambda entries: entries[2].clear(),
            lambda entries: entries.__setitem__(2, None),
            lambda entries: entries[2]["response"].pop("location"),
            lambda entries: entries[2]["response"].update(location="Patient/1"),
            lambda entries: entries[2]["response"].update(location="Observation/"),
            lambda entries: entries[2]["response"].update(location=7),
            lambda entries: entries[2]["response"].update(status="202 Accepted"),
            lambda entries: entries[2]["response"].update(status="2010"),
            lambda entries: entries[2]["response"].pop("status"),
            lambda entries: entries[2]["response"].update(status=None),
        ],
    )
    def test_one_odd_entry_and_nothing_is_delivered(
        self, delivery: Delivery, server: ScriptedServer, store: Database, spoil: Any
    ) -> None:
        good = confirmed(store.record(IDS[0], 1))
        spoil(good)
        server.script.append(confirming(good))
        delivery.run_once()
        letter = only_letter(store)
        assert (letter.state, letter.attempts) == (State.PENDING, 1)
        assert letter.problem is not None
        assert letter.problem.reason is Reason.ODD_ANSWER
        assert store.placements(letter.target, IDS[0]) == ()

    @pytest.mark.parametrize("body", [None, {}, {"resourceType": "Bundle"}, {"resourceType": "Bundle", "entry": {}}])
    def test_garbage_is_no_delivery(
        self, delivery: Delivery, server: ScriptedServer, store: Database, body: Any
    ) -> None:
        server.script.append(Answer(200, {}, body))
        delivery.run_once()
        assert only_letter(store).problem.reason is Reason.ODD_ANSWER  # type: ignore[union-attr]

    def test_a_failure_inside_an_answer_of_200_is_the_servers_verdict(
        self, delivery: Delivery, server: ScriptedServer, store: Database
    ) -> None:
        good = confirmed(store.record(IDS[0], 1))
        good[1]["response"] = {"status": "422 Unprocessable", "outcome": outcome("no such code")}
        server.script.append(confirming(good))
        delivery.run_once()
        letter = only_letter(store)
        assert (letter.state, letter.problem.status) == (State.DEAD, 422)  # type: ignore[union-attr]
        assert letter.problem.outcome == outcome("no such code")  # type: ignore[union-attr]
