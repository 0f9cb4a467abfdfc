"""What clinicians made of cards, as an EHR reports it (CDS Hooks 2.0, "Feedback"), and what is remembered of cards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, Protocol

from service.fhir.json import Json, dumps
from service.fhir.primitives import is_instant
from service.records.json_fields import Fields

_MAX_CARD_LENGTH: Final = 255
_MAX_COMMENT_LENGTH: Final = 10_000
_UTC: Final = ("Z", "+00:00", "-00:00")


class CardKind(StrEnum):
    """What a card is for."""

    ASK = "ask"
    RESULT = "result"


class Outcome(StrEnum):
    """What a clinician did with a card."""

    ACCEPTED = "accepted"
    OVERRIDDEN = "overridden"


@dataclass(frozen=True, slots=True)
class IssuedCard:
    """A card that was sent. It names the page that it is about, and no patient."""

    uuid: str
    kind: CardKind
    page: str
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class Feedback:
    """One outcome of one card; `body` is the whole entry as it was sent."""

    card: str
    outcome: Outcome
    body: Json

    @property
    def digest(self) -> str:
        """Identifies the entry, so that one sent again does not count twice (SHA-256, hexadecimal)."""
        return sha256(dumps(self.body).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class FeedbackCount:
    """How often an outcome was reported of the cards of a kind and page; both None for cards that are not known."""

    kind: CardKind | None
    page: str | None
    outcome: Outcome
    count: int


class HookStore(Protocol):
    """What is remembered of CDS Hooks. Every method is one transaction and may raise Unavailable."""

    def keep_token_id(self, issuer: str, token_id: str, expires_at: datetime, now: datetime) -> bool:
        """Keep that a token was used, until `expires_at`; False when it was before."""
        ...

    def keep_cards(self, cards: Sequence[IssuedCard]) -> None:
        """Keep what was sent, and forget cards so old that nobody reports on them any more."""
        ...

    def keep_feedback(self, feedback: Sequence[Feedback], received_at: datetime) -> None:
        """Keep all of what was reported, each entry once."""
        ...

    def feedback_counts(self) -> tuple[FeedbackCount, ...]:
        """How often each outcome was reported."""
        ...


def read_feedback(body: Any) -> tuple[Feedback, ...]:
    """The entries in `body`, checked against the specification. Raises Malformed with all that is wrong in them."""
    fields = Fields.of_body(body)
    _check_names(fields, "feedback")
    entries = fields.objects("feedback")
    read = list(_entries(entries))
    fields.accept()
    return tuple(read)


def _entries(entries: Sequence[Fields]) -> Iterator[Feedback]:
    for entry in entries:
        _check_names(entry, "card", "outcome", "acceptedSuggestions", "overrideReason", "outcomeTimestamp")
        card = entry.text("card", lambda value: len(value) <= _MAX_CARD_LENGTH, "the uuid of a card")
        outcome = entry.text("outcome", lambda value: value in tuple(Outcome), f"one of {', '.join(Outcome)}")
        entry.text("outcomeTimestamp", _is_utc, "a date and time in UTC, such as 2026-03-15T09:00:00Z")
        for suggestion in entry.objects("acceptedSuggestions", required=outcome == Outcome.ACCEPTED):
            _check_names(suggestion, "id")
            suggestion.text("id")
        _check_reason(entry)
        if card is not None and outcome is not None:
            yield Feedback(card, Outcome(outcome), entry.node)


def _check_reason(entry: Fields) -> None:
    given = entry.object("overrideReason", required=False)
    if given is None:
        return
    _check_names(given, "reason", "userComment")
    given.text("userComment", lambda value: len(value) <= _MAX_COMMENT_LENGTH, "a comment", required=False)
    coding = given.object("reason", required=False)
    if coding is not None:
        _check_names(coding, "code", "system", "display")
        coding.text("code")
        coding.text("system")
        coding.text("display", required=False)


def _check_names(fields: Fields, *names: str) -> None:
    """Refuses what the specification does not define, and null; `extension` is anybody's."""
    for name, value in fields.node.items():
        if name not in (*names, "extension"):
            fields.refuse(name, f"'{name}' is not defined here.")
        elif value is None:
            fields.refuse(name, f"'{name}' must not be null. Leave it out.")


def _is_utc(value: str) -> bool:
    return is_instant(value) and value.endswith(_UTC)
