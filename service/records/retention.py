"""Purging by age: which responses may go, what is kept of that, and what is said of what is gone.

What followed from a response goes with it. Its keys stay, and that it was here, so that a sender who tries again does
not double what is on a FHIR server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from service.errors import Gone, IssueType, error
from service.fhir.json import Json


class Standing(StrEnum):
    """How the newest version of a response stands, once it is older than the cutoff."""

    DELIVERED = "delivered"
    """A FHIR server has it, and nothing of the response is on its way."""
    ONLY_COPY = "only copy"
    """Nothing is on its way, but no FHIR server has it: none was set, or its delivery was discarded."""
    UNDER_WAY = "under way"
    """Something of it is still to be delivered, or was given up and waits for people. It is never purged."""
    DRAFT = "draft"
    """It was never sent."""
    URGENT_DRAFT = "draft with a danger sign"
    """It was never sent, and a rule fired."""
    UNANSWERED = "never answered"
    """It was launched, invited to or proposed, and nothing of it was ever sent or kept."""


@dataclass(frozen=True, slots=True)
class Cutoff:
    """What was accepted before these moments (aware UTC) is old: drafts have their own, as they can be gone on with.

    So have launches and proposals that were never answered, and invitations from their end on.
    """

    responses: datetime
    drafts: datetime


@dataclass(frozen=True, slots=True)
class Aged:
    """Old responses that stand alike: how many, and when the newest versions of the oldest and newest were accepted
    (aware UTC); of those never answered, when they were begun or the invitation ended."""

    standing: Standing
    count: int
    oldest: datetime
    newest: datetime


Tell = Callable[[Json], Json]
"""The AuditEvent, with its id, of the purge of a response."""


class PurgeStore(Protocol):
    """What purging needs of the database. Every method is one transaction and may raise Unavailable."""

    def aged(self, cutoff: Cutoff) -> tuple[Aged, ...]:
        """What is older than `cutoff`, by how it stands."""
        ...

    def purge(
        self,
        cutoff: Cutoff,
        standings: frozenset[Standing],
        now: datetime,
        tell: Tell,
        *,
        at_most: int,
        after: str = "",
    ) -> list[str]:
        """Remove responses that are older than `cutoff` and stand so, with all that followed, and keep what `tell` says
        of each; their ids, in order, and none before or at `after`.

        One that somebody is just changing is left out. Drafts go with or without a danger sign. Those never answered
        are for `purge_unanswered`.
        """
        ...

    def purge_unanswered(self, cutoff: Cutoff) -> int:
        """Remove old launches, invitations and proposals that no response followed; to how many forms they belong."""
        ...


def gone() -> Gone:
    """What is said of a response, or of what followed from it, that was purged."""
    text = "It was here, and was removed for good, because the time that it is kept here has passed."
    return Gone([error(IssueType.DELETED, text)])


def gone_under_key(response_id: str) -> Gone:
    """What a sender is told whose key stands for a response that was purged."""
    text = (
        f"This was accepted before, as QuestionnaireResponse/{response_id}, which was removed since, because the time "
        "that it is kept here has passed. Do not send it again."
    )
    return Gone([error(IssueType.DELETED, text)])
