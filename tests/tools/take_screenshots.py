"""Takes README's pictures of the form and the result, for a made-up person: python -m tests.tools.take_screenshots."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from tests.browser.chromium import CHROMIUM_OPTIONS
from tests.browser.filling import fill
from tests.hapi.service import serving

PICTURES = Path(__file__).parent.parent / "browser" / "pictures"
SIZE = {"width": 640, "height": 800}


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
        fill(page)
        page.screenshot(path=PICTURES / "result.png")
        browser.close()


if __name__ == "__main__":
    main()
