"""The stores that the contract holds for, and records to put into them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.adapters.database import Database, open_database

STORES: dict[str, Callable[[Path], Database]] = {
    "sqlite": lambda folder: open_database(f"sqlite:///{folder / 'records.db'}"),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    database = STORES[request.param](tmp_path)
    yield database
    database.close()
