"""LHC-Forms, a form filler that is not ours, on a page of another origin: what it shows, yields and sends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.chromium import PageOf
from tests.browser.files import served_folder
from tests.hapi.client import Json
from tests.hapi.service import Service, serving

FOLDER = Path(__file__).parent / "lforms"
PAGE = "muscle-fasciculation"
CANONICAL_BASE = "https://symptom-intake.example/fhir"

QUIET = {
    "danger-signs": "None of these",
    "episode-duration": "Seconds",
    "frequency": "Infrequent",
    "muscles": "Eyelid",
    "side": "Left",
    "same-location": "Yes",
    "eyes-forced-shut": "No",
    "weakness": "None of these",
    "symptoms": "None of these",
    "age-16-or-over": "Yes",
    "pregnant": "Not pregnant",
    "diet": "None of these",
    "triggers": "Stress",
    "diagnosed-condition": "None of these",
}


class Filler:
    """The published questionnaire on LHC-Forms' page, and what a person does there."""

    def __init__(self, page: Page, service: Service) -> None:
        self._page = page
        self._base = service.fhir.base_url

    def asks(self, link_id: str) -> Locator:
        """Where a question is answered."""
        return self._page.locator(f'[id="item-{link_id}/1/1"]')

    def choose(self, link_id: str, option: str) -> None:
        """Choose an option; where several may be chosen, again to take it back."""
        # LHC-Forms draws over its inputs, so that they cannot be checked themselves.
        self.asks(link_id).get_by_text(option, exact=True).click()

    def write(self, link_id: str, text: str) -> None:
        """Answer a question with options in own words."""
        self.choose(link_id, "Other")
        field = self.asks(link_id).locator("input.lhc-answer-other-input")
        field.press_sequentially(text)
        field.press("Tab")

    def date(self, link_id: str, text: str) -> None:
        """Type a date, and leave the field."""
        field = self.asks(link_id).get_by_role("textbox")
        field.click()
        field.fill(text)
        field.press("Tab")

    def filled(self) -> Json:
        """The QuestionnaireResponse that LHC-Forms yields."""
        response: Json = self._page.evaluate("filled()")
        return response

    def send(self, response: Json) -> tuple[int, Json]:
        """Send a response from the page, as the one of Patient/1."""
        address = f"{self._base}/QuestionnaireResponse"
        sent = {**response, "subject": {"reference": "Patient/1"}}
        status, body = self._page.evaluate("([address, response]) => send(address, response)", [address, sent])
        return status, body


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """Where LHC-Forms' page is served."""
    with served_folder(FOLDER) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def service(origin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Our service, which lets that page call it."""
    with serving(tmp_path_factory.mktemp("service"), fhir_server_url=None, CORS_ORIGINS=origin) as service:
        yield service


@pytest.fixture
def filler(page_of: PageOf, origin: str, service: Service) -> Filler:
    # Each test has something refused; Chromium tells of it as an error.
    page = page_of(complaints=("status of 422",))

    def publish(route: Route) -> None:
        reference = route.request.url.removeprefix(f"{CANONICAL_BASE}/")
        route.fulfill(json=service.fhir.read(reference), headers={"Access-Control-Allow-Origin": "*"})

    # Expressions resolve concept maps where their canonicals say, a name that is reserved: we answer there.
    page.route(f"{CANONICAL_BASE}/**", publish)
    page.goto(f"{origin}/filler.html")
    page.evaluate("address => show(address)", f"{service.fhir.base_url}/Questionnaire/{PAGE}")
    return Filler(page, service)


def test_a_case_is_refused_while_a_question_is_open_and_then_kept_and_triaged(filler: Filler, service: Service) -> None:
    expect(filler.asks("eyes-forced-shut")).to_have_count(0)
    for link_id, option in QUIET.items():
        filler.choose(link_id, option)
    filler.date("first-noticed", (date.today() - timedelta(days=3)).strftime("%m/%d/%Y"))
    filler.write("medicines", "Magnesium")

    status, outcome = filler.send(filler.filled())
    assert status == 422
    assert _issues(outcome) == [("required-missing", "QuestionnaireResponse.item[5]")]
    assert "'medicine-suspected'" in outcome["issue"][0]["details"]["text"]

    filler.choose("medicine-suspected", "No")
    response = filler.filled()
    assert response["questionnaire"].startswith(f"{CANONICAL_BASE}/Questionnaire/{PAGE}|")
    assert response["status"] == "completed"
    assert "authored" in response
    status, kept = filler.send(response)
    assert status == 201
    assert _answers(kept, "medicines") == [{"valueString": "Magnesium"}]

    triage = service.fhir.read(f"QuestionnaireResponse/{kept['id']}/$assess")
    assert triage["valueCodeableConcept"]["coding"][0]["code"] == "self-care"
    assert [component["code"]["coding"][0]["code"] for component in triage["component"]] == ["H1"]


def test_an_option_that_stands_alone_is_refused_beside_another(filler: Filler) -> None:
    # LHC-Forms does not know exclusive options.
    alone = ("exclusive-option-combined", "QuestionnaireResponse.item[0].item[0].answer")
    filler.choose("danger-signs", "Choking")
    filler.choose("danger-signs", "None of these")
    status, outcome = filler.send(filler.filled())
    assert status == 422
    assert alone in _issues(outcome)

    filler.choose("danger-signs", "None of these")
    status, outcome = filler.send(filler.filled())
    assert status == 422
    assert alone not in _issues(outcome)


def _issues(outcome: Json) -> list[tuple[str, str]]:
    """Our code and the element of each error."""
    return [
        (issue["details"]["coding"][0]["code"], issue["expression"][0])
        for issue in outcome["issue"]
        if issue["severity"] == "error"
    ]


def _answers(response: Json, link_id: str) -> list[Json]:
    """The answers to a question, which stands in a group."""
    questions = (question for group in response["item"] for question in group["item"])
    return next(question["answer"] for question in questions if question["linkId"] == link_id)
