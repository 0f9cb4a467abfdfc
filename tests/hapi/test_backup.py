"""Backups of a running service, by the means that README names, and what a restored one does to the FHIR server."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.databases import PostgresqlServer
from tests.hapi.amending import AMENDED_RECORD, ARM, CALF, accepted, amended, kinds
from tests.hapi.cases import ONE_RECORD
from tests.hapi.client import FhirClient, SyntheticPatient
from tests.hapi.record import Record
from tests.hapi.service import Service

Restore = Callable[[], Service]
"""A service, not started, on a copy of the database as it is now."""


@pytest.fixture
def original(fhir_server: str, tmp_path: Path, database_url: str) -> Iterator[Service]:
    """A service on each kind of database, not started yet."""
    service = Service(tmp_path, fhir_server, DATABASE_URL=database_url)
    yield service
    service.close()


@pytest.fixture
def restore(original: Service, tmp_path: Path, postgresql: PostgresqlServer) -> Iterator[Restore]:
    (tmp_path / "restored").mkdir()
    restored = Service(tmp_path / "restored", str(original.settings["FHIR_SERVER_URL"]))

    def copied() -> Service:
        url = str(original.settings["DATABASE_URL"])
        if url.startswith("sqlite"):
            with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
                connection.execute("VACUUM INTO ?", [str(tmp_path / "restored" / "intake.db")])
            return restored
        dump = str(tmp_path / "intake.dump")
        subprocess.run(["pg_dump", "--format=custom", f"--file={dump}", url], check=True)
        postgresql.execute("CREATE DATABASE restored TEMPLATE template0")
        restored.settings["DATABASE_URL"] = postgresql.url("restored")
        command = ["pg_restore", "--exit-on-error", "--no-owner", f"--dbname={postgresql.url('restored')}", dump]
        subprocess.run(command, check=True)
        return restored

    yield copied
    restored.close()
    if str(restored.settings["DATABASE_URL"]).startswith("postgresql"):
        postgresql.drop("restored")


def test_what_waited_in_a_backup_is_delivered_again_and_changes_nothing(
    original: Service, fhir: FhirClient, patient: SyntheticPatient, restore: Restore
) -> None:
    original.start("--no-deliver")
    accepted(original, patient.reference)
    restored = restore()
    told = [one.command("deliver", "--once") for one in (original, restored)]

    assert all("delivered" in lines for lines in told)
    record = Record.of(fhir, patient.reference)
    assert kinds(record) == ONE_RECORD
    assert record.versions == {"1"}


def test_a_later_version_than_the_backup_knows_is_not_overwritten(
    original: Service, fhir: FhirClient, patient: SyntheticPatient, restore: Restore
) -> None:
    original.start()
    stored = accepted(original, patient.reference)
    original.await_outbox(delivered=1)
    restored = restore()
    amended(original, stored, ARM)
    original.await_outbox(delivered=2)

    restored.start()
    amended(restored, stored, CALF, ARM)

    restored.await_outbox(delivered=1, dead=1)
    assert restored.letter(2)["problem"]["reason"] == "conflict"
    record = Record.of(fhir, patient.reference)
    assert kinds(record) == AMENDED_RECORD
    assert record.responses[0]["meta"]["versionId"] == "2"
