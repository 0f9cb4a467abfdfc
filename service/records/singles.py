"""Delivery to a FHIR server without transactions: one conditional create after the other, with the same identities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from graphlib import CycleError, TopologicalSorter

from service.fhir.json import Json
from service.records.bundle import Subject, conditional_subject, outgoing, placement
from service.records.identity import identity_query
from service.records.outbox import Problem, Reason
from service.records.ports import Answer, Placement
from service.records.references import local_reference, references_in
from service.records.setback import Course, Setback, odd_answer

Send = Callable[[str, str, Json | None, dict[str, str]], Answer]
"""Sends (method, path, body, headers) and raises Setback for anything but a 2xx."""


def deliver_singly(record: Sequence[Json], send: Send) -> tuple[Placement, ...]:
    """Create each resource of `record` unless it is there, what it refers to before it; where each stands now.

    Taken up again after a fault it creates nothing twice. Raises Setback.
    """
    subject = _found_subject(conditional_subject(record), send)
    addresses: dict[str, str] = {}
    placements = []
    for resource in _in_dependency_order(record):
        placed = _create(resource, outgoing(resource, addresses, subject), send)
        addresses[local_reference(resource)] = placed.location
        placements.append(placed)
    return tuple(placements)


def _in_dependency_order(record: Sequence[Json]) -> Iterable[Json]:
    by_reference = {local_reference(one): one for one in record}
    needs = {
        name: [reference for reference in references_in(one) if reference in by_reference and reference != name]
        for name, one in by_reference.items()
    }
    try:
        return [by_reference[name] for name in TopologicalSorter(needs).static_order()]
    except CycleError as fault:
        text = "These resources refer to each other in a circle, which takes transactions, and the server has none."
        raise Setback(Course.BURY, Problem(Reason.REFUSED, text)) from fault


def _create(resource: Json, body: Json, send: Send) -> Placement:
    kind = resource["resourceType"]
    query = identity_query(kind, resource["id"])
    answer = send("POST", kind, body, {"If-None-Exist": query})
    placed = placement(resource, answer.headers.get("location"), answer.headers.get("etag"))
    if placed is not None:
        return placed
    # A server may leave the location out when it was there already.
    found = send("GET", f"{kind}?{query}", None, {})
    ids = _ids(found, kind)
    placed = placement(resource, f"{kind}/{ids[0]}", None) if len(ids) == 1 else None
    if placed is None:
        raise odd_answer(answer, f"A {kind} was answered without a location, and a search finds {len(ids)} of it.")
    return placed


def _found_subject(subject: Subject | None, send: Send) -> Subject | None:
    """The subject with the reference it has on the server: conditional references are for transactions alone."""
    if subject is None:
        return None
    identifier, query = subject
    answer = send("GET", query, None, {})
    ids = _ids(answer, "Patient")
    if len(ids) != 1:
        text = f"The server has {len(ids)} patients for {query}, where one is needed."
        raise Setback(Course.BURY, Problem(Reason.MISSING_REFERENCE, text, answer.status))
    return identifier, f"Patient/{ids[0]}"


def _ids(answer: Answer, kind: str) -> list[str]:
    entries = (answer.body or {}).get("entry", [])
    found = [entry.get("resource") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [
        one["id"]
        for one in found
        if isinstance(one, dict) and one.get("resourceType") == kind and isinstance(one.get("id"), str)
    ]
