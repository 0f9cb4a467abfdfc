"""The Store on a relational database."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    func,
    make_url,
    select,
    true,
    update,
)
from sqlalchemy.exc import DatabaseError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.adapters import hook_tables as hooks
from service.adapters import invitation_table as invitations
from service.adapters import launch_tables as launches
from service.adapters import schema
from service.adapters import visit_table as visits
from service.adapters.accepting import add_audit, write_acceptance
from service.adapters.backend import Backend, insert_once
from service.adapters.letters import (
    due_letter,
    given_up_letters,
    issue_of,
    leased_letters,
    letter_of,
    put_placements,
    put_target,
    replace_letter,
    target_of,
)
from service.adapters.lineage import outstanding_of, record_of
from service.adapters.migration import OtherSchema, applied, has_schema, migrate
from service.adapters.postgresql import postgresql_backend
from service.adapters.queries import condition, is_within
from service.adapters.sqlite import sqlite_backend
from service.errors import IssueType, Unavailable, error
from service.fhir.json import Json
from service.records.clinician_visit import ClinicianVisit
from service.records.ehr import Launch
from service.records.feedback import Feedback, FeedbackCount, IssuedCard
from service.records.invitations import Invitation
from service.records.outbox import UNSETTLED, Letter, State, Take, Target
from service.records.ports import Acceptance, Backlog, GivenUp, Key, Placement, RememberedPack, Stored
from service.records.search import EVERYTHING, Bounds, Page, Query

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS: Final = 5
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


class Database:
    """Implements service.records.ports.Store. Safe for threads; several processes may use one database.

    `url` is its address, without what may be secret; `migrations` tells those that were applied when it was opened.
    """

    def __init__(self, backend: Backend, url: str) -> None:
        self.url = url
        self.migrations: tuple[str, ...] = ()
        self._backend = backend
        self._engine = backend.reader

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
        table = schema.proposal
        with self._read() as connection:
            statement = select(table.c.body).where(table.c.response_id == response_id)
            body: Json | None = connection.execute(statement).scalar_one_or_none()
            return body

    def find(self, keys: Sequence[Key]) -> Stored | None:
        """The response first accepted under one of `keys`, as it was acknowledged then."""
        table = schema.response_key
        with self._read() as connection:
            for key in keys:
                row = connection.execute(select(table.c.response_id, table.c.version).where(_is_key(key))).one_or_none()
                if row is not None:
                    return _stored(connection, row.response_id, row.version)
        return None

    def read(
        self,
        resource_type: str,
        id: str,  # noqa: A002
        version: int | None = None,
        within: Bounds = EVERYTHING,
    ) -> Json | None:
        """A resource, its newest version unless told otherwise, if it lies within these bounds."""
        table = schema.resource
        wanted = table.c.current == true() if version is None else table.c.version == version
        named = and_(table.c.type == resource_type, table.c.id == id, wanted)
        statement = select(table.c.body).where(named, is_within(within))
        with self._read() as connection:
            body: Json | None = connection.execute(statement).scalar_one_or_none()
            return body

    def history(self, resource_type: str, id: str, within: Bounds = EVERYTHING) -> tuple[Json, ...]:  # noqa: A002
        """All versions of a resource that lie within these bounds, newest first."""
        table = schema.resource
        statement = select(table.c.body).where(table.c.type == resource_type, table.c.id == id, is_within(within))
        with self._read() as connection:
            return tuple(connection.execute(statement.order_by(table.c.version.desc())).scalars())

    def search(self, query: Query) -> Page:
        """What matches `query` among the newest versions, in the order of acceptance or its reverse."""
        table = schema.resource
        matching = condition(query)
        order = table.c.seq.desc() if query.newest_first else table.c.seq
        page = select(table.c.body).where(matching).order_by(order).limit(query.count).offset(query.offset)
        with self._read() as connection:
            total = connection.execute(select(func.count()).select_from(table).where(matching)).scalar_one()
            matches = tuple(connection.execute(page).scalars())
            included = _provenance_of(connection, matches, query) if query.include_provenance else ()
        return Page(total, matches, included)

    def stored(self, response_id: str) -> Stored | None:
        """The newest version of a response, as it was acknowledged."""
        table = schema.receipt
        newest = select(func.max(table.c.version)).where(table.c.response_id == response_id)
        with self._read() as connection:
            version = connection.execute(newest).scalar_one()
            return None if version is None else _stored(connection, response_id, version)

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
            if due_letter(connection, target, now) is None:
                return None
        with self._write() as connection:
            if at_most is not None:
                # Whoever counts must be the only one who takes.
                self._backend.exclude(connection, f"lease for {target}")
                if leased_letters(connection, target, now) >= at_most:
                    return None
            # A letter that another worker is just taking is passed over.
            row = due_letter(connection, target, now, to_take=True)
            if row is None:
                return None
            before = letter_of(row)
            after = take(before)
            replace_letter(connection, before, after)
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
            if not replace_letter(connection, before, after):
                return False
            if placements:
                put_placements(connection, after, placements)
            if target is not None:
                put_target(connection, target)
            add_audit(connection, audit)
        return True

    def letter(self, id: int) -> Letter | None:  # noqa: A002
        """One letter."""
        with self._read() as connection:
            row = connection.execute(select(schema.letter).where(schema.letter.c.id == id)).one_or_none()
        return None if row is None else letter_of(row)

    def letters(self, state: State | None = None, limit: int = 100) -> tuple[Letter, ...]:
        """Letters in `state` (all when None), oldest first."""
        statement = select(schema.letter).order_by(schema.letter.c.id).limit(limit)
        if state is not None:
            statement = statement.where(schema.letter.c.state == state.value)
        with self._read() as connection:
            return tuple(letter_of(row) for row in connection.execute(statement))

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
        table = schema.letter
        statement = select(table).where(table.c.response_id == response_id).order_by(table.c.id)
        with self._read() as connection:
            return tuple(letter_of(row) for row in connection.execute(statement))

    def backlog(self) -> tuple[Backlog, ...]:
        """Counts and ages of the letters that are not settled, by target and state."""
        columns = schema.letter.c
        statement = select(columns.target, columns.state, func.count(), func.min(columns.created_at))
        # The settled ones are nearly all, and counting them would take long.
        unsettled = statement.where(columns.state.in_([state.value for state in UNSETTLED]))
        grouped = unsettled.group_by(columns.target, columns.state).order_by(columns.target, columns.state)
        with self._read() as connection:
            return tuple(
                Backlog(name, State(state), count, oldest) for name, state, count, oldest in connection.execute(grouped)
            )

    def given_up(self) -> tuple[GivenUp, ...]:
        """Counts and ages of the dead letters, by target and reason."""
        with self._read() as connection:
            return given_up_letters(connection)

    def target(self, name: str) -> Target:
        """How a target stands; one never held is open."""
        with self._read() as connection:
            row = connection.execute(select(schema.target).where(schema.target.c.name == name)).one_or_none()
        return Target(name) if row is None else target_of(row)

    def targets(self) -> tuple[Target, ...]:
        """Every target that is held, or was and was not yet resumed."""
        with self._read() as connection:
            rows = connection.execute(select(schema.target).order_by(schema.target.c.name))
            return tuple(target_of(row) for row in rows)

    def set_target(self, target: Target) -> None:
        """Write how a target stands."""
        with self._write() as connection:
            put_target(connection, target)

    def placements(self, target: str, response_id: str) -> tuple[Placement, ...]:
        """Where the resources of a response stand on `target`."""
        table = schema.placement
        columns = select(table.c.resource_type, table.c.id, table.c.location, table.c.etag)
        statement = columns.where(table.c.response_id == response_id, table.c.target == target)
        with self._read() as connection:
            return tuple(Placement(*row) for row in connection.execute(statement.order_by(table.c.id)))

    def remembered_packs(self) -> tuple[RememberedPack, ...]:
        """Every pack version that ever accepted a response, the first to do so first."""
        columns = schema.pack.c
        statement = select(columns.name, columns.url, columns.version, columns.artifacts)
        with self._read() as connection:
            rows = connection.execute(statement.order_by(columns.first_accepted_at, columns.url, columns.version))
            return tuple(RememberedPack(row.name, row.url, row.version, tuple(row.artifacts)) for row in rows)

    def check(self) -> None:
        """Raise Unavailable unless the database can be read and written now."""
        with self._write() as connection:
            # Only a write finds a full disk.
            connection.execute(update(applied).values(version_num=applied.c.version_num))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._faults_told(), self._backend.reader.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._faults_told(), self._writing() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._backend.write_turn(), self._backend.writer.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _faults_told(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as fault:
            reason = self._backend.passing_reason(fault)
            if reason is None:
                raise
            raise _unavailable(f"The database cannot be used now: {reason}.") from fault
        except PoolTimeout as fault:
            raise _unavailable("All connections to the database are in use.") from fault
        except TimeoutError as fault:
            raise _unavailable("Other writers keep the database busy.") from fault


def _unavailable(text: str) -> Unavailable:
    return Unavailable([error(IssueType.TRANSIENT, text)], RETRY_AFTER_SECONDS)


def _is_key(key: Key) -> ColumnElement[bool]:
    columns = schema.response_key.c
    return and_(
        columns.kind == key.kind.value,
        columns.client == key.client,
        columns.subject == key.subject,
        columns.system == key.system,
        columns.value == key.value,
    )


def _stored(connection: Connection, response_id: str, version: int) -> Stored:
    body = schema.resource
    told = schema.receipt
    joined = and_(body.c.id == told.c.response_id, body.c.version == told.c.version)
    row = connection.execute(
        select(body.c.body, told.c.triage, told.c.warnings, told.c.digest)
        .join(told, joined)
        .where(body.c.type == "QuestionnaireResponse", body.c.id == response_id, body.c.version == version)
    ).one()
    return Stored(row.body, row.triage, tuple(issue_of(one) for one in row.warnings), row.digest)


def _provenance_of(connection: Connection, matches: Sequence[Json], query: Query) -> tuple[Json, ...]:
    references = [f"{one['resourceType']}/{one['id']}" for one in matches]
    about = select(schema.term.c.seq).where(schema.term.c.parameter == "target", schema.term.c.value.in_(references))
    table = schema.resource
    newest = and_(table.c.type == "Provenance", table.c.current == true(), table.c.seq.in_(about))
    wanted = and_(newest, is_within(query.provenance_within))
    return tuple(connection.execute(select(table.c.body).where(wanted).order_by(table.c.seq)).scalars())
