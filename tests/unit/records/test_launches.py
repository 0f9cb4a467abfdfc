"""Launches from asking for authorization to tokens for writing later, against a server by script."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from service.adapters.database import Database
from service.adapters.secrets import FernetBox, new_key
from service.packs import Pack, load_packs, shipped_pages
from service.records.ehr import Ehr, SmartConfiguration
from service.records.launches import BackendTokens, Departure, Launches
from service.records.library import Library
from service.records.scopes import ScopeSyntax
from service.records.smart import Failure, LaunchFailed
from tests.unit.records.samples import Clock

ISSUER = "https://ehr.example/fhir"
EHR = Ehr(ISSUER, "The EHR", "app")
REDIRECT = "https://app.example/callback"
WHOLE = "patient/*.cruds"


@dataclass
class ScriptedEhr:
    """An authorization server that gives what a test wants, and remembers what it was asked."""

    answer: dict[str, Any] = field(default_factory=lambda: {"patient": "p1", "scope": WHOLE, "expires_in": 3600})
    claims: dict[str, Any] = field(default_factory=dict)
    refuses_refresh: bool = False
    jwks_uri: str | None = "https://auth.example/jwks"
    asked: list[Mapping[str, str]] = field(default_factory=list)
    refreshed: list[str] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: count(1))

    def discover(self) -> SmartConfiguration:
        return SmartConfiguration(
            "https://auth.example/authorize",
            "https://auth.example/token",
            "https://auth.example",
            self.jwks_uri,
            ScopeSyntax.V2,
        )

    def authorization_url(self, configuration: SmartConfiguration, parameters: Mapping[str, str]) -> str:
        self.asked.append(parameters)
        return configuration.authorization_endpoint

    def exchange(self, configuration: SmartConfiguration, code: str, verifier: str, redirect_uri: str) -> Any:
        self.asked.append({"code": code, "code_verifier": verifier, "redirect_uri": redirect_uri})
        return {"access_token": f"access-{next(self.numbers)}", **self.answer}

    def refresh(self, configuration: SmartConfiguration, refresh_token: str) -> Any:
        self.refreshed.append(refresh_token)
        if self.refuses_refresh:
            raise LaunchFailed(Failure.REFUSED, "invalid_grant")
        number = next(self.numbers)
        return {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}", "expires_in": 3600}

    def backend_token(self, configuration: SmartConfiguration, scopes: Sequence[str]) -> Any:
        self.asked.append({"scope": " ".join(scopes)})
        return {"access_token": f"backend-{next(self.numbers)}", "expires_in": 300}

    def identity(self, configuration: SmartConfiguration, id_token: str, nonce: str) -> Mapping[str, Any]:
        self.asked.append({"id_token": id_token, "nonce": nonce})
        return self.claims


@pytest.fixture(scope="module")
def page() -> Pack:
    return load_packs(shipped_pages() / "muscle-fasciculation")[0]


@pytest.fixture
def ehr_server() -> ScriptedEhr:
    return ScriptedEhr()


@pytest.fixture
def launches(page: Pack, store: Database, ehr_server: ScriptedEhr, clock: Clock) -> Launches:
    ids, secrets = count(1), count(1)
    key = new_key()
    return Launches(
        ehrs={ISSUER: EHR},
        store=store,
        box=FernetBox(lambda: [key]),
        server=lambda ehr: ehr_server,
        pages=Library((page,), ()),
        published=(page,),
        clock=clock,
        new_id=lambda: f"id-{next(ids)}",
        new_secret=lambda: f"secret-{next(secrets)}",
    )


def departed(launches: Launches, ehr_server: ScriptedEhr, launch: str | None = "xyz") -> tuple[Departure, str]:
    """A launch under way, and its state."""
    departure = launches.begin(ISSUER, launch, None, REDIRECT)
    return departure, ehr_server.asked[-1]["state"]


class TestBeginning:
    def test_what_is_asked_of_the_ehr(self, launches: Launches, ehr_server: ScriptedEhr) -> None:
        departed(launches, ehr_server)
        asked = ehr_server.asked[-1]
        assert (asked["aud"], asked["launch"], asked["redirect_uri"]) == (ISSUER, "xyz", REDIRECT)
        assert asked["code_challenge_method"] == "S256"
        assert {"openid", "fhirUser", "launch", "patient/Observation.crus"} <= set(asked["scope"].split())
        assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3

    def test_aud_is_the_iss_to_the_letter(self, launches: Launches, ehr_server: ScriptedEhr) -> None:
        launches.begin(f"{ISSUER}/", "xyz", None, REDIRECT)
        assert ehr_server.asked[-1]["aud"] == f"{ISSUER}/"

    def test_standalone_no_launch_is_echoed(self, launches: Launches, ehr_server: ScriptedEhr) -> None:
        departed(launches, ehr_server, launch=None)
        assert "launch" not in ehr_server.asked[-1]
        assert "launch/patient" in ehr_server.asked[-1]["scope"].split()

    def test_an_identity_that_nobody_could_verify_is_not_asked_for_nor_taken(
        self, launches: Launches, ehr_server: ScriptedEhr
    ) -> None:
        ehr_server.jwks_uri = None
        ehr_server.answer["id_token"] = "jwt"
        departure, state = departed(launches, ehr_server)
        assert not {"openid", "fhirUser"} & set(ehr_server.asked[-1]["scope"].split())
        assert "nonce" not in ehr_server.asked[-1]
        assert launches.finish(state, departure.binding, "code", None).user is None

    @pytest.mark.parametrize("issuer", ["", "https://elsewhere.example/fhir", "https://ehr.example/fhir.evil.example"])
    def test_an_issuer_that_is_not_on_the_list(self, launches: Launches, issuer: str) -> None:
        with pytest.raises(LaunchFailed) as failed:
            launches.begin(issuer, "xyz", None, REDIRECT)
        assert failed.value.kind is Failure.UNKNOWN_ISSUER

    def test_what_waits_is_encrypted(self, launches: Launches, ehr_server: ScriptedEhr, store: Database) -> None:
        departed(launches, ehr_server)
        with store._engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT state, sealed FROM launch_request").all()
        assert len(rows) == 1
        assert not any(word in str(rows) for word in ("secret-", "verifier", ISSUER))


class TestReturning:
    def test_tokens_context_and_person(self, launches: Launches, ehr_server: ScriptedEhr, page: Pack) -> None:
        ehr_server.answer |= {"id_token": "jwt", "encounter": "e1"}
        ehr_server.claims = {"fhirUser": "Practitioner/9"}
        departure, state = departed(launches, ehr_server)
        nonce = ehr_server.asked[-1]["nonce"]
        arrival = launches.finish(state, departure.binding, "code", None)
        assert (arrival.context.patient, arrival.context.encounter, arrival.user) == (
            "p1",
            "Encounter/e1",
            "Practitioner/9",
        )
        assert arrival.pack is page
        assert ehr_server.asked[-1] == {"id_token": "jwt", "nonce": nonce}
        assert ehr_server.asked[-2]["redirect_uri"] == REDIRECT
        assert launches.token(ISSUER, "p1") == "access-1"

    @pytest.mark.parametrize("binding", [None, "", "another"])
    def test_another_browser_cannot_take_it_up(
        self, launches: Launches, ehr_server: ScriptedEhr, binding: str | None
    ) -> None:
        _, state = departed(launches, ehr_server)
        with pytest.raises(LaunchFailed) as failed:
            launches.finish(state, binding, "code", None)
        assert failed.value.kind is Failure.NOT_OURS
        assert launches.token(ISSUER, "p1") is None

    def test_a_state_is_good_once(self, launches: Launches, ehr_server: ScriptedEhr) -> None:
        departure, state = departed(launches, ehr_server)
        launches.finish(state, departure.binding, "code", None)
        with pytest.raises(LaunchFailed):
            launches.finish(state, departure.binding, "code", None)

    def test_a_state_that_is_none_or_old(self, launches: Launches, ehr_server: ScriptedEhr, clock: Clock) -> None:
        departure, state = departed(launches, ehr_server)
        with pytest.raises(LaunchFailed):
            launches.finish("guessed", departure.binding, "code", None)
        clock.now += timedelta(minutes=16)
        with pytest.raises(LaunchFailed):
            launches.finish(state, departure.binding, "code", None)

    def test_launch_context_missing_from_the_token_response(self, launches: Launches, ehr_server: ScriptedEhr) -> None:
        del ehr_server.answer["patient"]
        departure, state = departed(launches, ehr_server)
        with pytest.raises(LaunchFailed, match="did not say whose record is open"):
            launches.finish(state, departure.binding, "code", None)

    @pytest.mark.parametrize("told", ["access_denied", "<script>", None])
    def test_a_refusal_repeats_only_a_plain_code(
        self, launches: Launches, ehr_server: ScriptedEhr, told: str | None
    ) -> None:
        departure, state = departed(launches, ehr_server)
        with pytest.raises(LaunchFailed) as failed:
            launches.finish(state, departure.binding, None, told)
        assert failed.value.kind is Failure.REFUSED
        assert "<" not in str(failed.value)

    def test_scopes_dropped_silently_are_named(self, launches: Launches, ehr_server: ScriptedEhr) -> None:
        ehr_server.answer["scope"] = "openid patient/*.rs patient/QuestionnaireResponse.cruds"
        departure, state = departed(launches, ehr_server)
        with pytest.raises(LaunchFailed) as failed:
            launches.finish(state, departure.binding, "code", None)
        assert failed.value.kind is Failure.SCOPES_MISSING
        assert "patient/Observation.crus" in str(failed.value)
        assert "QuestionnaireResponse" not in str(failed.value)

    def test_what_cannot_be_read_is_told_and_the_form_goes_on(
        self, launches: Launches, ehr_server: ScriptedEhr
    ) -> None:
        written = ("QuestionnaireResponse", "Observation", "Condition", "Provenance")
        ehr_server.answer["scope"] = " ".join(["patient/Patient.rs", *(f"patient/{one}.crus" for one in written)])
        departure, state = departed(launches, ehr_server)
        arrival = launches.finish(state, departure.binding, "code", None)
        assert arrival.missing == ("patient/MedicationRequest.rs", "patient/MedicationStatement.rs")

    def test_a_questionnaire_that_is_not_published(self, launches: Launches, ehr_server: ScriptedEhr) -> None:
        ehr_server.answer["fhirContext"] = [{"canonical": "https://elsewhere.example/Questionnaire/q"}]
        departure, state = departed(launches, ehr_server)
        with pytest.raises(LaunchFailed) as failed:
            launches.finish(state, departure.binding, "code", None)
        assert failed.value.kind is Failure.NO_PAGE

    @pytest.mark.parametrize(
        ("told", "page_name"),
        [
            ({}, "muscle-fasciculation"),
            ({"appContext": "other"}, "other"),
            ({"intent": "other"}, "other"),
            ({"appContext": "other", "intent": "muscle-fasciculation"}, "other"),
            ({"appContext": "no-such-page"}, "muscle-fasciculation"),
            ({"appContext": {"page": "other"}}, "muscle-fasciculation"),
        ],
    )
    def test_the_page_that_a_card_or_the_ehr_chose(
        self, launches: Launches, ehr_server: ScriptedEhr, page: Pack, told: dict[str, Any], page_name: str
    ) -> None:
        launches = replace(launches, published=(page, replace(page, name="other")))
        ehr_server.answer |= told
        departure, state = departed(launches, ehr_server)
        assert launches.finish(state, departure.binding, "code", None).pack.name == page_name


class TestTokens:
    @pytest.fixture(autouse=True)
    def _granted(self, launches: Launches, ehr_server: ScriptedEhr) -> None:
        ehr_server.answer["refresh_token"] = "refresh-0"
        departure, state = departed(launches, ehr_server)
        launches.finish(state, departure.binding, "code", None)

    def test_one_that_lasts_is_used_again(self, launches: Launches, ehr_server: ScriptedEhr) -> None:
        assert launches.token(ISSUER, "p1") == "access-1"
        assert ehr_server.refreshed == []

    def test_of_another_patient_or_ehr_there_is_none(self, launches: Launches) -> None:
        assert launches.token(ISSUER, "p2") is None
        assert launches.token("https://elsewhere.example/fhir", "p1") is None

    def test_one_that_ends_is_refreshed_and_the_new_refresh_token_is_kept(
        self, launches: Launches, ehr_server: ScriptedEhr, clock: Clock
    ) -> None:
        clock.now += timedelta(minutes=59, seconds=45)
        assert launches.token(ISSUER, "p1") == "access-2"
        clock.now += timedelta(hours=2)
        assert launches.token(ISSUER, "p1") == "access-3"
        assert ehr_server.refreshed == ["refresh-0", "refresh-2"]

    def test_one_that_was_refused_is_refreshed(self, launches: Launches) -> None:
        assert launches.token(ISSUER, "p1", refused="access-1") == "access-2"

    def test_what_cannot_be_refreshed_is_none(
        self, launches: Launches, ehr_server: ScriptedEhr, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        clock.now += timedelta(hours=2)
        ehr_server.refuses_refresh = True
        assert launches.token(ISSUER, "p1") is None
        assert "cannot be refreshed" in caplog.text
        assert "refresh-0" not in caplog.text
        assert launches.store.grants(ISSUER, "p1") == [], "what is good for nothing any more is not kept"

    def test_one_without_a_refresh_token_is_forgotten_when_it_ends(
        self, launches: Launches, ehr_server: ScriptedEhr, clock: Clock
    ) -> None:
        del ehr_server.answer["refresh_token"]
        ehr_server.answer["patient"] = "p2"
        departure, state = departed(launches, ehr_server)
        launches.finish(state, departure.binding, "code", None)
        clock.now += timedelta(minutes=59, seconds=45)
        assert launches.token(ISSUER, "p2") is None
        assert len(launches.store.grants(ISSUER, "p2")) == 1
        clock.now += timedelta(minutes=1)
        assert launches.token(ISSUER, "p2") is None
        assert launches.store.grants(ISSUER, "p2") == []

    def test_of_two_workers_that_refresh_one_token_both_get_the_new_one(
        self, launches: Launches, ehr_server: ScriptedEhr, clock: Clock
    ) -> None:
        clock.now += timedelta(hours=2)
        refresh = ehr_server.refresh

        def beaten(configuration: SmartConfiguration, refresh_token: str) -> Any:
            # The other worker is quicker; rotation makes the old refresh token worthless.
            ehr_server.refresh = refresh  # type: ignore[method-assign]
            assert launches.token(ISSUER, "p1") == "access-2"
            raise LaunchFailed(Failure.REFUSED, "invalid_grant")

        ehr_server.refresh = beaten  # type: ignore[method-assign]
        assert launches.token(ISSUER, "p1") == "access-2"

    def test_tokens_are_encrypted_at_rest(self, store: Database) -> None:
        with store._engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT * FROM launch_grant").all()
        assert len(rows) == 1
        assert not any(word in str(rows) for word in ("access-1", "refresh-0"))

    def test_with_another_key_they_are_none(self, launches: Launches, caplog: pytest.LogCaptureFixture) -> None:
        other = replace(launches, box=FernetBox(lambda: [new_key()]))
        assert other.token(ISSUER, "p1") is None
        assert "not at hand" in caplog.text

    def test_a_new_key_before_the_old_one_opens_both(self, launches: Launches, store: Database) -> None:
        old, new = new_key(), new_key()
        sealed = FernetBox(lambda: [old]).seal(json.dumps({"a": 1}))
        assert FernetBox(lambda: [new, old]).open(sealed) == '{"a": 1}'


def test_backend_tokens_are_used_until_shortly_before_their_end(ehr_server: ScriptedEhr, clock: Clock) -> None:
    tokens = BackendTokens(ehr_server, ["system/Observation.crus"], clock)
    assert [tokens(), tokens()] == ["backend-1", "backend-1"]
    assert tokens(refused="backend-1") == "backend-2"
    clock.now += timedelta(minutes=4, seconds=45)
    assert tokens() == "backend-3"
    assert ehr_server.asked[-1] == {"scope": "system/Observation.crus"}
