"""Cards, feedback and the tokens of CDS clients in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from service.adapters import schema
from service.adapters.backend import insert_once
from service.records.feedback import CardKind, Feedback, FeedbackCount, IssuedCard, Outcome

_CARD_LIFETIME: Final = timedelta(days=90)


def put_token_id(connection: Connection, issuer: str, token_id: str, expires_at: datetime, now: datetime) -> bool:
    """Keep that a token was used, and forget those that ended; False when it was used before."""
    table = schema.hook_token
    connection.execute(delete(table).where(table.c.expires_at <= now))
    return insert_once(connection, table, {"issuer": issuer, "token_id": token_id, "expires_at": expires_at})


def put_cards(connection: Connection, cards: Sequence[IssuedCard]) -> None:
    """Keep cards, and forget those that nobody reports on any more."""
    table = schema.card
    oldest = max(card.issued_at for card in cards) - _CARD_LIFETIME
    connection.execute(delete(table).where(table.c.issued_at < oldest))
    rows = [
        {"uuid": card.uuid, "kind": card.kind.value, "page": card.page, "issued_at": card.issued_at} for card in cards
    ]
    connection.execute(insert(table), rows)


def put_feedback(connection: Connection, feedback: Sequence[Feedback], received_at: datetime) -> None:
    """Keep what was reported, each entry once, with what is known of its card."""
    cards = schema.card
    for one in feedback:
        known = connection.execute(select(cards.c.kind, cards.c.page).where(cards.c.uuid == one.card)).one_or_none()
        values = {
            "card": one.card,
            "digest": one.digest,
            "kind": None if known is None else known.kind,
            "page": None if known is None else known.page,
            "outcome": one.outcome.value,
            "body": one.body,
            "received_at": received_at,
        }
        insert_once(connection, schema.feedback, values)


def feedback_counts(connection: Connection) -> tuple[FeedbackCount, ...]:
    """How often each outcome was reported, by kind of card and page."""
    columns = schema.feedback.c
    groups = (columns.kind, columns.page, columns.outcome)
    counted = (
        select(*groups, func.count())
        .group_by(*groups)
        .order_by(columns.kind.nulls_first(), columns.page, columns.outcome)
    )
    return tuple(
        FeedbackCount(None if kind is None else CardKind(kind), page, Outcome(outcome), count)
        for kind, page, outcome, count in connection.execute(counted)
    )
