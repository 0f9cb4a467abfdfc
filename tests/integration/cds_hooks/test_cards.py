"""Which cards a chart gets, what stands on them, and what is done where a chart cannot be read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.bootstrap import Services
from service.records.library import Library
from service.web.app import create_app
from tests.browser.files import served_folder
from tests.integration.cds_hooks.conftest import (
    AUTHORIZATION,
    CHART,
    EHR,
    EMPTY,
    ICD10,
    SCT,
    TWITCHING,
    Caller,
    hook,
)
from tests.integration.cds_hooks.logical_models import RESPONSE, faults
from tests.integration.patient_record import FakeServer, bundle, concept, condition
from tests.unit.records.samples import Clock

Json = dict[str, Any]
Answered = Callable[..., str]
DAY = timedelta(days=1)
AUTHORED = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}


def kinds(cards: list[Json]) -> list[str]:
    return [f"{card['indicator']} {card['links'][0]['type']}" for card in cards]


ASK, WARNING, CRITICAL = "info smart", "warning smart", "critical smart"


def test_discovery_offers_one_service_that_asks_for_the_codes_of_the_page(caller: Caller) -> None:
    service = caller.discover()
    assert (service["id"], service["hook"]) == ("symptom-intake", "patient-view")
    tokens = "http://hl7.org/fhir/sid/icd-10-cm%7CR25.3,http://snomed.info/sct%7C82470000"
    assert service["prefetch"] == {"conditions": f"Condition?patient={{{{context.patientId}}}}&code={tokens}"}


class TestAsking:
    def test_a_chart_with_twitching_gets_a_card_whose_link_launches_the_page(self, caller: Caller) -> None:
        (card,) = caller.cards(hook(CHART))
        assert kinds([card]) == [ASK]
        assert "ask now?" in card["summary"]
        assert card["links"][0]["url"] == "http://localhost/launch"
        assert card["links"][0]["appContext"] == "muscle-fasciculation"

    def test_each_card_has_an_identity_of_its_own(self, caller: Caller) -> None:
        assert len({caller.cards(hook(CHART))[0]["uuid"] for _ in range(3)}) == 3

    @pytest.mark.parametrize(
        "found",
        [
            condition("c", concept(ICD10, "R25.3")),
            condition("c", concept(SCT, "82470000"), verification="unconfirmed"),
            {**TWITCHING, "subject": {"reference": f"{EHR}/Patient/1"}},
        ],
    )
    def test_what_calls_for_the_page(self, caller: Caller, found: Json) -> None:
        assert kinds(caller.cards(hook({"conditions": bundle(found)}))) == [ASK]

    @pytest.mark.parametrize(
        "found",
        [
            condition("c", concept(SCT, "82470000"), "resolved"),
            condition("c", concept(SCT, "82470000"), None),
            condition("c", concept(SCT, "82470000"), verification="refuted"),
            condition("c", concept(SCT, "91019004")),
            {**TWITCHING, "subject": {"reference": "Patient/11"}},
            {"resourceType": "Patient", "id": "1"},
        ],
    )
    def test_what_does_not(self, caller: Caller, found: Json) -> None:
        assert caller.cards(hook({"conditions": bundle(found)})) == []

    def test_nobody_is_asked_again_within_the_days_that_the_page_says(
        self, caller: Caller, answered: Answered, clock: Clock
    ) -> None:
        answered("case-01")
        clock.now = AUTHORED + 30 * DAY
        assert caller.cards(hook(CHART)) == []
        clock.now += timedelta(seconds=1)
        assert kinds(caller.cards(hook(CHART))) == [ASK]

    def test_a_draft_and_a_retracted_response_answer_nothing(self, caller: Caller, answered: Answered) -> None:
        answered("case-01", status="in-progress")
        answered("case-05", status="entered-in-error")
        assert kinds(caller.cards(hook(CHART))) == [ASK]

    def test_answers_of_another_patient_or_ehr_do_not_count(self, caller: Caller, answered: Answered) -> None:
        for subject in ("Patient/1", f"{EHR}/Patient/2", "https://other.example/fhir/Patient/1"):
            answered("case-07", subject={"reference": subject})
        assert kinds(caller.cards(hook(CHART))) == [ASK]

    def test_without_a_fhir_server_it_is_the_record_of_this_service(self, caller: Caller, answered: Answered) -> None:
        answered("case-07", subject={"reference": "Patient/1"})
        (card,) = caller.cards(hook(CHART, fhirServer=None))
        assert kinds([card]) == ["critical absolute"]
        assert re.fullmatch(r"http://localhost/responses/[^/]+/summary", card["links"][0]["url"])


class TestResults:
    @pytest.mark.parametrize(
        ("case", "expected"),
        [("case-01", []), ("case-04", []), ("case-05", [WARNING]), ("case-07", [CRITICAL])],
    )
    def test_a_result_is_as_pressing_as_the_priority_of_its_rules(
        self, caller: Caller, answered: Answered, case: str, expected: list[str]
    ) -> None:
        answered(case)
        assert kinds(caller.cards(hook(EMPTY))) == expected

    def test_reasons_and_sources_stand_on_it_and_the_whole_is_a_link_away(
        self, caller: Caller, answered: Answered
    ) -> None:
        id_ = answered("case-08")
        (card,) = caller.cards(hook(EMPTY))
        assert card["summary"].endswith(", answers of 2026-03-15: Same day or emergency")
        rule, grounds, *_, disclaimer = card["detail"].split("\n\n")
        assert rule == "**U7 Twitching while taking lithium or theophylline**"
        assert "Lithium\n- Source: NHS Greater Glasgow" in grounds
        assert disclaimer.startswith("This is information only")
        assert card["links"] == [
            {
                "label": "All answers and the result",
                "url": "http://localhost/launch",
                "type": "smart",
                "appContext": f"summary/{id_}",
            }
        ]

    def test_the_latest_answers_count_and_not_those_that_came_last(self, caller: Caller, answered: Answered) -> None:
        answered("case-01", authored="2026-03-15T12:00:00+01:00")
        answered("case-07", authored="2026-03-15T10:30:00Z")
        assert caller.cards(hook(EMPTY)) == []
        answered("case-07", authored="2026-03-15T11:30:00Z")
        assert kinds(caller.cards(hook(EMPTY))) == [CRITICAL]

    def test_a_danger_sign_in_a_form_that_was_not_finished_is_told(self, caller: Caller, answered: Answered) -> None:
        answered("case-05", authored="2026-03-14T10:00:00Z")
        answered("case-07", status="in-progress")
        (card,) = caller.cards(hook(EMPTY))
        assert kinds([card]) == [CRITICAL]
        assert ", unfinished answers of 2026-03-15: " in card["summary"]
        assert "not finished" in card["detail"]

    def test_a_draft_without_one_does_not_hide_what_was_found_before(self, caller: Caller, answered: Answered) -> None:
        answered("case-05", authored="2026-03-14T10:00:00Z")
        answered("case-01", status="in-progress")
        (card,) = caller.cards(hook(EMPTY))
        assert ", answers of 2026-03-14: " in card["summary"]

    def test_a_result_is_told_however_old_it_is_and_beside_the_question(
        self, caller: Caller, answered: Answered, clock: Clock
    ) -> None:
        answered("case-05")
        clock.now = AUTHORED + 400 * DAY
        assert kinds(caller.cards(hook(CHART))) == [WARNING, ASK]


class TestResultsThatCannotBeJudgedAnew:
    @pytest.fixture
    def later(self, services: Services) -> Caller:
        """The service once its release cannot compile the version of the page that was answered."""
        site = services.site()
        evaluation = replace(services.evaluation, pages=Library((), ()))
        return Caller(create_app(replace(site, guidance=replace(site.guidance, evaluation=evaluation))).test_client())

    @pytest.mark.parametrize(
        ("case", "indicators"), [("case-01", []), ("case-04", []), ("case-05", ["warning"]), ("case-07", ["critical"])]
    )
    def test_they_are_as_pressing_as_they_were(
        self, later: Caller, answered: Answered, case: str, indicators: list[str]
    ) -> None:
        answered(case)
        assert [card["indicator"] for card in later.cards(hook(EMPTY))] == indicators

    def test_they_are_told_as_they_were_kept_and_the_log_names_them(
        self, later: Caller, answered: Answered, caplog: pytest.LogCaptureFixture
    ) -> None:
        id_ = answered("case-08")
        (card,) = later.cards(hook(EMPTY))
        assert card["summary"].endswith(", answers of 2026-03-15: Same day or emergency")
        fired, *_, why = card["detail"].split("\n\n")
        assert fired.startswith("U7 Twitching while taking lithium or theophylline (Same day or emergency).")
        assert "cannot be judged anew here" in why
        assert f"response {id_} cannot be judged anew" in caplog.text

    def test_they_keep_no_other_card_away(self, later: Caller, answered: Answered, clock: Clock) -> None:
        answered("case-07")
        clock.now = AUTHORED + 400 * DAY
        assert [card["indicator"] for card in later.cards(hook(CHART))] == ["critical", "info"]


class TestCharts:
    @pytest.mark.parametrize("sent", [None, bundle(), {"resourceType": "Bundle", "type": "searchset", "total": 0}])
    def test_null_and_an_empty_bundle_say_that_there_is_nothing(self, caller: Caller, sent: Json | None) -> None:
        assert caller.cards(hook({"conditions": sent})) == []

    @pytest.mark.parametrize(
        ("sent", "said"),
        [
            (OUTCOME, "the EHR could not read it"),
            (bundle(OUTCOME), "could not read all of it"),
            (bundle(following=f"{EHR}?page=2"), "more pages"),
            (TWITCHING, "no Bundle"),
            ("Condition/1", "no Bundle"),
            ([], "no Bundle"),
            ({"resourceType": "Bundle", "entry": {"resource": TWITCHING}}, "no Bundle"),
            (bundle({**TWITCHING, "clinicalStatus": "active"}), "not FHIR R4: Condition.clinicalStatus"),
            (bundle({"resourceType": "Conditions"}), "not FHIR R4"),
        ],
    )
    def test_what_does_not_tell_is_not_at_hand(self, caller: Caller, sent: Any, said: str) -> None:
        (error,) = caller.errors(hook({"conditions": sent}), 412)
        assert said in error["message"]

    @pytest.mark.parametrize(
        "prefetch",
        [
            None,
            {},
            {"conditions": OUTCOME},
            {"conditions": bundle(OUTCOME)},
            {"conditions": bundle(following=f"{EHR}?page=2")},
        ],
    )
    def test_what_is_not_at_hand_is_read_with_the_token_of_the_request(
        self,
        caller_of: Callable[[FakeServer], Caller],
        opened: list[tuple[str, str]],
        prefetch: Json | None,
    ) -> None:
        server = FakeServer({"Condition": bundle(TWITCHING)})
        caller = caller_of(server)
        assert kinds(caller.cards(hook(prefetch, fhirAuthorization=AUTHORIZATION))) == [ASK]
        assert opened == [(EHR, "token-of-the-ehr")]
        template = caller.discover()["prefetch"]["conditions"]
        assert server.asked == [template.replace("{{context.patientId}}", "1")]

    def test_what_came_along_is_not_read_again(
        self, caller_of: Callable[[FakeServer], Caller], opened: list[tuple[str, str]]
    ) -> None:
        caller_of(FakeServer({})).cards(hook(CHART, fhirAuthorization=AUTHORIZATION))
        assert opened == []

    def test_where_everything_was_answered_recently_no_chart_is_read(
        self, caller_of: Callable[[FakeServer], Caller], opened: list[tuple[str, str]], answered: Answered
    ) -> None:
        answered("case-01")
        assert caller_of(FakeServer({})).cards(hook(fhirAuthorization=AUTHORIZATION)) == []
        assert opened == []

    @pytest.mark.parametrize("prefetch", [None, {}, {"other": bundle()}])
    def test_what_is_not_at_hand_and_cannot_be_read_is_named(self, caller: Caller, prefetch: Json | None) -> None:
        (error,) = caller.errors(hook(prefetch), 412)
        assert error["expression"] == "prefetch.conditions"
        assert "Condition?patient=" in error["message"]
        assert "fhirAuthorization" in error["message"]

    def test_a_server_that_is_not_listed_is_never_asked(
        self, caller_of: Callable[[FakeServer], Caller], opened: list[tuple[str, str]]
    ) -> None:
        caller = caller_of(FakeServer({"Condition": bundle(TWITCHING)}))
        elsewhere = hook(fhirServer="https://evil.example/fhir", fhirAuthorization=AUTHORIZATION)
        assert "is not asked" in caller.errors(elsewhere, 412)[0]["message"]
        assert opened == []

    @pytest.mark.parametrize("server", [FakeServer({}), FakeServer({"Condition": None})])
    def test_a_server_that_does_not_answer_is_told_of(
        self, caller_of: Callable[[FakeServer], Caller], server: FakeServer
    ) -> None:
        (error,) = caller_of(server).errors(hook(fhirAuthorization=AUTHORIZATION), 412)
        assert "the FHIR server" in error["message"]

    def test_a_pressing_result_is_told_also_where_the_chart_cannot_be_read(
        self, caller: Caller, answered: Answered, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        answered("case-07")
        clock.now = AUTHORED + 400 * DAY
        assert kinds(caller.cards(hook())) == [CRITICAL]
        assert "could not be read whole" in caplog.text

    def test_what_came_of_the_first_page_counts_where_the_second_cannot_be_read(self, caller: Caller) -> None:
        assert kinds(caller.cards(hook({"conditions": bundle(TWITCHING, following=f"{EHR}?p=2")}))) == [ASK]


class TestWithAServerThatIsReallyAsked:
    @pytest.fixture
    def issuer(self, tmp_path: Path) -> Iterator[str]:
        folder = tmp_path / "served" / "fhir"
        folder.mkdir(parents=True)
        (folder / "Condition").write_text(json.dumps(bundle(TWITCHING)), encoding="utf-8")
        with served_folder(folder.parent) as port:
            yield f"http://127.0.0.1:{port}/fhir"

    def test_its_conditions_are_read(self, caller: Caller, issuer: str) -> None:
        for server in (issuer, f"{issuer}/"):
            assert kinds(caller.cards(hook(fhirServer=server, fhirAuthorization=AUTHORIZATION))) == [ASK]

    def test_an_answer_that_is_none_is_told_of(self, caller: Caller, issuer: str, tmp_path: Path) -> None:
        (tmp_path / "served" / "fhir" / "Condition").unlink()
        (error,) = caller.errors(hook(fhirServer=issuer, fhirAuthorization=AUTHORIZATION), 412)
        assert "HTTP 404" in error["message"]


class TestRequests:
    @pytest.mark.parametrize(
        ("elements", "place"),
        [
            ({"hook": None}, "hook"),
            ({"hook": "order-sign"}, "hook"),
            ({"hookInstance": None}, "hookInstance"),
            ({"hookInstance": "1"}, "hookInstance"),
            ({"context": None}, "context"),
            ({"context": {"userId": "Practitioner/9"}}, "context.patientId"),
            ({"context": {"userId": "Practitioner/9", "patientId": "../1"}}, "context.patientId"),
            ({"context": {"userId": "9", "patientId": "1"}}, "context.userId"),
            ({"fhirServer": "ehr.example"}, "fhirServer"),
            ({"fhirServer": "https://[ehr.example"}, "fhirServer"),
            ({"fhirServer": "https://ehr.example/fhir?x=1"}, "fhirServer"),
            ({"fhirServer": None, "fhirAuthorization": AUTHORIZATION}, "fhirServer"),
            ({"fhirAuthorization": {**AUTHORIZATION, "access_token": "a\r\nb"}}, "fhirAuthorization.access_token"),
            ({"fhirAuthorization": {**AUTHORIZATION, "token_type": "MAC"}}, "fhirAuthorization.token_type"),
            ({"fhirAuthorization": {**AUTHORIZATION, "expires_in": "300"}}, "fhirAuthorization.expires_in"),
            ({"fhirAuthorization": {**AUTHORIZATION, "patient": "2"}}, "fhirAuthorization.patient"),
            ({"prefetch": []}, "prefetch"),
        ],
    )
    def test_what_is_wrong_is_named_by_its_place(self, caller: Caller, elements: Json, place: str) -> None:
        assert [one["expression"] for one in caller.errors(hook(**elements), 400)] == [place]

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"hook": "a", "hook": "b"}'])
    def test_what_is_no_json_object_is_refused(self, caller: Caller, body: bytes) -> None:
        caller.errors(body, 400)

    def test_null_stands_for_what_is_not_there(self, caller: Caller) -> None:
        body = {**hook(CHART), "fhirAuthorization": None}
        assert kinds(caller.cards(body)) == [ASK]

    def test_other_addresses_methods_and_types_are_refused_in_json(self, caller: Caller) -> None:
        assert "GET /cds-services lists" in caller.errors(hook(CHART), 404, "/cds-services/other")[0]["message"]
        assert "GET /cds-services lists" in caller.errors({}, 404, "/cds-services/other/feedback")[0]["message"]
        assert caller.errors(b"x", 415, **{"Content-Type": "text/plain"})
        refused = caller.http.get("/cds-services/symptom-intake")
        assert (refused.status_code, refused.content_type) == (405, "application/json")
        assert "POST" in refused.headers["Allow"]
        assert refused.json["errors"]


def test_addresses_are_those_that_clients_know(services: Services, answered: Answered) -> None:
    site = replace(services.site(), public_url="https://intake.example/symptoms")
    caller = Caller(create_app(site).test_client())
    answered("case-07")
    (result,) = caller.cards(hook(CHART))
    assert result["links"][0]["url"] == "https://intake.example/symptoms/launch"


class TestCors:
    @pytest.fixture
    def browser_caller(self, services: Services) -> Caller:
        return Caller(create_app(replace(services.site(), cors_origins=("https://ehr.example",))).test_client())

    def test_a_browser_at_a_listed_origin_may_call(self, browser_caller: Caller) -> None:
        asked = {"Origin": "https://ehr.example", "Access-Control-Request-Method": "POST"}
        for path in ("/cds-services", "/cds-services/symptom-intake", "/cds-services/symptom-intake/feedback"):
            preflight = browser_caller.http.options(path, headers=asked)
            assert preflight.headers["Access-Control-Allow-Origin"] == "https://ehr.example"
            assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
        answer = browser_caller.post(hook(CHART), Origin="https://ehr.example")
        assert answer.headers["Access-Control-Allow-Origin"] == "https://ehr.example"

    def test_one_elsewhere_may_not(self, browser_caller: Caller) -> None:
        answer = browser_caller.post(hook(CHART), Origin="https://evil.example")
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        ({"cards": [], "systemActions": []}, "$.systemActions"),
        ({}, "$.cards"),
        ({"cards": [{"summary": "s", "indicator": "info", "source": {"label": ""}}]}, "$.cards[0].source.label"),
        ({"cards": [{"summary": "s" * 140, "indicator": "info", "source": {"label": "l"}}]}, "$.cards[0].summary"),
        ({"cards": [{"summary": "s", "indicator": "hard-stop", "source": {"label": "l"}}]}, "$.cards[0].indicator"),
        (
            {
                "cards": [
                    {
                        "summary": "s",
                        "indicator": "info",
                        "source": {"label": "l"},
                        "links": [{"label": "l", "url": "https://a.example", "type": "absolute", "appContext": "x"}],
                    }
                ]
            },
            "$.cards[0].links[0]",
        ),
    ],
)
def test_the_logical_models_refuse_what_the_specification_does(answer: Json, place: str) -> None:
    assert [where for where, _ in faults(RESPONSE, answer)] == [place]
