"""Transactions on a relational database, and its passing faults as Unavailable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.adapters.backend import Backend
from service.errors import IssueType, Unavailable, error

RETRY_AFTER_SECONDS: Final = 5


class Transactions:
    """What the methods of a Database run in. Safe for threads."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._engine = backend.reader

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._faults_told(), self._backend.reader.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._faults_told(), self._writing() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._backend.write_turn(), self._backend.writer.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _faults_told(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as fault:
            reason = self._backend.passing_reason(fault)
            if reason is None:
                raise
            raise _unavailable(f"The database cannot be used now: {reason}.") from fault
        except PoolTimeout as fault:
            raise _unavailable("All connections to the database are in use.") from fault
        except TimeoutError as fault:
            raise _unavailable("Other writers keep the database busy.") from fault


def _unavailable(text: str) -> Unavailable:
    return Unavailable([error(IssueType.TRANSIENT, text)], RETRY_AFTER_SECONDS)
