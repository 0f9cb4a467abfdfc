"""Databases that other releases made, and the migrations that bring them to this one's schema."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from service.adapters import schema
from service.adapters.database import Database, open_database
from service.adapters.migration import REVISION
from service.records import outbox
from service.records.outbox import Letter, State, Target
from service.records.ports import Key, KeyKind
from service.records.search import PatientCriterion, parse_query
from tests.contract.samples import acceptance, response, set_target

NOW = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)
TARGET = Target("https://ehr.example/fhir", failures=1)
FIRST_SCHEMA = Path(__file__).parent / "first_schema"
SINCE_VERSION_2 = (
    "proposal", "launch_request", "launch", "launch_grant", "signing_key", "invitation", "card", "feedback",
    "hook_token", "clinician_visit",
)  # fmt: skip

Execute = Callable[[str], None]


@pytest.fixture(params=["sqlite", "postgresql"])
def first_database(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """The address of a database as the first release left it, and what executes SQL there."""
    dump = (FIRST_SCHEMA / f"{request.param}.sql").read_text(encoding="utf-8")
    if request.param == "sqlite":
        file = tmp_path / "intake.db"

        def execute(script: str) -> None:
            with closing(sqlite3.connect(file)) as connection:
                connection.executescript(script)

        execute(dump)
        yield f"sqlite:///{file}", execute
        return
    server = request.getfixturevalue("postgresql")
    server.execute("CREATE DATABASE first_schema")
    url = server.url("first_schema")

    def execute_there(script: str) -> None:
        with closing(psycopg.connect(url, autocommit=True)) as connection:
            connection.execute(script.encode())

    execute_there(dump)
    yield url, execute_there
    server.drop("first_schema")


def migrated(url: str) -> Database:
    return open_database(url, upgrade=True)


def differences(database: Database) -> list[Any]:
    """What the tables are not that the code says they are."""
    with database._read() as connection:
        return compare_metadata(MigrationContext.configure(connection), schema.metadata)


def test_the_last_migration_is_the_one_that_the_code_needs() -> None:
    config = Config()
    config.set_main_option("script_location", "service.adapters:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_the_migrations_make_the_tables_that_the_code_uses(database_url: str) -> None:
    with closing(open_database(database_url)) as database:
        assert differences(database) == []


def test_a_database_is_opened_again_with_all_it_held(database_url: str) -> None:
    with closing(open_database(database_url)) as database:
        set_target(database, TARGET)
    with closing(open_database(database_url)) as database:
        assert database.targets() == (TARGET,)
        assert database.migrations == ()


class TestTheFirstSchema:
    def test_becomes_this_one(self, first_database: tuple[str, Execute]) -> None:
        with closing(migrated(first_database[0])) as database:
            assert [one.partition(" ")[0] for one in database.migrations][-1] == REVISION
            assert differences(database) == []

    def test_keeps_the_record(self, first_database: tuple[str, Execute]) -> None:
        with closing(migrated(first_database[0])) as database:
            key = Key(KeyKind.IDENTIFIER, "app", "Patient/1", "urn:forms", "form-1")
            first = database.find([key])
            assert first is not None
            assert (first.id, first.version, first.digest, len(first.warnings)) == ("r1", 1, "digest", 1)
            assert database.find([Key(KeyKind.IDENTIFIER, "app", "Patient/1", "urn:forms", "x" * 600)]) is not None
            record = database.record("r1", 2)
            assert [one["id"] for one in record] == ["r1", "p1", "o1", "p2"]
            assert str(record[2]["valueQuantity"]["value"]) == "1.50"
            assert database.search(parse_query("Observation", [("code", "75325-1")])).total == 1
            assert database.search(parse_query("QuestionnaireResponse", [("authored", "2026-03-15")])).total == 3
            assert database.search(parse_query("AuditEvent", [("patient", "Patient/1")])).total == 1
            assert database.proposal("r2") == {"item": []}
            assert [one.version for one in database.remembered_packs()] == ["1.0.0"]

    def test_keeps_the_outbox(self, first_database: tuple[str, Execute]) -> None:
        with closing(migrated(first_database[0])) as database:
            delivered, dead = database.letters()
            assert (delivered.state, dead.state) == (State.DELIVERED, State.DEAD)
            assert [one.etag for one in database.placements(TARGET.name, "r1")] == ['W/"1"']
            assert database.targets() == (TARGET,)
            assert database.change(dead, outbox.retried(dead, NOW))

            def take(letter: Letter) -> Letter:
                return outbox.take(letter, "worker", NOW, timedelta(minutes=5))

            taken = database.lease(TARGET.name, NOW, take)
            assert taken is not None
            assert [one["id"] for one in database.outstanding(taken)] == ["r1", "o1", "p2"]

    def test_keeps_launches_invitations_and_feedback(self, first_database: tuple[str, Execute]) -> None:
        with closing(migrated(first_database[0])) as database:
            launch = database.launch("r2")
            assert launch is not None
            assert launch.banner == "Ada, 1815-12-10"
            assert launch.launched_at > NOW, "it is kept as long as one of today"
            assert list(database.grants(TARGET.name, "2")) == [("g1", "sealed")]
            assert [kid for kid, _, _ in database.signing_keys()] == ["k1"]
            assert database.take_launch_request("state") == ("sealed", NOW)
            assert database.invitation("r4") is not None
            assert [one.count for one in database.feedback_counts()] == [1]
            assert not database.keep_token_id(TARGET.name, "t1", NOW + timedelta(hours=1), NOW)
            assert database.visit("v1") is not None

    def test_takes_new_responses(self, first_database: tuple[str, Execute]) -> None:
        with closing(migrated(first_database[0])) as database:
            database.accept(acceptance(response("r9")))
            assert database.letters()[-1].response_id == "r9"

    def test_is_brought_up_at_start_in_a_file_and_by_the_command_on_a_server(
        self, first_database: tuple[str, Execute]
    ) -> None:
        url, _ = first_database
        if url.startswith("sqlite"):
            with closing(open_database(url)) as database:
                assert database.migrations
        else:
            with pytest.raises(ValueError, match="run 'symptom-intake db upgrade'"):
                open_database(url)
            migrated(url).close()
            open_database(url).close()

    def test_from_before_has_fewer_tables_and_provenance_of_nobody(self, first_database: tuple[str, Execute]) -> None:
        url, execute = first_database
        execute("".join(f"DROP TABLE {name};" for name in SINCE_VERSION_2))
        execute("UPDATE resource SET patient = NULL WHERE type = 'Provenance'; UPDATE schema_version SET version = 1;")
        with closing(migrated(url)) as database:
            assert differences(database) == []
            mine, anothers = (((PatientCriterion((f"Patient/{number}",)),),) for number in "12")
            assert database.read("Provenance", "p1", within=mine) is not None
            assert database.read("Provenance", "p1", within=anothers) is None


def test_a_newer_schema_is_left_alone(database_url: str) -> None:
    with closing(open_database(database_url)) as database, database._write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for upgrade in (False, True):
        with pytest.raises(ValueError, match="schema 9999; this release knows"):
            open_database(database_url, upgrade=upgrade)


def test_migrations_that_fail_leave_the_database_as_it_was(first_database: tuple[str, Execute]) -> None:
    url, execute = first_database
    execute("DROP TABLE clinician_visit; ALTER TABLE schema_version RENAME TO kept;")
    # It is dropped last, which fails for what is no table.
    execute("CREATE VIEW schema_version AS SELECT version FROM kept;")
    with pytest.raises(ValueError, match="schema_version"):
        migrated(url)
    with pytest.raises((sqlite3.OperationalError, psycopg.errors.UndefinedTable)):
        execute("SELECT * FROM clinician_visit;")
    execute("DROP VIEW schema_version; ALTER TABLE kept RENAME TO schema_version;")
    with closing(migrated(url)) as database:
        assert database.stored("r1") is not None


def test_a_database_that_has_the_schema_is_opened_without_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'intake.db'}"
    open_database(url).close()
    code = (
        f"import sys, service.cli\nfrom service.adapters.database import open_database; open_database({url!r}).close()"
    )
    tell = "; print('alembic' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code + tell], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
