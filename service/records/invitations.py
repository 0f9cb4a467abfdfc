"""Links for patients without an account: each opens one form for one record, until it ends or is taken back.

A link carries the key of a draft and nothing else: who it is for is remembered here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation to one response. `patient` is a reference; times are aware UTC."""

    response_id: str
    page: str
    patient: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
