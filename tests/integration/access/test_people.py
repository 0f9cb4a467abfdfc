"""Forms and results where the API asks for tokens: they open by a launch, an invitation, or the key of the form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from service.bootstrap import Services
from service.records.drafts import draft_id
from service.records.invitations import Invitation
from service.web.app import create_app
from tests.integration.access.conftest import Api, MakeServices
from tests.integration.answers import MakeResponse
from tests.integration.forms.browser import Browser

FORM = "/forms/muscle-fasciculation"
KEY = "the-key-of-a-form"


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(services.site())


def _invite(services: Services) -> str:
    """The link of an invitation."""
    now = datetime.now(UTC)
    services.store.keep_invitation(
        Invitation(draft_id(KEY), "muscle-fasciculation", "Patient/1", now, now + timedelta(days=1))
    )
    return f"{FORM}/{draft_id(KEY)}?key={KEY}"


@pytest.mark.parametrize("address", [FORM, f"{FORM}?patient=1", f"{FORM}?new=1", f"{FORM}/{draft_id('x')}/1?key=x"])
@pytest.mark.parametrize("fhir_server_url", [None, "https://fhir.example/r4"])
def test_nobody_begins_a_form_for_whom_they_like(
    make_services: MakeServices, address: str, fhir_server_url: str | None
) -> None:
    app = create_app(make_services(fhir_server_url=fhir_server_url).site())
    for browser in (Browser(app), Browser(app, cookies=False)):
        page = browser.open(address)
        assert page.status == 403
        assert page.heading == "This form opens by a link of your own"
        assert not [link for link in page.links if link.startswith("/forms") and "language=" not in link]


def test_an_invitation_opens_the_form_and_its_result(
    app: Flask, services: Services, make_response: MakeResponse
) -> None:
    browser, link = Browser(app), _invite(services)
    assert browser.open(link).status == 200
    services.intake.save(make_response(), draft_id(KEY), 0)
    result = browser.open(link)
    assert browser.page.address == f"/responses/{draft_id(KEY)}"
    assert result.status == 200
    assert browser.open(f"/responses/{draft_id(KEY)}/download").status == 200
    assert "Download everything as FHIR JSON" in result.text


def test_without_cookies_the_result_opens_by_the_link(
    app: Flask, services: Services, make_response: MakeResponse
) -> None:
    browser = Browser(app, cookies=False)
    services.intake.save(make_response(), draft_id(KEY), 0)
    result = browser.open(_invite(services))
    assert result.status == 200
    download = next(link for link in result.links if "download" in link)
    assert browser.open(download).status == 200


@pytest.mark.parametrize("rest", ["", "/download"])
def test_a_result_is_not_for_who_knows_its_id(
    app: Flask, services: Services, make_response: MakeResponse, rest: str
) -> None:
    services.intake.save(make_response(), draft_id(KEY), 0)
    for browser in (Browser(app), Browser(app, cookies=False)):
        for address in (f"/responses/{draft_id(KEY)}{rest}", f"/responses/{draft_id(KEY)}{rest}?key=other"):
            page = browser.open(address)
            assert page.status == 403
            assert page.heading == "This result opens by the link of its form"
        assert browser.open(f"/responses/none{rest}").status == 403


def test_a_result_opens_by_a_token(api: Api, make_response: MakeResponse) -> None:
    place = f"/responses/{api.post('/fhir/QuestionnaireResponse', make_response()).json['id']}"
    assert api.as_("patient/*.rs", patient="1").get(place).status_code == 200
    assert api.as_("patient/*.rs", patient="2").get(place).status_code == 404
    assert api.as_("patient/Observation.rs", patient="1").get(place).status_code == 403
    assert api.get(place, Authorization="Bearer invented").status_code == 401


def test_an_opened_result_is_kept_in_the_audit(
    api: Api, services: Services, app: Flask, make_response: MakeResponse
) -> None:
    services.intake.save(make_response(), draft_id(KEY), 0)
    Browser(app).open(f"/responses/{draft_id(KEY)}?key={KEY}")
    (event,) = (one["resource"] for one in api.get("/fhir/AuditEvent?patient=1").json["entry"])
    assert event["agent"][0]["who"] == {"display": "who has the key of the form"}
    assert event["agent"][0]["requestor"]


def test_the_start_page_offers_nothing_that_is_refused(app: Flask) -> None:
    browser = Browser(app)
    page = browser.open("/")
    assert "Use the link that your health care provider sent you" in page.text
    links = [link for link in page.links if link.startswith(("/", "https://intake.example/"))]
    assert len(links) > 5
    for link in links:
        path = link.removeprefix("https://intake.example")
        with browser.client.get(path, headers={"Accept": "*/*"}, follow_redirects=True) as answer:
            assert answer.status_code == 200, link
