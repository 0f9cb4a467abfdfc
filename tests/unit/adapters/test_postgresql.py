"""What is PostgreSQL's own: what happens when it cannot be used, and when several processes come at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import pytest
from sqlalchemy import insert, select, update

from service.adapters import schema
from service.adapters.database import Database, open_database
from service.errors import Unavailable
from service.records.outbox import Target
from service.records.search import parse_query
from tests.contract.samples import set_target
from tests.databases import PostgresqlServer, database_name

TARGET = Target("https://ehr.example/fhir", failures=1)


@pytest.fixture
def database(postgresql_url: str) -> Iterator[Database]:
    with closing(open_database(postgresql_url, busy_timeout_seconds=0.1)) as database:
        yield database


def test_the_driver_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ValueError, match=r"pip install 'symptom-intake\[postgresql\]'"):
        open_database("postgresql://localhost/records")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://ada:sesame@127.0.0.1:1/records", "Connection refused"),
        ("postgresql://ada:sesame@127.0.0.1:1/records?colour=blue", "colour"),
    ],
)
def test_what_cannot_be_opened_is_said_without_the_password(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        open_database(url)
    assert "'records' cannot be opened" in str(refused.value)
    assert "sesame" not in str(refused.value)


def test_its_address_is_told_without_the_password(postgresql_url: str) -> None:
    with closing(open_database(postgresql_url.replace("tests@", "tests:sesame@"))) as database:
        assert database.url == f"postgresql://tests:***@/{database_name(postgresql_url)}"


def test_a_database_that_lacks_characters_is_refused(postgresql: PostgresqlServer) -> None:
    postgresql.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(ValueError, match="its encoding is LATIN1"):
        open_database(postgresql.url("latin"))
    postgresql.drop("latin")


def test_processes_that_start_at_once_make_the_tables_once(postgresql: PostgresqlServer) -> None:
    postgresql.execute("CREATE DATABASE empty")
    together = Barrier(4)

    def begin(_: int) -> Database:
        together.wait()
        return open_database(postgresql.url("empty"))

    with ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(begin, range(4)))
    assert sum(bool(one.migrations) for one in opened) == 1
    for one in opened:
        one.check()
    for database in opened:
        database.close()
    postgresql.drop("empty")


def test_a_connection_that_was_lost_is_unavailable_once(
    database: Database, postgresql: PostgresqlServer, postgresql_url: str
) -> None:
    set_target(database, TARGET)
    postgresql.end_connections(postgresql_url)
    with pytest.raises(Unavailable) as refused:
        database.targets()
    assert refused.value.retry_after_seconds > 0
    assert database.targets() == (TARGET,)


def test_a_server_that_takes_no_connections_is_unavailable_until_it_does(
    database: Database, postgresql: PostgresqlServer, postgresql_url: str
) -> None:
    with postgresql.closed(postgresql_url):
        for _ in range(2):
            with pytest.raises(Unavailable):
                database.check()
            with pytest.raises(Unavailable):
                database.search(parse_query("Observation", []))
    database.check()


def test_a_server_that_stands_by_is_read_and_not_ready(
    database: Database, postgresql: PostgresqlServer, postgresql_url: str
) -> None:
    name = database_name(postgresql_url)
    postgresql.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    database.close()
    assert database.targets() == ()
    with pytest.raises(Unavailable, match="read-only"):
        database.check()
    with pytest.raises(Unavailable, match="read-only"):
        set_target(database, TARGET)
    postgresql.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    set_target(database, TARGET)


def test_the_host_that_can_be_reached_is_taken(postgresql_url: str) -> None:
    address, _, host = postgresql_url.partition("?host=")
    hosts = f"{address}?host=/nowhere&host={host}&target_session_attrs=read-write"
    with closing(open_database(hosts)) as database:
        database.check()


def test_whoever_waits_too_long_for_another_is_unavailable(database: Database) -> None:
    set_target(database, TARGET)
    with database._write() as other:
        other.execute(update(schema.target).values(failures=7))
        with pytest.raises(Unavailable, match="lock timeout"):
            set_target(database, TARGET)
        assert database.targets() == (TARGET,)


def test_of_two_that_wait_for_each_other_one_is_unavailable(postgresql_url: str) -> None:
    with closing(open_database(postgresql_url)) as database:
        set_target(database, TARGET)
        set_target(database, Target("other", failures=1))
        together, outcomes = Barrier(2), []

        def write(*names: str) -> None:
            try:
                with database._write() as connection:
                    for name in names:
                        connection.execute(update(schema.target).where(schema.target.c.name == name).values(failures=2))
                        if name == names[0]:
                            together.wait()
            except Unavailable as fault:
                outcomes.append(str(fault))

        with ThreadPoolExecutor(2) as threads:
            for names in ((TARGET.name, "other"), ("other", TARGET.name)):
                threads.submit(write, *names)
        assert len(outcomes) == 1
        assert "deadlock detected" in outcomes[0]


def test_what_was_written_meanwhile_is_not_seen_by_a_read_that_began_before(database: Database) -> None:
    row = {"name": TARGET.name, "failures": 1}
    with database._read() as reading:
        assert reading.execute(select(schema.target.c.name)).all() == []
        with database._write() as writing:
            writing.execute(insert(schema.target).values(row))
        assert reading.execute(select(schema.target.c.name)).all() == []
    assert [one.name for one in database.targets()] == [TARGET.name]
