"""Invitations in SQL."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from service.adapters import schema
from service.records.invitations import Invitation


def put_invitation(connection: Connection, invitation: Invitation) -> None:
    """Keep an invitation."""
    connection.execute(
        insert(schema.invitation).values(
            response_id=invitation.response_id,
            page=invitation.page,
            patient=invitation.patient,
            created_at=invitation.created_at,
            expires_at=invitation.expires_at,
            revoked_at=invitation.revoked_at,
        )
    )


def invitation_of(connection: Connection, response_id: str) -> Invitation | None:
    """The invitation to a response."""
    table = schema.invitation
    row = connection.execute(select(table).where(table.c.response_id == response_id)).one_or_none()
    return None if row is None else Invitation(*row)


def revoke(connection: Connection, response_id: str, revoked_at: datetime) -> bool:
    """Take an invitation back; False when there is none that stands."""
    columns = schema.invitation.c
    standing = (columns.response_id == response_id, columns.revoked_at.is_(None))
    return connection.execute(update(schema.invitation).where(*standing).values(revoked_at=revoked_at)).rowcount == 1
