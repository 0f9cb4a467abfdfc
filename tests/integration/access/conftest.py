"""The service under AUTH=smart, with an authorization server of the tests' own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.bootstrap import Services, start
from service.config import load_settings
from service.packs import Pack
from service.web.app import create_app
from tests.integration.issuer import Issuer, running_issuer

EVERYTHING = "system/*.cruds system/AuditEvent.rs"
FHIR_JSON = "application/fhir+json"


@pytest.fixture(scope="session")
def one_issuer() -> Iterator[Issuer]:
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture
def issuer(one_issuer: Issuer) -> Issuer:
    """The authorization server, as new."""
    one_issuer.metadata, one_issuer.active, one_issuer.down, one_issuer.asked = {}, {}, False, []
    return one_issuer


MakeServices = Callable[..., Services]


@pytest.fixture
def make_services(tmp_path: Path, page: Pack, issuer: Issuer) -> Iterator[MakeServices]:
    """Starts the service under AUTH=smart, with settings over the usual ones."""
    opened: list[Services] = []

    def make(**settings: Any) -> Services:
        usual = {"auth": "smart", "auth_issuer": issuer.url, "public_url": "https://intake.example", "rate_limit": None}
        url = f"sqlite:///{tmp_path / f'intake-{len(opened)}.db'}"
        opened.append(start(load_settings(database_url=url, **{**usual, **settings}), packs=(page,)))
        return opened[-1]

    yield make
    for services in opened:
        services.store.close()


@pytest.fixture
def services(make_services: MakeServices) -> Services:
    return make_services()


@dataclass(frozen=True)
class Api:
    """The API, called with a token; by default one that opens everything."""

    client: FlaskClient
    issuer: Issuer
    token: str

    def as_(self, scope: str, **claims: Any) -> Api:
        """The API as another caller finds it."""
        return Api(self.client, self.issuer, self.issuer.token(scope, **claims))

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """One request."""
        sent = {"Authorization": f"Bearer {self.token}", **headers}
        if body is not None:
            sent = {"Content-Type": FHIR_JSON, **sent}
        return self.client.open(path, method=method, data=None if body is None else json.dumps(body), headers=sent)

    def get(self, path: str, **headers: str) -> TestResponse:
        """One request to read."""
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> TestResponse:
        """One request to write, or of an operation."""
        return self.call("POST", path, body, **headers)


@pytest.fixture
def api(services: Services, issuer: Issuer) -> Api:
    return Api(create_app(services.site()).test_client(), issuer, issuer.token(EVERYTHING))
