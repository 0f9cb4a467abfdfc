"""What the records need from outside: pages, a store, a FHIR server, a clock and ids; as Protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from service.errors import Issue
from service.fhir.json import Json
from service.packs import Pack
from service.records.outbox import Letter, Reason, State, Take, Target
from service.records.search import EVERYTHING, Bounds, Page, Query

Clock = Callable[[], datetime]
"""The time now, aware, in UTC."""

NewId = Callable[[], str]
"""A new random UUID as text (36 characters, lower case)."""

Jitter = Callable[[], float]
"""A random number from 0 to 1."""

Audit = Callable[[Json], tuple[Json, ...]]
"""The AuditEvents, each with its id, of telling somebody of a response; none where nobody is asked who they are."""


class Pages(Protocol):
    """The published pages."""

    def resolve(self, canonical: str) -> Pack | None:
        """The page of a Questionnaire's canonical: `url|version` exactly that one, `url` alone the newest active."""
        ...


class KeyKind(StrEnum):
    """What makes a submission idempotent."""

    IDENTIFIER = "identifier"
    HEADER = "idempotency-key"


@dataclass(frozen=True, slots=True)
class Key:
    """An idempotency key within its client, and, for an identifier, within its subject ("" for the header)."""

    kind: KeyKind
    client: str
    subject: str
    system: str
    value: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A response as it was acknowledged.

    `resource` has its id and meta; `triage` is the Observation of the assessment made then; `digest` identifies the
    body that was sent (SHA-256, hexadecimal).
    """

    resource: Json
    triage: Json
    warnings: tuple[Issue, ...]
    digest: str

    @property
    def id(self) -> str:
        """The logical id of the response."""
        return str(self.resource["id"])

    @property
    def version(self) -> int:
        """The version of the response, from 1."""
        return int(self.resource["meta"]["versionId"])


@dataclass(frozen=True, slots=True)
class Acceptance:
    """All that one accepted version of a response writes, in one transaction.

    `record` is what is new in the personal medical record beside the response (Observations, Conditions, Provenance,
    each with its id and a version of its own); `targets` are whereto letters go: the base URL of a FHIR server, the
    webhook that is told of an urgent result, both or none; `audit` are the AuditEvents of who wrote it.
    """

    stored: Stored
    record: tuple[Json, ...]
    keys: tuple[Key, ...]
    pack: Pack
    accepted_at: datetime
    targets: tuple[str, ...]
    audit: tuple[Json, ...] = ()


class Channel(StrEnum):
    """The way a response came in."""

    API = "api"
    FORM = "form"
    LAUNCH = "launch"


class KeyTaken(Exception):
    """Another submission with one of the keys was accepted first; nothing was written."""


class Purged(Exception):
    """The response `id` was accepted under one of the keys, and purged since."""

    def __init__(self, id: str) -> None:  # noqa: A002
        self.id = id
        super().__init__(id)


class Superseded(Exception):
    """Another version of the response was written meanwhile; nothing was written."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a resource of ours stands on a target: `location` is `Type/id` there, `etag` its version if answered."""

    resource_type: str
    id: str
    location: str
    etag: str | None


@dataclass(frozen=True, slots=True)
class RememberedPack:
    """A pack version that accepted a response: its artifacts as they were then."""

    name: str
    url: str
    version: str
    artifacts: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Backlog:
    """Letters of one target in one state: how many, and when the oldest was accepted (aware UTC)."""

    target: str
    state: State
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Dead letters of one target and reason: how many, and when the oldest was accepted (aware UTC)."""

    target: str
    reason: Reason
    count: int
    oldest: datetime


class Store(Protocol):
    """The database. Every method is one transaction and may raise Unavailable; returning means committed."""

    def accept(self, acceptance: Acceptance) -> None:
        """Write all of `acceptance`, or nothing. Raises KeyTaken.

        A version after the first replaces the one before it as the newest, and raises Superseded unless that one still
        is. A response that is complete has no proposal any more.
        """
        ...

    def keep_proposal(self, response_id: str, proposal: Json, kept_at: datetime) -> None:
        """Keep the response that a population proposes for the draft `response_id`; the first one kept stays."""
        ...

    def proposal(self, response_id: str) -> Json | None:
        """What a population proposed for a draft; None when nothing was kept."""
        ...

    def find(self, keys: Sequence[Key]) -> Stored | None:
        """The response first accepted under one of `keys`, as it was acknowledged then. Raises Purged."""
        ...

    def read(
        self,
        resource_type: str,
        id: str,  # noqa: A002
        version: int | None = None,
        within: Bounds = EVERYTHING,
    ) -> Json | None:
        """A resource, its newest version unless told otherwise; None where it does not lie `within` these bounds.

        A Provenance is about the patient whom the response it belongs to is about.
        """
        ...

    def history(self, resource_type: str, id: str, within: Bounds = EVERYTHING) -> tuple[Json, ...]:  # noqa: A002
        """All versions of a resource that lie within these bounds, newest first."""
        ...

    def was_purged(self, resource_type: str, id: str, within: Bounds = EVERYTHING) -> bool:  # noqa: A002
        """Whether a resource was here, within these bounds as far as that depends on whose it was, and was purged."""
        ...

    def search(self, query: Query) -> Page:
        """What matches `query` among the newest versions."""
        ...

    def stored(self, response_id: str, version: int | None = None) -> Stored | None:
        """A response as it was acknowledged, the newest version unless told otherwise; None when there is none."""
        ...

    def record(self, response_id: str, version: int) -> tuple[Json, ...]:
        """The record as it stood with that version of the response: that version first, then what was written with it
        or before and not written anew, in the order of acceptance. Empty when there is no such version."""
        ...

    def outstanding(self, letter: Letter) -> tuple[Json, ...]:
        """What `letter` has to bring: of the record of its version, whatever no delivered letter to its target brought.

        So a later version brings, too, what still stands of one that was discarded.
        """
        ...

    def keep_audit(self, events: Sequence[Json]) -> None:
        """Keep AuditEvents, each with its id; they are read and searched as all resources are."""
        ...

    def lease(self, target: str, now: datetime, take: Take, at_most: int | None = None) -> Letter | None:
        """Apply `take` to the letter for `target` that is longest due (or whose lease ran out), and give the result.

        None when none is due, the target is held, or `at_most` letters to it are leased already, whoever leased them. A
        letter waits while an earlier one of the same response is neither delivered nor discarded.
        """
        ...

    def change(
        self,
        before: Letter,
        after: Letter,
        *,
        placements: Sequence[Placement] = (),
        target: Target | None = None,
        audit: Sequence[Json] = (),
    ) -> bool:
        """Replace `before` by `after`, keep `placements`, the state of `target` and AuditEvents of it.

        False if `before` no longer stands; then nothing is written.
        """
        ...

    def letter(self, id: int) -> Letter | None:  # noqa: A002
        """One letter."""
        ...

    def letters(self, state: State | None = None, limit: int = 100) -> tuple[Letter, ...]:
        """Letters in `state` (all when None), oldest first."""
        ...

    def letters_of(self, response_id: str) -> tuple[Letter, ...]:
        """The letters of one response, oldest first."""
        ...

    def backlog(self) -> tuple[Backlog, ...]:
        """Counts and ages of the letters that are not settled (pending, leased or dead), by target and state."""
        ...

    def given_up(self) -> tuple[GivenUp, ...]:
        """Counts and ages of the dead letters, by target and reason."""
        ...

    def target(self, name: str) -> Target:
        """How a target stands; one never held is open."""
        ...

    def targets(self) -> tuple[Target, ...]:
        """Every target that is held, or was and was not yet resumed."""
        ...

    def placements(self, target: str, response_id: str) -> tuple[Placement, ...]:
        """Where the resources of a response stand on `target`."""
        ...

    def remembered_packs(self) -> tuple[RememberedPack, ...]:
        """Every pack version that ever accepted a response."""
        ...

    def check(self) -> None:
        """Raise Unavailable unless the database can be read and written now."""
        ...

    def close(self) -> None:
        """Give back connections and files."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered: `headers` by lower-case name; `body` None unless it is a JSON object."""

    status: int
    headers: Mapping[str, str]
    body: Json | None


class Unreachable(Exception):
    """No connection came about, so nothing was sent."""


class AnswerLost(Exception):
    """The request was sent, but no whole answer came: it may have been carried out or not."""


class Webhook(Protocol):
    """Where the operator's system takes notices."""

    def post(self, content: bytes, headers: Mapping[str, str]) -> Answer:
        """One request. Raises Unreachable or AnswerLost."""
        ...


class FhirServer(Protocol):
    """A FHIR server, its base URL without a trailing slash."""

    @property
    def base_url(self) -> str:
        """Names the target."""
        ...

    def send(
        self, method: str, path: str, body: Json | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request to `path` below the base ("" is the base itself). Raises Unreachable or AnswerLost."""
        ...
