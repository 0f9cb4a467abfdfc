"""Debian's Chromium, and pages whose errors on the console fail their test: fixtures for every kind of test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, WebError, sync_playwright

from tests.browser.screens import DESKTOP, Size

PATIENCE_MILLISECONDS = 20_000
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class PageOf(Protocol):
    """Opens a page in a context of its own: it shares no cookie, no storage and no cache with others.

    An error on its console fails the test, but for those that hold one of `complaints`, such as "status of 422"; for
    each of these there must be one.
    """

    def __call__(self, *, size: Size = DESKTOP, scripts: bool = True, complaints: tuple[str, ...] = ()) -> Page: ...


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the whole run."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def page_of(browser: Browser) -> Iterator[PageOf]:
    """Opens pages, and closes them when the test ends."""
    watched: list[_Watched] = []

    def open_page(*, size: Size = DESKTOP, scripts: bool = True, complaints: tuple[str, ...] = ()) -> Page:
        context = browser.new_context(viewport=size, java_script_enabled=scripts)
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        watched.append(_Watched(context, complaints))
        return context.new_page()

    yield open_page
    faults = [fault for each in watched for fault in each.close()]
    if faults:
        pytest.fail("The browser's console:\n" + "\n".join(faults), pytrace=False)


class _Watched:
    """A context, and the errors on the console of its pages."""

    def __init__(self, context: BrowserContext, expected: tuple[str, ...]) -> None:
        self._context = context
        self._expected = expected
        self._errors: list[str] = []
        context.on("console", self._hear)
        context.on("weberror", self._catch)

    def close(self) -> list[str]:
        """Close its pages; the errors that were not expected, and what was expected in vain."""
        # All that the pages told before is heard by the time this returns.
        self._context.close()
        unexpected = [error for error in self._errors if not any(part in error for part in self._expected)]
        missing = [part for part in self._expected if not any(part in error for error in self._errors)]
        return unexpected + [f"(no error with {part!r})" for part in missing]

    def _hear(self, message: ConsoleMessage) -> None:
        address = message.location["url"]
        # Chromium asks for it by itself, once a run, of whatever page came first.
        if message.type == "error" and not address.endswith("/favicon.ico"):
            self._errors.append(f"{address}: {message.text}")

    def _catch(self, error: WebError) -> None:
        self._errors.append(str(error.error))
