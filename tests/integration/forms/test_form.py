"""The form of the shipped page, as a patient without scripts meets it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from service.bootstrap import Services
from service.records.drafts import draft_id
from service.records.search import parse_query
from service.web.app import create_app
from tests.integration.answers import item
from tests.integration.forms.browser import Browser, Page
from tests.integration.forms.conftest import Clock, MakeServices

FORM = "/forms/muscle-fasciculation"
YES, NO, UNKNOWN = "373066001", "373067005", "261665006"
QUIET: tuple[dict[str, Any], ...] = (
    {"danger_signs": "none"},
    {
        "first_noticed__day": "12",
        "first_noticed__month": "3",
        "first_noticed__year": "2026",
        "episode_duration": "seconds",
        "frequency": "27789000",
    },
    {"muscles": "53840002", "side": "7771000", "same_location": YES},
    {"weakness": "none", "symptoms": "none"},
    {"age_16_or_over": YES, "pregnant": "60001007"},
    {"medicines": "none", "diet": "none", "triggers": "73595000", "diagnosed_condition": "none"},
)
"""Answers, step by step, that call for self-care."""


def fill_quietly(browser: Browser, until: int = len(QUIET), address: str = FORM) -> Page:
    """The page after the first `until` steps were answered quietly."""
    browser.open(address)
    for answers in QUIET[:until]:
        browser.send(**answers)
    return browser.page


def step(address: str, name: str) -> str:
    """The address of another step of the same form."""
    return f"{address.rpartition('/')[0]}/{name}"


def drafts(services: Services) -> list[dict[str, Any]]:
    return list(services.store.search(parse_query("QuestionnaireResponse", [])).matches)


def only_response(services: Services) -> dict[str, Any]:
    [response] = drafts(services)
    return response


class TestTheWayThrough:
    def test_from_the_start_page_to_the_result(self, browser: Browser, services: Services) -> None:
        browser.open("/")
        browser.follow("Muscle twitching")
        for number, answers in enumerate(QUIET, start=1):
            assert f"Step {number} of 6" in browser.page.heading
            browser.send(**answers)
        assert browser.page.heading == "Check your answers"
        assert "12 March 2026" in browser.page.text
        browser.send()
        assert browser.page.heading.endswith("Self-care")
        response = only_response(services)
        assert (response["status"], response["meta"]["versionId"]) == ("completed", "7")
        assert browser.page.address == f"/responses/{response['id']}"
        record = services.store.record(response["id"], 7)
        assert sum(one["resourceType"] == "Observation" for one in record) > 10
        assert services.evaluation.validate(response) == []

    def test_danger_signs_are_asked_first_and_alone(self, browser: Browser) -> None:
        page = browser.open(FORM)
        assert page.values("asked") == ["danger-signs"]
        assert "call 911 now" in page.text

    def test_a_group_is_a_page(self, browser: Browser) -> None:
        page = fill_quietly(browser, until=1)
        assert page.values("asked") == ["first-noticed", "episode-duration", "frequency"]

    def test_each_step_keeps_a_draft(self, browser: Browser, services: Services) -> None:
        fill_quietly(browser, until=2)
        response = only_response(services)
        assert (response["status"], response["meta"]["versionId"]) == ("in-progress", "2")
        assert item(response, "first-noticed")["answer"] == [{"valueDate": "2026-03-12"}]
        assert services.store.letters() == ()

    def test_no_answer_stands_in_an_address(self, browser: Browser) -> None:
        fill_quietly(browser)
        browser.send()
        for address in browser.visited:
            assert not any(word in address for word in ("none", "2026", "53840002", "seconds", "self-care"))

    def test_pages_are_not_kept_by_browsers_and_run_no_foreign_script(self, browser: Browser) -> None:
        for page in (browser.open("/"), fill_quietly(browser), browser.follow("Back"), *self.results(browser)):
            assert page.answer.headers["Cache-Control"] == "no-store"
            policy = page.answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            (nonce,) = set(re.findall(r"'nonce-([^']+)'", policy))
            text = page.answer.get_data(as_text=True)
            assert " style=" not in text
            loaded = re.findall(r"<script[^>]*>|<link rel=.stylesheet[^>]*>", text)
            assert loaded
            assert all(f'nonce="{nonce}"' in tag for tag in loaded)
            assert re.search(r"<[^>]+\son\w+=", text) is None

    def results(self, browser: Browser) -> Iterator[Page]:
        """The check page, and the result."""
        yield browser.send()
        yield browser.send()

    def test_authored_is_the_time_in_the_persons_own_zone(self, browser: Browser, services: Services) -> None:
        fill_quietly(browser, until=1)
        assert only_response(services)["authored"] == "2026-03-15T10:00:00.000+01:00"
        next(one for one in browser.page.inputs if one.name == "offset").value = "-420"
        browser.send(**QUIET[1])
        assert only_response(services)["authored"] == "2026-03-15T02:00:00.000-07:00"

    @pytest.mark.parametrize("offset", ["", "x", "9999", "-", "--60", "1e2"])
    def test_an_odd_offset_is_not_taken(self, browser: Browser, services: Services, offset: str) -> None:
        browser.open(FORM)
        next(one for one in browser.page.inputs if one.name == "offset").value = offset
        browser.send(danger_signs="none")
        assert only_response(services)["authored"] == "2026-03-15T10:00:00.000+01:00"


class TestDanger:
    def test_an_urgent_answer_shows_at_once_what_to_do_and_is_kept(self, browser: Browser, services: Services) -> None:
        browser.open(FORM)
        page = browser.send(danger_signs=["249489001"])
        assert page.heading == "Get medical help now"
        assert "Choking, or not being able to swallow your saliva, is an emergency" in page.text
        assert page.link("911") == "tel:911"
        assert page.link("1-800-222-1222") == "tel:18002221222"
        assert "I am choking, or I cannot swallow my saliva" in page.text
        response = only_response(services)
        assert item(response, "danger-signs")["answer"][0]["valueCoding"]["code"] == "249489001"
        assert services.evaluation.assess(response).observation["component"][0]["code"]["coding"][0]["code"] == "U10"

    def test_it_is_shown_once_for_each_sign_and_stays_in_reach(self, browser: Browser) -> None:
        browser.open(FORM)
        browser.send(danger_signs=["249489001"])
        page = browser.follow("go on with the questions")
        assert "Step 2 of 6" in page.heading
        assert "see what to do now" in page.text
        assert "Step 3 of 6" in browser.send(**QUIET[1]).heading
        assert "Step 4 of 6" in browser.send(**QUIET[2]).heading
        page = browser.send(weakness="hours-to-days", symptoms="none", **{})
        assert page.heading == "Get medical help now"

    def test_beside_none_it_counts_and_none_does_not(self, browser: Browser, services: Services) -> None:
        browser.open(FORM)
        page = browser.send(danger_signs=["249489001", "none"])
        assert page.heading == "Get medical help now"
        codes = [one["valueCoding"]["code"] for one in item(only_response(services), "danger-signs")["answer"]]
        assert codes == ["249489001"]

    def test_it_goes_before_what_is_wrong_with_other_answers(self, browser: Browser, services: Services) -> None:
        fill_quietly(browser, until=3)
        page = browser.send(weakness="hours-to-days", symptoms=["none", "55300003"])
        assert page.heading == "Get medical help now"

    def test_taken_back_it_is_urgent_no_more(self, browser: Browser) -> None:
        browser.open(FORM)
        browser.send(danger_signs=["249489001"])
        browser.follow("go on")
        browser.follow("Back")
        page = browser.send(danger_signs="none")
        assert "Step 2 of 6" in page.heading
        assert "see what to do now" not in page.text

    def test_without_a_country_the_number_is_said_in_words(self, make_services: MakeServices) -> None:
        browser = Browser(create_app(make_services().site()))
        browser.open(FORM)
        assert "your local emergency number" in browser.send(danger_signs=["249489001"]).text

    def test_numbers_of_the_settings_stand_over_those_of_the_country(self, make_services: MakeServices) -> None:
        services = make_services(country="gb", emergency_number="+44 999", poison_line="0344 892 0111")
        browser = Browser(create_app(services.site()))
        browser.open(FORM)
        page = browser.send(danger_signs=["55680006"])
        assert page.link("+44 999") == "tel:+44999"
        assert page.link("0344 892 0111") == "tel:03448920111"


class TestErrors:
    def test_what_is_missing_is_named_on_top_with_links_and_beside_each_question(self, browser: Browser) -> None:
        fill_quietly(browser, until=1)
        page = browser.send(frequency="27789000")
        assert page.status == 422
        assert "There is a problem" in page.text
        assert page.links["#episode-duration"] == "How long does the twitching last each time?"
        assert "#frequency" not in page.links
        assert "Error: Choose an answer." in page.text
        assert "episode-duration-error" in page.ids
        assert page.values("frequency") == ["27789000"]

    def test_the_title_says_that_there_is_an_error(self, browser: Browser) -> None:
        browser.open(FORM)
        assert "<title>Error: Danger signs" in browser.send().answer.get_data(as_text=True)

    @pytest.mark.parametrize(
        ("day", "month", "year", "text"),
        [
            ("30", "2", "2026", "There is no such date."),
            ("1", "13", "2026", "There is no such date."),
            ("1", "", "2026", "Write the month as well"),
            ("1", "3", "26", "Write the year in four digits"),
            ("1", "3", "", "Write the year in four digits"),
            ("x", "3", "2026", "There is no such date."),
            ("16", "3", "2026", "future"),
        ],
    )
    def test_a_wrong_date_is_told_and_what_was_typed_stays(
        self, browser: Browser, services: Services, day: str, month: str, year: str, text: str
    ) -> None:
        fill_quietly(browser, until=1)
        wrong = {"first_noticed__day": day, "first_noticed__month": month, "first_noticed__year": year}
        page = browser.send(**{**QUIET[1], **wrong})
        assert page.status == 422
        assert text in page.text
        assert [page.values(f"first-noticed.{part}") for part in ("day", "month", "year")] == [[day], [month], [year]]
        # What could be read is kept all the same.
        assert item(only_response(services), "frequency")["answer"][0]["valueCoding"]["code"] == "27789000"

    @pytest.mark.parametrize(
        ("day", "month", "year", "kept"),
        [("12", "3", "2026", "2026-03-12"), ("", "2", "2026", "2026-02"), ("", "", "2025", "2025"), ("", "", "", None)],
    )
    def test_a_date_may_be_partial_or_missing(
        self, browser: Browser, services: Services, day: str, month: str, year: str, kept: str | None
    ) -> None:
        fill_quietly(browser, until=1)
        parts = {"first_noticed__day": day, "first_noticed__month": month, "first_noticed__year": year}
        assert "Step 3 of 6" in browser.send(**{**QUIET[1], **parts}).heading
        response = only_response(services)
        if kept is None:
            with pytest.raises(StopIteration):
                item(response, "first-noticed")
        else:
            assert item(response, "first-noticed")["answer"] == [{"valueDate": kept}]

    def test_an_exclusive_answer_beside_another_is_told(self, browser: Browser) -> None:
        fill_quietly(browser, until=3)
        page = browser.send(weakness="none", symptoms=["none", "55300003"])
        assert page.status == 422
        assert "You chose “None of these” beside other answers. Keep it, or the others." in page.text
        assert set(page.values("symptoms")) == {"none", "55300003"}

    def test_an_answer_that_is_none_of_the_options_is_no_answer(self, browser: Browser, services: Services) -> None:
        browser.open(FORM)
        form = browser.form()
        form.add("danger-signs", "made-up")
        page = browser.post(browser.page.action or "", form)
        assert page.status == 422
        assert "item" not in only_response(services)


class TestConditionalQuestions:
    def test_without_scripts_the_step_is_shown_again_with_the_new_question(self, browser: Browser) -> None:
        fill_quietly(browser, until=2)
        assert not browser.page.asks("eyes-forced-shut")
        page = browser.send(muscles="80243003", side="7771000", same_location=YES)
        assert page.status == 200
        assert page.asks("eyes-forced-shut")
        assert "Your answer leads to another question on this page." in page.text
        assert browser.send().status == 422
        assert "Step 4 of 6" in browser.send(eyes_forced_shut=NO).heading

    def test_an_optional_one_is_shown_as_well(self, browser: Browser) -> None:
        fill_quietly(browser, until=5)
        page = browser.send(**{**QUIET[5], "diagnosed_condition": "129565002"})
        assert page.asks("diagnosed-on")
        assert browser.send().heading == "Check your answers"

    def test_answers_that_others_hide_are_dropped(self, browser: Browser, services: Services) -> None:
        fill_quietly(browser, until=2)
        browser.send(muscles="80243003", side="7771000", same_location=YES)
        browser.send(eyes_forced_shut=YES)
        browser.follow("Back")
        page = browser.send(muscles="53840002")
        assert "Step 4 of 6" in page.heading
        with pytest.raises(StopIteration):
            item(only_response(services), "eyes-forced-shut")

    def test_a_script_is_told_which_questions_are_shown_and_nothing_is_kept(
        self, browser: Browser, services: Services
    ) -> None:
        fill_quietly(browser, until=2)
        before = only_response(services)
        browser.fill(muscles="80243003")
        address = f"{browser.page.action}/shown"
        told = browser.client.post(address, data=browser.form())
        assert "eyes-forced-shut" in told.json["shown"]
        browser.fill(muscles="53840002")
        assert "eyes-forced-shut" not in browser.client.post(address, data=browser.form()).json["shown"]
        assert only_response(services) == before


class TestNothingIsLost:
    def test_back_and_forth_and_reload(self, browser: Browser) -> None:
        fill_quietly(browser, until=2)
        page = browser.follow("Back")
        assert page.values("first-noticed.day") == ["12"]
        assert page.values("frequency") == ["27789000"]
        assert browser.open(page.address).values("frequency") == ["27789000"]

    def test_a_step_sent_twice(self, browser: Browser, services: Services) -> None:
        fill_quietly(browser, until=1)
        page, form = browser.page, browser.fill(**QUIET[1]).form()
        for _ in range(2):
            assert "Step 3 of 6" in browser.post(page.action or "", form).heading
        assert len(drafts(services)) == 1

    def test_the_first_step_sent_twice_is_one_draft(self, browser: Browser, services: Services) -> None:
        page, form = browser.open(FORM), browser.fill(danger_signs="none").form()
        for _ in range(2):
            assert "Step 2 of 6" in browser.post(page.action or "", form).heading
        assert len(drafts(services)) == 1

    def test_answers_sent_twice_give_one_result(self, browser: Browser, services: Services) -> None:
        page = fill_quietly(browser)
        form = browser.form()
        results = [browser.post(page.action or "", form) for _ in range(2)]
        assert [one.address for one in results] == [f"/responses/{only_response(services)['id']}"] * 2
        assert only_response(services)["meta"]["versionId"] == "7"

    def test_two_tabs_on_different_steps(self, browser: Browser, services: Services) -> None:
        fill_quietly(browser, until=2)
        there = browser.page
        here = browser.follow("Back")
        browser.page = there
        browser.send(**QUIET[2])
        browser.page = here
        browser.send(frequency="255238004")
        response = only_response(services)
        assert item(response, "frequency")["answer"][0]["valueCoding"]["code"] == "255238004"
        assert item(response, "muscles")["answer"][0]["valueCoding"]["code"] == "53840002"

    def test_a_tab_left_open_after_sending_changes_nothing_and_says_so(
        self, browser: Browser, services: Services
    ) -> None:
        fill_quietly(browser, until=1)
        left_open = browser.page
        browser.page = Page(browser.page.answer)
        for answers in QUIET[1:]:
            browser.send(**answers)
        browser.send()
        sent = only_response(services)
        browser.page = left_open
        page = browser.send(frequency="255238004", episode_duration="seconds")
        assert page.status == 409
        assert page.heading == "These answers were already sent"
        assert only_response(services) == sent
        assert browser.follow("See the result").heading.endswith("Self-care")

    def test_after_sending_the_form_leads_to_the_result(self, browser: Browser) -> None:
        step = fill_quietly(browser, until=2).address
        fill = browser
        for answers in QUIET[2:]:
            fill.send(**answers)
        browser.send()
        assert browser.open(step).heading.endswith("Self-care")

    def test_a_session_that_expired_in_the_middle_loses_no_answer(self, browser: Browser, services: Services) -> None:
        fill_quietly(browser, until=1)
        browser.client.delete_cookie("draft", path=FORM)
        page = browser.send(**QUIET[1])
        assert "Step 3 of 6" in page.heading
        assert item(only_response(services), "first-noticed")["answer"] == [{"valueDate": "2026-03-12"}]

    def test_a_browser_without_cookies_gets_through(self, services: Services) -> None:
        browser = Browser(create_app(services.site()), cookies=False)
        fill_quietly(browser)
        assert browser.page.heading == "Check your answers"
        assert browser.send().heading.endswith("Self-care")

    def test_the_link_opens_the_form_elsewhere(self, browser: Browser, services: Services) -> None:
        fill_quietly(browser, until=2)
        page = browser.send(action="later", muscles="53840002")
        assert page.heading == "Your answers are kept"
        link = page.link("http://localhost/forms/")
        other = Browser(browser.app)
        page = other.open(link)
        assert "Step 3 of 6" in page.heading
        assert page.values("muscles") == ["53840002"]
        # From there on the other browser's own session opens it.
        assert "key=" not in other.send(side="7771000", same_location=YES).address

    def test_a_browser_that_began_is_asked_whether_to_go_on(self, browser: Browser, services: Services) -> None:
        fill_quietly(browser, until=2)
        page = browser.open(FORM)
        assert page.heading == "You have answers that are not sent yet"
        assert "Step 3 of 6" in browser.follow("Go on where I was").heading
        browser.open(FORM)
        assert "Step 1 of 6" in browser.follow("Start again").heading
        browser.send(danger_signs="none")
        assert len(drafts(services)) == 2

    def test_an_update_of_the_page_does_not_move_a_draft(self, browser: Browser, services: Services) -> None:
        fill_quietly(browser, until=2)
        assert only_response(services)["questionnaire"].endswith("|1.1.0")


class TestWhoMayOpenIt:
    def test_an_id_alone_opens_nothing(self, browser: Browser, services: Services) -> None:
        fill_quietly(browser, until=2)
        id_ = only_response(services)["id"]
        stranger = Browser(browser.app)
        for place in ("", "/1", "/check", "/urgent", "/later", "/2?key=wrong"):
            page = stranger.open(f"{FORM}/{id_}{place}")
            assert page.status == 403, place
            assert page.heading == "This page is closed now"

    def test_an_address_that_leads_nowhere_does_not_take_the_form_away(self, browser: Browser) -> None:
        fill_quietly(browser, until=2)
        page = browser.open(f"{FORM}/00000000-0000-4000-8000-000000000000/1")
        assert page.heading == "You have answers that are not sent yet"
        assert "Step 3 of 6" in browser.follow("Go on where I was").heading

    @pytest.mark.parametrize("key", [None, "", "wrong"])
    def test_a_post_without_the_key_is_refused_even_with_the_cookie(
        self, browser: Browser, services: Services, key: str | None
    ) -> None:
        fill_quietly(browser, until=1)
        form = browser.fill(**QUIET[1]).form()
        form.poplist("key")
        if key is not None:
            form.add("key", key)
        address = browser.page.action or ""
        before = only_response(services)
        for place in (address, f"{address}/shown", step(address, "check")):
            page = browser.post(place, form)
            assert (page.status, page.heading) == (403, "This did not come from the form")
        assert only_response(services) == before

    def test_the_key_of_one_draft_opens_no_other(self, browser: Browser) -> None:
        fill_quietly(browser, until=1)
        other = Browser(browser.app)
        fill_quietly(other, until=1)
        browser.fill(**QUIET[1])
        assert browser.post(other.page.action or "", browser.form()).status == 403

    @pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 303)])
    def test_another_site_cannot_begin_a_form_with_a_key_of_its_own(
        self, browser: Browser, services: Services, site: str, status: int
    ) -> None:
        key = "made-up"
        form = {"key": key, "patient": "Patient/1", "asked": "danger-signs", "danger-signs": "saddle-bladder"}
        headers = {"Sec-Fetch-Site": site, "Accept": "text/html"}
        answer = browser.client.post(f"{FORM}/{draft_id(key)}/1", data=form, headers=headers)
        assert answer.status_code == status
        kept = services.store.search(parse_query("QuestionnaireResponse", [])).total
        assert kept == (1 if status == 303 else 0)

    def test_the_cookie_is_for_this_form_and_no_script(self, browser: Browser) -> None:
        answer = browser.client.get(FORM)
        cookie = answer.headers["Set-Cookie"]
        for part in ("HttpOnly", "SameSite=Lax", f"Path={FORM}"):
            assert part in cookie
        assert "Max-Age" not in cookie
        secure = browser.client.get(FORM, base_url="https://localhost")
        assert "Secure" in secure.headers["Set-Cookie"]

    def test_an_old_draft_is_not_opened_but_what_is_sent_is_kept(
        self, browser: Browser, services: Services, clock: Clock
    ) -> None:
        page = fill_quietly(browser, until=1)
        clock.advance(days=31)
        expired = browser.open(page.address)
        assert (expired.status, expired.heading) == (410, "These answers cannot be opened any more")
        browser.page = page
        assert "Step 3 of 6" in browser.send(**QUIET[1]).heading

    @pytest.mark.parametrize("address", ["/forms/unknown", f"{FORM}/not-an-id/1", "/responses/unknown"])
    def test_what_is_not_there(self, browser: Browser, address: str) -> None:
        page = browser.open(address)
        assert (page.status, page.heading) == (404, "Not Found")

    def test_a_step_that_is_not_there(self, browser: Browser) -> None:
        page = fill_quietly(browser, until=1)
        assert browser.open(step(page.address, "7")).status == 404


class TestWhoseRecord:
    def test_an_unknown_person_is_a_subject_of_their_own(self, browser: Browser, services: Services) -> None:
        fill_quietly(browser, until=1)
        response = only_response(services)
        assert response["subject"]["identifier"]["value"] == response["id"]
        assert "reference" not in response["subject"]

    @pytest.mark.parametrize("named", ["patient=p1", "patient=Patient/p1", "subject=Patient/p1"])
    def test_the_address_may_name_the_patient(self, browser: Browser, services: Services, named: str) -> None:
        page = browser.open(f"{FORM}?{named}")
        assert "Step 1 of 6" in page.heading
        browser.send(danger_signs="none")
        assert only_response(services)["subject"] == {"reference": "Patient/p1"}
        assert "p1" not in browser.page.address

    @pytest.mark.parametrize("named", ["patient=Group/1", "patient=a b", "subject=Practitioner/1"])
    def test_what_is_no_patient_is_told(self, browser: Browser, named: str) -> None:
        page = browser.open(f"{FORM}?{named}")
        assert page.status == 422
        assert "That is no number of a patient." in page.text

    def test_with_a_fhir_server_the_patient_must_be_named(self, make_services: MakeServices) -> None:
        services = make_services(fhir_server_url="https://fhir.example.org/r4")
        browser = Browser(create_app(services.site()))
        page = browser.open(FORM)
        assert page.heading == "Whose record is this for?"
        browser.fill(patient="p1")
        assert "Step 1 of 6" in browser.open(f"{browser.page.action}?patient=p1").heading
        # A step that lost the patient does not begin a record of nobody.
        form = browser.fill(danger_signs="none").form()
        form.poplist("patient")
        assert browser.post(browser.page.action or "", form).heading == "Whose record is this for?"
        assert drafts(services) == []


class TestCheckingAnswers:
    def test_each_answer_has_a_link_to_its_own_question(self, browser: Browser) -> None:
        page = fill_quietly(browser)
        address = page.link("Change : How often does the twitching happen?")
        assert address.endswith("#frequency")
        page = browser.open(address)
        assert "frequency" in page.ids
        assert browser.send(frequency="255238004").heading == "Check your answers"
        assert "All the time, without stopping" in browser.page.text

    def test_a_change_that_opens_questions_leads_to_them_first(self, browser: Browser) -> None:
        page = fill_quietly(browser)
        browser.open(page.link("Change : Are any of your muscles weak?"))
        page = browser.send(weakness="gradual")
        assert page.asks("weakness-effects")
        page = browser.send(weakness_effects="none")
        assert page.heading == "Check your answers"

    def test_what_is_still_open_keeps_it_from_being_sent(self, browser: Browser, services: Services) -> None:
        page = fill_quietly(browser, until=5)
        page = browser.open(step(page.address, "check"))
        assert "Not answered" in page.text
        page = browser.send()
        assert page.status == 422
        link = page.link("Do any of these apply to you?")
        assert link.endswith("#diet")
        assert only_response(services)["status"] == "in-progress"
        assert browser.open(link).asks("diet")

    def test_words_of_the_form_not_of_the_code_system(self, browser: Browser) -> None:
        fill_quietly(browser, until=3)
        browser.send(weakness="none", symptoms=["88092000"])
        page = fill_rest(browser)
        assert "Muscles that have become thinner" in page.text
        assert "Muscle atrophy" not in page.text


def fill_rest(browser: Browser) -> Page:
    browser.send(**QUIET[4])
    return browser.send(**QUIET[5])
