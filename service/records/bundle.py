"""The transaction Bundle of one parcel, and what its answer says (http://hl7.org/fhir/R4/http.html#transaction)."""

from __future__ import annotations

import re
from typing import Any

from service.fhir.json import Json
from service.records.parcel import Parcel, Write, outgoing
from service.records.ports import Answer, Placement
from service.records.references import local_reference
from service.records.setback import odd_answer, refusal


def transaction_bundle(parcel: Parcel) -> Json:
    """The Bundle that creates what is not there yet and updates the rest; the same bytes for the same parcel.

    What is to be created is referred to by fullUrl, the rest by its place; a subject known by an identifier alone
    becomes a conditional reference.
    """
    new = {local_reference(one.resource): _full_url(one) for one in parcel.writes if one.placement is None}
    addresses = parcel.addresses | new
    entries = [
        {
            "fullUrl": _full_url(write),
            "resource": outgoing(write, addresses, parcel.subject),
            "request": _request(write),
        }
        for write in parcel.writes
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def transaction_placements(parcel: Parcel, answer: Answer) -> tuple[Placement, ...]:
    """Where each resource of `parcel` now stands, by the answer to its transaction.

    Raises Setback unless every single entry was answered with 200 or 201 and a location that it can have: what is not
    confirmed is not delivered.
    """
    body = answer.body or {}
    entries = body.get("entry")
    number = len(parcel.writes)
    if body.get("resourceType") != "Bundle" or not isinstance(entries, list) or len(entries) != number:
        raise odd_answer(answer, f"The answer is no transaction-response of {number} entries.")
    return tuple(_placement(write, entry, answer) for write, entry in zip(parcel.writes, entries, strict=True))


def _full_url(write: Write) -> str:
    return f"urn:uuid:{write.resource['id']}"


def _request(write: Write) -> Json:
    if write.placement is None:
        return {"method": "POST", "url": write.kind, "ifNoneExist": write.identity}
    condition = {} if write.placement.etag is None else {"ifMatch": write.placement.etag}
    return {"method": "PUT", "url": write.placement.location, **condition}


def _placement(write: Write, entry: Any, answer: Answer) -> Placement:
    told = entry.get("response") if isinstance(entry, dict) else None
    if not isinstance(told, dict):
        raise odd_answer(answer, f"The entry of a {write.kind} has no response.")
    text = str(told.get("status", ""))
    status = int(text[:3]) if re.match(r"\d{3}\b", text) else 0
    if status >= 400:
        outcome = told.get("outcome")
        raise refusal(Answer(status, answer.headers, outcome if isinstance(outcome, dict) else None))
    placed = write.placed(_text(told, "location"), _text(told, "etag"), status)
    if status not in (200, 201) or placed is None:
        text = f"A {write.kind} was answered with status '{text}' and no location of that type."
        raise odd_answer(answer, text)
    return placed


def _text(told: Json, name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) else None
