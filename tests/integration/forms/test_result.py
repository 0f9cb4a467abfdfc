"""The patient's result page: what to do, why, what could not be judged, and where the answers are."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service.bootstrap import Services
from service.fhir.models import model_issues
from service.records import outbox
from service.records.outbox import Problem, Reason
from service.records.submission import Sender
from service.web.app import create_app
from tests.integration.answers import MakeResponse
from tests.integration.forms.browser import Browser, Page
from tests.integration.forms.conftest import NOW

TARGET = "https://ehr.example/fhir"
LEASE = timedelta(minutes=5)


@pytest.fixture
def services(services: Services) -> Services:
    """The service with a FHIR server to deliver to."""
    return replace(services, intake=replace(services.intake, target_base_url=TARGET))


@pytest.fixture
def browser(services: Services) -> Browser:
    return Browser(create_app(services.site()))


@pytest.fixture
def submit(services: Services, make_response: MakeResponse) -> Any:
    """Submits the response of a case, as a patient app would; gives its id."""

    def submit(case: str, **elements: Any) -> str:
        response = make_response(case, authored="2026-03-15T08:00:00+01:00", **elements)
        return services.intake.submit(response, Sender("app")).id

    return submit


def result(browser: Browser, response_id: str) -> Page:
    page = browser.open(f"/responses/{response_id}")
    assert page.status == 200
    return page


REFUSED = Problem(Reason.REFUSED, "no such patient")


def settle(services: Services, transition: Any) -> None:
    """What became of the delivery that is due."""
    letter = services.store.lease(TARGET, NOW, lambda found: outbox.take(found, "worker", NOW, LEASE))
    assert letter is not None
    assert services.store.change(letter, transition(letter, NOW))


def said_before(page: Page, *texts: str) -> None:
    """Asserts that the page says these texts, in this order."""
    places = [page.text.find(text) for text in texts]
    assert -1 not in places, [text for text, place in zip(texts, places, strict=True) if place == -1]
    assert places == sorted(places)


def test_the_level_comes_first_then_what_to_do_then_why_with_sources(browser: Browser, submit: Any) -> None:
    page = result(browser, submit("case-08"))
    said_before(
        page,
        "Same day or emergency",
        "Get medical help today",
        "Ask before you take the next dose.",
        "Emergency: call 911",
        "Why",
        "Twitching while taking lithium or theophylline",
        "Lithium (for example Priadel, Camcolit)",
        "NHS Greater Glasgow and Clyde",
        "[guidance]",
        "For your personal medical record",
        "Where your answers are",
        "This is information only.",
    )


@pytest.mark.parametrize(
    ("case", "level"),
    [("case-01", "Self-care"), ("case-03", "Call your provider"), ("case-05", "Be seen within days")],
)
def test_levels_in_words(browser: Browser, submit: Any, case: str, level: str) -> None:
    page = result(browser, submit(case))
    assert page.heading.endswith(level)
    assert "call 911" not in page.text


def test_home_care_and_triggers_are_for_people_without_a_warning_sign(browser: Browser, submit: Any) -> None:
    calm = "What often sets off harmless twitches"
    assert calm in result(browser, submit("case-01")).text
    assert calm in result(browser, submit("case-03")).text
    for case in ("case-05", "case-08"):
        page = result(browser, submit(case))
        assert calm not in page.text
        assert "usually no treatment" not in page.text
        assert "When to call, and when to get emergency help" in page.text


def test_what_could_not_be_judged_names_the_question(browser: Browser, submit: Any) -> None:
    page = result(browser, submit("c9-everything-unsure"))
    said_before(page, "Something is not known", "What could not be judged", "never taken for a “no”")


def test_answers_are_said_in_the_words_of_the_form(browser: Browser, submit: Any) -> None:
    page = result(browser, submit("case-05"))
    assert "Muscles that have become thinner" in page.text
    assert "Muscle atrophy" not in page.text


def test_a_draft_has_no_result(browser: Browser, submit: Any) -> None:
    page = result(browser, submit("case-01", status="in-progress"))
    assert page.heading == "These answers are not sent yet"
    assert "Self-care" not in page.text


def test_an_urgent_draft_is_urgent(browser: Browser, submit: Any) -> None:
    assert result(browser, submit("case-07", status="in-progress")).heading.endswith("Same day or emergency")


def test_a_retracted_response_has_none(browser: Browser, submit: Any) -> None:
    page = result(browser, submit("case-08", status="entered-in-error"))
    assert page.heading == "These answers were withdrawn"


class TestWhereTheyAre:
    def test_kept_here_alone(self, services: Services, make_response: MakeResponse) -> None:
        alone = replace(services.intake, target_base_url=None)
        receipt = alone.submit(make_response("case-01"), Sender("app"))
        page = result(Browser(create_app(services.site())), receipt.id)
        assert "They are kept by this service, and were not sent anywhere else." in page.text

    def test_waiting(self, browser: Browser, submit: Any) -> None:
        assert "have not arrived yet: we keep trying" in result(browser, submit("case-01")).text

    def test_arrived(self, browser: Browser, submit: Any, services: Services) -> None:
        id_ = submit("case-01")
        settle(services, lambda letter, now: outbox.delivered(letter, now + timedelta(seconds=3)))
        text = "Delivered to your medical record on 15 March 2026 at 10:00 (UTC+01:00)."
        assert text in result(browser, id_).text

    def test_an_amended_response_says_so_and_shows_the_newest_result(
        self, browser: Browser, submit: Any, services: Services, make_response: MakeResponse
    ) -> None:
        id_ = submit("case-08")
        settle(services, outbox.delivered)
        services.intake.update(make_response("case-01", authored="2026-03-15T08:30:00+01:00"), id_, None)
        page = result(browser, id_)
        assert "Self-care" in page.heading
        said_before(page, "Your result", "The answers were changed on 15 March 2026 at 10:00")
        assert "Until then it may show the answers before." in page.text
        settle(services, outbox.delivered)
        assert "Delivered to your medical record" in result(browser, id_).text

    @pytest.mark.parametrize(
        ("settled", "text"),
        [
            (None, "may still show them: we keep trying"),
            (outbox.delivered, "Your medical record was told on 15 March 2026"),
            (lambda letter, now: outbox.buried(letter, REFUSED, now), "could not be told, and may still show them"),
        ],
    )
    def test_a_retraction_says_whether_the_record_was_told(
        self, browser: Browser, submit: Any, services: Services, make_response: MakeResponse, settled: Any, text: str
    ) -> None:
        id_ = submit("case-08")
        settle(services, outbox.delivered)
        services.intake.update(make_response("case-08", status="entered-in-error"), id_, None)
        if settled is not None:
            settle(services, settled)
        page = result(browser, id_)
        assert "These answers were withdrawn" in page.text
        assert text in page.text

    def test_what_was_discarded_is_forgotten_once_a_later_version_arrived(
        self, browser: Browser, submit: Any, services: Services, make_response: MakeResponse
    ) -> None:
        id_ = submit("case-08")
        [letter] = services.store.letters()
        services.store.change(letter, outbox.discarded(letter, "sent by post", NOW))
        assert "could not be delivered" in result(browser, id_).text
        services.intake.update(make_response("case-01", authored="2026-03-15T08:30:00+01:00"), id_, None)
        settle(services, outbox.delivered)
        assert "Delivered to your medical record" in result(browser, id_).text

    def test_given_up(self, browser: Browser, submit: Any, services: Services) -> None:
        id_ = submit("case-01")
        settle(services, lambda letter, now: outbox.buried(letter, REFUSED, now))
        page = result(browser, id_)
        assert "could not be delivered" in page.text
        assert "Tell your health care provider yourself." in page.text
        assert "no such patient" not in page.text


def test_the_download_is_everything_as_fhir(browser: Browser, submit: Any, services: Services) -> None:
    id_ = submit("case-08")
    result(browser, id_)
    answer = browser.client.get(browser.page.link("Download"))
    assert answer.headers["Content-Disposition"] == f'attachment; filename="response-{id_}.json"'
    bundle = answer.json
    assert model_issues(bundle) == []
    assert [one["resource"] for one in bundle["entry"]] == list(services.store.record(id_, 1))
