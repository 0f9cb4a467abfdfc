"""A form with every kind of question: what is typed becomes the right answer, and nothing else."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from service.bootstrap import Services, start
from service.config import load_settings
from service.packs import Pack, load_pack
from service.web.app import create_app
from tests.integration.answers import item
from tests.integration.forms.browser import Browser, Page
from tests.integration.forms.everything import BASE, ITEMS, UCUM, write_page
from tests.integration.forms.test_form import only_response

FORM = "/forms/everything-en"


@pytest.fixture
def plain(browser: Browser) -> Page:
    """The step of plain answers."""
    browser.open(FORM)
    return browser.send(signs="none")


@pytest.fixture
def measures(browser: Browser, plain: Page) -> Page:
    """The step of measures and choices."""
    return browser.send(count="3")


def answers(services: Services, link_id: str) -> list[dict[str, Any]]:
    """The answers that are kept to a question; none when its item is not there."""
    try:
        found: list[dict[str, Any]] = item(only_response(services), link_id)["answer"]
    except StopIteration:
        return []
    return found


def coding(code: str, display: str) -> dict[str, Any]:
    return {"valueCoding": {"system": f"{BASE}/codes", "code": code, "display": display}}


@pytest.mark.parametrize(
    ("typed", "link_id", "kept"),
    [
        ({"agrees": "yes"}, "agrees", [{"valueBoolean": True}]),
        ({"agrees": "no"}, "agrees", [{"valueBoolean": False}]),
        ({"agrees": ""}, "agrees", []),
        ({"count": " 7 "}, "count", [{"valueInteger": 7}]),
        ({"ratio": "1.50"}, "ratio", [{"valueDecimal": Decimal("1.50")}]),
        ({"ratio": "-0.5"}, "ratio", [{"valueDecimal": Decimal("-0.5")}]),
        ({"name": "  Ada <Lovelace> "}, "name", [{"valueString": "Ada <Lovelace>"}]),
        ({"name": "   "}, "name", []),
        ({"story": "one\r\ntwo\n"}, "story", [{"valueString": "one\ntwo"}]),
        ({"site": "https://a.example/?b=c"}, "site", [{"valueUri": "https://a.example/?b=c"}]),
        ({"day__year": "2025", "day__month": "2"}, "day", [{"valueDate": "2025-02"}]),
        (
            {"moment__day": "1", "moment__month": "7", "moment__year": "2025", "moment__time": "9.05"},
            "moment",
            [{"valueDateTime": "2025-07-01T09:05:00+02:00"}],
        ),
        ({"moment__year": "2025"}, "moment", [{"valueDateTime": "2025"}]),
        ({"hour": "7:30"}, "hour", [{"valueTime": "07:30:00"}]),
        ({"names": "Ada"}, "names", [{"valueString": "Ada"}]),
    ],
)
def test_plain_answers(
    browser: Browser, plain: Page, services: Services, typed: dict[str, str], link_id: str, kept: list[dict[str, Any]]
) -> None:
    page = browser.send(**{"count": "3", **typed})
    assert "Step 3 of 4" in page.heading
    assert answers(services, link_id) == kept


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ({"count": "three"}, "Write a whole number in digits"),
        ({"count": "1.5"}, "Write a whole number in digits"),
        ({"count": "99999999999"}, "Write a whole number in digits"),
        ({"count": "0"}, "The value must be at least 1."),
        ({"ratio": "1,5"}, "Write a number in digits, with a point for decimals"),
        ({"ratio": "1.555"}, "The number must have at most 2 decimal places."),
        ({"name": "x" * 21}, "The text must have at most 20 characters."),
        ({"site": "two words"}, "Write an address without spaces"),
        ({"day__day": "31", "day__month": "4", "day__year": "2025"}, "There is no such date."),
        ({"moment__year": "2025", "moment__time": "9:00"}, "Write the whole date, or leave the time empty."),
        ({"moment__time": "9:00"}, "Write the year in four digits"),
        ({"hour": "25:00"}, "Write the time as hours and minutes"),
        ({"hour": "noon"}, "Write the time as hours and minutes"),
    ],
)
def test_what_is_no_answer_is_told_and_stays(
    browser: Browser, plain: Page, services: Services, typed: dict[str, str], text: str
) -> None:
    page = browser.send(**{"count": "3", "story": "kept", **typed})
    assert page.status == 422
    assert text in page.text
    for name, value in typed.items():
        assert page.values(name.replace("__", ".")) == [value]
    assert answers(services, "story") == [{"valueString": "kept"}]


def test_hints_and_texts(plain: Page) -> None:
    for text in ("1. Do you agree?", "From 1.", "At most 20 characters.", "Answer what you can.", "(optional)"):
        assert text in plain.text
    assert "Never shown" not in plain.text
    assert not plain.asks("secret")


def test_what_is_read_only_is_shown_and_not_asked(browser: Browser, plain: Page, services: Services) -> None:
    assert not plain.asks("told")
    assert "Told by the page" in plain.text
    form = browser.fill(count="3").form()
    form.add("asked", "told")
    form.add("told", "by the person")
    browser.post(browser.page.action or "", form)
    assert answers(services, "told") == [{"valueString": "by the page"}]


def test_a_question_that_repeats_gets_another_input(browser: Browser, plain: Page, services: Services) -> None:
    page = browser.send(action="add:names", names="Ada")
    assert page.values("names") == ["Ada", ""]
    browser.fill_named("names", ["Ada", "Grace"])
    browser.send(count="3")
    assert answers(services, "names") == [{"valueString": "Ada"}, {"valueString": "Grace"}]
    page = browser.follow("Back")
    browser.fill_named("names", ["", "Grace"])
    browser.send()
    assert answers(services, "names") == [{"valueString": "Grace"}]


@pytest.mark.parametrize(
    ("typed", "link_id", "kept"),
    [
        (
            {"weight": "70.5"},
            "weight",
            [{"valueQuantity": {"value": Decimal("70.5"), "unit": "kilograms", "system": UCUM, "code": "kg"}}],
        ),
        (
            {"height": "180", "height__unit": "cm"},
            "height",
            [{"valueQuantity": {"value": 180, "unit": "centimetres", "system": UCUM, "code": "cm"}}],
        ),
        ({"dose": "2", "dose__unit": "drops"}, "dose", [{"valueQuantity": {"value": 2, "unit": "drops"}}]),
        ({"dose__unit": "drops"}, "dose", []),
        ({"colour": "blue"}, "colour", [coding("blue", "Blue")]),
        ({"colour": ""}, "colour", []),
        ({"drink": "coffee"}, "drink", [coding("coffee", "Coffee")]),
        ({"drink__other": "cocoa"}, "drink", [{"valueString": "cocoa"}]),
        ({"pets": "cat", "pets__other": "a newt"}, "pets", [coding("cat", "Cat"), {"valueString": "a newt"}]),
    ],
)
def test_measures_and_choices(
    browser: Browser, measures: Page, services: Services, typed: dict[str, str], link_id: str, kept: list[Any]
) -> None:
    page = browser.send(**typed)
    assert "Step 4 of 4" in page.heading
    assert answers(services, link_id) == kept
    # Seen and sent again, nothing changes.
    browser.follow("Back")
    browser.send()
    assert answers(services, link_id) == kept


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ({"height": "180"}, "Choose the unit of your number."),
        ({"weight": "heavy"}, "Write a number in digits"),
        ({"drink": "tea", "drink__other": "cocoa"}, "Choose one answer, or write your own, not both."),
        ({"pets": "none", "pets__other": "a newt"}, "You chose “No pet” beside other answers."),
    ],
)
def test_measures_and_choices_amiss(browser: Browser, measures: Page, typed: dict[str, str], text: str) -> None:
    page = browser.send(**typed)
    assert page.status == 422
    assert text in page.text


def test_a_calculated_answer_follows_the_others(browser: Browser, measures: Page, services: Services) -> None:
    assert "Twice the count" in measures.text
    assert answers(services, "double") == [{"valueDecimal": 6}]
    browser.follow("Back")
    browser.send(count="4")
    assert answers(services, "double") == [{"valueDecimal": 8}]


def test_a_conditional_question_of_an_open_choice(browser: Browser, measures: Page, services: Services) -> None:
    page = browser.send(drink="tea")
    assert page.asks("sugar")
    browser.send(sugar="2")
    assert answers(services, "sugar") == [{"valueInteger": 2}]
    browser.follow("Back")
    browser.send(drink="coffee")
    assert answers(services, "sugar") == []


class TestRepeatingGroups:
    @pytest.fixture(autouse=True)
    def _there(self, browser: Browser, measures: Page) -> None:
        browser.send()

    def test_it_may_stay_empty(self, browser: Browser, services: Services) -> None:
        assert browser.send().heading == "Check your answers"
        assert browser.send().heading.endswith("Calm")
        assert answers(services, "medicine-name") == []

    def test_rows_are_added_filled_and_removed(self, browser: Browser, services: Services) -> None:
        browser.fill_named("medicine-name~0", ["aspirin"])
        page = browser.send(action="add:medicine")
        assert page.values("medicine-name~0") == ["aspirin"]
        assert page.values("medicine-name~1") == [""]
        assert "Medicine: 2 of 2" in page.text
        browser.fill_named("medicine-name~1", ["ibuprofen"])
        browser.fill_named("medicine-since~1.year", ["2020"])
        page = browser.send(action="remove:medicine:0")
        assert page.values("medicine-name~0") == ["ibuprofen"]
        assert page.values("medicine-since~0.year") == ["2020"]
        assert browser.send().heading == "Check your answers"
        assert answers(services, "medicine-name") == [{"valueString": "ibuprofen"}]

    def test_a_row_that_was_begun_must_be_whole(self, browser: Browser) -> None:
        browser.fill_named("medicine-since~0.year", ["2020"])
        page = browser.send()
        assert page.status == 422
        assert page.links["#medicine-name~0"] == "Its name"

    def test_an_empty_row_is_not_sent(self, browser: Browser, services: Services) -> None:
        browser.fill_named("medicine-name~0", ["aspirin"])
        browser.send(action="add:medicine")
        assert browser.send().heading == "Check your answers"
        browser.send()
        group = item(only_response(services), "medicines")
        assert [one["item"][0]["answer"] for one in group["item"]] == [[{"valueString": "aspirin"}]]

    @pytest.mark.parametrize("rows", ["", "x", "-1", "9" * 30, "1e3"])
    def test_an_odd_number_of_rows(self, browser: Browser, rows: str) -> None:
        next(one for one in browser.page.inputs if one.name == "medicine.rows").value = rows
        assert browser.send().status == 200


def test_the_response_is_valid(browser: Browser, measures: Page, services: Services, everything: Pack) -> None:
    browser.send(weight="70.5", drink="coffee", pets="cat")
    browser.fill_named("medicine-name~0", ["aspirin"])
    browser.send()
    browser.send()
    response = only_response(services)
    assert response["status"] == "completed"
    assert services.evaluation.validate(response) == []
    assert response["questionnaire"] == everything.canonical


def test_the_answer_to_a_hidden_question_is_not_the_persons(browser: Browser, plain: Page, services: Services) -> None:
    form = browser.fill(count="3").form()
    form.add("asked", "secret")
    form.add("secret", "guessed")
    browser.post(browser.page.action or "", form)
    assert answers(services, "secret") == [{"valueString": "by nobody"}]


def test_questions_named_like_what_the_pages_post_of_their_own(tmp_path: Path) -> None:
    names = ["action", "asked", "content", "from", "key", "offset", "patient"]
    questions = [{"linkId": name, "type": "string", "text": f"What of {name}?"} for name in names]
    group = {"linkId": "group", "type": "group", "text": "Names", "item": questions}
    pack = load_pack(write_page(tmp_path, items=[*ITEMS[:1], group]))
    services = start(load_settings(database_url=f"sqlite:///{tmp_path / 'intake.db'}"), packs=(pack,))
    with closing(services.store):
        browser = Browser(create_app(services.site()))
        browser.open(f"{FORM}?patient=123")
        browser.send(signs="none")
        for one in browser.page.inputs:
            if one.kind == "text":
                one.value = f"the answer to {one.name.removeprefix('~')}"
        browser.send()
        assert only_response(services)["subject"] == {"reference": "Patient/123"}
        assert {name: answers(services, name) for name in names} == {
            name: [{"valueString": f"the answer to {name}"}] for name in names
        }
