"""Clinicians' visits in SQL."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from service.adapters import schema
from service.records.clinician_visit import ClinicianVisit


def put_visit(connection: Connection, visit_id: str, visit: ClinicianVisit, now: datetime) -> None:
    """Keep a visit, and forget those that ended."""
    table = schema.clinician_visit
    connection.execute(delete(table).where(table.c.expires_at <= now))
    connection.execute(
        insert(table).values(
            id=visit_id, issuer=visit.issuer, patient=visit.patient, user=visit.user, expires_at=visit.expires_at
        )
    )


def visit_of(connection: Connection, visit_id: str) -> ClinicianVisit | None:
    """A visit."""
    columns = schema.clinician_visit.c
    wanted = select(columns.issuer, columns.patient, columns.user, columns.expires_at).where(columns.id == visit_id)
    row = connection.execute(wanted).one_or_none()
    return None if row is None else ClinicianVisit(*row)
