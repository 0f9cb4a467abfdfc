"""The clinician's summary: what it shows of one response, and of those before it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service.bootstrap import Services
from service.packs.summary_layout import PLACES
from service.records import outbox
from service.records.library import Library
from service.records.ports import Placement
from service.records.submission import Sender
from service.web.app import create_app
from tests.integration.answers import MakeResponse, answer_with, without
from tests.integration.forms.browser import Browser, Page
from tests.integration.forms.conftest import NOW
from tests.integration.forms.test_result import LEASE, TARGET, said_before

SCT = "http://snomed.info/sct"


@pytest.fixture
def answered(services: Services, make_response: MakeResponse) -> Any:
    """Submits the response of a case, with answers to some questions by SNOMED CT code; gives its id."""

    def answered(
        case: str = "case-08", day: int = 15, answers: dict[str, list[str]] | None = None, **given: Any
    ) -> str:
        response = make_response(case, authored=f"2026-03-{day:02d}T08:00:00+01:00", **given)
        for link_id, codes in (answers or {}).items():
            answer_with(response, link_id, *({"valueCoding": {"system": SCT, "code": code}} for code in codes))
        return services.intake.submit(response, Sender("app")).id

    return answered


def summary(browser: Browser, response_id: str) -> Page:
    page = browser.open(f"/responses/{response_id}/summary")
    assert page.status == 200
    return page


def note(page: Page) -> str:
    (text,) = page.values("note")
    return text


def marked(page: Page) -> dict[str, bool]:
    """The places of the body picture that are marked, and whether the side is known."""
    found = re.findall(r'class="site( uncertain)?"[^>]* data-place="([a-z-]+)"', page.answer.get_data(as_text=True))
    return {place: not uncertain for uncertain, place in found}


class TestOneResponse:
    def test_the_level_comes_first_then_why_then_the_history_as_clinicians_think(
        self, browser: Browser, answered: Any
    ) -> None:
        page = summary(browser, answered())
        assert page.heading == "Summary for clinicians : Same day or emergency"
        said_before(
            page,
            "Patient/1. Answers of 15 March 2026 at 08:00 (UTC+01:00).",
            "U7 Twitching while taking lithium or theophylline",
            "Lithium",
            "Course Onset 2026-03-13 Duration of an episode",
            "Frequency Infrequent",
            "Muscles Calf",
            "Side Left",
            "Always in the same place Yes",
            "Pregnancy Not pregnant",
            "Other symptoms Danger signs",
            "Medicines Lithium",
            "Diagnosed conditions None",
            "Kept by this service, and sent nowhere else.",
        )

    def test_what_was_told_stands_out_and_none_does_not(self, browser: Browser, answered: Any) -> None:
        shown = summary(browser, answered("case-05")).answer.text
        assert '<dt>Weakness</dt><dd class="told">Gradual weakness</dd>' in shown
        none = summary(browser, answered("case-08")).answer.text
        assert "<dt>Weakness</dt><dd>None of these</dd>" in none

    def test_what_could_not_be_assessed_names_the_open_question(self, browser: Browser, answered: Any) -> None:
        page = summary(browser, answered("c9-everything-unsure"))
        _, _, rest = page.text.partition("Could not be assessed")
        assert "U1 Breathless at rest or lying flat (Danger signs:" in " ".join(rest.split())

    def test_a_question_without_an_answer_is_said_and_one_that_was_not_asked_is_not(
        self, browser: Browser, services: Services, make_response: MakeResponse
    ) -> None:
        response = without(make_response("case-02"), "first-noticed")
        page = summary(browser, services.intake.submit(response, Sender("app")).id)
        assert "Onset not answered" in page.text
        assert "Both eyes forced shut" not in page.text

    def test_the_plain_text_says_the_same(self, browser: Browser, answered: Any) -> None:
        text = note(summary(browser, answered()))
        lines = text.splitlines()
        assert lines[0] == "Muscle twitching (muscle fasciculation): Same day or emergency"
        assert lines[1] == "Answers of 15 March 2026 at 08:00 (UTC+01:00), Patient/1"
        assert "- Onset: 2026-03-13" in lines
        assert any(line.startswith("- U7 Twitching while taking lithium") and "Lithium" in line for line in lines)
        assert lines[-1].startswith("As the patient told it. This is information only.")
        assert "\n\n\n" not in text
        assert "&" not in text

    def test_what_patients_wrote_is_text(
        self, browser: Browser, services: Services, make_response: MakeResponse
    ) -> None:
        wild = "</textarea><b>bold</b> & more"
        response = answer_with(make_response("case-02"), "muscles", {"valueString": wild})
        page = summary(browser, services.intake.submit(response, Sender("app")).id)
        assert f"- Muscles: {wild}" in note(page)
        assert "<b>" not in page.answer.get_data(as_text=True)

    def test_a_draft_says_that_it_is_not_finished(self, browser: Browser, answered: Any) -> None:
        page = summary(browser, answered("case-01", status="in-progress"))
        assert page.heading.endswith("No level")
        assert "The form was not finished" in page.text
        assert "No rule fired." in page.text

    def test_a_retracted_response_has_none(self, browser: Browser, answered: Any) -> None:
        assert summary(browser, answered(status="entered-in-error")).heading == "These answers were withdrawn"

    def test_what_is_not_there_is_not_found(self, browser: Browser) -> None:
        assert browser.open("/responses/none/summary").status == 404


class TestBodyPicture:
    @pytest.mark.parametrize(
        ("muscles", "side", "expected"),
        [
            (["53840002"], "7771000", {"calf-left": True}),
            (["53840002", "21974007"], "24028007", {"calf-right": True, "tongue": True}),
            (["76505004"], "51440002", {"thumb-left": True, "thumb-right": True}),
            (["38266002"], "7771000", dict.fromkeys(PLACES, True)),
        ],
    )
    def test_the_sites_are_marked_on_the_side_that_was_told(
        self, browser: Browser, answered: Any, muscles: list[str], side: str, expected: dict[str, bool]
    ) -> None:
        page = summary(browser, answered("case-03", answers={"muscles": muscles, "side": [side]}))
        assert marked(page) == expected

    def test_without_a_side_both_are_marked_as_uncertain(
        self, browser: Browser, services: Services, make_response: MakeResponse
    ) -> None:
        response = without(make_response("case-02"), "side")
        page = summary(browser, services.intake.submit(response, Sender("app")).id)
        assert marked(page) == {"calf-left": False, "calf-right": False}
        assert "Dashed: which side was not told." in page.text

    def test_not_sure_marks_nothing(self, browser: Browser, answered: Any) -> None:
        assert marked(summary(browser, answered("c9-everything-unsure"))) == {}


class TestChange:
    def test_new_and_gone_in_words(self, browser: Browser, answered: Any) -> None:
        answered("case-02", 1, {"symptoms": ["55300003", "84229001"], "muscles": ["53840002"]})
        id_ = answered("case-02", 15, {"symptoms": ["55300003", "44077006"], "muscles": ["53840002", "85562004"]})
        page = summary(browser, id_)
        said_before(page, "Since 2026-03-01", "Muscles New: Hand", "Other symptoms New: Numbness No longer: Fatigue")
        assert "- Other symptoms: new: Numbness. No longer: Fatigue." in note(page)
        assert "- Level: Self-care before, Be seen within days now" in note(page)

    @pytest.mark.parametrize("case", ["c9-everything-unsure", "case-02"])
    def test_none_and_not_sure_are_quoted_and_never_taken_for_gone(
        self, browser: Browser, answered: Any, case: str
    ) -> None:
        answered("case-02", 1, {"symptoms": ["55300003"]})
        page = summary(browser, answered(case, 15))
        assert re.search(r"Other symptoms Cramp before , (?:None of these|Not sure)", page.text), page.text
        assert "No longer" not in page.text

    def test_an_unanswered_question_is_not_gone(
        self, browser: Browser, services: Services, make_response: MakeResponse, answered: Any
    ) -> None:
        answered("case-02", 1, {"side": ["7771000"]})
        response = without(make_response("case-02", authored="2026-03-15T08:00:00Z"), "side")
        page = summary(browser, services.intake.submit(response, Sender("app")).id)
        assert "Side Left before , not answered now" in page.text

    def test_the_timeline_has_level_and_number_of_sites(self, browser: Browser, answered: Any) -> None:
        first = answered("case-02", 1)
        second = answered("case-04", 13)
        page = summary(browser, answered("case-08", 15))
        said_before(
            page,
            "2026-03-15, this Same day or emergency",
            "2026-03-13 Call your provider 2",
            "2026-03-01 Self-care 1",
        )
        assert {f"/responses/{first}/summary", f"/responses/{second}/summary"} <= set(page.links)
        assert page.answer.get_data(as_text=True).count('<circle class="dot') == 3

    def test_sites_that_were_not_told_are_unknown_and_not_none(self, browser: Browser, answered: Any) -> None:
        answered("c9-everything-unsure", 14)
        assert "2026-03-14 Call your provider unknown" in summary(browser, answered("case-08", 15)).text

    def test_an_older_one_points_to_the_newest(self, browser: Browser, answered: Any) -> None:
        first = answered("case-02", 1)
        last = answered("case-08", 15)
        page = summary(browser, first)
        assert "There are newer answers" in page.text
        assert page.link("15 March 2026") == f"/responses/{last}/summary"
        assert "Since" not in page.text

    def test_others_drafts_and_retracted_ones_are_not_on_it(self, browser: Browser, answered: Any) -> None:
        answered("case-02", 1, subject={"reference": "Patient/2"})
        answered("case-02", 2, status="in-progress")
        answered("case-02", 3, status="entered-in-error")
        assert "Change over time" not in summary(browser, answered("case-08", 15)).text

    def test_each_is_judged_by_its_own_version_of_the_page(
        self, services: Services, make_response: MakeResponse, answered: Any, page: Any
    ) -> None:
        answered("case-08", 14)
        later = replace(page, questionnaire=_renamed(page.questionnaire), plan=_without_rules(page.plan, "U7"))
        library = Library((later,), (page,))
        site = services.site()
        evaluation = replace(site.evaluation, pages=library)
        intake = replace(services.intake, pages=library)
        site = replace(site, evaluation=evaluation, population=replace(site.population, pages=library))
        response = make_response("case-08", questionnaire=later.canonical, authored="2026-03-15T08:00:00Z")
        shown = summary(Browser(create_app(site)), intake.submit(response, Sender("app")).id)
        assert "Same day or emergency" not in shown.heading
        assert "2026-03-15, this Call your provider" in shown.text
        assert "2026-03-14 Same day or emergency" in shown.text


def _renamed(questionnaire: Any) -> Any:
    """The next version of a Questionnaire."""
    return replace(questionnaire, version="2.0.0", definition={**questionnaire.definition, "version": "2.0.0"})


def _without_rules(plan: Any, *ids: str) -> Any:
    return replace(plan, rules=tuple(rule for rule in plan.rules if rule.id not in ids))


def test_resources_are_linked_here_and_where_they_were_delivered(
    services: Services, make_response: MakeResponse
) -> None:
    intake = replace(services.intake, target_base_url=TARGET)
    id_ = intake.submit(make_response("case-08"), Sender("app")).id
    browser = Browser(create_app(services.site()))
    assert f"{TARGET}: waiting" in summary(browser, id_).text
    letter = services.store.lease(TARGET, NOW, lambda found: outbox.take(found, "worker", NOW, LEASE))
    assert letter is not None
    arrived = outbox.delivered(letter, NOW + timedelta(seconds=3))
    place = Placement("QuestionnaireResponse", id_, "QuestionnaireResponse/77", None)
    services.store.change(letter, arrived, placements=[place])
    page = summary(browser, id_)
    assert f"{TARGET}: delivered , 15 March 2026 at 10:00 (UTC+01:00)" in page.text
    assert page.link("delivered") == f"{TARGET}/QuestionnaireResponse/77"
    assert browser.client.get(page.link("QuestionnaireResponse here")).json["id"] == id_
    assert {address for address in page.links if address.startswith("/fhir/")} == {
        f"/fhir/{one['resourceType']}/{one['id']}" for one in services.store.record(id_, 1)
    }


def test_every_page_has_a_summary(browser: Browser, services: Services, everything: Any) -> None:
    response = {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": everything.canonical,
        "status": "in-progress",
        "subject": {"reference": "Patient/1"},
        "authored": "2026-03-15T08:00:00Z",
    }
    page = summary(browser, services.intake.submit(response, Sender("app")).id)
    assert everything.title in page.text
    assert "Sites" not in page.text


class TestOnPaper:
    def test_it_comes_as_pdf_with_what_the_page_shows(self, browser: Browser, answered: Any) -> None:
        answered("case-02", 14)
        page = summary(browser, answered())
        answer = browser.client.get(page.link("PDF"))
        assert (answer.status_code, answer.content_type) == (200, "application/pdf")
        assert answer.data.startswith(b"%PDF-")
        assert answer.headers["Content-Disposition"].startswith('inline; filename="summary-')

    def test_of_the_page_it_has_the_content_and_neither_scripts_nor_the_note(
        self, services: Services, answered: Any
    ) -> None:
        given: list[tuple[str, str, str]] = []

        def make(*parts: str) -> bytes:
            given.append(parts)  # type: ignore[arg-type]
            return b"%PDF-"

        id_ = answered()
        browser = Browser(create_app(replace(services.site(), make_pdf=make)))
        assert browser.client.get(f"/responses/{id_}/summary.pdf").status_code == 200
        ((html, style, address),) = given
        assert "U7 Twitching while taking lithium" in html
        assert "This is information only" in html
        assert "<script" not in html
        assert "<textarea" not in html
        assert ".columns" in style
        assert address == f"http://localhost/responses/{id_}/summary.pdf"

    def test_where_it_is_not_installed_it_is_not_offered(self, services: Services, answered: Any) -> None:
        id_ = answered()
        browser = Browser(create_app(replace(services.site(), make_pdf=None)))
        assert not [link for link in summary(browser, id_).links if link.endswith(".pdf")]
        assert browser.client.get(f"/responses/{id_}/summary.pdf").status_code == 404


def test_changed_answers_are_those_that_are_shown_with_all_that_follows_from_them(
    browser: Browser, services: Services, make_response: MakeResponse, answered: Any
) -> None:
    id_ = answered()
    amended = make_response("case-08", id=id_, status="amended", authored="2026-03-15T08:00:00+01:00")
    answer_with(amended, "side", {"valueCoding": {"system": SCT, "code": "24028007"}})
    services.intake.update(amended, id_, None)
    page = summary(browser, id_)
    assert ", changed on 15 March 2026 at 10:00 (UTC+01:00)" in page.text
    assert marked(page) == {"calf-right": True}
    kinds = [address.split("/")[2] for address in page.links if address.startswith("/fhir/")]
    assert kinds.count("Observation") > 10
