"""Launches as a browser meets them: the way to the EHR and back, what can go wrong, and the form that opens."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from service.bootstrap import Services
from service.fhir.primitives import instant
from service.records.ehr import Ehr
from service.web.app import create_app
from service.web.site import Site
from tests.integration.answers import item
from tests.integration.forms.browser import Browser, Page
from tests.integration.forms.conftest import NOW
from tests.integration.forms.test_form import QUIET, only_response
from tests.integration.patient_record import FakeServer, bundle, patient
from tests.unit.records.test_launches import ISSUER, ScriptedEhr

OTHER = "https://second.example/fhir"
EHRS = {
    ISSUER: Ehr(ISSUER, "The EHR", "app", frame_origins=("https://ehr.example",), contact="help desk, 555-0100"),
    OTHER: Ehr(OTHER, "The other EHR", "app"),
}
LAUNCH = f"/launch?iss={ISSUER}&launch=xyz"
PATIENT = patient(id="p1", birthDate="1980-05-17", name=[{"given": ["Ada"], "family": "Example"}])


@pytest.fixture
def ehr() -> ScriptedEhr:
    return ScriptedEhr()


@pytest.fixture
def record() -> FakeServer:
    server = FakeServer({"Patient/p1": PATIENT, "Patient?_id=p1": bundle(PATIENT)})
    server.base_url = ISSUER
    return server


@pytest.fixture
def site(services: Services, ehr: ScriptedEhr, record: FakeServer) -> Site:
    site = services.site()
    launches = replace(services.launches, ehrs=EHRS, server=lambda known: ehr)
    drafts = replace(site.drafts, open_ehr=lambda launch: nullcontext(record))
    return replace(
        site,
        launches=launches,
        drafts=drafts,
        ehr_reader=lambda issuer, patient: nullcontext(record),
        frame_origins=("https://ehr.example",),
    )


@pytest.fixture
def browser(site: Site) -> Browser:
    return Browser(create_app(site))


def sent_to_the_ehr(browser: Browser, address: str = LAUNCH) -> None:
    """Begin a launch; the browser now stands at the EHR."""
    first = browser.client.get(address)
    assert first.status_code == 303
    second = browser.client.get(first.headers["Location"])
    assert second.status_code == 303
    assert second.headers["Location"] == "https://auth.example/authorize"


def back(browser: Browser, ehr: ScriptedEhr, **parameters: str) -> Page:
    """Come back from the EHR with its answer to the last request."""
    state = next(asked["state"] for asked in reversed(ehr.asked) if "state" in asked)
    named = "&".join(f"{name}={value}" for name, value in ({"code": "c1", "state": state} | parameters).items())
    return browser.open(f"/callback?{named}")


class TestTheWayThrough:
    def test_from_the_ehr_to_the_form_for_its_patient(
        self, browser: Browser, ehr: ScriptedEhr, services: Services
    ) -> None:
        ehr.answer |= {"encounter": "e1", "id_token": "jwt"}
        ehr.claims = {"fhirUser": f"{ISSUER}/Practitioner/9"}
        sent_to_the_ehr(browser)
        assert ehr.asked[-1]["redirect_uri"] == "http://localhost/callback"
        page = back(browser, ehr)
        assert "Step 1 of 6" in page.heading
        assert "Patient: Ada Example, 1980-05-17" in page.text
        browser.send(danger_signs="none")
        response = only_response(services)
        assert response["subject"] == {"reference": f"{ISSUER}/Patient/p1"}
        assert response["encounter"] == {"reference": f"{ISSUER}/Encounter/e1"}
        assert response["author"] == {"reference": f"{ISSUER}/Practitioner/9"}
        assert response["source"] == response["subject"]

    @pytest.mark.parametrize(("user", "source"), [("RelatedPerson/7", "RelatedPerson/7"), ("Patient/p1", "Patient/p1")])
    def test_who_answers_is_the_patient_or_a_relative(
        self, browser: Browser, ehr: ScriptedEhr, services: Services, user: str, source: str
    ) -> None:
        ehr.answer["id_token"] = "jwt"
        ehr.claims = {"fhirUser": user}
        sent_to_the_ehr(browser)
        back(browser, ehr)
        browser.send(danger_signs="none")
        assert only_response(services)["source"] == {"reference": f"{ISSUER}/{source}"}

    def test_it_is_prefilled_and_written_back_to_that_ehr(
        self, browser: Browser, ehr: ScriptedEhr, services: Services
    ) -> None:
        sent_to_the_ehr(browser)
        back(browser, ehr)
        for answers in QUIET[:4]:
            browser.send(**answers)
        assert "This comes from your health record (Patient/p1)" in browser.page.text
        browser.send(pregnant="60001007", age_16_or_over__confirm="yes")
        browser.send(**QUIET[5])
        page = browser.send()
        assert "on their way to your medical record" in page.text
        [letter] = services.store.letters()
        assert letter.target == ISSUER
        assert item(only_response(services), "age-16-or-over")["extension"]

    def test_no_token_reaches_the_browser(self, browser: Browser, ehr: ScriptedEhr) -> None:
        ehr.answer["refresh_token"] = "refresh-0"
        sent_to_the_ehr(browser)
        page = back(browser, ehr)
        seen = [page.answer.get_data(as_text=True), *browser.visited, *(str(one) for one in page.answer.history)]
        seen += [str(cookie.value) for cookie in browser.client._cookies.values()]
        assert not any(token in text for text in seen for token in ("access-1", "refresh-0"))

    def test_the_ehr_chooses_the_page(self, browser: Browser, ehr: ScriptedEhr, everything: Any) -> None:
        ehr.answer["fhirContext"] = [{"canonical": everything.url, "type": "Questionnaire"}]
        sent_to_the_ehr(browser)
        assert back(browser, ehr).address.startswith("/forms/everything-en/")

    def test_or_the_launch_address_does(self, browser: Browser, ehr: ScriptedEhr) -> None:
        sent_to_the_ehr(browser, f"{LAUNCH}&page=everything-en")
        assert back(browser, ehr).address.startswith("/forms/everything-en/")

    def test_where_the_ehr_shows_whose_record_is_open_the_form_does_not(
        self, browser: Browser, ehr: ScriptedEhr
    ) -> None:
        ehr.answer["need_patient_banner"] = False
        sent_to_the_ehr(browser)
        assert "Ada" not in back(browser, ehr).text

    def test_standalone_the_person_chooses_the_ehr(self, browser: Browser, ehr: ScriptedEhr) -> None:
        page = browser.open("/launch")
        assert page.heading == "Where is your health record?"
        sent_to_the_ehr(browser, page.link("The EHR"))
        assert "launch" not in ehr.asked[-1]
        assert "Step 1 of 6" in back(browser, ehr).heading

    def test_what_was_not_granted_is_explained_and_the_form_goes_on(self, browser: Browser, ehr: ScriptedEhr) -> None:
        written = ("QuestionnaireResponse", "Observation", "Condition", "Provenance")
        ehr.answer["scope"] = " ".join(f"patient/{one}.cruds" for one in written)
        sent_to_the_ehr(browser)
        page = back(browser, ehr)
        assert page.heading == "Some of your record cannot be read"
        assert "patient/MedicationRequest.rs" in page.text
        assert "help desk, 555-0100" in page.text
        assert "Step 1 of 6" in browser.follow("Go on to the form").heading

    def test_the_banner_is_the_id_where_the_record_cannot_be_read(
        self, browser: Browser, ehr: ScriptedEhr, record: FakeServer
    ) -> None:
        record.answers = {"Patient": None}
        sent_to_the_ehr(browser)
        assert "Patient: p1" in back(browser, ehr).text


class TestWhatGoesWrong:
    def test_an_unknown_issuer_gets_a_page_that_says_whom_to_ask(self, browser: Browser, ehr: ScriptedEhr) -> None:
        page = browser.open("/launch?iss=https://elsewhere.example/fhir&launch=1")
        assert page.status == 403
        assert "Ask the people who look after your health record system" in page.text
        assert "http://localhost/launch" in page.text
        assert "call 911" in page.text
        assert ehr.asked == []

    def test_it_leads_nowhere_but_to_the_ehr_and_the_form(self, browser: Browser, ehr: ScriptedEhr) -> None:
        for extra in ("redirect_uri=https://evil.example", "page=//evil.example", "next=https://evil.example"):
            first = browser.client.get(f"{LAUNCH}&{extra}")
            assert urlsplit(first.headers["Location"]).netloc == ""
        sent_to_the_ehr(browser, f"{LAUNCH}&page=https://evil.example")
        assert back(browser, ehr, redirect_uri="https://evil.example").address.startswith(
            "/forms/muscle-fasciculation/"
        )

    def test_cookies_that_a_frame_does_not_keep_are_met_with_a_window_of_its_own(
        self, site: Site, ehr: ScriptedEhr
    ) -> None:
        browser = Browser(create_app(site), cookies=False)
        page = browser.open(LAUNCH)
        assert page.heading == "Open the form in a window of its own"
        query = parse_qs(urlsplit(page.link("Open the form in a new window")).query)
        assert query == {"iss": [ISSUER], "launch": ["xyz"]}
        assert ehr.asked == []

    def test_by_https_the_cookies_survive_an_ehrs_frame(self, browser: Browser) -> None:
        answer = browser.client.get(LAUNCH, base_url="https://localhost")
        cookie = answer.headers["Set-Cookie"]
        for part in ("Secure", "HttpOnly", "SameSite=None", "Partitioned"):
            assert part in cookie

    def test_behind_a_proxy_the_public_address_tells_of_https(self, site: Site) -> None:
        public = replace(site, public_url="https://intake.example")
        answer = create_app(public).test_client().get(LAUNCH)
        assert "SameSite=None" in answer.headers["Set-Cookie"]
        assert "Secure" in answer.headers["Set-Cookie"]

    def test_the_form_opens_also_where_its_own_cookie_is_not_kept(self, browser: Browser, ehr: ScriptedEhr) -> None:
        sent_to_the_ehr(browser)
        page = back(browser, ehr)
        browser.client.delete_cookie("draft", path="/forms/muscle-fasciculation")
        browser.page = page
        assert "Step 2 of 6" in browser.send(danger_signs="none").heading

    @pytest.mark.parametrize(
        ("change", "status", "text"),
        [
            ({"patient": None}, 502, "did not say whose record is open"),
            ({"scope": "openid"}, 403, "does not let this form write answers"),
            ({"fhirContext": [{"canonical": "https://elsewhere.example/q"}]}, 404, "not published here"),
        ],
    )
    def test_an_answer_of_the_ehr_that_will_not_do(
        self, browser: Browser, ehr: ScriptedEhr, change: dict[str, Any], status: int, text: str
    ) -> None:
        ehr.answer |= change
        sent_to_the_ehr(browser)
        page = back(browser, ehr)
        assert (page.status, page.heading) == (status, "The form could not be opened")
        assert text in page.text
        assert "help desk, 555-0100" in page.text

    def test_a_refusal_at_the_ehr(self, browser: Browser, ehr: ScriptedEhr) -> None:
        sent_to_the_ehr(browser)
        state = ehr.asked[-1]["state"]
        page = browser.open(f"/callback?error=access_denied&error_description=<b>x</b>&state={state}")
        assert page.status == 403
        assert "access_denied" in page.text
        assert "<b>x" not in page.answer.get_data(as_text=True)

    def test_a_return_that_belongs_to_another_browser(self, browser: Browser, ehr: ScriptedEhr) -> None:
        sent_to_the_ehr(browser)
        page = back(Browser(browser.app), ehr)
        assert page.status == 400
        assert "belongs to no launch of this browser" in page.text

    def test_a_return_that_is_loaded_again(self, browser: Browser, ehr: ScriptedEhr) -> None:
        sent_to_the_ehr(browser)
        back(browser, ehr)
        assert back(browser, ehr).status == 400


class TestFrames:
    @pytest.mark.parametrize("path", ["/launch?iss=x", "/callback", "/forms/muscle-fasciculation", "/responses/x"])
    def test_the_ehrs_that_are_listed_may_embed_the_form(self, browser: Browser, path: str) -> None:
        answer = browser.client.get(path)
        assert answer.headers["Content-Security-Policy"].endswith("frame-ancestors https://ehr.example")
        assert "X-Frame-Options" not in answer.headers

    @pytest.mark.parametrize("path", ["/", "/fhir/metadata", "/metrics"])
    def test_and_nothing_else(self, browser: Browser, path: str) -> None:
        answer = browser.client.get(path)
        assert answer.headers["Content-Security-Policy"].endswith("frame-ancestors 'none'")
        assert answer.headers["X-Frame-Options"] == "DENY"


def test_public_keys_are_published_for_ehrs(browser: Browser, services: Services) -> None:
    services.keys.rotate()
    answer = browser.client.get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert {key["alg"] for key in answer.json["keys"]} == {"ES384", "RS384"}
    assert not any("d" in key for key in answer.json["keys"])


def test_readiness_says_what_waits_for_a_launch(
    browser: Browser, ehr: ScriptedEhr, services: Services, site: Site
) -> None:
    sent_to_the_ehr(browser)
    back(browser, ehr)
    for answers in QUIET[:4]:
        browser.send(**answers)
    browser.send(pregnant="60001007", age_16_or_over__confirm="yes")
    browser.send(**QUIET[5])
    browser.send()
    known = replace(services, launches=replace(services.launches, ehrs=EHRS, server=lambda one: ehr))
    with known.store._engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM launch_grant")
    known.delivery(ISSUER).run_once()
    client = create_app(replace(site, targets=frozenset(EHRS))).test_client()
    ready = client.get("/health/ready")
    assert ready.status_code == 200
    [check] = [one for one in ready.json["checks"] if one["status"] == "warn"]
    assert "that wait for their patients' next launch: 1." in check["reason"]
    assert instant(NOW) < instant(services.store.letters()[0].due_at)
