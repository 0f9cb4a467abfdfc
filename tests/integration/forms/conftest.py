"""Forms in a browser without scripts: of the shipped page, and of one with every kind of question."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.bootstrap import Services, start
from service.config import load_settings
from service.packs import Pack, load_pack
from service.web.app import create_app
from tests.integration.forms.browser import Browser
from tests.integration.forms.everything import write_page

NOW = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)


class Clock:
    """The time, as a test sets it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **units: float) -> None:
        self.now += timedelta(**units)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """The page with every kind of question."""
    return load_pack(write_page(tmp_path_factory.mktemp("pages")))


MakeServices = Callable[..., Services]


@pytest.fixture
def make_services(tmp_path: Path, page: Pack, everything: Pack, clock: Clock) -> Iterator[MakeServices]:
    """Starts the service on a database of its own, with settings."""
    opened: list[Services] = []

    def make(**settings: Any) -> Services:
        url = f"sqlite:///{tmp_path / f'intake-{len(opened)}.db'}"
        opened.append(start(load_settings(database_url=url, **settings), clock=clock, packs=(page, everything)))
        return opened[-1]

    yield make
    for services in opened:
        services.store.close()


@pytest.fixture
def services(make_services: MakeServices) -> Services:
    """The service with an embedded record alone."""
    return make_services(country="US", time_zone="Europe/Madrid")


@pytest.fixture
def browser(services: Services) -> Browser:
    return Browser(create_app(services.site()))
