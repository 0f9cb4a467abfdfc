"""Takes README's pictures of the form and the result, for a made-up person: python -m tests.tools.take_screenshots."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

from tests.browser.chromium import CHROMIUM_OPTIONS
from tests.hapi.service import serving

PICTURES = Path(__file__).parent.parent / "browser" / "pictures"
SIZE = {"width": 640, "height": 800}
STEPS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("danger signs", "None of these"),),
    (("How long does the twitching", "Seconds"), ("How often", "Every day")),
    (("Which muscles", "Hand"), ("On which side", "Left"), ("same place", "Yes")),
    (("muscles weak", "No, my muscles are not weak"), ("other symptoms", "Muscles that have become thinner")),
    (("16 years", "Yes"), ("Are you pregnant", "No, or this does not apply to me")),
    (
        ("Which of these medicines", "I take no medicines"),
        ("Do any of these apply", "None of these"),
        ("health care provider", "None of these"),
    ),
)


def main() -> None:
    """Writes form.png and result.png."""
    with (
        TemporaryDirectory() as folder,
        serving(Path(folder), fhir_server_url=None, COUNTRY="US") as service,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_OPTIONS)
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
        page.goto(f"{service.address}/forms/muscle-fasciculation")
        page.screenshot(path=PICTURES / "form.png")
        for step in STEPS:
            _answer(page, step)
        page.get_by_role("button", name="Send my answers").click()
        page.screenshot(path=PICTURES / "result.png")
        browser.close()


def _answer(page: Page, step: tuple[tuple[str, str], ...]) -> None:
    for question, option in step:
        page.get_by_role("group", name=question).get_by_label(option, exact=True).check()
    page.locator(".actions button").first.click()


if __name__ == "__main__":
    main()
