"""What is SQLite's own: the file, its pragmas, and what happens when it cannot be used."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import URL, event

from service.adapters.database import Database, open_database
from service.errors import Unavailable
from service.records.outbox import Target
from service.records.search import parse_query
from tests.contract.samples import set_target

TARGET = Target("https://ehr.example/fhir", failures=1)


def opened(folder: Path) -> Database:
    return open_database(f"sqlite:///{folder / 'data' / 'records.db'}", busy_timeout_seconds=0.05)


def test_the_file_and_its_folder_are_the_owners_alone(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as database:
        set_target(database, TARGET)
        for file in (tmp_path / "data").iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_commits_are_synced_readers_do_not_wait_and_what_is_removed_is_overwritten(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as database, database._engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "secure_delete")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 50,
        "secure_delete": 1,
    }


@pytest.mark.parametrize(
    "url", ["mysql://localhost/records", "sqlite://", "sqlite:///:memory:", "sqlite:///a.db?mode=ro"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite:///path/to/file"):
        open_database(url)


def test_while_another_process_writes_reads_go_on_and_writes_are_unavailable(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as database:
        with closing(sqlite3.connect(tmp_path / "data" / "records.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert database.search(parse_query("Observation", [])).total == 0
            with pytest.raises(Unavailable) as refused:
                set_target(database, TARGET)
            with pytest.raises(Unavailable):
                database.check()
        assert refused.value.retry_after_seconds > 0
        set_target(database, TARGET)
        assert database.targets() == (TARGET,)


def test_while_another_thread_writes_writes_are_unavailable(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as database:
        refused: list[Unavailable] = []

        def write() -> None:
            try:
                database.check()
            except Unavailable as fault:
                refused.append(fault)

        with database._write():
            thread = Thread(target=write)
            thread.start()
            thread.join()
        assert len(refused) == 1
        database.check()


def test_a_full_database_is_unavailable_and_keeps_what_it_holds(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as database:
        set_target(database, TARGET)
        with database._engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        long_name = "https://ehr.example/" + "fhir/" * 10_000
        with pytest.raises(Unavailable, match="full"):
            set_target(database, Target(long_name, failures=1))
        assert database.targets() == (TARGET,)


def test_a_database_that_may_not_be_written_is_unavailable(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as database:
        with database._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA query_only = ON")
        with pytest.raises(Unavailable, match="readonly"):
            set_target(database, TARGET)


def test_a_file_that_is_gone_is_unavailable_and_not_begun_anew(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as database:
        set_target(database, TARGET)
        database._engine.dispose()
        folder = (tmp_path / "data").rename(tmp_path / "moved")
        with pytest.raises(Unavailable, match="unable to open"):
            database.check()
        folder.rename(tmp_path / "data")
        (tmp_path / "data" / "records.db").rename(tmp_path / "moved.db")
        with pytest.raises(Unavailable, match="unable to open"):
            database.check()
        (tmp_path / "moved.db").rename(tmp_path / "data" / "records.db")
        assert database.targets() == (TARGET,)


@pytest.mark.parametrize("name", ["a b", "50%", "a?b=c", "a#b", "ä"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    url = URL.create("sqlite", database=str(tmp_path / name / f"{name}.db"))
    with closing(open_database(url.render_as_string())) as database:
        set_target(database, TARGET)
    assert (tmp_path / name / f"{name}.db").stat().st_size > 0


def test_looking_for_work_reads_open_letters_alone(tmp_path: Path) -> None:
    asked: list[tuple[str, Any]] = []
    with closing(opened(tmp_path)) as database:

        @event.listens_for(database._engine, "before_cursor_execute")
        def _keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            asked.append((statement, parameters))

        assert database.lease(TARGET.name, datetime(2026, 3, 15, tzinfo=UTC), lambda letter: letter) is None
        [(query, values)] = [one for one in asked if "FROM letter" in one[0]]
        with database._engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all()
    assert "USING INDEX letter_due" in plan[0].detail


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to be looked at as one" * 20)
    with pytest.raises(ValueError, match="file is not a database"):
        open_database(f"sqlite:///{file}")
