"""The tables of the first release."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Integer, String, Text, inspect, text

revision = "0001"
down_revision = None

# SQLite numbers rows by itself only in a column of exactly the type INTEGER.
_RowNumber = BigInteger().with_variant(Integer(), "sqlite")
_OPEN_LETTER = text("state IN ('pending', 'leased')")


def upgrade() -> None:
    """Makes what is missing: a database from before alembic has some of the tables, or all of them."""
    _make_tables()
    _make_indexes()
    version = _version_before_alembic()
    if version is not None:
        if version < 5:
            op.execute(_PROVENANCE_IS_ABOUT_ITS_PATIENT)
        op.drop_table("schema_version")


def _version_before_alembic() -> int | None:
    connection = op.get_bind()
    if not inspect(connection).has_table("schema_version"):
        return None
    version: int = connection.execute(text("SELECT version FROM schema_version")).scalar_one()
    return version


_PROVENANCE_IS_ABOUT_ITS_PATIENT = """
    UPDATE resource SET patient = (
        SELECT response.patient FROM resource AS response
        WHERE response.type = 'QuestionnaireResponse'
        AND response.id = resource.response_id AND response.version = resource.response_version
    )
    WHERE type = 'Provenance'
"""


def _make_tables() -> None:
    op.create_table(
        "resource",
        Column("seq", _RowNumber, primary_key=True, autoincrement=True),
        Column("type", String, nullable=False),
        Column("id", String, nullable=False),
        Column("version", Integer, nullable=False),
        Column("current", Boolean, nullable=False, comment="whether this is the newest version"),
        Column("response_id", String, nullable=False, comment="the response whose acceptance wrote it"),
        Column("response_version", Integer, nullable=False),
        Column("patient", String, comment="whose compartment it is in"),
        Column("body", Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "term",
        Column("parameter", String, primary_key=True),
        Column("value", String, primary_key=True),
        Column("system", String, primary_key=True),
        Column("seq", BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "span",
        Column("parameter", String, primary_key=True),
        Column("low", BigInteger, primary_key=True, autoincrement=False),
        Column("high", BigInteger, primary_key=True, autoincrement=False),
        Column("seq", BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "proposal",
        Column("response_id", String, primary_key=True),
        Column("body", Text, nullable=False),
        Column("kept_at", BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "receipt",
        Column("response_id", String, primary_key=True),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("digest", String, nullable=False),
        Column("triage", Text, nullable=False),
        Column("warnings", Text, nullable=False),
        Column("accepted_at", BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "response_key",
        Column("kind", String, primary_key=True),
        Column("client", String, primary_key=True),
        Column("subject", String, primary_key=True),
        Column("system", String, primary_key=True),
        Column("value", String, primary_key=True),
        Column("response_id", String, nullable=False),
        Column("version", Integer, nullable=False),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "letter",
        Column("id", _RowNumber, primary_key=True, autoincrement=True),
        Column("response_id", String, nullable=False),
        Column("version", Integer, nullable=False),
        Column("target", String, nullable=False),
        Column("state", String, nullable=False),
        Column("due_at", BigInteger, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("changed_at", BigInteger, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("leases", Integer, nullable=False),
        Column("leased_by", String),
        Column("leased_until", BigInteger),
        Column("problem", Text),
        Column("note", Text),
        if_not_exists=True,
    )
    op.create_table(
        "target",
        Column("name", String, primary_key=True),
        Column("failures", Integer, nullable=False),
        Column("held_until", BigInteger),
        Column("problem", Text),
        if_not_exists=True,
    )
    op.create_table(
        "placement",
        Column("target", String, primary_key=True),
        Column("resource_type", String, primary_key=True),
        Column("id", String, primary_key=True),
        Column("response_id", String, nullable=False),
        Column("location", String, nullable=False),
        Column("etag", String),
        if_not_exists=True,
    )
    op.create_table(
        "pack",
        Column("url", String, primary_key=True),
        Column("version", String, primary_key=True),
        Column("name", String, nullable=False),
        Column("artifacts", Text, nullable=False),
        Column("first_accepted_at", BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "launch_request",
        Column("state", String, primary_key=True, comment="SHA-256 of the state parameter"),
        Column("sealed", Text, nullable=False, comment="encrypted"),
        Column("created_at", BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "launch",
        Column("response_id", String, primary_key=True),
        Column("issuer", String, nullable=False),
        Column("patient", String, nullable=False),
        Column("encounter", String),
        Column("user", String),
        Column("banner", String),
        if_not_exists=True,
    )
    op.create_table(
        "launch_grant",
        Column("id", String, primary_key=True),
        Column("issuer", String, nullable=False),
        Column("patient", String, nullable=False),
        Column("sealed", Text, nullable=False, comment="encrypted tokens"),
        Column("created_at", BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "signing_key",
        Column("kid", String, primary_key=True),
        Column("sealed", Text, nullable=False, comment="the private JWK, encrypted"),
        Column("created_at", BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "invitation",
        Column("response_id", String, primary_key=True),
        Column("page", String, nullable=False),
        Column("patient", String, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        Column("revoked_at", BigInteger),
        if_not_exists=True,
    )
    op.create_table(
        "card",
        Column("uuid", String, primary_key=True),
        Column("kind", String, nullable=False),
        Column("page", String, nullable=False),
        Column("issued_at", BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "feedback",
        Column("card", String, primary_key=True),
        Column("digest", String, primary_key=True, comment="SHA-256 of the body: one sent again is the same"),
        Column("kind", String, comment="of the card; none when it is not known"),
        Column("page", String),
        Column("outcome", String, nullable=False),
        Column("body", Text, nullable=False),
        Column("received_at", BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "hook_token",
        Column("issuer", String, primary_key=True),
        Column("token_id", String, primary_key=True, comment="SHA-256 of the jti"),
        Column("expires_at", BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "clinician_visit",
        Column("id", String, primary_key=True, comment="SHA-256 of its key"),
        Column("issuer", String, nullable=False),
        Column("patient", String, nullable=False),
        Column("user", String, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        if_not_exists=True,
    )


def _make_indexes() -> None:
    op.create_index("resource_patient", "resource", ["patient", "type", "seq"], if_not_exists=True)
    op.create_index("resource_response", "resource", ["response_id", "response_version"], if_not_exists=True)
    op.create_index("resource_version", "resource", ["type", "id", "version"], unique=True, if_not_exists=True)
    op.create_index(
        "letter_due",
        "letter",
        ["target", "due_at"],
        sqlite_where=_OPEN_LETTER,
        postgresql_where=_OPEN_LETTER,
        if_not_exists=True,
    )
    op.create_index("letter_response", "letter", ["response_id", "id"], if_not_exists=True)
    op.create_index("letter_state", "letter", ["state", "target", "created_at"], if_not_exists=True)
    op.create_index("placement_response", "placement", ["response_id"], if_not_exists=True)
    op.create_index("launch_patient", "launch", ["issuer", "patient"], if_not_exists=True)
    op.create_index("launch_grant_patient", "launch_grant", ["issuer", "patient", "created_at"], if_not_exists=True)
    op.create_index("card_issued", "card", ["issued_at"], if_not_exists=True)
    op.create_index("hook_token_expires", "hook_token", ["expires_at"], if_not_exists=True)
    op.create_index("clinician_visit_expires", "clinician_visit", ["expires_at"], if_not_exists=True)
