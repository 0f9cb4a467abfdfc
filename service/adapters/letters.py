"""The outbox in SQL: which letter is due, how it is replaced, where things were placed; letters as rows and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Connection,
    Row,
    Select,
    String,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    or_,
    select,
    type_coerce,
    update,
)

from service.adapters import schema
from service.adapters.backend import put_rows
from service.errors import Detail, Issue, IssueType, Severity
from service.fhir.json import Json
from service.records.outbox import CLOCK_TOLERANCE, UNSETTLED, Letter, Problem, Reason, State, Target
from service.records.ports import Backlog, GivenUp, Placement


def _due_letters() -> Select[Any]:
    one, earlier = schema.letter, schema.letter.alias()
    target = bindparam("target", type_=String)
    now, no_clock_yet = (bindparam(name, type_=schema.Moment) for name in ("now", "no_clock_yet"))
    ripe = or_(
        and_(one.c.state == State.PENDING.value, one.c.due_at <= now),
        and_(one.c.state == State.LEASED.value, one.c.leased_until <= now),
        # The clock was set back since: what was to be waited for then means nothing now.
        one.c.changed_at > no_clock_yet,
    )
    waits = exists().where(
        earlier.c.response_id == one.c.response_id,
        earlier.c.target == one.c.target,
        earlier.c.id < one.c.id,
        earlier.c.state.in_([state.value for state in UNSETTLED]),
    )
    held_until = schema.target.c.held_until
    held = exists().where(schema.target.c.name == target, held_until > now, held_until <= no_clock_yet)
    wanted = and_(schema.is_open_letter, one.c.target == target, ripe, ~waits, ~held)
    return select(one).where(wanted).order_by(one.c.due_at, one.c.id).limit(1)


_DUE_LETTER: Final = _due_letters()


def due_letter(connection: Connection, target: str, now: datetime, *, to_take: bool = False) -> Row[Any] | None:
    """The row of the letter for `target` that may be taken at `now` and is longest due.

    It is locked `to_take` it; one that another worker is just taking is passed over.
    """
    wanted = {"target": target, "now": now, "no_clock_yet": now + CLOCK_TOLERANCE}
    query = _DUE_LETTER.with_for_update(skip_locked=True) if to_take else _DUE_LETTER
    return connection.execute(query, wanted).first()


def leased_letters(connection: Connection, target: str, now: datetime) -> int:
    """How many letters to `target` are held by workers at `now`."""
    columns = schema.letter.c
    held = and_(columns.state == State.LEASED.value, columns.target == target, columns.leased_until > now)
    return connection.execute(select(func.count()).where(held)).scalar_one()


def replace_letter(connection: Connection, before: Letter, after: Letter) -> bool:
    """Write `after` where `before` still stands; False, and nothing written, where it does not."""
    columns = schema.letter.c
    stands = and_(
        columns.id == before.id,
        columns.state == before.state.value,
        columns.leases == before.leases,
        columns.attempts == before.attempts,
    )
    return connection.execute(update(schema.letter).where(stands).values(letter_values(after))).rowcount == 1


def given_up_letters(connection: Connection) -> tuple[GivenUp, ...]:
    """Counts and ages of the dead letters, by target and reason."""
    columns = schema.letter.c
    # A text to SQLite, which looks into it as it is.
    problem = cast(columns.problem, JSON().with_variant(Text(), "sqlite"))
    reason = type_coerce(problem, JSON)["reason"].as_string()
    statement = select(columns.target, reason, func.count(), func.min(columns.created_at))
    dead = statement.where(columns.state == State.DEAD.value).group_by(columns.target, reason)
    rows = connection.execute(dead.order_by(columns.target, reason))
    return tuple(GivenUp(target, Reason(why), count, oldest) for target, why, count, oldest in rows)


def letter_by_id(connection: Connection, id_: int) -> Letter | None:
    """One letter."""
    row = connection.execute(select(schema.letter).where(schema.letter.c.id == id_)).one_or_none()
    return None if row is None else letter_of(row)


def listed_letters(connection: Connection, state: State | None, limit: int) -> tuple[Letter, ...]:
    """Letters in `state` (all when None), oldest first."""
    statement = select(schema.letter).order_by(schema.letter.c.id).limit(limit)
    if state is not None:
        statement = statement.where(schema.letter.c.state == state.value)
    return tuple(letter_of(row) for row in connection.execute(statement))


def letters_of(connection: Connection, response_id: str) -> tuple[Letter, ...]:
    """The letters of one response, oldest first."""
    table = schema.letter
    statement = select(table).where(table.c.response_id == response_id).order_by(table.c.id)
    return tuple(letter_of(row) for row in connection.execute(statement))


def backlog(connection: Connection) -> tuple[Backlog, ...]:
    """Counts and ages of the letters that are not settled, by target and state."""
    columns = schema.letter.c
    statement = select(columns.target, columns.state, func.count(), func.min(columns.created_at))
    # The settled ones are nearly all, and counting them would take long.
    unsettled = statement.where(columns.state.in_([state.value for state in UNSETTLED]))
    grouped = unsettled.group_by(columns.target, columns.state).order_by(columns.target, columns.state)
    rows = connection.execute(grouped)
    return tuple(Backlog(name, State(state), count, oldest) for name, state, count, oldest in rows)


def put_placements(connection: Connection, letter: Letter, placements: Sequence[Placement]) -> None:
    """Keep where resources of the response of `letter` stand on its target."""
    rows = [
        {
            "target": letter.target,
            "resource_type": one.resource_type,
            "id": one.id,
            "response_id": letter.response_id,
            "location": one.location,
            "etag": one.etag,
        }
        for one in placements
    ]
    put_rows(connection, schema.placement, rows)


def placements_of(connection: Connection, target: str, response_id: str) -> tuple[Placement, ...]:
    """Where the resources of a response stand on `target`."""
    columns = schema.placement.c
    statement = select(columns.resource_type, columns.id, columns.location, columns.etag)
    wanted = statement.where(columns.response_id == response_id, columns.target == target)
    return tuple(Placement(*row) for row in connection.execute(wanted.order_by(columns.id)))


def put_target(connection: Connection, target: Target) -> None:
    """Keep how `target` stands; an open one needs no row."""
    table = schema.target
    if target == Target(target.name):
        connection.execute(delete(table).where(table.c.name == target.name))
        return
    values = {
        "name": target.name,
        "failures": target.failures,
        "held_until": target.held_until,
        "problem": problem_json(target.problem),
    }
    put_rows(connection, schema.target, [values])


def target_by_name(connection: Connection, name: str) -> Target:
    """How a target stands; one never held is open."""
    row = connection.execute(select(schema.target).where(schema.target.c.name == name)).one_or_none()
    return Target(name) if row is None else target_of(row)


def held_targets(connection: Connection) -> tuple[Target, ...]:
    """Every target that is held, or was and was not yet resumed."""
    rows = connection.execute(select(schema.target).order_by(schema.target.c.name))
    return tuple(target_of(row) for row in rows)


def target_of(row: Row[Any]) -> Target:
    """The target of a row of `target`."""
    return Target(row.name, row.failures, row.held_until, problem_of(row.problem))


def letter_of(row: Row[Any]) -> Letter:
    """The letter of a row of `letter`."""
    return Letter(
        id=row.id,
        response_id=row.response_id,
        version=row.version,
        target=row.target,
        state=State(row.state),
        due_at=row.due_at,
        created_at=row.created_at,
        changed_at=row.changed_at,
        attempts=row.attempts,
        leases=row.leases,
        leased_by=row.leased_by,
        leased_until=row.leased_until,
        problem=problem_of(row.problem),
        note=row.note,
    )


def letter_values(letter: Letter) -> dict[str, Any]:
    """The columns of `letter`, but for its id, which the database gives."""
    return {
        "response_id": letter.response_id,
        "version": letter.version,
        "target": letter.target,
        "state": letter.state.value,
        "due_at": letter.due_at,
        "created_at": letter.created_at,
        "changed_at": letter.changed_at,
        "attempts": letter.attempts,
        "leases": letter.leases,
        "leased_by": letter.leased_by,
        "leased_until": letter.leased_until,
        "problem": problem_json(letter.problem),
        "note": letter.note,
    }


def problem_json(problem: Problem | None) -> Json | None:
    """`problem` as JSON."""
    if problem is None:
        return None
    return {
        "reason": problem.reason.value,
        "text": problem.text,
        "status": problem.status,
        "outcome": problem.outcome,
    }


def problem_of(value: Json | None) -> Problem | None:
    """The problem of its JSON."""
    if value is None:
        return None
    return Problem(Reason(value["reason"]), value["text"], value["status"], value["outcome"])


def issue_json(issue: Issue) -> Json:
    """`issue` as JSON."""
    return {
        "severity": issue.severity.value,
        "code": issue.code.value,
        "text": issue.text,
        "expression": issue.expression,
        "detail": issue.detail,
    }


def issue_of(value: Json) -> Issue:
    """The issue of its JSON."""
    detail = None if value["detail"] is None else Detail(value["detail"])
    return Issue(Severity(value["severity"]), IssueType(value["code"]), value["text"], value["expression"], detail)
