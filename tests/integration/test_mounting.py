"""The service below a path of its public address, behind a proxy that takes the path off, or leaves it on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.bootstrap import start
from service.config import load_settings
from service.packs import Pack
from service.web.app import create_app
from tests.integration.answers import MakeResponse
from tests.integration.forms.browser import Browser
from tests.integration.forms.test_form import QUIET

PREFIX = "/tools/intake"


@pytest.fixture
def browser(tmp_path: Path, page: Pack) -> Iterator[Browser]:
    url = f"sqlite:///{tmp_path / 'intake.db'}"
    services = start(load_settings(database_url=url, public_url=f"https://clinic.example{PREFIX}/"), packs=(page,))
    yield Browser(create_app(services.site()))
    services.store.close()


@pytest.mark.parametrize("seen", ["", PREFIX])
def test_addresses_of_the_api_carry_the_path(browser: Browser, make_response: MakeResponse, seen: str) -> None:
    made = browser.client.post(f"{seen}/fhir/QuestionnaireResponse", json=make_response())
    base = f"https://clinic.example{PREFIX}/fhir"
    assert made.headers["Location"] == f"{base}/QuestionnaireResponse/{made.json['id']}/_history/1"
    found = browser.client.get(f"{seen}/fhir/Condition?patient={base}/Patient/1").json
    assert found["entry"][0]["fullUrl"].startswith(f"{base}/Condition/")
    assert found["link"][0]["url"].startswith(f"{base}/Condition?")


def test_a_form_is_filled_in_there(browser: Browser) -> None:
    browser.open(f"{PREFIX}/")
    browser.open(browser.page.link("twitching"))
    for answers in QUIET:
        browser.send(**answers)
    browser.send()
    assert browser.page.heading.startswith("Your result")
    ours = [address for address in browser.page.links if address.startswith("/")]
    assert ours
    assert all(address.startswith(f"{PREFIX}/") for address in ours)
    style = browser.client.get(f"{PREFIX}/static/style.css", buffered=True)
    assert (style.status_code, style.mimetype) == (200, "text/css")


def test_cookies_stay_below_the_path(browser: Browser) -> None:
    answer = browser.client.get(f"{PREFIX}/forms/muscle-fasciculation?language=es")
    cookies = answer.headers.getlist("Set-Cookie")
    assert len(cookies) == 2
    assert all(f"Path={PREFIX}/" in cookie for cookie in cookies)


def test_what_only_looks_like_the_path_is_not_cut(browser: Browser) -> None:
    assert browser.client.get(f"{PREFIX}x/fhir/metadata").status_code == 404
