"""`invite`: a link that opens the form for a patient without an account."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.bootstrap import Services, start
from service.cli import main
from service.config import load_settings
from service.packs import Pack, shipped_pages
from service.web.app import create_app
from tests.integration.forms.browser import Browser, Page
from tests.integration.forms.conftest import Clock
from tests.integration.forms.test_form import QUIET, only_response


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: Clock) -> None:
    monkeypatch.setenv("SYMPTOM_INTAKE_DATABASE_URL", f"sqlite:///{tmp_path / 'intake.db'}")
    monkeypatch.setenv("SYMPTOM_INTAKE_PUBLIC_URL", "https://intake.example.org")
    monkeypatch.setenv("SYMPTOM_INTAKE_PACKS", str(shipped_pages() / "muscle-fasciculation"))
    monkeypatch.setattr(sys.modules["service.cli.invite"], "start", partial(start, clock=clock))


@pytest.fixture
def services(tmp_path: Path, page: Pack, clock: Clock) -> Iterator[Services]:
    """The service on the database that the command writes to."""
    services = start(load_settings(database_url=f"sqlite:///{tmp_path / 'intake.db'}"), clock=clock, packs=(page,))
    yield services
    services.store.close()


@pytest.fixture
def browser(services: Services) -> Browser:
    return Browser(create_app(services.site()))


def invite(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["invite", *arguments])


def link(*arguments: str) -> str:
    done = invite(*arguments)
    assert done.exit_code == 0, done.output
    return done.output.strip()


def is_over(page: Page) -> bool:
    return page.status == 410 and "does not open the form any more" in page.heading


def test_a_link_opens_the_form_for_the_patient(browser: Browser, services: Services) -> None:
    browser.open(link("--patient", "Patient/123"))
    for answers in QUIET:
        browser.send(**answers)
    browser.send()
    assert browser.page.heading.endswith("Self-care")
    response = only_response(services)
    assert (response["status"], response["subject"]) == ("completed", {"reference": "Patient/123"})


def test_a_link_names_no_patient_and_leaves_the_address_bar(browser: Browser) -> None:
    address = link("--patient", "Patient/123456789")
    assert address.startswith("https://intake.example.org/forms/muscle-fasciculation/")
    assert "123456789" not in address
    browser.open(address)
    assert "key" not in browser.send(**QUIET[0]).address


def test_nobody_else_can_be_named(browser: Browser, services: Services) -> None:
    browser.open(link("--patient", "123") + "&patient=456")
    browser.send(**QUIET[0])
    assert only_response(services)["subject"] == {"reference": "Patient/123"}


def test_links_are_apart() -> None:
    assert link("--patient", "123") != link("--patient", "123")


def test_a_link_opens_the_page_it_was_made_for_alone(
    tmp_path: Path, page: Pack, everything: Pack, clock: Clock
) -> None:
    address = link("--patient", "123")
    services = start(
        load_settings(database_url=f"sqlite:///{tmp_path / 'intake.db'}"), clock=clock, packs=(page, everything)
    )
    browser = Browser(create_app(services.site()))
    assert browser.open(address.replace(f"/{page.name}/", f"/{everything.name}/")).status == 404
    assert browser.open(address).status == 200
    services.store.close()


def test_an_invitation_ends_for_who_has_not_begun(browser: Browser, clock: Clock) -> None:
    address = link("--patient", "123", "--days", "3")
    clock.advance(days=2.9)
    assert browser.open(address).status == 200
    clock.advance(days=0.2)
    assert is_over(browser.open(address))


def test_who_has_begun_can_come_back_after_it_ended(browser: Browser, clock: Clock) -> None:
    address = link("--patient", "123", "--days", "3")
    browser.open(address)
    browser.send(**QUIET[0])
    clock.advance(days=4)
    assert "Step 2 of 6" in browser.open(address).heading


@pytest.mark.parametrize(("minutes", "is_taken"), [(59, True), (61, False)])
def test_a_page_opened_in_time_is_taken_within_an_hour(
    browser: Browser, clock: Clock, services: Services, minutes: int, is_taken: bool
) -> None:
    browser.open(link("--patient", "123", "--days", "3"))
    clock.advance(days=3, minutes=minutes)
    browser.send(**QUIET[0])
    if is_taken:
        assert only_response(services)["subject"] == {"reference": "Patient/123"}
    else:
        assert is_over(browser.page)


def test_an_invitation_taken_back_opens_nothing(browser: Browser, services: Services) -> None:
    address = link("--patient", "123")
    browser.open(address)
    browser.send(**QUIET[0])
    assert link("--revoke", address) == "The link opens nothing any more."
    assert is_over(browser.send(**QUIET[1]))
    assert is_over(browser.open(address))
    assert only_response(services)["meta"]["versionId"] == "1"


@pytest.mark.parametrize("address", ["https://intake.example.org/forms/muscle-fasciculation/1?key=none", "no link"])
def test_a_link_that_was_never_given_cannot_be_taken_back(address: str) -> None:
    done = invite("--revoke", address)
    assert (done.exit_code, done.output) == (1, "Error: No invitation stands that this link belongs to.\n")


def test_a_link_is_taken_back_once() -> None:
    address = link("--patient", "123")
    link("--revoke", address)
    assert invite("--revoke", address).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Give --patient for a new link, or --revoke"),
        (("--patient", "1", "--revoke", "x"), "Give --patient for a new link, or --revoke"),
        (("--patient", "Patient/with spaces"), "--patient: The subject must be a patient"),
        (("--patient", "1", "--page", "nothing"), "name one of muscle-fasciculation"),
        (("--patient", "1", "--days", "0"), "'--days'"),
    ],
)
def test_what_it_needs_is_said(arguments: tuple[str, ...], said: str) -> None:
    done = invite(*arguments)
    assert done.exit_code == 2
    assert said in done.output


def test_without_a_public_address_it_is_said_where_the_link_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYMPTOM_INTAKE_PUBLIC_URL")
    done = invite("--patient", "123")
    assert done.stdout.startswith("http://localhost:8000/forms/")
    assert "SYMPTOM_INTAKE_PUBLIC_URL" in done.stderr


def test_an_invitation_may_name_the_language(browser: Browser) -> None:
    page = browser.open(f"{link('--patient', 'Patient/1')}&_language=es")
    assert page.heading == "Paso 1 de 6 : Señales de peligro"
    assert browser.send(danger_signs="none").heading.startswith("Paso 2 de 6")
