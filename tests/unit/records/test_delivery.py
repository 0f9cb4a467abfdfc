"""Every retry class, the verification of answers, and what a crash leaves behind."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Event
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import unquote

import pytest

from service.adapters.database import Database
from service.errors import Unavailable
from service.fhir.models import model_issues
from service.packs import Pack
from service.records import outbox
from service.records.composition import compose
from service.records.delivery import Delivery
from service.records.identity import IDENTITY_SYSTEM, identified
from service.records.outbox import Letter, Reason, State
from service.records.ports import Acceptance, Answer, AnswerLost, Placement, Stored, Unreachable
from service.records.setback import retry_after
from service.sdc.extraction import Extracted

PACK = cast(Pack, SimpleNamespace(name="q", url="https://pages.example/q", version="1.0", artifacts=()))
IDS = [f"7f1d2c7e-0a58-4c80-9b43-6f3f25d7a00{number}" for number in range(10)]
MRN = {"identifier": {"system": "urn:mrn", "value": "a,1"}}


def outcome(text: str) -> dict[str, Any]:
    issue = {"severity": "error", "code": "processing", "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def answer(status: int, text: str | None = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, None if text is None else outcome(text))


def acceptance(now: datetime, target: str, id_: str = IDS[0], **elements: Any) -> Acceptance:
    response = identified(
        {
            "resourceType": "QuestionnaireResponse",
            "meta": {"versionId": "1", "lastUpdated": "2026-03-15T09:00:00.000Z"},
            "questionnaire": "https://pages.example/q|1.0",
            "status": "completed",
            "subject": {"reference": "Patient/1"},
            "author": {"reference": "Practitioner/9"},
            "authored": "2026-03-15T10:00:00+01:00",
            **elements,
        },
        id_,
    )
    subject = response["subject"]
    finding = {"resourceType": "Observation", "status": "final", "code": {"text": "muscle"}, "subject": subject}
    illness = {"resourceType": "Condition", "code": {"text": "twitching"}, "subject": subject}
    extracted = [
        Extracted(finding, "muscle", "muscles", "calf", "urn:uuid:1", {}),
        Extracted(illness, "illness", "", None, "urn:uuid:2", {}),
    ]
    triage = {**finding, "code": {"text": "triage"}}
    record = compose(response, extracted, triage, now)
    return Acceptance(Stored(response, triage, (), id_), record, (), PACK, now, target)


@pytest.fixture
def delivery(store: Database, server: Any, clock: Any) -> Delivery:
    return worker(store, server, clock)


def worker(store: Database, server: Any, clock: Any, owner: str = "worker") -> Delivery:
    return Delivery(store, server, clock, lambda: 0.0, owner)


@pytest.fixture(autouse=True)
def _accepted(store: Database, server: Any, clock: Any) -> None:
    store.accept(acceptance(clock(), server.base_url))


def only_letter(store: Database) -> Letter:
    [letter] = store.letters()
    return letter


class TestTheBundle:
    def test_one_transaction_of_conditional_creates(self, delivery: Delivery, server: Any) -> None:
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

    def test_the_servers_own_meta_is_not_sent_and_our_tag_is(self, delivery: Delivery, server: Any) -> None:
        delivery.run_once()
        response = server.sent[0].body["entry"][0]["resource"]
        assert response["meta"] == {"tag": [{"system": IDENTITY_SYSTEM, "code": IDS[0]}]}

    def test_references_within_the_record_are_full_urls(self, delivery: Delivery, server: Any) -> None:
        delivery.run_once()
        response, finding, triage, illness, made = server.sent[0].body["entry"]
        assert finding["resource"]["derivedFrom"] == [{"reference": response["fullUrl"]}]
        assert illness["resource"]["evidence"] == [{"detail": [{"reference": finding["fullUrl"]}]}]
        targets = [one["reference"] for one in made["resource"]["target"]]
        assert targets == [finding["fullUrl"], triage["fullUrl"], illness["fullUrl"]]
        assert finding["resource"]["subject"] == {"reference": "Patient/1"}

    def test_a_subject_known_by_identifier_becomes_a_conditional_reference(
        self, store: Database, server: Any, clock: Any
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

    def test_resources_that_were_there_already_count(self, delivery: Delivery, server: Any, store: Database) -> None:
        body = server.good_answer({"entry": [{"resource": one} for one in store.record(IDS[0], 1)]}, "200 OK")
        server.script.append(body)
        delivery.run_once()
        assert only_letter(store).state is State.DELIVERED

    @pytest.mark.parametrize(("told", "kept"), [("1", 'W/"1"'), ('W/"1"', 'W/"1"'), ('"a"', '"a"'), (None, None)])
    def test_an_etag_is_kept_as_if_match_takes_it(
        self, delivery: Delivery, server: Any, store: Database, told: str | None, kept: str | None
    ) -> None:
        good = server.good_answer({"entry": [{"resource": one} for one in store.record(IDS[0], 1)]})
        good.body["entry"][0]["response"]["etag"] = told
        server.script.append(good)
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
        self, delivery: Delivery, server: Any, store: Database, spoil: Any
    ) -> None:
        good = server.good_answer({"entry": [{"resource": one} for one in store.record(IDS[0], 1)]})
        spoil(good.body["entry"])
        server.script.append(good)
        delivery.run_once()
        letter = only_letter(store)
        assert (letter.state, letter.attempts) == (State.PENDING, 1)
        assert letter.problem is not None
        assert letter.problem.reason is Reason.ODD_ANSWER
        assert store.placements(letter.target, IDS[0]) == ()

    @pytest.mark.parametrize("body", [None, {}, {"resourceType": "Bundle"}, {"resourceType": "Bundle", "entry": {}}])
    def test_garbage_is_no_delivery(self, delivery: Delivery, server: Any, store: Database, body: Any) -> None:
        server.script.append(Answer(200, {}, body))
        delivery.run_once()
        assert only_letter(store).problem.reason is Reason.ODD_ANSWER  # type: ignore[union-attr]

    def test_a_failure_inside_an_answer_of_200_is_the_servers_verdict(
        self, delivery: Delivery, server: Any, store: Database
    ) -> None:
        good = server.good_answer({"entry": [{"resource": one} for one in store.record(IDS[0], 1)]})
        good.body["entry"][1]["response"] = {"status": "422 Unprocessable", "outcome": outcome("no such code")}
        server.script.append(good)
        delivery.run_once()
        letter = only_letter(store)
        assert (letter.state, letter.problem.status) == (State.DEAD, 422)  # type: ignore[union-attr]
        assert letter.problem.outcome == outcome("no such code")  # type: ignore[union-attr]


class TestRetryClasses:
    @pytest.mark.parametrize("status", [408, 500, 501, 507])
    def test_errors_of_the_server_are_tried_again_later(
        self, delivery: Delivery, server: Any, store: Database, clock: Any, status: int
    ) -> None:
        server.script.extend([answer(status, "oops")] * (2 if status == 501 else 1))
        delivery.run_once()
        letter = only_letter(store)
        assert (letter.state, letter.attempts) == (State.PENDING, 1)
        assert letter.due_at == clock() + timedelta(seconds=2)
        assert letter.problem.outcome == outcome("oops")  # type: ignore[union-attr]
        clock.advance(seconds=2)
        delivery.run_once()
        assert only_letter(store).state is State.DELIVERED

    def test_after_twelve_errors_a_letter_is_dead_and_can_be_retried(
        self, delivery: Delivery, server: Any, store: Database, clock: Any
    ) -> None:
        server.script.extend([answer(500, "oops")] * 12)
        for _ in range(12):
            delivery.run_once()
            clock.advance(hours=1)
        dead = only_letter(store)
        assert (dead.state, dead.problem.reason) == (State.DEAD, Reason.SERVER_ERROR)  # type: ignore[union-attr]
        assert delivery.run_once() is None
        store.change(dead, outbox.retried(dead, clock()))
        delivery.run_once()
        assert only_letter(store).state is State.DELIVERED

    @pytest.mark.parametrize("status", [409, 412])
    def test_the_loser_of_a_race_tries_at_once(
        self, delivery: Delivery, server: Any, store: Database, clock: Any, status: int
    ) -> None:
        server.script.extend([answer(status, "race")] * 4)
        for attempt in (1, 2, 3):
            delivery.run_once()
            assert (only_letter(store).attempts, only_letter(store).due_at) == (attempt, clock())
        delivery.run_once()
        assert only_letter(store).due_at == clock() + timedelta(seconds=16)

    @pytest.mark.parametrize("status", [400, 404, 410, 413, 422])
    def test_any_other_refusal_is_a_dead_letter_with_the_servers_words(
        self, delivery: Delivery, server: Any, store: Database, status: int
    ) -> None:
        server.script.extend([answer(status, "HAPI-0450: bad")] * (2 if status == 404 else 1))
        delivery.run_once()
        letter = only_letter(store)
        assert (letter.state, letter.problem.reason) == (State.DEAD, Reason.REFUSED)  # type: ignore[union-attr]
        assert letter.problem.outcome == outcome("HAPI-0450: bad")  # type: ignore[union-attr]
        assert f"{status}: error: HAPI-0450: bad" in letter.problem.text  # type: ignore[union-attr]

    def test_a_reference_that_the_target_lacks_is_named(self, delivery: Delivery, server: Any, store: Database) -> None:
        text = "HAPI-1094: Resource Practitioner/9 not found, specified in path: QuestionnaireResponse.author"
        server.script.append(answer(400, text))
        delivery.run_once()
        problem = only_letter(store).problem
        assert problem is not None
        assert problem.reason is Reason.MISSING_REFERENCE
        assert problem.text.startswith("The server lacks Practitioner/9.")

    @pytest.mark.parametrize("status", [404, 412])
    def test_a_patient_that_the_target_lacks_is_named(
        self, delivery: Delivery, server: Any, store: Database, clock: Any, status: int
    ) -> None:
        delivery.run_once()
        store.accept(acceptance(clock(), server.base_url, IDS[1], subject=MRN))
        text = r'HAPI-1091: Invalid match URL "Patient?identifier=urn:mrn|a\,1" - no match'
        server.script.append(answer(status, text))
        delivery.run_once()
        problem = store.letters(State.DEAD)[0].problem
        assert problem is not None
        assert problem.reason is Reason.MISSING_REFERENCE

    @pytest.mark.parametrize(
        ("scene", "reason"),
        [
            (Unreachable("refused"), Reason.UNREACHABLE),
            (answer(429, "slow down"), Reason.BUSY),
            (answer(502), Reason.BUSY),
            (answer(503, "starting"), Reason.BUSY),
            (answer(504), Reason.BUSY),
            (answer(401, "who?"), Reason.UNAUTHORISED),
            (answer(403, "not you"), Reason.UNAUTHORISED),
            (answer(302, location="https://login.example/"), Reason.NOT_FHIR),
        ],
    )
    def test_what_is_no_letters_fault_holds_the_target_and_counts_nothing(
        self, delivery: Delivery, server: Any, store: Database, clock: Any, scene: Any, reason: Reason
    ) -> None:
        store.accept(acceptance(clock(), server.base_url, IDS[1]))
        server.script.append(scene)
        delivery.run_once()
        target = store.target(server.base_url)
        assert (target.failures, target.held_until) == (1, clock() + timedelta(seconds=2))
        assert target.problem is not None
        assert target.problem.reason is reason
        assert [(letter.state, letter.attempts) for letter in store.letters()] == [(State.PENDING, 0)] * 2
        assert delivery.run_once() is None
        clock.advance(seconds=2)
        assert delivery.run_once().letter.response_id == IDS[1]  # type: ignore[union-attr]
        assert store.targets() == ()
        delivery.run_once()
        assert [letter.state for letter in store.letters()] == [State.DELIVERED] * 2

    def test_a_weekend_without_the_server_makes_no_dead_letter(
        self, delivery: Delivery, server: Any, store: Database, clock: Any
    ) -> None:
        monday = clock() + timedelta(days=3)
        while clock() < monday:
            server.metadata.append(Unreachable("refused"))
            delivery.run_once()
            clock.advance(hours=1)
        assert (only_letter(store).state, only_letter(store).attempts) == (State.PENDING, 0)
        server.metadata.clear()
        delivery.run_once()
        assert only_letter(store).state is State.DELIVERED

    @pytest.mark.parametrize(
        ("header", "waits"),
        [
            ("120", timedelta(seconds=120)),
            ("Sun, 15 Mar 2026 09:10:00 GMT", timedelta(minutes=10)),
            ("999999999999", timedelta(hours=1)),
            ("soon", timedelta(seconds=2)),
        ],
    )
    def test_retry_after_is_honoured(
        self, delivery: Delivery, server: Any, store: Database, clock: Any, header: str, waits: timedelta
    ) -> None:
        server.script.append(answer(503, "wait", retry_after=header))
        delivery.run_once()
        assert store.target(server.base_url).held_until == clock() + waits

    def test_a_lost_answer_means_the_same_bytes_again_without_end(
        self, delivery: Delivery, server: Any, store: Database, clock: Any
    ) -> None:
        server.script.extend([AnswerLost("reset")] * 15)
        for _ in range(15):
            delivery.run_once()
            clock.advance(hours=1)
        assert (only_letter(store).state, only_letter(store).attempts) == (State.PENDING, 0)
        assert store.targets() == ()
        delivery.run_once()
        assert only_letter(store).state is State.DELIVERED
        assert len({request.text for request in server.sent}) == 1

    def test_what_the_model_refuses_is_not_sent(self, store: Database, server: Any, clock: Any) -> None:
        store.accept(acceptance(clock(), server.base_url, IDS[1], authored="yesterday"))
        delivery = worker(store, server, clock)
        delivery.run_once()
        delivery.run_once()
        [dead] = store.letters(State.DEAD)
        assert dead.response_id == IDS[1]
        assert dead.problem is not None
        assert dead.problem.reason is Reason.INVALID_RESOURCE
        assert "Bundle.entry[0].resource.authored" in dead.problem.text
        assert dead.problem.outcome is not None
        assert len(server.sent) == 1


class TestWhoAnswers:
    @pytest.mark.parametrize(
        "metadata",
        [
            answer(404),
            answer(404, "no such operation"),
            Answer(200, {"content-type": "text/html"}, None),
            Answer(200, {}, {"hello": "world"}),
            answer(301),
        ],
    )
    def test_without_a_capability_statement_nothing_is_sent(
        self, delivery: Delivery, server: Any, store: Database, metadata: Answer
    ) -> None:
        server.metadata.append(metadata)
        delivery.run_once()
        assert server.sent == []
        assert store.target(server.base_url).problem.reason is Reason.NOT_FHIR  # type: ignore[union-attr]
        assert (only_letter(store).state, only_letter(store).attempts) == (State.PENDING, 0)

    @pytest.mark.parametrize(
        "scene",
        [
            answer(404),
            answer(405),
            answer(400),
            Answer(413, {"content-type": "text/html"}, None),
            Answer(200, {"content-type": "text/html; charset=utf-8"}, None),
        ],
    )
    def test_an_answer_that_is_no_fhir_blames_the_letter_only_where_a_fhir_server_stands(
        self, delivery: Delivery, server: Any, store: Database, scene: Answer
    ) -> None:
        server.script.append(scene)
        server.metadata.extend([server.send("GET", "metadata"), answer(404)])
        delivery.run_once()
        assert store.target(server.base_url).problem.reason is Reason.NOT_FHIR  # type: ignore[union-attr]
        assert only_letter(store).state is State.PENDING

    def test_a_page_that_a_fhir_server_answers_with_is_odd(
        self, delivery: Delivery, server: Any, store: Database
    ) -> None:
        server.script.append(Answer(200, {"content-type": "text/html"}, None))
        delivery.run_once()
        assert only_letter(store).problem.reason is Reason.ODD_ANSWER  # type: ignore[union-attr]

    def test_a_refusal_without_words_where_a_fhir_server_stands_is_a_dead_letter(
        self, delivery: Delivery, server: Any, store: Database
    ) -> None:
        server.script.append(answer(413))
        delivery.run_once()
        assert only_letter(store).state is State.DEAD
        assert "413: without an OperationOutcome" in only_letter(store).problem.text  # type: ignore[union-attr]

    def test_capability_is_read_once_and_again_after_a_fault(
        self, delivery: Delivery, server: Any, store: Database, clock: Any
    ) -> None:
        for number in (1, 2):
            store.accept(acceptance(clock(), server.base_url, IDS[number]))
        server.script.extend([server.good_answer({"entry": []}), answer(503)])
        for _ in range(5):
            delivery.run_once()
            clock.advance(minutes=5)
        paths = [request.path for request in server.requests]
        assert [letter.state for letter in store.letters()] == [State.DELIVERED] * 3
        assert paths.count("metadata") == 3


class TestCrashes:
    def test_a_crash_between_answer_and_mark_sends_the_same_bytes(
        self, store: Database, server: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        delivery = worker(store, server, clock)

        def crash(*_: object, **__: object) -> bool:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(store, "change", crash)
            with pytest.raises(KeyboardInterrupt):
                delivery.run_once()
        successor = worker(store, server, clock, "successor")
        assert successor.run_once() is None
        clock.advance(minutes=5)
        report = successor.run_once()
        assert report is not None
        assert report.letter.state is State.DELIVERED
        first, second = server.sent
        assert first.text == second.text

    def test_a_worker_that_slept_over_its_lease_does_not_overwrite(
        self, store: Database, server: Any, clock: Any
    ) -> None:
        slow, quick = worker(store, server, clock, "slow"), worker(store, server, clock, "quick")
        deliver = server.send

        def slept(*request: Any) -> Answer:
            if request[1] == "" and not server.sent:
                server.send = deliver
                clock.advance(minutes=6)
                server.script.append(answer(400, "too late"))
                assert quick.run_once().letter.state is State.DEAD  # type: ignore[union-attr]
            return deliver(*request)

        server.send = slept
        report = slow.run_once()
        assert report is not None
        assert report.recorded is False
        assert only_letter(store).state is State.DEAD
        assert store.placements(server.base_url, IDS[0]) == ()

    def test_the_loop_outlives_an_unavailable_database(self, store: Database, delivery: Delivery) -> None:
        stop = Event()
        lease, calls = store.lease, []

        def flaky(*arguments: Any) -> Letter | None:
            calls.append(arguments)
            if len(calls) == 1:
                raise Unavailable([], retry_after_seconds=0)
            letter: Letter | None = lease(*arguments)
            if letter is None:
                stop.set()
            return letter

        store.lease = flaky  # type: ignore[method-assign]
        delivery.run(stop, idle_seconds=0)
        assert only_letter(store).state is State.DELIVERED
        assert len(calls) == 3

    def test_logs_name_the_reason_and_never_quote(
        self, delivery: Delivery, server: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.script.append(answer(422, "Jane Doe is wrong"))
        with caplog.at_level("INFO"):
            delivery.run_once()
        assert "dead, refused, status 422" in caplog.text
        assert "Jane" not in caplog.text


class TestSingleRequests:
    @pytest.fixture(autouse=True)
    def _no_transactions(self, server: Any) -> None:
        statement = {"resourceType": "CapabilityStatement", "rest": [{"interaction": [{"code": "batch"}]}]}
        server.metadata.extend([Answer(200, {}, statement)] * 4)

    def created(self, kind: str, number: int, status: int = 201) -> Answer:
        location = f"https://ehr.example/fhir/{kind}/{number}/_history/3"
        return Answer(status, {"location": location, "etag": 'W/"3"'}, None)

    def script(self) -> list[Answer]:
        kinds = ["QuestionnaireResponse", "Observation", "Observation", "Condition", "Provenance"]
        return [self.created(kind, number) for number, kind in enumerate(kinds, 10)]

    def test_one_conditional_create_each_in_dependency_order(
        self, delivery: Delivery, server: Any, store: Database
    ) -> None:
        server.script.extend(self.script())
        delivery.run_once()
        assert only_letter(store).state is State.DELIVERED
        kinds = [request.path for request in server.sent]
        assert kinds == ["QuestionnaireResponse", "Observation", "Observation", "Condition", "Provenance"]
        for request in server.sent:
            assert request.method == "POST"
            assert IDENTITY_SYSTEM in unquote(request.headers["If-None-Exist"])
            assert model_issues(request.body) == []
        _, finding, _, illness, made = (request.body for request in server.sent)
        assert finding["derivedFrom"] == [{"reference": "QuestionnaireResponse/10"}]
        assert illness["evidence"] == [{"detail": [{"reference": "Observation/11"}]}]
        assert [one["reference"] for one in made["target"]] == ["Observation/11", "Observation/12", "Condition/13"]
        placed = {one.location: one.etag for one in store.placements(server.base_url, IDS[0])}
        assert placed["Condition/13"] == 'W/"3"'
        assert len(placed) == 5

    def test_taken_up_after_a_fault_with_the_same_identities(
        self, delivery: Delivery, server: Any, store: Database, clock: Any
    ) -> None:
        server.script.extend([*self.script()[:2], answer(500, "oops"), *self.script()])
        delivery.run_once()
        clock.advance(seconds=2)
        delivery.run_once()
        assert only_letter(store).state is State.DELIVERED
        first, again = server.sent[:2], server.sent[3:5]
        assert [(one.text, one.headers) for one in first] == [(one.text, one.headers) for one in again]

    def test_a_location_left_out_is_searched(self, delivery: Delivery, server: Any, store: Database) -> None:
        found = {
            "resourceType": "Bundle",
            "entry": [{"resource": {"resourceType": "QuestionnaireResponse", "id": "5"}}],
        }
        server.script.extend([Answer(200, {}, None), Answer(200, {}, found), *self.script()[1:]])
        delivery.run_once()
        search = server.sent[1]
        assert (search.method, unquote(search.path)) == (
            "GET",
            f"QuestionnaireResponse?_tag={IDENTITY_SYSTEM}|{IDS[0]}",
        )
        assert "QuestionnaireResponse/5" in {one.location for one in store.placements(server.base_url, IDS[0])}

    def test_a_location_that_no_search_finds_is_odd(self, delivery: Delivery, server: Any, store: Database) -> None:
        server.script.extend([Answer(201, {}, None), Answer(200, {}, {"resourceType": "Bundle"})])
        delivery.run_once()
        assert only_letter(store).problem.reason is Reason.ODD_ANSWER  # type: ignore[union-attr]

    def test_the_patient_of_an_identifier_is_looked_up(
        self, delivery: Delivery, server: Any, store: Database, clock: Any
    ) -> None:
        server.script.extend(self.script())
        delivery.run_once()
        store.accept(acceptance(clock(), server.base_url, IDS[1], subject=MRN))
        patient = {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "42"}}]}
        server.script.extend([Answer(200, {}, patient), *self.script()])
        delivery.run_once()
        assert server.sent[5].path == "Patient?identifier=urn%3Amrn%7Ca%5C%2C1"
        assert server.sent[6].body["subject"] == {"reference": "Patient/42", **MRN}
        assert [letter.state for letter in store.letters()] == [State.DELIVERED] * 2

    def test_no_single_patient_is_a_dead_letter(
        self, delivery: Delivery, server: Any, store: Database, clock: Any
    ) -> None:
        server.script.extend(self.script())
        delivery.run_once()
        store.accept(acceptance(clock(), server.base_url, IDS[1], subject=MRN))
        server.script.append(Answer(200, {}, {"resourceType": "Bundle"}))
        delivery.run_once()
        [dead] = store.letters(State.DEAD)
        assert dead.problem is not None
        assert dead.problem.reason is Reason.MISSING_REFERENCE
        assert "0 patients for Patient?identifier=" in dead.problem.text

    @pytest.mark.parametrize("status", [404, 405, 501])
    def test_a_server_that_only_seemed_to_have_transactions(
        self, delivery: Delivery, server: Any, store: Database, status: int
    ) -> None:
        server.metadata.clear()
        server.script.extend([answer(status, "no transactions"), *self.script()])
        delivery.run_once()
        assert only_letter(store).state is State.DELIVERED
        assert len(server.sent) == 6

    def test_a_circle_cannot_be_sent(self, store: Database, server: Any, clock: Any) -> None:
        circular = acceptance(clock(), server.base_url, IDS[1])
        first, second = circular.record[:2]
        first["hasMember"] = [{"reference": f"Observation/{second['id']}"}]
        second["hasMember"] = [{"reference": f"Observation/{first['id']}"}]
        store.accept(circular)
        server.script.extend(self.script())
        delivery = worker(store, server, clock)
        delivery.run_once()
        delivery.run_once()
        [dead] = store.letters(State.DEAD)
        assert "in a circle" in dead.problem.text  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "waits"),
    [
        (None, None),
        (" 7 ", timedelta(seconds=7)),
        ("Sun, 15 Mar 2026 09:01:00 GMT", timedelta(minutes=1)),
        ("Sun, 15 Mar 2026 08:00:00 GMT", timedelta()),
        ("Sun, 15 Mar 2026 09:01:00 -0000", None),
        ("-3", None),
        ("", None),
    ],
)
def test_retry_after_in_both_its_forms(clock: Any, value: str | None, waits: timedelta | None) -> None:
    assert retry_after(value, clock()) == waits
