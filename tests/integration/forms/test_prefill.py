"""First answers from the patient's record: they show where they come from, and wait to be confirmed."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest

from service.bootstrap import Services
from service.fhir.elements import extensions
from service.sdc.vocabulary import ANSWER_SOURCE
from service.web.app import create_app
from tests.integration.answers import item
from tests.integration.forms.browser import Browser
from tests.integration.forms.test_form import FORM, NO, QUIET, YES, fill_quietly, only_response
from tests.integration.patient_record import ATC, FakeServer, bundle, concept, patient, request_for

RECORD = {
    "Patient?_id=1": bundle(patient(birthDate="1980-05-17")),
    "MedicationRequest": bundle(request_for("water-tablet", concept(ATC, "C03CA01"))),
}


def browser_with(services: Services, server: FakeServer) -> Browser:
    """A browser on a service whose FHIR server is `server`."""
    population = replace(services.population, open_server=lambda: nullcontext(server))
    drafts = replace(services.site().drafts, population=population)
    return Browser(create_app(replace(services.site(), population=population, drafts=drafts)))


@pytest.fixture
def server() -> FakeServer:
    return FakeServer(RECORD)


@pytest.fixture
def browser(services: Services, server: FakeServer) -> Browser:
    browser = browser_with(services, server)
    fill_quietly(browser, until=4, address=f"{FORM}?patient=1")
    return browser


def test_the_origin_is_shown_and_the_answer_chosen(browser: Browser) -> None:
    page = browser.page
    assert "This comes from your health record (Patient/1). Please check it." in page.text
    assert page.values("age-16-or-over") == [YES]
    assert page.values("age-16-or-over.confirm") == []


def test_unconfirmed_it_is_no_answer(browser: Browser, services: Services) -> None:
    page = browser.send(pregnant="60001007")
    assert page.status == 422
    assert "Confirm that it is right, or change it." in page.text
    with pytest.raises(StopIteration):
        item(only_response(services), "age-16-or-over")
    page = browser.open(page.address.rpartition("/")[0] + "/check")
    assert browser.send().status == 422


def test_confirmed_it_is_an_answer_that_names_its_origin(browser: Browser, services: Services) -> None:
    page = browser.send(pregnant="60001007", age_16_or_over__confirm="yes")
    assert "Step 6 of 6" in page.heading
    found = item(only_response(services), "age-16-or-over")
    assert found["answer"][0]["valueCoding"]["code"] == YES
    [origin] = extensions(found, ANSWER_SOURCE)
    assert origin["valueReference"]["reference"] == "Patient/1"
    # Seen again, there is nothing more to confirm.
    page = browser.follow("Back")
    assert page.values("age-16-or-over") == [YES]
    assert "This comes from your health record" not in page.text


def test_changed_it_is_the_persons_own(browser: Browser, services: Services) -> None:
    browser.send(pregnant="60001007", age_16_or_over=NO)
    found = item(only_response(services), "age-16-or-over")
    assert found["answer"][0]["valueCoding"]["code"] == NO
    assert list(extensions(found, ANSWER_SOURCE)) == []


def test_changed_after_it_was_confirmed_it_loses_its_origin(browser: Browser, services: Services) -> None:
    browser.send(pregnant="60001007", age_16_or_over__confirm="yes")
    browser.follow("Back")
    browser.send(age_16_or_over=NO)
    assert "extension" not in item(only_response(services), "age-16-or-over")


def test_a_proposal_counts_in_no_triage_before_it_is_confirmed(browser: Browser, services: Services) -> None:
    browser.send(pregnant="60001007", age_16_or_over__confirm="yes")
    page = browser.page
    assert page.values("medicines") == ["C03"]
    assert "MedicationRequest/water-tablet" in page.text
    assert item(only_response(services), "age-16-or-over")
    assert services.store.proposal(only_response(services)["id"]) is not None


def test_the_whole_way_with_a_record(browser: Browser, services: Services) -> None:
    browser.send(pregnant="60001007", age_16_or_over__confirm="yes")
    answers = {name: value for name, value in QUIET[5].items() if name != "medicines"}
    browser.send(**answers, medicines__confirm="yes")
    browser.send(medicine_suspected=NO)
    page = browser.send()
    assert page.heading.endswith("Call your provider")
    response = only_response(services)
    assert response["status"] == "completed"
    # What the record said is not kept beside a response that was sent.
    assert services.store.proposal(response["id"]) is None


def test_the_record_is_asked_once_and_not_before_the_danger_signs(services: Services, server: FakeServer) -> None:
    browser = browser_with(services, server)
    browser.open(f"{FORM}?patient=1")
    assert server.asked == []
    browser.send(danger_signs=["249489001"])
    assert server.asked == [], "a person in danger does not wait for a record"
    browser.follow("go on")
    browser.send(**QUIET[1])
    asked = len(server.asked)
    assert asked > 0
    browser.send(**QUIET[2])
    assert len(server.asked) == asked


def test_a_record_that_cannot_be_read_leaves_the_form_as_it_is(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    browser = browser_with(services, FakeServer({"Patient": None, "MedicationRequest": None}))
    fill_quietly(browser, until=4, address=f"{FORM}?patient=1")
    assert browser.page.values("age-16-or-over") == []
    assert "a first answer for a form is missing" in caplog.text


def test_nobodys_record_is_asked_for_an_unknown_person(services: Services, server: FakeServer) -> None:
    browser = browser_with(services, server)
    fill_quietly(browser)
    assert server.asked == []
