"""The stores that the contract holds for."""

from collections.abc import Iterator

import pytest

from service.adapters.database import Database, open_database


@pytest.fixture
def store(database_url: str) -> Iterator[Database]:
    database = open_database(database_url)
    yield database
    database.close()
