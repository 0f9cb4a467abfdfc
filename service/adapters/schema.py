"""The tables of the database, the same on every engine. Databases get them by the migrations: see migration.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    literal_column,
)
from sqlalchemy import types as sql_types

from service.fhir.json import dumps, parse

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(sql_types.TypeDecorator[datetime]):
    """An aware datetime, kept as microseconds since 1970 in UTC, so that it sorts and compares on every engine."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Microseconds of `value`."""
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """The datetime (UTC) of so many microseconds."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class FhirJson(sql_types.TypeDecorator[Any]):
    """A JSON value kept as text, digit by digit: a database's own JSON type would turn decimals into floats."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """`value` as compact text."""
        return None if value is None else dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """The JSON value with exact decimals."""
        return None if value is None else parse(value)


class Lookup(sql_types.TypeDecorator[str]):
    """A text from outside by which rows are found; what it was is read elsewhere.

    PostgreSQL takes no U+0000 and indexes no long text: there such a one is kept, and looked for, by its SHA-256.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """`value`, or what stands for it."""
        if value is None or dialect.name != "postgresql" or _is_plain(value):
            return value
        return _DIGEST + sha256(value.encode()).hexdigest()


# An entry of a B-tree holds 2,704 bytes: four of these, and what is short.
_PLAIN_BYTES: Final = 512
_DIGEST: Final = "sha256:"


def _is_plain(text: str) -> bool:
    return "\0" not in text and len(text.encode()) <= _PLAIN_BYTES and not text.startswith(_DIGEST)


# SQLite numbers rows by itself only in a column of exactly the type INTEGER.
_RowNumber = BigInteger().with_variant(Integer(), "sqlite")

metadata: Final = MetaData()

resource: Final = Table(
    "resource",
    metadata,
    Column("seq", _RowNumber, primary_key=True, autoincrement=True),
    Column("type", String, nullable=False),
    Column("id", Lookup, nullable=False),
    Column("version", Integer, nullable=False),
    Column("current", Boolean, nullable=False, comment="whether this is the newest version"),
    Column("response_id", String, nullable=False, comment="the response whose acceptance wrote it"),
    Column("response_version", Integer, nullable=False),
    Column("patient", Lookup, comment="whose compartment it is in"),
    Column("body", FhirJson, nullable=False),
    Index("resource_version", "type", "id", "version", unique=True),
    Index("resource_patient", "patient", "type", "seq"),
    Index("resource_response", "response_id", "response_version"),
)

term: Final = Table(
    "term",
    metadata,
    Column("parameter", String, primary_key=True),
    Column("value", Lookup, primary_key=True),
    Column("system", Lookup, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Index("term_of", "seq", "parameter", "value"),
    sqlite_with_rowid=False,
)

span: Final = Table(
    "span",
    metadata,
    Column("parameter", String, primary_key=True),
    Column("low", BigInteger, primary_key=True, autoincrement=False),
    Column("high", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Index("span_of", "seq", "parameter"),
    sqlite_with_rowid=False,
)

proposal: Final = Table(
    "proposal",
    metadata,
    Column("response_id", String, primary_key=True),
    Column("body", FhirJson, nullable=False),
    Column("kept_at", Moment, nullable=False),
)

purged: Final = Table(
    "purged",
    metadata,
    Column("type", String, primary_key=True),
    Column("id", Lookup, primary_key=True),
    Column("patient", Lookup, comment="whose compartment it was in"),
    Column("purged_at", Moment, nullable=False),
    sqlite_with_rowid=False,
)

receipt: Final = Table(
    "receipt",
    metadata,
    Column("response_id", Lookup, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("digest", String, nullable=False),
    Column("triage", FhirJson, nullable=False),
    Column("warnings", FhirJson, nullable=False),
    Column("accepted_at", Moment, nullable=False),
)

response_key: Final = Table(
    "response_key",
    metadata,
    Column("kind", String, primary_key=True),
    Column("client", Lookup, primary_key=True),
    Column("subject", Lookup, primary_key=True),
    Column("system", Lookup, primary_key=True),
    Column("value", Lookup, primary_key=True),
    Column("response_id", String, nullable=False),
    Column("version", Integer, nullable=False),
    sqlite_with_rowid=False,
)

letter: Final = Table(
    "letter",
    metadata,
    Column("id", _RowNumber, primary_key=True, autoincrement=True),
    Column("response_id", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("target", String, nullable=False),
    Column("state", String, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("leases", Integer, nullable=False),
    Column("leased_by", String),
    Column("leased_until", Moment),
    Column("problem", FhirJson),
    Column("note", Text),
)
# Only letters on their way are looked for by time; the delivered ones, soon nearly all, stay out of the index. Written
# with literals, because a database must see from a query's text that the index covers it.
is_open_letter: Final = letter.c.state.in_([literal_column("'pending'"), literal_column("'leased'")])
Index("letter_due", letter.c.target, letter.c.due_at, sqlite_where=is_open_letter, postgresql_where=is_open_letter)
Index("letter_response", letter.c.response_id, letter.c.id)
Index("letter_state", letter.c.state, letter.c.target, letter.c.created_at)

target: Final = Table(
    "target",
    metadata,
    Column("name", String, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("held_until", Moment),
    Column("problem", FhirJson),
)

placement: Final = Table(
    "placement",
    metadata,
    Column("target", String, primary_key=True),
    Column("resource_type", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("response_id", String, nullable=False),
    Column("location", String, nullable=False),
    Column("etag", String),
    Index("placement_response", "response_id"),
)

pack: Final = Table(
    "pack",
    metadata,
    Column("url", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("artifacts", FhirJson, nullable=False),
    Column("first_accepted_at", Moment, nullable=False),
)

launch_request: Final = Table(
    "launch_request",
    metadata,
    Column("state", String, primary_key=True, comment="SHA-256 of the state parameter"),
    Column("sealed", Text, nullable=False, comment="encrypted"),
    Column("created_at", Moment, nullable=False),
)

launch: Final = Table(
    "launch",
    metadata,
    Column("response_id", Lookup, primary_key=True),
    Column("issuer", String, nullable=False),
    Column("patient", String, nullable=False),
    Column("encounter", String),
    Column("user", String),
    Column("banner", String),
    Column("launched_at", Moment, nullable=False),
    Index("launch_patient", "issuer", "patient"),
)

launch_grant: Final = Table(
    "launch_grant",
    metadata,
    Column("id", String, primary_key=True),
    Column("issuer", String, nullable=False),
    Column("patient", String, nullable=False),
    Column("sealed", Text, nullable=False, comment="encrypted tokens"),
    Column("created_at", Moment, nullable=False),
    Index("launch_grant_patient", "issuer", "patient", "created_at"),
)

signing_key: Final = Table(
    "signing_key",
    metadata,
    Column("kid", String, primary_key=True),
    Column("sealed", Text, nullable=False, comment="the private JWK, encrypted"),
    Column("created_at", Moment, nullable=False),
)

invitation: Final = Table(
    "invitation",
    metadata,
    Column("response_id", String, primary_key=True),
    Column("page", String, nullable=False),
    Column("patient", String, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("revoked_at", Moment),
)

card: Final = Table(
    "card",
    metadata,
    Column("uuid", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("page", String, nullable=False),
    Column("issued_at", Moment, nullable=False),
    Index("card_issued", "issued_at"),
)

feedback: Final = Table(
    "feedback",
    metadata,
    Column("card", Lookup, primary_key=True),
    Column("digest", String, primary_key=True, comment="SHA-256 of the body: one sent again is the same"),
    Column("kind", String, comment="of the card; none when it is not known"),
    Column("page", String),
    Column("outcome", String, nullable=False),
    Column("body", FhirJson, nullable=False),
    Column("received_at", Moment, nullable=False),
)

hook_token: Final = Table(
    "hook_token",
    metadata,
    Column("issuer", String, primary_key=True),
    Column("token_id", String, primary_key=True, comment="SHA-256 of the jti"),
    Column("expires_at", Moment, nullable=False),
    Index("hook_token_expires", "expires_at"),
)

clinician_visit: Final = Table(
    "clinician_visit",
    metadata,
    Column("id", String, primary_key=True, comment="SHA-256 of its key"),
    Column("issuer", String, nullable=False),
    Column("patient", String, nullable=False),
    Column("user", String, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Index("clinician_visit_expires", "expires_at"),
)
