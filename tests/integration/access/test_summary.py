"""Who opens a summary where the API asks for tokens: whoever may read the response, and clinicians by a launch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from service.bootstrap import Services
from service.records.ehr import Ehr
from service.records.submission import Sender
from service.web.app import create_app
from service.web.site import Site
from tests.integration.access.conftest import Api
from tests.integration.answers import MakeResponse
from tests.integration.forms.browser import Browser, Page
from tests.integration.forms.test_launch import back, sent_to_the_ehr
from tests.unit.records.test_launches import ISSUER, ScriptedEhr

OTHER = "https://second.example/fhir"
CLINICIAN = "Practitioner/9"


class Clock:
    """The time, as a test sets it."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ehr() -> ScriptedEhr:
    ehr = ScriptedEhr()
    ehr.answer |= {"id_token": "jwt", "scope": "openid fhirUser launch"}
    ehr.claims = {"fhirUser": CLINICIAN}
    return ehr


@pytest.fixture
def site(services: Services, ehr: ScriptedEhr, clock: Clock) -> Site:
    known = {ISSUER: Ehr(ISSUER, "The EHR", "app"), OTHER: Ehr(OTHER, "The other EHR", "app")}
    launches = replace(services.launches, ehrs=known, server=lambda one: ehr, clock=clock)
    return replace(services.site(), launches=launches, clock=clock, public_url=None)


@pytest.fixture
def app(site: Site) -> Flask:
    return create_app(site)


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


Answered = Callable[..., str]


@pytest.fixture
def answered(services: Services, make_response: MakeResponse) -> Answered:
    """Submits a response of the EHR's patient p1; gives its id."""

    def answered(case: str = "case-08", subject: str = f"{ISSUER}/Patient/p1", **elements: Any) -> str:
        response = make_response(case, subject={"reference": subject}, **elements)
        return services.intake.submit(response, Sender("app")).id

    return answered


@pytest.fixture
def launch(browser: Browser, ehr: ScriptedEhr) -> Callable[..., Page]:
    """Launches this service for the summary of a response."""

    def launch(response_id: str, issuer: str = ISSUER) -> Page:
        ehr.answer["appContext"] = f"summary/{response_id}"
        sent_to_the_ehr(browser, f"/launch?iss={issuer}&launch=xyz")
        return back(browser, ehr)

    return launch


@pytest.fixture
def audited(services: Services) -> Callable[[], list[Any]]:
    """The AuditEvents that were kept."""
    api = create_app(replace(services.site(), token_check=None)).test_client()
    return lambda: [one["resource"] for one in api.get("/fhir/AuditEvent").json.get("entry", [])]


@pytest.mark.parametrize("user", [CLINICIAN, "PractitionerRole/7", f"{ISSUER}/{CLINICIAN}"])
def test_a_clinician_is_led_from_the_chart_to_the_summary(
    launch: Any, answered: Answered, ehr: ScriptedEhr, user: str
) -> None:
    ehr.claims = {"fhirUser": user}
    id_ = answered()
    page = launch(id_)
    assert (page.status, page.address) == (200, f"/responses/{id_}/summary")
    assert page.heading.endswith("Same day or emergency")


def test_what_the_launch_grants_is_not_kept_and_no_form_begins(
    launch: Any, answered: Answered, services: Services
) -> None:
    id_ = answered()
    launch(id_)
    assert services.store.grants(ISSUER, "p1") == []
    assert services.store.launch(id_) is None


def test_the_opening_is_audited_with_the_clinician_and_the_patient(
    launch: Any, answered: Answered, audited: Callable[[], list[Any]]
) -> None:
    earlier = answered("case-02", authored="2026-03-14T08:00:00Z")
    id_ = answered()
    launch(id_)
    (event,) = audited()
    assert event["agent"][0]["who"] == {"reference": f"{ISSUER}/{CLINICIAN}"}
    assert event["agent"][1]["who"] == {"identifier": {"value": ISSUER}}
    named = [one["what"].get("reference") for one in event["entity"]]
    assert named[:1] == [f"{ISSUER}/Patient/p1"]
    assert {f"QuestionnaireResponse/{earlier}", f"QuestionnaireResponse/{id_}"} <= set(named)


def test_it_opens_the_patients_other_summaries_for_an_hour(
    launch: Any, answered: Answered, browser: Browser, clock: Clock
) -> None:
    earlier = answered("case-02", authored="2026-03-14T08:00:00Z")
    launch(answered())
    assert browser.follow("2026-03-14").address == f"/responses/{earlier}/summary"
    clock.now += timedelta(minutes=59)
    assert browser.open(f"/responses/{earlier}/summary").status == 200
    clock.now += timedelta(minutes=1)
    page = browser.open(f"/responses/{earlier}/summary")
    assert (page.status, page.heading) == (403, "This summary is not opened that way")


@pytest.mark.parametrize(
    "subject", [f"{ISSUER}/Patient/p2", f"{OTHER}/Patient/p1", "Patient/p1", f"{ISSUER}/Patient/p1x"]
)
def test_another_patients_answers_stay_closed(
    launch: Any, answered: Answered, browser: Browser, audited: Callable[[], list[Any]], subject: str
) -> None:
    theirs = answered(subject=subject)
    page = launch(theirs)
    assert (page.status, page.heading) == (403, "The summary could not be opened")
    assert launch(answered()).status == 200
    assert browser.open(f"/responses/{theirs}/summary").status == 404
    assert len(audited()) == 1


@pytest.mark.parametrize("asked", ["none", "..%2Fx"])
def test_what_is_not_there_is_told_in_the_same_words(launch: Any, answered: Answered, asked: str) -> None:
    refused = launch(answered(subject=f"{ISSUER}/Patient/p2"))
    if asked == "none":
        assert launch(asked).text == refused.text
    else:
        assert launch(asked).status == 403


@pytest.mark.parametrize("claims", [{}, {"fhirUser": "Patient/p1"}, {"fhirUser": "RelatedPerson/2"}])
def test_a_patient_or_nobody_is_refused(launch: Any, answered: Answered, ehr: ScriptedEhr, claims: Any) -> None:
    ehr.claims = claims
    page = launch(answered())
    assert (page.status, page.heading) == (403, "The summary could not be opened")


def test_without_a_verified_identity_it_stays_closed(launch: Any, answered: Answered, ehr: ScriptedEhr) -> None:
    del ehr.answer["id_token"]
    assert launch(answered()).status == 403


def test_the_address_alone_opens_nothing(browser: Browser, answered: Answered, app: Flask, launch: Any) -> None:
    id_ = answered()
    for form in ("", ".pdf"):
        assert browser.open(f"/responses/{id_}/summary{form}").status == 403
    launch(id_)
    assert Browser(app).open(f"/responses/{id_}/summary").status == 403
    stranger = Browser(app)
    stranger.client.set_cookie("clinician", "guessed", path="/responses")
    assert stranger.open(f"/responses/{id_}/summary").status == 403


@pytest.mark.parametrize("form", ["", ".pdf"])
def test_a_summary_opens_by_a_token_that_reads_the_response(api: Api, make_response: MakeResponse, form: str) -> None:
    place = f"/responses/{api.post('/fhir/QuestionnaireResponse', make_response()).json['id']}/summary{form}"
    assert api.get(place).status_code == 200
    assert api.as_("user/*.rs", fhirUser=CLINICIAN).get(place).status_code == 200
    assert api.as_("patient/*.rs", patient="1").get(place).status_code == 200
    assert api.as_("patient/*.rs", patient="2").get(place).status_code == 404
    assert api.as_("patient/Observation.rs", patient="1").get(place).status_code == 403
    assert api.get(place, Authorization="Bearer invented").status_code == 401


def test_under_tokens_links_into_the_api_are_names(api: Api, make_response: MakeResponse) -> None:
    place = f"/responses/{api.post('/fhir/QuestionnaireResponse', make_response()).json['id']}/summary"
    assert 'href="/fhir/' not in api.get(place).get_data(as_text=True)
