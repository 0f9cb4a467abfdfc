"""The start page in a browser."""

import pytest

from tests.browser.chromium import PageOf
from tests.browser.screens import DESKTOP, PHONE, Size, barriers, overflow
from tests.hapi.service import Service


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_it_fits_and_has_no_barriers(service: Service, page_of: PageOf, size: Size) -> None:
    page = page_of(size=size)
    page.goto(service.address)
    assert page.get_by_role("heading", level=1).inner_text() == "Symptom Intake"
    assert barriers(page) == []
    assert overflow(page) == 0


def test_it_runs_no_script_that_was_slipped_in(service: Service, page_of: PageOf) -> None:
    page = page_of(complaints=("Content Security Policy",))
    page.goto(service.address)
    script = "document.head.append(Object.assign(document.createElement('script'), {text: 'window.ran = true'}))"
    page.evaluate(f"() => {{ {script} }}")
    assert page.evaluate("window.ran") is None
