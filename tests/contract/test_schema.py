"""Databases that other releases made."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select, update

from service.adapters import schema
from service.adapters.database import Database, NewerSchema, open_database
from service.records.outbox import Target
from service.records.search import PatientCriterion

TARGET = Target("https://ehr.example/fhir", failures=1)
FIRST_TABLES = (
    "schema_version", "resource", "term", "span", "receipt", "response_key", "letter", "target", "placement", "pack",
)  # fmt: skip


def set_version(database: Database, version: int) -> None:
    with database._write() as connection:
        connection.execute(update(schema.schema_version).values(version=version))


def test_a_database_is_opened_again_with_all_it_held(database_url: str) -> None:
    with closing(open_database(database_url)) as database:
        database.set_target(TARGET)
    with closing(open_database(database_url)) as database:
        assert database.targets() == (TARGET,)


def test_the_first_schema_is_brought_up_to_this_one_with_what_it_holds(database_url: str) -> None:
    with closing(open_database(database_url)) as database:
        database.set_target(TARGET)
        set_version(database, 1)
        with database._write() as connection:
            later = [table for table in schema.metadata.sorted_tables if table.name not in FIRST_TABLES]
            schema.metadata.drop_all(connection, tables=later)
    with closing(open_database(database_url)) as database:
        assert database.targets() == (TARGET,)
        database.keep_proposal("r1", {"item": []}, datetime(2026, 3, 15, tzinfo=UTC))
        assert database.proposal("r1") == {"item": []}
        with database._read() as connection:
            versions = connection.execute(select(schema.schema_version.c.version)).scalars().all()
    assert versions == [schema.SCHEMA_VERSION]


def test_provenance_from_before_is_found_as_its_patients(database_url: str) -> None:
    with closing(open_database(database_url)) as database:
        with database._write() as connection:
            for kind, id_, response, patient in (
                ("QuestionnaireResponse", "r1", "r1", "Patient/1"),
                ("Provenance", "p1", "r1", None),
                ("QuestionnaireResponse", "r2", "r2", "Patient/2"),
                ("Provenance", "p2", "r2", None),
            ):
                row = {"type": kind, "id": id_, "version": 1, "current": True, "patient": patient, "body": {}}
                row |= {"response_id": response, "response_version": 1}
                connection.execute(insert(schema.resource).values(row))
        set_version(database, 4)
    with closing(open_database(database_url)) as database:
        for number in "12":
            mine = ((PatientCriterion((f"Patient/{number}",)),),)
            assert database.read("Provenance", f"p{number}", within=mine) is not None
            assert database.read("Provenance", f"p{3 - int(number)}", within=mine) is None


def test_a_newer_schema_is_left_alone(database_url: str) -> None:
    with closing(open_database(database_url)) as database:
        set_version(database, 99)
    with pytest.raises(NewerSchema, match="99"):
        open_database(database_url)
