"""The transaction Bundle of one record, and what its answer says (http://hl7.org/fhir/R4/http.html#transaction)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from service.fhir.json import Json
from service.records.identity import identity_query
from service.records.ports import Answer, Placement
from service.records.references import local_reference, references_in, rewritten
from service.records.searchable import conditional_reference
from service.records.setback import odd_answer, refusal

_LOCATION: Final = re.compile(r"(?:.*/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/[^/?#]+)?")
_OWN_META: Final = frozenset({"versionId", "lastUpdated"})


def transaction_bundle(record: Sequence[Json]) -> Json:
    """The Bundle that creates each resource of `record` unless it is there; the same bytes for the same record.

    Resources refer to each other by fullUrl; a subject known by an identifier alone becomes a conditional reference.
    """
    full_urls = {local_reference(one): f"urn:uuid:{one['id']}" for one in record}
    entries = [
        {
            "fullUrl": f"urn:uuid:{one['id']}",
            "resource": outgoing(one, full_urls, conditional_subject(record)),
            "request": {
                "method": "POST",
                "url": one["resourceType"],
                "ifNoneExist": identity_query(one["resourceType"], one["id"]),
            },
        }
        for one in record
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def outside_references(record: Sequence[Json]) -> list[str]:
    """What `record` refers to and does not hold or contain itself, each once: it must exist on the target."""
    own = {local_reference(one) for one in record}
    found = [reference for reference in references_in(list(record)) if not reference.startswith("#")]
    outside = [reference for reference in found if reference not in own]
    subject = conditional_subject(record)
    return list(dict.fromkeys([*outside, *([subject[1]] if subject else [])]))


Subject = tuple[Json, str]
"""The identifier that a subject is known by, and the reference that takes its place."""


def conditional_subject(record: Sequence[Json]) -> Subject | None:
    """The subject of a response (the first of its record) that is known by an identifier alone."""
    subject = record[0].get("subject", {})
    reference = None if "reference" in subject else conditional_reference(subject)
    return None if reference is None else (subject["identifier"], reference)


def outgoing(resource: Json, addresses: Mapping[str, str], subject: Subject | None) -> Json:
    """`resource` as a server is to take it: no id and version of ours, references by `addresses` and `subject`."""
    body = {name: value for name, value in resource.items() if name not in ("id", "meta")}
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in _OWN_META}
    if meta:
        body = {"resourceType": resource["resourceType"], "meta": meta} | body
    body = rewritten(body, lambda reference: addresses.get(reference, reference))
    return body if subject is None else dict(_with_subject(body, subject))


def transaction_placements(record: Sequence[Json], answer: Answer) -> tuple[Placement, ...]:
    """Where each resource of `record` now stands, by the answer to its transaction.

    Raises Setback unless every single entry was answered with 200 or 201 and a location of the right type: what is not
    confirmed is not delivered.
    """
    body = answer.body or {}
    entries = body.get("entry")
    if body.get("resourceType") != "Bundle" or not isinstance(entries, list) or len(entries) != len(record):
        raise odd_answer(answer, f"The answer is no transaction-response of {len(record)} entries.")
    return tuple(_entry_placement(one, entry, answer) for one, entry in zip(record, entries, strict=True))


def placement(resource: Json, location: str | None, etag: str | None) -> Placement | None:
    """Where `resource` stands by the `location` answered; None when that names no resource of its type."""
    match = _LOCATION.fullmatch(location or "")
    if match is None or match["type"] != resource["resourceType"]:
        return None
    return Placement(resource["resourceType"], resource["id"], f"{match['type']}/{match['id']}", _weak(etag))


def _entry_placement(resource: Json, entry: Any, answer: Answer) -> Placement:
    told = entry.get("response") if isinstance(entry, dict) else None
    if not isinstance(told, dict):
        raise odd_answer(answer, f"The entry of a {resource['resourceType']} has no response.")
    text = str(told.get("status", ""))
    status = int(text[:3]) if re.match(r"\d{3}\b", text) else 0
    if status >= 400:
        outcome = told.get("outcome")
        raise refusal(Answer(status, answer.headers, outcome if isinstance(outcome, dict) else None))
    found = placement(resource, _text(told, "location"), _text(told, "etag"))
    if status not in (200, 201) or found is None:
        text = f"A {resource['resourceType']} was answered with status '{text}' and no location of that type."
        raise odd_answer(answer, text)
    return found


def _with_subject(value: Any, subject: Subject) -> Any:
    """A copy of `value` where whoever is known by the subject's identifier alone gets the subject's reference."""
    match value:
        case {"identifier": identifier} if identifier == subject[0] and "reference" not in value:
            if "resourceType" not in value:
                return {"reference": subject[1], **value}
    match value:
        case dict():
            return {name: _with_subject(child, subject) for name, child in value.items()}
        case list():
            return [_with_subject(child, subject) for child in value]
        case _:
            return value


def _weak(etag: str | None) -> str | None:
    """An entity tag as If-Match takes it: some servers answer in a Bundle with the bare version."""
    return etag if etag is None or etag.endswith('"') else f'W/"{etag}"'


def _text(told: Json, name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) else None
