"""The clock and the ids of the real world."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4


def utc_now() -> datetime:
    """The time now, aware, in UTC."""
    return datetime.now(UTC)


def random_id() -> str:
    """A new random UUID as text."""
    return str(uuid4())
