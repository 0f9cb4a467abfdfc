"""Links for patients without an account: each opens one form for one record, until it ends or is taken back.

A link carries the key of a draft and nothing else: who it is for is remembered here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation to one response. `patient` is a reference; times are aware UTC."""

    response_id: str
    page: str
    patient: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


class InvitationStore(Protocol):
    """What is remembered of invitations. Every method is one transaction and may raise Unavailable."""

    def keep_invitation(self, invitation: Invitation) -> None:
        """Keep an invitation."""
        ...

    def invitation(self, response_id: str) -> Invitation | None:
        """The invitation to a response."""
        ...

    def revoke_invitation(self, response_id: str, revoked_at: datetime) -> bool:
        """Take an invitation back; False when there is none, or it was taken back before."""
        ...
