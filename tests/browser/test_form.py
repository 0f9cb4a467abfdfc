"""The form and its result in a browser: with and without scripts, on a telephone and on a desk."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest
from playwright.sync_api import Page, expect

from service.packs import shipped_pages
from tests.browser.chromium import PageOf
from tests.browser.filling import choose, go_on, press
from tests.browser.screens import DESKTOP, PHONE, Size, barriers, overflow
from tests.hapi.service import Service, serving
from tests.integration.forms.everything import write_page

FORM = "forms/muscle-fasciculation"
# A window of 1280 px at 400 % zoom (WCAG 2.2, 1.4.10).
ZOOMED = Size(width=320, height=256)
SIZES = [pytest.param(PHONE, id="phone"), pytest.param(DESKTOP, id="desktop")]
SCRIPTS = [pytest.param(True, id="scripts"), pytest.param(False, id="no-scripts")]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Our service with the shipped page, and one with every kind of question, in English and right to left."""
    pages = tmp_path_factory.mktemp("pages")
    for language in ("en", "ar"):
        write_page(pages, language)
    folders = f"{shipped_pages()}:{pages}"
    with serving(tmp_path_factory.mktemp("service"), fhir_server_url=None, PACKS=folders, COUNTRY="US") as service:
        yield service


def open_form(page: Page, service: Service, name: str = FORM) -> None:
    page.goto(f"{service.address}/{name}")


def danger(page: Page) -> None:
    choose(page, "danger signs", "None of these")


def time(page: Page) -> None:
    noticed = date.today() - timedelta(days=3)
    for part, number in (("Day", noticed.day), ("Month", noticed.month), ("Year", noticed.year)):
        page.get_by_label(part, exact=True).fill(str(number))
    choose(page, "How long does the twitching last", "Seconds")
    choose(page, "How often does the twitching", "Now and then, not every day")


def place(page: Page) -> None:
    choose(page, "Which muscles twitch", "Eyelid")
    choose(page, "On which side", "Left")
    choose(page, "always in the same place", "Yes")
    answer_new(page, "Do both of your eyes get forced shut?", "No")


def symptoms(page: Page) -> None:
    choose(page, "muscles weak", "No, my muscles are not weak")
    choose(page, "What other symptoms", "None of these")


def person(page: Page) -> None:
    choose(page, "16 years old", "Yes")
    choose(page, "Are you pregnant", "No, or this does not apply to me")


def background(page: Page) -> None:
    choose(page, "Which of these medicines", "I take no medicines")
    choose(page, "Do any of these apply to you", "None of these")
    choose(page, "Has a health care provider", "None of these")


def answer_new(page: Page, question: str, option: str) -> None:
    """Answer a question that another answer leads to: with scripts it is there at once, without on the next page."""
    group = page.get_by_role("group", name=question)
    if not _has_scripts(page):
        go_on(page)
    expect(group).to_be_visible()
    group.get_by_label(option, exact=True).check()


def _has_scripts(page: Page) -> bool:
    # A script of the page tells the browser's time zone.
    return page.locator("input[name=offset]").input_value() != ""


STEPS: tuple[Callable[[Page], None], ...] = (danger, time, place, symptoms, person, background)


def fill(page: Page, service: Service, until: int = len(STEPS)) -> None:
    """Fill in the first `until` steps of a case that calls for self-care."""
    open_form(page, service)
    for step in STEPS[:until]:
        step(page)
        go_on(page)


def checked(page: Page) -> None:
    """Asserts that the page has no barrier, in both colour schemes, and does not scroll sideways, also when zoomed."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert barriers(page) == []
    before = page.viewport_size
    for size in (before, ZOOMED):
        assert size is not None
        page.set_viewport_size(size)
        assert overflow(page) == 0
    page.set_viewport_size(before)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scripts", SCRIPTS)
def test_the_whole_way(service: Service, page_of: PageOf, size: Size, scripts: bool) -> None:
    page = page_of(size=size, scripts=scripts)
    page.goto(service.address)
    press(page.get_by_role("link", name="Muscle twitching"))
    for number, step in enumerate(STEPS, start=1):
        expect(page.get_by_role("heading", level=1)).to_contain_text(f"Step {number} of 6")
        step(page)
        go_on(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your answers")
    press(page.get_by_role("button", name="Send my answers"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Self-care")


@pytest.mark.parametrize("size", SIZES)
def test_no_page_has_a_barrier(service: Service, page_of: PageOf, size: Size) -> None:
    page = page_of(size=size, complaints=("status of 422",))
    open_form(page, service)
    for step in STEPS:
        checked(page)
        go_on(page)
        expect(page.get_by_role("alert")).to_be_visible()
        checked(page)
        step(page)
        go_on(page)
    checked(page)
    press(page.get_by_role("button", name="Send my answers"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Self-care")
    checked(page)


def test_nor_has_any_of_the_others(service: Service, page_of: PageOf) -> None:
    page = page_of(size=PHONE, complaints=("status of 404", "status of 422"))
    open_form(page, service)
    choose(page, "danger signs", "I am choking, or I cannot swallow my saliva")
    go_on(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Get medical help now")
    checked(page)
    press(page.get_by_role("link", name="go on with the questions"))
    expect(page.get_by_role("link", name="see what to do now")).to_be_visible()
    checked(page)
    press(page.get_by_role("button", name="Save and come back later"))
    checked(page)
    other = page_of(size=PHONE, complaints=("status of 403",))
    other.goto(page.locator(".link a").inner_text().partition("?")[0])
    expect(other.get_by_role("heading", level=1)).to_have_text("This page is closed now")
    checked(other)
    page.goto(f"{service.address}/forms/unknown")
    checked(page)
    open_form(page, service)
    expect(page.get_by_role("heading", level=1)).to_have_text("You have answers that are not sent yet")
    checked(page)
    page.goto(f"{service.address}/{FORM}?new=1&patient=no+one")
    checked(page)


def test_a_result_with_everything_on_it(service: Service, page_of: PageOf) -> None:
    page = page_of(size=PHONE)
    fill(page, service, until=3)
    choose(page, "muscles weak", "Slowly, over weeks or months")
    answer_new(page, "Because of weakness", "I have trouble chewing")
    choose(page, "What other symptoms", "Muscles that have become thinner", "Slurred speech")
    go_on(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Get medical help now")
    press(page.get_by_role("link", name="go on with the questions"))
    choose(page, "16 years old", "Not sure")
    choose(page, "Are you pregnant", "Not sure, I could be pregnant")
    answer_new(page, "Do you have any of these?", "Not sure")
    go_on(page)
    background(page)
    go_on(page)
    press(page.get_by_role("button", name="Send my answers"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Same day or emergency")
    expect(page.get_by_role("heading", name="What could not be judged")).to_be_visible()
    checked(page)
    page.emulate_media(media="print")
    expect(page.get_by_role("link", name="Download")).to_be_hidden()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", ["en", "ar"])
def test_every_kind_of_question_in_both_directions(
    service: Service, page_of: PageOf, size: Size, language: str
) -> None:
    page = page_of(size=size, complaints=("status of 422",))
    open_form(page, service, f"forms/everything-{language}")
    assert page.locator("html").get_attribute("dir") == ("rtl" if language == "ar" else None)
    checked(page)
    choose(page, "Which of these do you have", "None of these")
    go_on(page)
    checked(page)
    go_on(page)
    expect(page.get_by_role("alert")).to_be_visible()
    checked(page)
    page.get_by_label("How many?").fill("3")
    press(page.get_by_role("button", name="Add another"))
    # Who asks for one more input goes on typing there.
    expect(page.locator("#names-1")).to_be_focused()
    page.keyboard.type("Grace")
    go_on(page)
    choose(page, "Drink", "Tea")
    expect(page.get_by_label("Lumps of sugar")).to_be_visible()
    page.get_by_label("Lumps of sugar").fill("1")
    checked(page)
    go_on(page)
    page.get_by_label("Its name").fill("aspirin")
    press(page.get_by_role("button", name="Add another"))
    expect(page.get_by_text("Medicine: 2 of 2")).to_be_focused()
    checked(page)
    press(page.get_by_role("button", name="Remove Medicine 2"))
    go_on(page)
    checked(page)


class TestScripts:
    def test_a_conditional_question_appears_and_goes_at_once(self, service: Service, page_of: PageOf) -> None:
        page = page_of()
        fill(page, service, until=2)
        question = page.get_by_role("group", name="Do both of your eyes get forced shut?")
        expect(question).to_be_hidden()
        page.get_by_label("Eyelid", exact=True).check()
        expect(question).to_be_visible()
        page.get_by_label("Eyelid", exact=True).uncheck()
        expect(question).to_be_hidden()

    def test_an_option_that_stands_alone_takes_the_others_away(self, service: Service, page_of: PageOf) -> None:
        page = page_of()
        open_form(page, service)
        choking, none = page.get_by_label("I am choking"), page.get_by_label("None of these")
        choking.check()
        none.check()
        expect(choking).not_to_be_checked()
        choking.check()
        expect(none).not_to_be_checked()

    def test_a_calculated_answer_is_shown_at_once(self, service: Service, page_of: PageOf) -> None:
        page = page_of()
        open_form(page, service, "forms/everything-en")
        choose(page, "Which of these do you have", "None of these")
        go_on(page)
        page.get_by_label("How many?").fill("3")
        go_on(page)
        expect(page.locator("[data-fixed=double]")).to_have_text("6")


class TestKeyboardAndAnnouncements:
    def test_a_step_by_keyboard_alone(self, service: Service, page_of: PageOf) -> None:
        page = page_of()
        open_form(page, service)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.value") == "none":
                break
        page.keyboard.press("Space")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Step 2 of 6")

    def test_errors_take_the_focus_and_lead_to_their_questions(self, service: Service, page_of: PageOf) -> None:
        page = page_of(complaints=("status of 422",))
        fill(page, service, until=1)
        go_on(page)
        expect(page.get_by_role("alert")).to_be_focused()
        assert page.title().startswith("Error: ")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#episode-duration")).to_be_focused()

    def test_the_accessibility_tree_names_groups_hints_and_errors(self, service: Service, page_of: PageOf) -> None:
        page = page_of(complaints=("status of 422",))
        fill(page, service, until=1)
        go_on(page)
        group = page.get_by_role("group", name="How long does the twitching last each time?")
        expect(group).to_have_accessible_description("Error: Choose an answer.")
        onset = page.get_by_role("group", name="When did you first notice the twitching?")
        expect(onset).to_have_accessible_description("For example, 27 3 2025.")
        expect(page.get_by_role("alert")).to_have_accessible_name("There is a problem")
        assert re.search(r"- group .*When did you first notice", page.locator("main").aria_snapshot())

    @pytest.mark.parametrize("size", SIZES)
    def test_targets_are_large_enough_for_a_finger(self, service: Service, page_of: PageOf, size: Size) -> None:
        page = page_of(size=size)
        for name in (FORM, "forms/everything-en"):
            open_form(page, service, name)
            if name != FORM:
                choose(page, "Which of these do you have", "None of these")
                go_on(page)
            small = page.evaluate(_SMALL_TARGETS)
            assert small == []


_SMALL_TARGETS = """() => [...document.querySelectorAll('.choice, summary, button, select, textarea, .button, .back,'
  + ' input:not([type=hidden]):not([type=radio]):not([type=checkbox])')]
  .filter(each => !each.closest('[hidden]') && !each.matches('.unseen'))
  .filter(each => Math.round(each.getBoundingClientRect().height) < 44)
  .map(each => each.outerHTML.slice(0, 80))"""


class TestHistory:
    def test_back_and_reload_show_what_was_answered(self, service: Service, page_of: PageOf) -> None:
        page = page_of()
        fill(page, service, until=2)
        page.go_back()
        expect(page.get_by_label("Seconds", exact=True)).to_be_checked()
        page.reload()
        expect(page.get_by_label("Seconds", exact=True)).to_be_checked()
        page.go_back()
        expect(page.get_by_label("None of these", exact=True)).to_be_checked()

    def test_a_session_that_ended_loses_no_answer(self, service: Service, page_of: PageOf) -> None:
        page = page_of()
        fill(page, service, until=1)
        time(page)
        page.context.clear_cookies()
        go_on(page)
        expect(page.get_by_role("heading", level=1)).to_contain_text("Step 3 of 6")


def test_the_first_page_is_light(service: Service, page_of: PageOf) -> None:
    page = page_of()
    sizes: dict[str, int] = {}
    page.on("response", lambda answer: sizes.update({answer.url: _packed(answer.body())} if answer.ok else {}))
    open_form(page, service)
    page.wait_for_load_state("networkidle")
    assert {url.rpartition("/")[2].partition("?")[0] for url in sizes} >= {"style.css", "form.js"}
    assert sum(sizes.values()) < 50_000


def _packed(body: bytes) -> int:
    return len(gzip.compress(body))


@pytest.mark.parametrize("size", SIZES)
def test_pages_in_spanish_have_no_barrier(service: Service, page_of: PageOf, size: Size) -> None:
    page = page_of(size=size, complaints=("status of 422",))
    page.goto(f"{service.address}/?language=es")
    checked(page)
    press(page.get_by_role("link", name="Músculos"))
    expect(page.locator("html")).to_have_attribute("lang", "es")
    checked(page)
    go_on(page)
    expect(page.get_by_role("heading", name="Hay un problema")).to_be_visible()
    checked(page)
    page.locator("input[name=danger-signs]").first.check()
    go_on(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Busque ayuda médica ahora")
    checked(page)


@pytest.mark.parametrize("scripts", SCRIPTS)
def test_the_switch_keeps_what_is_typed(service: Service, page_of: PageOf, scripts: bool) -> None:
    page = page_of(scripts=scripts)
    fill(page, service, until=1)
    page.get_by_label("Year", exact=True).fill("20")
    choose(page, "How long does the twitching last", "Hours")
    press(page.get_by_role("button", name="Español"))
    expect(page.get_by_label("Año", exact=True)).to_have_value("20")
    expect(page.get_by_label("Horas", exact=True)).to_be_checked()
    press(page.get_by_role("button", name="English"))
    expect(page.get_by_label("Hours", exact=True)).to_be_checked()


def test_enter_goes_on_and_does_not_switch(service: Service, page_of: PageOf) -> None:
    page = page_of(complaints=("status of 422",))
    fill(page, service, until=1)
    with page.expect_navigation():
        page.get_by_label("Year", exact=True).press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()
