"""What was purged."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, String

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Makes the table of what was here once."""
    op.create_table(
        "purged",
        Column("type", String, primary_key=True),
        Column("id", String, primary_key=True),
        Column("patient", String, comment="whose compartment it was in"),
        Column("purged_at", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
