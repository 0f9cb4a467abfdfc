"""Forms and results in the language of the person: how it is chosen and kept, and what it never changes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from service.bootstrap import Services, start
from service.config import load_settings
from service.packs import Pack, load_pack
from service.web.app import create_app
from tests.integration.answers import item
from tests.integration.forms.browser import Browser, Page
from tests.integration.forms.conftest import MakeServices
from tests.integration.forms.everything import write_page
from tests.integration.forms.test_form import FORM as SHIPPED
from tests.integration.forms.test_form import fill_quietly, only_response

FORM = "/forms/everything-en"


def html(page: Page) -> str:
    return page.answer.get_data(as_text=True)


def spanish_result(browser: Browser) -> Page:
    """The result of quiet answers, given in Spanish."""
    fill_quietly(browser, address=f"{SHIPPED}?language=es")
    return browser.send()


def language(page: Page) -> str:
    return html(page).partition('<html lang="')[2].partition('"')[0]


class TestWhichLanguage:
    @pytest.mark.parametrize(
        ("accepted", "spoken"),
        [
            ("es", "es"),
            ("es-MX,en;q=0.5", "es"),
            ("en-US,es;q=0.9", "en"),
            ("fr,es;q=0.2", "es"),
            ("fr", "en"),
            ("", "en"),
            ("es;q=0", "en"),
        ],
    )
    def test_the_browsers_own_by_its_quality(self, services: Services, accepted: str, spoken: str) -> None:
        answer = create_app(services.site()).test_client().get("/", headers={"Accept-Language": accepted})
        assert f'<html lang="{spoken}">' in answer.text

    def test_the_address_stands_over_the_browser(self, services: Services) -> None:
        client = create_app(services.site()).test_client()
        answer = client.get("/?_language=es", headers={"Accept-Language": "en"})
        assert '<html lang="es">' in answer.text

    def test_a_choice_stands_over_the_address_and_lasts(self, browser: Browser) -> None:
        browser.open("/")
        assert language(browser.follow("Español")) == "es"
        assert language(browser.open("/?_language=en")) == "es"
        assert language(browser.open(FORM)) == "es"
        assert language(browser.open("/?language=en")) == "en"

    def test_what_is_not_offered_changes_nothing(self, browser: Browser) -> None:
        assert language(browser.open("/?language=xx")) == "en"
        assert browser.client.get_cookie("language") is None

    def test_a_page_without_translations_is_shown_in_its_own_and_offers_no_other(self, tmp_path: Path) -> None:
        arabic = load_pack(write_page(tmp_path, "ar"))
        settings = load_settings(database_url=f"sqlite:///{tmp_path / 'other.db'}")
        services = start(settings, packs=(arabic,))
        with closing(services.store):
            shown = Browser(create_app(services.site())).open("/forms/everything-ar?language=es")
        assert language(shown) == "ar"
        assert "Español" not in shown.text

    def test_a_form_that_is_too_large_is_told_in_the_language_of_the_browser(self, make_services: MakeServices) -> None:
        client = create_app(make_services(max_body_bytes=2000).site()).test_client()
        headers = {"Accept": "text/html", "Accept-Language": "es"}
        address = f"{FORM}/00000000-0000-4000-8000-000000000000/1"
        answer = client.post(address, data={"key": "x" * 3000}, headers=headers)
        assert answer.status_code == 413
        assert '<html lang="es">' in answer.text

    def test_what_is_not_there_is_told_in_spanish(self, browser: Browser) -> None:
        browser.open("/?language=es")
        page = browser.open("/nowhere")
        assert (page.status, page.heading) == (404, "No se encontró")
        assert '<p lang="en">' in html(page)


class TestTheForm:
    @pytest.fixture
    def spanish(self, browser: Browser) -> Page:
        """The first step in Spanish."""
        return browser.open(f"{FORM}?language=es")

    def test_page_and_interface_are_in_spanish(self, spanish: Page) -> None:
        assert language(spanish) == "es"
        assert spanish.heading == "Paso 1 de 4 : «First»"
        for text in ("«Which of these do you have?»", "«Pain in the heart»", "llame ahora al 911", "Continuar"):
            assert text in spanish.text

    def test_what_is_kept_has_the_texts_of_the_page_itself(
        self, browser: Browser, spanish: Page, services: Services
    ) -> None:
        browser.send(signs="none")
        browser.send(count="3", agrees="yes", day__day="27", day__month="3", day__year="2025")
        browser.send(drink="tea", weight="70")
        kept = only_response(services)
        assert "«" not in str(kept)
        assert item(kept, "signs")["text"] == "Which of these do you have?"
        assert item(kept, "drink")["answer"][0]["valueCoding"]["display"] == "Tea"
        assert item(kept, "weight")["answer"][0]["valueQuantity"]["unit"] == "kilograms"

    def test_answers_are_read_back_in_spanish(self, browser: Browser, spanish: Page) -> None:
        browser.send(signs="none")
        browser.send(count="3", agrees="yes", day__day="27", day__month="3", day__year="2025")
        browser.send(drink="coffee")
        page = browser.send()
        assert page.heading == "Revise sus respuestas"
        for text in ("sí", "27 de marzo de 2025", "«Coffee»"):
            assert text in page.text

    @pytest.mark.parametrize(
        ("typed", "text"),
        [
            ({"count": "three"}, "Escriba un número entero con cifras, como 12."),
            ({"count": "0"}, "El valor debe ser como mínimo 1."),
            ({"count": "3", "ratio": "1,5"}, "con punto para los decimales"),
            ({"count": "3", "name": "x" * 21}, "El texto debe tener como máximo 20 caracteres."),
            ({}, "Escriba una respuesta."),
        ],
    )
    def test_what_is_wrong_is_told_in_spanish(
        self, browser: Browser, spanish: Page, typed: dict[str, str], text: str
    ) -> None:
        browser.send(signs="none")
        page = browser.send(**typed)
        assert page.status == 422
        assert "Hay un problema" in page.text
        assert text in page.text

    def test_danger_is_told_in_spanish_and_its_source_as_it_is(self, browser: Browser, spanish: Page) -> None:
        page = browser.send(signs="heart")
        assert page.heading == "Busque ayuda médica ahora"
        assert "«Pain in the heart.»" in page.text
        assert "Emergencia: llame al 911" in page.text
        assert '<span lang="en">Ours</span> [norma del proyecto]' in html(page)

    def test_the_switch_keeps_what_is_typed_and_sends_nothing(self, browser: Browser, services: Services) -> None:
        browser.open(FORM)
        browser.send(signs="none")
        before = only_response(services)
        page = browser.send("language:es", count="three", name="Ada")
        assert (page.status, language(page)) == (200, "es")
        assert (page.values("count"), page.values("name")) == (["three"], ["Ada"])
        assert only_response(services) == before
        assert browser.send(count="3").heading.startswith("Paso 3 de 4")

    def test_enter_in_an_input_goes_on_and_does_not_switch(self, spanish: Page) -> None:
        first = html(spanish).partition('<button form="step"')[2].partition(">")[0]
        assert 'value=""' in first

    def test_a_browser_without_cookies_stays_in_spanish_to_the_end(self, services: Services) -> None:
        browser = Browser(create_app(services.site()), cookies=False)
        browser.open(f"{FORM}?language=es")
        for answers in ({"signs": "none"}, {"count": "3"}, {}, {}):
            assert language(browser.page) == "es"
            browser.send(**answers)
        assert browser.page.heading == "Revise sus respuestas"
        assert "«All is calm»" in browser.send().text

    def test_the_link_to_come_back_opens_it_in_the_same_language(self, browser: Browser, services: Services) -> None:
        browser.open(f"{FORM}?language=es")
        link = browser.send("later", signs="none").link("http")
        elsewhere = Browser(create_app(services.site()))
        assert language(elsewhere.open(link)) == "es"

    def test_a_script_is_answered_in_spanish(self, browser: Browser, spanish: Page) -> None:
        browser.send(signs="none")
        browser.send(count="3")
        shown = browser.client.post(f"{browser.page.action}/shown", data=browser.form()).json
        assert shown["fixed"]["double"] == "6"


class TestTheResult:
    def test_levels_and_rules_are_in_spanish(self, browser: Browser, page: Pack) -> None:
        shown = spanish_result(browser)
        assert language(shown) == "es"
        level = page.in_language("es").plan.levels[0]
        assert shown.heading == f"Su resultado : {level.display}"
        assert level.definition in shown.text
        assert "Por qué" in shown.text

    def test_it_can_be_read_in_either_language(self, browser: Browser) -> None:
        spanish = spanish_result(browser)
        english = browser.follow("English")
        assert (language(spanish), language(english)) == ("es", "en")
        assert spanish.heading != english.heading

    def test_the_same_answers_have_the_same_result_in_both(self, services: Services, browser: Browser) -> None:
        spanish_result(browser)
        kept: Any = only_response(services)
        told = [services.evaluation.assess(kept, tag).assessment for tag in ("en", "es")]
        english, spanish = ([(one.rule.id, one.state) for one in each.outcomes] for each in told)
        assert english == spanish

    def test_the_summary_of_clinicians_stays_in_english(self, browser: Browser, services: Services) -> None:
        spanish_result(browser)
        page = browser.open(f"/responses/{only_response(services)['id']}/summary")
        assert language(page) == "en"
        assert "Ir al contenido" not in html(page)
        assert "March 2026" in page.text
