"""Launches, grants and signing keys in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, and_, delete, insert, select, update

from service.adapters import schema
from service.adapters.backend import put_rows
from service.records.ehr import Launch
from service.records.outbox import State

_REQUEST_LIFETIME: Final = timedelta(hours=1)


def put_request(connection: Connection, state: str, sealed: str, created_at: datetime) -> None:
    """Keep a request, and forget those that nobody can come back from any more."""
    table = schema.launch_request
    connection.execute(delete(table).where(table.c.created_at < created_at - _REQUEST_LIFETIME))
    connection.execute(insert(table).values(state=state, sealed=sealed, created_at=created_at))


def take_request(connection: Connection, state: str) -> tuple[str, datetime] | None:
    """The request of `state`, which is forgotten."""
    table = schema.launch_request
    # One statement: of two who come back with one state, one gets it.
    taking = delete(table).where(table.c.state == state).returning(table.c.sealed, table.c.created_at)
    row = connection.execute(taking).one_or_none()
    return None if row is None else (row.sealed, row.created_at)


def put_launch(connection: Connection, launch: Launch) -> None:
    """Keep what a launch said of a response."""
    connection.execute(
        insert(schema.launch).values(
            response_id=launch.response_id,
            issuer=launch.issuer,
            patient=launch.patient,
            encounter=launch.encounter,
            user=launch.user,
            banner=launch.banner,
            launched_at=launch.launched_at,
        )
    )


def launch_of(connection: Connection, response_id: str) -> Launch | None:
    """The launch that a response began with."""
    table = schema.launch
    row = connection.execute(select(table).where(table.c.response_id == response_id)).one_or_none()
    return None if row is None else Launch(**row._mapping)


def put_grant(connection: Connection, id_: str, issuer: str, patient: str, sealed: str, created_at: datetime) -> None:
    """Keep a grant in place of what it replaces, and make what waited for it due."""
    values = {"id": id_, "issuer": issuer, "patient": patient, "sealed": sealed, "created_at": created_at}
    put_rows(connection, schema.launch_grant, [values])
    launches = schema.launch
    launched = select(launches.c.response_id).where(launches.c.issuer == issuer, launches.c.patient == patient)
    letters = schema.letter
    waiting = and_(
        letters.c.state == State.PENDING.value,
        letters.c.target == issuer,
        letters.c.due_at > created_at,
        letters.c.response_id.in_(launched),
    )
    connection.execute(update(letters).where(waiting).values(due_at=created_at))


def grants_of(connection: Connection, issuer: str, patient: str) -> Sequence[tuple[str, str]]:
    """The grants for one patient, newest first."""
    table = schema.launch_grant
    wanted = select(table.c.id, table.c.sealed).where(table.c.issuer == issuer, table.c.patient == patient)
    return [(row.id, row.sealed) for row in connection.execute(wanted.order_by(table.c.created_at.desc()))]


def remove_grant(connection: Connection, id_: str) -> None:
    """Forget a grant."""
    connection.execute(delete(schema.launch_grant).where(schema.launch_grant.c.id == id_))


def put_signing_key(connection: Connection, kid: str, sealed: str, created_at: datetime) -> None:
    """Keep a private key."""
    connection.execute(insert(schema.signing_key).values(kid=kid, sealed=sealed, created_at=created_at))


def signing_keys_of(connection: Connection) -> Sequence[tuple[str, str, datetime]]:
    """All private keys, newest first."""
    table = schema.signing_key
    return [tuple(row) for row in connection.execute(select(table).order_by(table.c.created_at.desc(), table.c.kid))]


def remove_signing_key(connection: Connection, kid: str) -> None:
    """Forget a private key."""
    connection.execute(delete(schema.signing_key).where(schema.signing_key.c.kid == kid))
