"""What a resource is found by, found by the resource."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Makes the indexes that serve searches of one patient's few resources among those of all."""
    op.create_index("term_of", "term", ["seq", "parameter", "value"])
    op.create_index("span_of", "span", ["seq", "parameter"])
