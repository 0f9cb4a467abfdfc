"""Sizes of screen, and what is asked of every page of ours on each."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page
from playwright.sync_api import ViewportSize as Size

PHONE = Size(width=375, height=812)
DESKTOP = Size(width=1280, height=900)


def barriers(page: Page) -> list[str]:
    """What axe finds on a page, its good practices included: rule, element and advice. Needs a page with scripts."""
    violations = Axe().run(page).response["violations"]
    return [
        f"{violation['id']} {node['target']}: {node['failureSummary']}"
        for violation in violations
        for node in violation["nodes"]
    ]


def overflow(page: Page) -> int:
    """CSS pixels by which a page is wider than its window, so that it scrolls sideways."""
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width
