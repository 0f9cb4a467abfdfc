"""A response and what follows from it, as it stood with one version of the response."""

from __future__ import annotations

from sqlalchemy import Connection, exists, select

from service.adapters.schema import letter, resource
from service.fhir.json import Json
from service.records.outbox import Letter, State

_RESPONSE = "QuestionnaireResponse"


def record_of(connection: Connection, response_id: str, version: int) -> tuple[Json, ...]:
    """The record as of `version` of the response, which stands first; empty when there is no such version."""
    return tuple(body for _, body in _standing(connection, response_id, version))


def outstanding_of(connection: Connection, of: Letter) -> tuple[Json, ...]:
    """What of the record as of a letter's version no delivered letter to the same target brought."""
    columns = letter.c
    same_way = (columns.response_id == of.response_id, columns.target == of.target)
    delivered = select(columns.version).where(*same_way, columns.state == State.DELIVERED.value)
    brought = set(connection.execute(delivered).scalars())
    return tuple(body for since, body in _standing(connection, of.response_id, of.version) if since not in brought)


def _standing(connection: Connection, response_id: str, version: int) -> list[tuple[int, Json]]:
    """Each resource of the record, and the version of the response that it was written with."""
    one, later = resource, resource.alias()
    replaced = exists().where(
        later.c.type == one.c.type,
        later.c.id == one.c.id,
        later.c.version > one.c.version,
        later.c.response_version <= version,
    )
    standing = (one.c.response_id == response_id, one.c.response_version <= version, ~replaced)
    order = (one.c.type != _RESPONSE, one.c.seq)
    rows = connection.execute(select(one.c.response_version, one.c.body).where(*standing).order_by(*order)).all()
    return [(since, body) for since, body in rows] if rows and rows[0].response_version == version else []
