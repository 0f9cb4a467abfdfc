"""Which schema a database has, and bringing it to this release's by the scripts in `migrations/`.

They are numbered; whoever changes `schema.metadata` adds the next one, and its number becomes REVISION.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, column, inspect, select, table

REVISION: Final = "0004"
"""The last migration, after which a database has the tables of `schema.metadata`."""

applied: Final = table("alembic_version", column("version_num"))
"""One row: the last migration that was applied."""
_BEFORE_ALEMBIC: Final = "schema_version"


class OtherSchema(Exception):
    """The database has not the schema of this release; the message says what to do."""


def has_schema(connection: Connection) -> bool:
    """Whether the database has the schema of this release."""
    return _revision(connection) == REVISION


def migrate(connection: Connection, *, existing: bool) -> tuple[str, ...]:
    """Apply the migrations that are missing, in the transaction of `connection`; what each is about, with its number.

    Tables that are there already are changed only if `existing` says so. Raises OtherSchema.
    """
    revision = _revision(connection)
    if revision == REVISION:
        return ()
    if revision is not None and revision > REVISION:
        raise OtherSchema(
            f"the database has schema {revision}; this release knows {REVISION}. "
            "Run the release that made it, or a later one"
        )
    is_new = revision is None and not inspect(connection).has_table(_BEFORE_ALEMBIC)
    if not (existing or is_new):
        raise OtherSchema("the database has the schema of an earlier release; run 'symptom-intake db upgrade'")
    # Only here: it takes as long to import as all the rest of a command.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "service.adapters:migrations")
    config.attributes["connection"] = connection
    missing = ScriptDirectory.from_config(config).iterate_revisions(REVISION, revision or "base")
    told = [f"{one.revision} {one.doc}" for one in missing]
    command.upgrade(config, REVISION)
    return tuple(reversed(told))


def _revision(connection: Connection) -> str | None:
    """The last migration that was applied; None before the first."""
    if not inspect(connection).has_table(applied.name):
        return None
    revision: str = connection.execute(select(applied.c.version_num)).scalar_one()
    return revision
