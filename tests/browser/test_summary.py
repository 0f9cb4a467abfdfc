"""The clinician's summary in a browser: whole on one screen, on a telephone too, with and without scripts, on paper."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from service.packs import load_packs, shipped_pages
from service.packs.vignettes import load_vignettes, vignette_response
from tests.browser.chromium import PageOf
from tests.browser.filling import press
from tests.browser.screens import DESKTOP, PHONE, Size, barriers, overflow
from tests.hapi.service import Service

PAGE = "muscle-fasciculation"


@pytest.fixture(scope="module")
def address(service: Service) -> str:
    """The summary of a person's second response."""
    (pack,) = (one for one in load_packs(shipped_pages()) if one.name == PAGE)
    known = {one.name: one for one in load_vignettes(shipped_pages() / PAGE)}

    def send(case: str, **elements: Any) -> str:
        vignette = next(one for name, one in known.items() if name.startswith(case))
        response = {**vignette_response(pack, vignette), "subject": {"reference": "Patient/summary"}, **elements}
        answer = requests.post(
            f"{service.address}/fhir/QuestionnaireResponse",
            data=json.dumps(response),
            headers={"Content-Type": "application/fhir+json"},
            timeout=30,
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    send("c9-everything-unsure", authored="2026-03-10T08:00:00+01:00")
    return f"{service.address}/responses/{send('case-05')}/summary"


@pytest.mark.parametrize("size", [pytest.param(PHONE, id="phone"), pytest.param(DESKTOP, id="desktop")])
def test_no_barrier_in_either_scheme_and_no_scrolling_sideways(page_of: PageOf, address: str, size: Size) -> None:
    page = page_of(size=size)
    page.goto(address)
    for details in page.locator("summary").all():
        details.click()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert barriers(page) == []
    assert overflow(page) == 0


def test_what_matters_is_on_the_first_screen(page_of: PageOf, address: str) -> None:
    page = page_of(size=DESKTOP)
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_be_in_viewport()
    for heading in ("Why", "Course", "Place", "Other symptoms", "Sites", "Change over time"):
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_in_viewport()
    for name in ("Body, front and back", "Levels over time"):
        expect(page.get_by_role("img", name=name)).to_be_in_viewport()


def test_the_button_copies_the_whole_note_and_says_so(page_of: PageOf, address: str) -> None:
    page = page_of(size=DESKTOP)
    page.goto(address)
    note = page.get_by_label("The same as plain text")
    page.get_by_role("button", name="Copy").press("Enter")
    expect(page.get_by_role("status")).to_have_text("Copied.")
    assert _pasted(page) == note.input_value().strip()
    assert note.input_value().startswith("Muscle twitching (muscle fasciculation): Be seen within days")


def _pasted(page: Page) -> str:
    """What the clipboard gives to a text field."""
    page.evaluate("document.getElementById('note').insertAdjacentHTML('afterend', '<textarea id=into></textarea>')")
    into = page.locator("#into")
    into.press("Control+v")
    return into.input_value().strip()


def test_without_scripts_the_text_is_there_to_be_taken_by_hand(page_of: PageOf, address: str) -> None:
    page = page_of(size=PHONE, scripts=False)
    page.goto(address)
    expect(page.get_by_role("button", name="Copy")).to_be_hidden()
    expect(page.get_by_label("The same as plain text")).to_have_attribute("readonly", "")
    page.get_by_text("resources").click()
    expect(page.get_by_role("link", name="QuestionnaireResponse here")).to_be_visible()
    press(page.get_by_role("link", name="2026-03-10"))
    expect(page.get_by_text("There are newer answers:")).to_be_visible()


def test_on_paper_there_is_what_a_reader_of_paper_can_use(page_of: PageOf, address: str) -> None:
    page = page_of(size=DESKTOP)
    page.goto(address)
    page.emulate_media(media="print")
    expect(page.get_by_role("img", name="Body, front and back")).to_be_visible()
    for name in ("Sources", "The same as plain text"):
        expect(page.get_by_text(name, exact=True)).to_be_hidden()
