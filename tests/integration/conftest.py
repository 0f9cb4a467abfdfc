"""The whole service on a real SQLite file, with its shipped page, reached through Flask's test client."""

import os
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.bootstrap import Services, start
from service.config import PREFIX, load_settings
from service.packs import Pack, load_packs, shipped_pages
from service.packs.vignettes import Vignette, load_vignettes, vignette_response
from service.web.app import create_app
from tests.integration.answers import MakeResponse, Response

PAGE = "muscle-fasciculation"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture(scope="session")
def page() -> Pack:
    return next(pack for pack in load_packs(shipped_pages()) if pack.name == PAGE)


@pytest.fixture(scope="session")
def vignettes() -> dict[str, Vignette]:
    return {vignette.name: vignette for vignette in load_vignettes(shipped_pages() / PAGE)}


@pytest.fixture(scope="session")
def make_response(page: Pack, vignettes: dict[str, Vignette]) -> MakeResponse:
    """Builds the response of the vignette whose name begins with `case`, for Patient/1, with `elements` set over it."""

    def make(case: str = "case-01", /, **elements: Any) -> Response:
        vignette = next(vignette for name, vignette in vignettes.items() if name.startswith(case))
        response = {**vignette_response(page, vignette), "subject": {"reference": "Patient/1"}, **elements}
        return deepcopy({name: value for name, value in response.items() if value is not None})

    return make


@pytest.fixture
def services(tmp_path: Path, page: Pack) -> Iterator[Services]:
    """The service with an embedded record alone."""
    services = start(load_settings(database_url=f"sqlite:///{tmp_path / 'intake.db'}"), packs=(page,))
    yield services
    services.store.close()


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services.site()).test_client()
