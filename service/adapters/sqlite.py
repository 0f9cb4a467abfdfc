"""Opening an SQLite file so that what it says is committed stays committed, and is nobody else's to read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from service.adapters.backend import Backend

_POOL_SIZE: Final = 32
# Primary result codes (https://www.sqlite.org/rescode.html) that tell of the world and not of a mistake of ours:
# BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN.
_PASSING: Final = frozenset({5, 6, 8, 10, 13, 14})


def sqlite_backend(url: URL, busy_timeout_seconds: float) -> Backend:
    """The file of `url`, which is made (0600, in a folder 0700) when missing.

    A write begins with BEGIN IMMEDIATE, so that it never has to give up half-way what it read. Raises ValueError when
    `url` names no file.
    """
    engine = _engine(url, busy_timeout_seconds)
    # SQLite lets one writer in at a time and others poll for their turn; within a process a lock is quicker.
    lock = Lock()

    @contextmanager
    def write_turn() -> Iterator[None]:
        if not lock.acquire(timeout=busy_timeout_seconds):
            raise TimeoutError
        try:
            yield
        finally:
            lock.release()

    return Backend(
        reader=engine,
        writer=engine.execution_options(immediate=True),
        write_turn=write_turn,
        passing_reason=_passing_reason,
        exclude=_exclude,
        upgrades_at_start=True,
    )


def _engine(url: URL, busy_timeout_seconds: float) -> Engine:
    if not url.database or url.database == ":memory:" or url.query:
        raise ValueError("The database URL must name a file: sqlite:///path/to/file, with nothing after it.")
    _make_private_file(Path(url.database))
    # From here on a connection opens what is there: in the place of a file that is gone it must not begin an empty one.
    existing = url.set(database=f"file:{quote(url.database)}", query={"mode": "rw", "uri": "true"})
    engine = create_engine(existing, pool_size=_POOL_SIZE, max_overflow=0, pool_timeout=busy_timeout_seconds)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, entry: ConnectionPoolEntry) -> None:
        # The driver must not begin transactions by itself; `_begin` does.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {round(busy_timeout_seconds * 1000)}")
        cursor.execute("PRAGMA journal_mode = WAL")
        # FULL: the log is synced before a commit returns. NORMAL could lose an acknowledged response with the power.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        # What is removed is overwritten: else it would stand in the file until its space is used again.
        cursor.execute("PRAGMA secure_delete = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _passing_reason(fault: DBAPIError) -> str | None:
    """Says that the database is locked, full, read-only or gone."""
    code = getattr(fault.orig, "sqlite_errorcode", None)
    return str(fault.orig) if isinstance(code, int) and code & 0xFF in _PASSING else None


def _exclude(connection: Connection, name: str) -> None:
    """Nothing: whoever writes is alone."""


def _make_private_file(path: Path) -> None:
    if path.exists() and not path.is_file():
        # The mode of a device, such as /dev/null, is everybody's.
        raise ValueError(f"{path} is no file")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite gives its -wal and -shm files the mode of the file itself.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    path.chmod(0o600)
