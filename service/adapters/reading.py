"""The record in SQL: what is read, found by a key, and searched."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, func, select, true

from service.adapters import schema
from service.adapters.letters import issue_of
from service.adapters.queries import condition, is_within
from service.fhir.json import Json
from service.records.matching import admits_patient
from service.records.ports import Key, Purged, RememberedPack, Stored
from service.records.search import Bounds, Page, Query


def found(connection: Connection, keys: Sequence[Key]) -> Stored | None:
    """The response first accepted under one of `keys`, as it was acknowledged then. Raises Purged."""
    columns = schema.response_key.c
    for key in keys:
        row = connection.execute(select(columns.response_id, columns.version).where(_is_key(key))).one_or_none()
        if row is not None:
            first = _stored(connection, row.response_id, row.version)
            if first is None:
                raise Purged(row.response_id)
            return first
    return None


def stored(connection: Connection, response_id: str, version: int | None) -> Stored | None:
    """A response as it was acknowledged, the newest version unless told otherwise."""
    if version is None:
        columns = schema.receipt.c
        newest = select(func.max(columns.version)).where(columns.response_id == response_id)
        version = connection.execute(newest).scalar_one()
    return None if version is None else _stored(connection, response_id, version)


def resource_of(
    connection: Connection, resource_type: str, id_: str, version: int | None, within: Bounds
) -> Json | None:
    """A resource, its newest version unless told otherwise, if it lies within these bounds."""
    columns = schema.resource.c
    wanted = columns.current == true() if version is None else columns.version == version
    named = and_(columns.type == resource_type, columns.id == id_, wanted)
    body: Json | None = connection.execute(select(columns.body).where(named, is_within(within))).scalar_one_or_none()
    return body


def was_purged(connection: Connection, resource_type: str, id_: str, within: Bounds) -> bool:
    """Whether a resource was here and was purged, within these bounds as far as that depends on whose it was."""
    columns = schema.purged.c
    wanted = select(columns.patient).where(columns.type == resource_type, columns.id == id_)
    row = connection.execute(wanted).one_or_none()
    return row is not None and admits_patient(row.patient, within)


def versions_of(connection: Connection, resource_type: str, id_: str, within: Bounds) -> tuple[Json, ...]:
    """All versions of a resource that lie within these bounds, newest first."""
    columns = schema.resource.c
    wanted = select(columns.body).where(columns.type == resource_type, columns.id == id_, is_within(within))
    return tuple(connection.execute(wanted.order_by(columns.version.desc())).scalars())


def page_of(connection: Connection, query: Query) -> Page:
    """What matches `query` among the newest versions, in the order of acceptance or its reverse."""
    table = schema.resource
    matching = condition(query)
    order = table.c.seq.desc() if query.newest_first else table.c.seq
    page = select(table.c.body).where(matching).order_by(order).limit(query.count).offset(query.offset)
    matches = tuple(connection.execute(page).scalars())
    if len(matches) < query.count and (matches or query.offset == 0):
        # The page is the last one: what there is in all need not be counted, which takes as long as finding it.
        total = query.offset + len(matches)
    else:
        total = connection.execute(select(func.count()).select_from(table).where(matching)).scalar_one()
    included = _provenance_of(connection, matches, query) if query.include_provenance else ()
    return Page(total, matches, included)


def proposal_of(connection: Connection, response_id: str) -> Json | None:
    """What a population proposed for a draft; None when nothing was kept."""
    columns = schema.proposal.c
    wanted = select(columns.body).where(columns.response_id == response_id)
    body: Json | None = connection.execute(wanted).scalar_one_or_none()
    return body


def remembered_packs(connection: Connection) -> tuple[RememberedPack, ...]:
    """Every pack version that ever accepted a response, the first to do so first."""
    columns = schema.pack.c
    statement = select(columns.name, columns.url, columns.version, columns.artifacts)
    rows = connection.execute(statement.order_by(columns.first_accepted_at, columns.url, columns.version))
    return tuple(RememberedPack(row.name, row.url, row.version, tuple(row.artifacts)) for row in rows)


def _is_key(key: Key) -> ColumnElement[bool]:
    columns = schema.response_key.c
    return and_(
        columns.kind == key.kind.value,
        columns.client == key.client,
        columns.subject == key.subject,
        columns.system == key.system,
        columns.value == key.value,
    )


def _stored(connection: Connection, response_id: str, version: int) -> Stored | None:
    body = schema.resource
    told = schema.receipt
    joined = and_(body.c.id == told.c.response_id, body.c.version == told.c.version)
    row = connection.execute(
        select(body.c.body, told.c.triage, told.c.warnings, told.c.digest)
        .join(told, joined)
        .where(body.c.type == "QuestionnaireResponse", body.c.id == response_id, body.c.version == version)
    ).one_or_none()
    return (
        None if row is None else Stored(row.body, row.triage, tuple(issue_of(one) for one in row.warnings), row.digest)
    )


def _provenance_of(connection: Connection, matches: Sequence[Json], query: Query) -> tuple[Json, ...]:
    references = [f"{one['resourceType']}/{one['id']}" for one in matches]
    about = select(schema.term.c.seq).where(schema.term.c.parameter == "target", schema.term.c.value.in_(references))
    table = schema.resource
    newest = and_(table.c.type == "Provenance", table.c.current == true(), table.c.seq.in_(about))
    wanted = and_(newest, is_within(query.provenance_within))
    return tuple(connection.execute(select(table.c.body).where(wanted).order_by(table.c.seq)).scalars())
