"""The statements of one acceptance: keys, pack, resources with what they are found by, receipt, letter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

from sqlalchemy import Connection, delete, insert, select, true, tuple_, update
from sqlalchemy.exc import IntegrityError

from service.adapters import schema
from service.adapters.backend import insert_once
from service.adapters.letters import issue_json, letter_values
from service.fhir.json import Json
from service.records.outbox import Letter, State
from service.records.ports import Acceptance, Key, KeyTaken, Stored, Superseded
from service.records.searchable import search_values, subject_key
from service.sdc.vocabulary import DRAFT_STATUS


def write_acceptance(connection: Connection, acceptance: Acceptance) -> None:
    """Write all of `acceptance`. Raises KeyTaken or Superseded, after which the transaction must be rolled back."""
    stored = acceptance.stored
    _take_keys(connection, acceptance.keys, stored)
    _take_place(connection, stored)
    _give_way(connection, acceptance.record)
    _remember(connection, acceptance)
    try:
        add_resources(connection, (stored.resource, *acceptance.record), stored.id, stored.version, _patient(stored))
    except IntegrityError as fault:
        # Another wrote this version before: a first one meets that here, `_take_place` meets it for the others.
        raise Superseded from fault
    receipt = {
        "response_id": stored.id,
        "version": stored.version,
        "digest": stored.digest,
        "triage": stored.triage,
        "warnings": [issue_json(issue) for issue in stored.warnings],
        "accepted_at": acceptance.accepted_at,
    }
    connection.execute(insert(schema.receipt), receipt)
    if acceptance.targets:
        letters = [letter_values(_first_letter(acceptance, target)) for target in acceptance.targets]
        connection.execute(insert(schema.letter), letters)
    add_audit(connection, acceptance.audit)


def _take_keys(connection: Connection, keys: Sequence[Key], stored: Stored) -> None:
    rows = [
        {
            "kind": key.kind.value,
            "client": key.client,
            "subject": key.subject,
            "system": key.system,
            "value": key.value,
            "response_id": stored.id,
            "version": stored.version,
        }
        # In one order everywhere, so that no two submissions wait for each other.
        for key in sorted(keys, key=astuple)
    ]
    if not rows:
        return
    try:
        connection.execute(insert(schema.response_key), rows)
    except IntegrityError as fault:
        raise KeyTaken from fault


def _take_place(connection: Connection, stored: Stored) -> None:
    """Make way for `stored` as the newest version of its response; nothing stands in the way of a first one."""
    columns = schema.resource.c
    if stored.version > 1:
        versions = (columns.type == stored.resource["resourceType"], columns.id == stored.id)
        before = (*versions, columns.version == stored.version - 1, columns.current == true())
        if connection.execute(update(schema.resource).where(*before).values(current=False)).rowcount != 1:
            raise Superseded
    if stored.resource["status"] != DRAFT_STATUS:
        connection.execute(delete(schema.proposal).where(schema.proposal.c.response_id == stored.id))


def _give_way(connection: Connection, record: Sequence[Json]) -> None:
    """What `record` has a later version of is not the newest any more."""
    columns = schema.resource.c
    names = [(one["resourceType"], one["id"]) for one in record if _version(one) > 1]
    if names:
        earlier = (tuple_(columns.type, columns.id).in_(names), columns.current == true())
        connection.execute(update(schema.resource).where(*earlier).values(current=False))


def _remember(connection: Connection, acceptance: Acceptance) -> None:
    accepting = acceptance.pack
    columns = schema.pack.c
    known = select(columns.url).where(columns.url == accepting.url, columns.version == accepting.version)
    if connection.execute(known).first() is None:
        values = {
            "url": accepting.url,
            "version": accepting.version,
            "name": accepting.name,
            "artifacts": list(accepting.artifacts),
            "first_accepted_at": acceptance.accepted_at,
        }
        insert_once(connection, schema.pack, values)


def _patient(stored: Stored) -> str | None:
    return subject_key(stored.resource.get("subject"))


def add_resources(
    connection: Connection, resources: Sequence[Json], written_with: str, version: int, patient: str | None = None
) -> None:
    """Add `resources` as the newest of their id, found by what they hold; they are about `patient` unless they tell.

    `written_with` is the response whose `version` they belong to.
    """
    found_by = [search_values(one) for one in resources]
    rows = [
        {
            "type": one["resourceType"],
            "id": one["id"],
            "version": _version(one),
            "current": True,
            "response_id": written_with,
            "response_version": version,
            "patient": values.patient or patient,
            "body": one,
        }
        for one, values in zip(resources, found_by, strict=True)
    ]
    adding = insert(schema.resource).returning(schema.resource.c.seq, sort_by_parameter_order=True)
    numbers = connection.execute(adding, rows).scalars().all()
    numbered = list(zip(numbers, found_by, strict=True))
    terms = [
        {"parameter": one.parameter, "value": one.value, "system": one.system, "seq": seq}
        for seq, values in numbered
        for one in values.terms
    ]
    spans = [
        {"parameter": one.parameter, "low": one.low, "high": one.high, "seq": seq}
        for seq, values in numbered
        for one in values.spans
    ]
    if terms:
        connection.execute(insert(schema.term), terms)
    if spans:
        connection.execute(insert(schema.span), spans)


def add_audit(connection: Connection, events: Sequence[Json]) -> None:
    """Add AuditEvents, each with its id."""
    for event in events:
        add_resources(connection, [event], event["id"], 1)


def _version(resource: Json) -> int:
    return int(resource["meta"]["versionId"])


def _first_letter(acceptance: Acceptance, target: str) -> Letter:
    now = acceptance.accepted_at
    stored = acceptance.stored
    return Letter(0, stored.id, stored.version, target, State.PENDING, now, now, now)
