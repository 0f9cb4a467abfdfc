"""A server by script, a clock set by hand, a store in a folder of its own, and a worker between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.adapters.database import Database, open_database
from service.records.delivery import Delivery
from tests.unit.records.samples import Clock, ScriptedServer, acceptance, worker


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> ScriptedServer:
    return ScriptedServer()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path / 'records.db'}")
    yield database
    database.close()


@pytest.fixture
def accepted(store: Database, server: ScriptedServer, clock: Clock) -> None:
    """One record waits for the server."""
    store.accept(acceptance(clock(), server.base_url))


@pytest.fixture
def delivery(store: Database, server: ScriptedServer, clock: Clock) -> Delivery:
    return worker(store, server, clock)
