"""When a form was launched, so that a launch that nobody answered can be forgotten."""

from __future__ import annotations

import time

from alembic import op
from sqlalchemy import BigInteger, Column, text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds the moment to each launch; of those that are there already it is that of this migration."""
    op.add_column("launch", Column("launched_at", BigInteger, nullable=False, server_default="0"))
    op.execute(text("UPDATE launch SET launched_at = :now").bindparams(now=time.time_ns() // 1000))
