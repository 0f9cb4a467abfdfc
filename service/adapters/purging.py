"""Purging in SQL: which responses are old and how they stand, and the removal of some with all that followed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    union_all,
)

from service.adapters import schema
from service.adapters.accepting import add_audit
from service.records.outbox import UNSETTLED, WEBHOOK, State
from service.records.retention import Aged, Cutoff, Standing, Tell
from service.records.succession import DRAFT
from service.sdc.explanation import has_fired

_RESPONSE: Final = "QuestionnaireResponse"
_FOLLOWING: Final[tuple[Table, ...]] = (
    schema.receipt,
    schema.proposal,
    schema.letter,
    schema.placement,
    schema.launch,
    schema.invitation,
)

_newest: Final = schema.resource
_receipt: Final = schema.receipt
_with_receipt: Final = and_(_receipt.c.response_id == _newest.c.id, _receipt.c.version == _newest.c.version)
_is_newest: Final = and_(_newest.c.type == _RESPONSE, _newest.c.current == true())


def aged(connection: Connection, cutoff: Cutoff) -> tuple[Aged, ...]:
    """What is older than `cutoff`, by how it stands."""
    columns = (_standing(), func.count(), func.min(_receipt.c.accepted_at), func.max(_receipt.c.accepted_at))
    sent = select(*columns).join(_receipt, _with_receipt).where(_is_newest, ~_is_draft(), _is_old(cutoff))
    found = [Aged(Standing(standing), *told) for standing, *told in connection.execute(sent.group_by(columns[0]))]
    found += [*_aged_drafts(connection, cutoff), *_aged_unanswered(connection, cutoff)]
    return tuple(sorted(found, key=lambda one: list(Standing).index(one.standing)))


def _aged_drafts(connection: Connection, cutoff: Cutoff) -> list[Aged]:
    """Drafts, which are few, one by one: what fired in them stands in their assessment alone."""
    columns = (_receipt.c.accepted_at, _receipt.c.triage)
    drafts = select(*columns).join(_receipt, _with_receipt).where(_is_newest, _is_draft(), _is_old(cutoff))
    times: dict[Standing, list[datetime]] = {Standing.DRAFT: [], Standing.URGENT_DRAFT: []}
    for row in connection.execute(drafts):
        times[Standing.URGENT_DRAFT if has_fired(row.triage) else Standing.DRAFT].append(row.accepted_at)
    return [Aged(standing, len(some), min(some), max(some)) for standing, some in times.items() if some]


_BEGUN: Final[tuple[Column[datetime], ...]] = (
    schema.launch.c.launched_at,
    schema.invitation.c.expires_at,
    schema.proposal.c.kept_at,
)
"""When what a form begins with was begun, or ended."""


def _unanswered(moment: Column[datetime], cutoff: Cutoff) -> ColumnElement[bool]:
    """Whether a row of the table of `moment` is old, and no response followed."""
    begun = moment.table.c.response_id
    answered = exists().where(_newest.c.type == _RESPONSE, _newest.c.id == begun)
    return and_(moment < cutoff.drafts, ~answered)


def _aged_unanswered(connection: Connection, cutoff: Cutoff) -> list[Aged]:
    rows = [
        select(moment.table.c.response_id, moment.label("moment")).where(_unanswered(moment, cutoff))
        for moment in _BEGUN
    ]
    begun = union_all(*rows).subquery()
    columns = (func.count(begun.c.response_id.distinct()), func.min(begun.c.moment), func.max(begun.c.moment))
    count, oldest, newest = connection.execute(select(*columns)).one()
    return [Aged(Standing.UNANSWERED, count, oldest, newest)] if count else []


def purge_unanswered(connection: Connection, cutoff: Cutoff) -> int:
    """Remove old launches, invitations and proposals that no response followed; to how many forms they belong."""
    begun: set[str] = set()
    for moment in _BEGUN:
        removing = delete(moment.table).where(_unanswered(moment, cutoff)).returning(moment.table.c.response_id)
        begun.update(connection.execute(removing).scalars())
    return len(begun)


def purge(
    connection: Connection,
    cutoff: Cutoff,
    standings: frozenset[Standing],
    now: datetime,
    tell: Tell,
    *,
    at_most: int,
    after: str,
) -> list[str]:
    """Remove old responses that stand so, with all that followed; their ids."""
    columns = (_newest.c.id, _newest.c.body)
    old = select(*columns).join(_receipt, _with_receipt).where(_is_newest, _is_old(cutoff), _newest.c.id > after)
    some = old.where(_stands_so(standings)).order_by(_newest.c.id).limit(at_most)
    # A later version of a response has to change this row first: then it is left out, or finds nothing any more.
    rows = connection.execute(some.with_for_update(of=_newest, skip_locked=True)).all()
    # Before the rest goes: SQLite gives the number of its last row again, if that is removed.
    add_audit(connection, [tell(row.body) for row in rows])
    ids = [row.id for row in rows]
    if ids:
        _remove(connection, ids, now)
    return ids


def _remove(connection: Connection, ids: Sequence[str], now: datetime) -> None:
    table = schema.resource
    of_these = table.c.response_id.in_(ids)
    kept = select(table.c.type, table.c.id, table.c.patient, literal(now, schema.Moment)).where(
        of_these, table.c.current == true()
    )
    connection.execute(insert(schema.purged).from_select(["type", "id", "patient", "purged_at"], kept))
    seqs = connection.execute(select(table.c.seq).where(of_these)).scalars().all()
    for found_by in (schema.term, schema.span):
        connection.execute(delete(found_by).where(found_by.c.seq.in_(seqs)))
    connection.execute(delete(table).where(of_these))
    for following in _FOLLOWING:
        connection.execute(delete(following).where(following.c.response_id.in_(ids)))


def _is_old(cutoff: Cutoff) -> ColumnElement[bool]:
    accepted_at = _receipt.c.accepted_at
    return or_(
        and_(_is_draft(), accepted_at < cutoff.drafts),
        and_(~_is_draft(), accepted_at < cutoff.responses),
    )


def _stands_so(standings: frozenset[Standing]) -> ColumnElement[bool]:
    """One that is under way stands in no way that is purged."""
    parts = [and_(~_is_draft(), _standing().in_([one.value for one in standings if one is not Standing.UNDER_WAY]))]
    if standings & {Standing.DRAFT, Standing.URGENT_DRAFT}:
        parts.append(_is_draft())
    return or_(*parts)


def _standing() -> ColumnElement[str]:
    """How one that is no draft stands: the newest version, delivered, brought what earlier ones did not."""
    letter = schema.letter
    its = letter.c.response_id == _newest.c.id
    under_way = exists().where(its, letter.c.state.in_([state.value for state in UNSETTLED]))
    is_brought = and_(letter.c.state == State.DELIVERED.value, letter.c.target != WEBHOOK)
    arrived = exists().where(its, letter.c.version == _newest.c.version, is_brought)
    return case(
        (under_way, Standing.UNDER_WAY.value), (arrived, Standing.DELIVERED.value), else_=Standing.ONLY_COPY.value
    )


def _is_draft() -> ColumnElement[bool]:
    term = schema.term
    named = and_(term.c.parameter == "status", term.c.value == DRAFT, term.c.system == "")
    return exists().where(named, term.c.seq == _newest.c.seq)
