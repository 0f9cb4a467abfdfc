"""What a Database needs of its engine; sqlite.py and postgresql.py each give one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

# Both say ON CONFLICT alike; SQLAlchemy keeps it with the dialects.
_INSERTS: Final[Mapping[str, Callable[[Table], Any]]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclass(frozen=True, slots=True)
class Backend:
    """An engine, and what is its own.

    `reader` begins transactions that see one state of the database throughout, `writer` those that write, which go on
    within `write_turn` (it raises TimeoutError). `passing_reason` says why what failed may succeed later, and quotes no
    value; it is None where that is not so. `exclude` makes others wait who name the same, until the transaction ends.
    `upgrades_at_start` says that who opens it may bring it to the schema of this release, for it is theirs alone.
    """

    reader: Engine
    writer: Engine
    write_turn: Callable[[], AbstractContextManager[None]]
    passing_reason: Callable[[DBAPIError], str | None]
    exclude: Callable[[Connection, str], None]
    upgrades_at_start: bool


def insert_once(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row, unless one with its key is there, or comes first; whether this one was inserted."""
    adding = _INSERTS[connection.dialect.name](table).values(values).on_conflict_do_nothing()
    # SQLAlchemy does not ask how many rows an INSERT made, unless told to.
    return connection.execute(adding, execution_options={"preserve_rowcount": True}).rowcount == 1


def put_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`, which name the same columns, or overwrite those with their keys."""
    adding = _INSERTS[connection.dialect.name](table)
    told = {name: adding.excluded[name] for name in rows[0]}
    connection.execute(adding.on_conflict_do_update(index_elements=table.primary_key, set_=told), rows)
