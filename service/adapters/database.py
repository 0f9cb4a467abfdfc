"""The Store on a relational database."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import make_url, update
from sqlalchemy.exc import DatabaseError

from service.adapters import hook_tables as hooks
from service.adapters import invitation_table as invitations
from service.adapters import launch_tables as launches
from service.adapters import letters as outbox
from service.adapters import purging, reading, schema
from service.adapters import visit_table as visits
from service.adapters.accepting import add_audit, write_acceptance
from service.adapters.backend import Backend, insert_once
from service.adapters.lineage import outstanding_of, record_of
from service.adapters.migration import OtherSchema, applied, has_schema, migrate
from service.adapters.postgresql import postgresql_backend
from service.adapters.sqlite import sqlite_backend
from service.adapters.transactions import Transactions
from service.fhir.json import Json
from service.records.clinician_visit import ClinicianVisit
from service.records.ehr import Launch
from service.records.feedback import Feedback, FeedbackCount, IssuedCard
from service.records.invitations import Invitation
from service.records.outbox import Letter, State, Take, Target
from service.records.ports import Acceptance, Backlog, GivenUp, Key, Placement, RememberedPack, Stored
from service.records.retention import Aged, Cutoff, Standing, Tell
from service.records.search import EVERYTHING, Bounds, Page, Query

log = logging.getLogger(__name__)

_BACKENDS: Final = {"sqlite": sqlite_backend, "postgresql": postgresql_backend}
_SUPPORTED: Final = "sqlite:///path/to/file or postgresql://user@host/database"


def open_database(url: str, *, busy_timeout_seconds: float = 5.0, upgrade: bool = False) -> Database:
    """The database at `url` (`sqlite:///path`, `postgresql://…`), its tables made when there are none.

    An earlier release's tables are brought to this one's schema where they are in a file, elsewhere to `upgrade` only.
    A write waits `busy_timeout_seconds` for other writers. Raises ValueError (not such a URL, or what is there cannot
    be used now; no password is repeated).
    """
    parsed = make_url(url)
    kind = _BACKENDS.get(parsed.drivername)
    if kind is None:
        raise ValueError(f"'{parsed.drivername}' is no database that is supported: give {_SUPPORTED}.")
    # Where a driver takes parameters, one of them may be a password.
    told = parsed.set(query={}).render_as_string(hide_password=True)
    database = Database(kind(parsed, busy_timeout_seconds), told)
    try:
        database.prepare(upgrade=upgrade)
    except (DatabaseError, ValueError, OtherSchema) as fault:
        database.close()
        reason = " ".join(str(fault.orig if isinstance(fault, DatabaseError) else fault).split())
        raise ValueError(f"'{parsed.database}' cannot be opened: {reason}.") from fault
    return database


class Database(Transactions):
    """Implements service.records.ports.Store. Safe for threads; several processes may use one database.

    `url` is its address, without what may be secret; `migrations` tells those that were applied when it was opened.
    """

    def __init__(self, backend: Backend, url: str) -> None:
        super().__init__(backend)
        self.url = url
        self.migrations: tuple[str, ...] = ()

    def prepare(self, *, upgrade: bool) -> None:
        """Bring the database to the schema of this release. Raises OtherSchema, DatabaseError."""
        with self._engine.connect() as connection:
            if has_schema(connection):
                return
        with self._writing() as connection:
            self._backend.exclude(connection, "schema")
            self.migrations = migrate(connection, existing=upgrade or self._backend.upgrades_at_start)
        for one in self.migrations:
            log.info("schema migration %s", one)

    def accept(self, acceptance: Acceptance) -> None:
        """Write all of `acceptance`, or nothing. Raises KeyTaken, Superseded, Unavailable."""
        with self._write() as connection:
            write_acceptance(connection, acceptance)

    def keep_proposal(self, response_id: str, proposal: Json, kept_at: datetime) -> None:
        """Keep what a population proposes for a draft; the first proposal kept stays."""
        with self._write() as connection:
            insert_once(connection, schema.proposal, {"response_id": response_id, "body": proposal, "kept_at": kept_at})

    def proposal(self, response_id: str) -> Json | None:
        """What a population proposed for a draft; None when nothing was kept."""
        with self._read() as connection:
            return reading.proposal_of(connection, response_id)

    def find(self, keys: Sequence[Key]) -> Stored | None:
        """The response first accepted under one of `keys`, as it was acknowledged then."""
        with self._read() as connection:
            return reading.found(connection, keys)

    def read(
        self,
        resource_type: str,
        id: str,  # noqa: A002
        version: int | None = None,
        within: Bounds = EVERYTHING,
    ) -> Json | None:
        """A resource, its newest version unless told otherwise, if it lies within these bounds."""
        with self._read() as connection:
            return reading.resource_of(connection, resource_type, id, version, within)

    def history(self, resource_type: str, id: str, within: Bounds = EVERYTHING) -> tuple[Json, ...]:  # noqa: A002
        """All versions of a resource that lie within these bounds, newest first."""
        with self._read() as connection:
            return reading.versions_of(connection, resource_type, id, within)

    def was_purged(self, resource_type: str, id: str, within: Bounds = EVERYTHING) -> bool:  # noqa: A002
        """Whether a resource was here, within these bounds as far as that depends on whose it was, and was purged."""
        with self._read() as connection:
            return reading.was_purged(connection, resource_type, id, within)

    def search(self, query: Query) -> Page:
        """What matches `query` among the newest versions, in the order of acceptance or its reverse."""
        with self._read() as connection:
            return reading.page_of(connection, query)

    def stored(self, response_id: str, version: int | None = None) -> Stored | None:
        """A response as it was acknowledged, the newest version unless told otherwise."""
        with self._read() as connection:
            return reading.stored(connection, response_id, version)

    def record(self, response_id: str, version: int) -> tuple[Json, ...]:
        """The record as it stood with that version of the response, which stands first."""
        with self._read() as connection:
            return record_of(connection, response_id, version)

    def outstanding(self, letter: Letter) -> tuple[Json, ...]:
        """What a letter has to bring: of its record, whatever no delivered letter to its target brought."""
        with self._read() as connection:
            return outstanding_of(connection, letter)

    def keep_audit(self, events: Sequence[Json]) -> None:
        """Keep AuditEvents, each with its id."""
        with self._write() as connection:
            add_audit(connection, events)

    def lease(self, target: str, now: datetime, take: Take, at_most: int | None = None) -> Letter | None:
        """Apply `take` to the letter that is longest due, and give the result; None when none is to be taken."""
        with self._read() as connection:
            # An idle worker only looks, and never keeps writers waiting.
            if outbox.due_letter(connection, target, now) is None:
                return None
        with self._write() as connection:
            if at_most is not None:
                # Whoever counts must be the only one who takes.
                self._backend.exclude(connection, f"lease for {target}")
                if outbox.leased_letters(connection, target, now) >= at_most:
                    return None
            # A letter that another worker is just taking is passed over.
            row = outbox.due_letter(connection, target, now, to_take=True)
            if row is None:
                return None
            before = outbox.letter_of(row)
            after = take(before)
            outbox.replace_letter(connection, before, after)
            return after

    def change(
        self,
        before: Letter,
        after: Letter,
        *,
        placements: Sequence[Placement] = (),
        target: Target | None = None,
        audit: Sequence[Json] = (),
    ) -> bool:
        """Replace `before` by `after` and write the rest with it; False, and nothing, if `before` stands no more."""
        with self._write() as connection:
            if not outbox.replace_letter(connection, before, after):
                return False
            if placements:
                outbox.put_placements(connection, after, placements)
            if target is not None:
                outbox.put_target(connection, target)
            add_audit(connection, audit)
        return True

    def letter(self, id: int) -> Letter | None:  # noqa: A002
        """One letter."""
        with self._read() as connection:
            return outbox.letter_by_id(connection, id)

    def letters(self, state: State | None = None, limit: int = 100) -> tuple[Letter, ...]:
        """Letters in `state` (all when None), oldest first."""
        with self._read() as connection:
            return outbox.listed_letters(connection, state, limit)

    def keep_launch_request(self, state: str, sealed: str, created_at: datetime) -> None:
        """Keep a request for authorization."""
        with self._write() as connection:
            launches.put_request(connection, state, sealed, created_at)

    def take_launch_request(self, state: str) -> tuple[str, datetime] | None:
        """What was kept under `state`, once."""
        with self._write() as connection:
            return launches.take_request(connection, state)

    def keep_launch(self, launch: Launch) -> None:
        """Keep what a launch said of a response."""
        with self._write() as connection:
            launches.put_launch(connection, launch)

    def launch(self, response_id: str) -> Launch | None:
        """The launch that a response began with."""
        with self._read() as connection:
            return launches.launch_of(connection, response_id)

    def keep_grant(self, id: str, issuer: str, patient: str, sealed: str, created_at: datetime) -> None:  # noqa: A002
        """Keep a grant, or what replaces it; what waits for it is due."""
        with self._write() as connection:
            launches.put_grant(connection, id, issuer, patient, sealed, created_at)

    def grants(self, issuer: str, patient: str) -> Sequence[tuple[str, str]]:
        """The grants for one patient, newest first."""
        with self._read() as connection:
            return launches.grants_of(connection, issuer, patient)

    def drop_grant(self, id: str) -> None:  # noqa: A002
        """Forget a grant."""
        with self._write() as connection:
            launches.remove_grant(connection, id)

    def keep_signing_key(self, kid: str, sealed: str, created_at: datetime) -> None:
        """Keep a private key."""
        with self._write() as connection:
            launches.put_signing_key(connection, kid, sealed, created_at)

    def signing_keys(self) -> Sequence[tuple[str, str, datetime]]:
        """All private keys, newest first."""
        with self._read() as connection:
            return launches.signing_keys_of(connection)

    def drop_signing_key(self, kid: str) -> None:
        """Forget a private key."""
        with self._write() as connection:
            launches.remove_signing_key(connection, kid)

    def keep_invitation(self, invitation: Invitation) -> None:
        """Keep an invitation."""
        with self._write() as connection:
            invitations.put_invitation(connection, invitation)

    def invitation(self, response_id: str) -> Invitation | None:
        """The invitation to a response."""
        with self._read() as connection:
            return invitations.invitation_of(connection, response_id)

    def revoke_invitation(self, response_id: str, revoked_at: datetime) -> bool:
        """Take an invitation back; False when there is none that stands."""
        with self._write() as connection:
            return invitations.revoke(connection, response_id, revoked_at)

    def keep_visit(self, visit_id: str, visit: ClinicianVisit, now: datetime) -> None:
        """Keep a clinician's visit, and forget those that ended."""
        with self._write() as connection:
            visits.put_visit(connection, visit_id, visit, now)

    def visit(self, visit_id: str) -> ClinicianVisit | None:
        """A clinician's visit."""
        with self._read() as connection:
            return visits.visit_of(connection, visit_id)

    def keep_token_id(self, issuer: str, token_id: str, expires_at: datetime, now: datetime) -> bool:
        """Keep that a token was used; False when it was before."""
        with self._write() as connection:
            return hooks.put_token_id(connection, issuer, token_id, expires_at, now)

    def keep_cards(self, cards: Sequence[IssuedCard]) -> None:
        """Keep what was sent."""
        with self._write() as connection:
            hooks.put_cards(connection, cards)

    def keep_feedback(self, feedback: Sequence[Feedback], received_at: datetime) -> None:
        """Keep all of what was reported, each entry once."""
        with self._write() as connection:
            hooks.put_feedback(connection, feedback, received_at)

    def feedback_counts(self) -> tuple[FeedbackCount, ...]:
        """How often each outcome was reported."""
        with self._read() as connection:
            return hooks.feedback_counts(connection)

    def letters_of(self, response_id: str) -> tuple[Letter, ...]:
        """The letters of one response, oldest first."""
        with self._read() as connection:
            return outbox.letters_of(connection, response_id)

    def backlog(self) -> tuple[Backlog, ...]:
        """Counts and ages of the letters that are not settled, by target and state."""
        with self._read() as connection:
            return outbox.backlog(connection)

    def given_up(self) -> tuple[GivenUp, ...]:
        """Counts and ages of the dead letters, by target and reason."""
        with self._read() as connection:
            return outbox.given_up_letters(connection)

    def target(self, name: str) -> Target:
        """How a target stands; one never held is open."""
        with self._read() as connection:
            return outbox.target_by_name(connection, name)

    def targets(self) -> tuple[Target, ...]:
        """Every target that is held, or was and was not yet resumed."""
        with self._read() as connection:
            return outbox.held_targets(connection)

    def placements(self, target: str, response_id: str) -> tuple[Placement, ...]:
        """Where the resources of a response stand on `target`."""
        with self._read() as connection:
            return outbox.placements_of(connection, target, response_id)

    def remembered_packs(self) -> tuple[RememberedPack, ...]:
        """Every pack version that ever accepted a response, the first to do so first."""
        with self._read() as connection:
            return reading.remembered_packs(connection)

    def aged(self, cutoff: Cutoff) -> tuple[Aged, ...]:
        """What is older than `cutoff`, by how it stands."""
        with self._read() as connection:
            return purging.aged(connection, cutoff)

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
        """Remove old responses that stand so, with all that followed; their ids."""
        with self._write() as connection:
            return purging.purge(connection, cutoff, standings, now, tell, at_most=at_most, after=after)

    def purge_unanswered(self, cutoff: Cutoff) -> int:
        """Remove old launches, invitations and proposals that no response followed; to how many forms they belong."""
        with self._write() as connection:
            return purging.purge_unanswered(connection, cutoff)

    def check(self) -> None:
        """Raise Unavailable unless the database can be read and written now."""
        with self._write() as connection:
            # Only a write finds a full disk.
            connection.execute(update(applied).values(version_num=applied.c.version_num))
