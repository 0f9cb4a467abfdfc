"""Delivery to a FHIR server without transactions: one request after the other, with the same identities."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from service.records.outbox import Problem, Reason
from service.records.parcel import Parcel, Subject, Write, outgoing
from service.records.ports import Placement
from service.records.read_back import Send, Versions, read_back, resources_in
from service.records.references import local_reference, references_in
from service.records.setback import Course, Setback, odd_answer


def deliver_singly(parcel: Parcel, versions: Versions, send: Send) -> tuple[Placement, ...]:
    """Write each resource of `parcel`, what it refers to before it; where all of it stands now.

    Taken up again after a fault it writes nothing twice. Raises Setback.
    """
    there = replace(parcel, writes=(), subject=_found_subject(parcel.subject, send))
    for write in _in_dependency_order(parcel.writes):
        there = replace(there, there=(*there.there, _written(write, there, versions, send)))
    return there.there


def _in_dependency_order(writes: Iterable[Write]) -> Iterable[Write]:
    by_reference = {local_reference(one.resource): one for one in writes}
    needs = {
        name: [reference for reference in references_in(one.resource) if reference in by_reference.keys() - {name}]
        for name, one in by_reference.items()
    }
    try:
        return [by_reference[name] for name in TopologicalSorter(needs).static_order()]
    except CycleError as fault:
        text = "These resources refer to each other in a circle, which takes transactions, and the server has none."
        raise Setback(Course.BURY, Problem(Reason.REFUSED, text)) from fault


def _written(write: Write, there: Parcel, versions: Versions, send: Send) -> Placement:
    if write.placement is None:
        return _created(write, there, send)
    try:
        return _updated(write, there, send)
    except Setback as setback:
        if not setback.is_contested:
            raise
    # Taken up again, it meets what was written the time before; or others were here.
    again = read_back(replace(there, writes=(write,)), versions, send)
    return _updated(again.writes[0], there, send) if again.writes else again.there[-1]


def _updated(write: Write, there: Parcel, send: Send) -> Placement:
    place = write.placement
    assert place is not None
    condition = {} if place.etag is None else {"If-Match": place.etag}
    answer = send("PUT", place.location, outgoing(write, there.addresses, there.subject), condition)
    placed = write.placed(answer.headers.get("location"), answer.headers.get("etag"), answer.status)
    if placed is None:
        raise odd_answer(answer, f"The update of a {write.kind} was answered with another location.")
    return placed


def _created(write: Write, there: Parcel, send: Send) -> Placement:
    kind = write.kind
    body = outgoing(write, there.addresses, there.subject)
    answer = send("POST", kind, body, {"If-None-Exist": write.identity})
    placed = write.placed(answer.headers.get("location"), answer.headers.get("etag"), answer.status)
    if placed is not None:
        return placed
    # A server may leave the location out when it was there already.
    found = resources_in(send("GET", f"{kind}?{write.identity}", None, {}), kind)
    placed = write.placed(f"{kind}/{found[0]['id']}", None, 200) if len(found) == 1 else None
    if placed is None:
        text = f"A {kind} was answered without a location, and a search finds {len(found)} of it."
        raise odd_answer(answer, text)
    return placed


def _found_subject(subject: Subject | None, send: Send) -> Subject | None:
    """The subject with the reference it has on the server: conditional references are for transactions alone."""
    if subject is None:
        return None
    identifier, query = subject
    answer = send("GET", query, None, {})
    found = resources_in(answer, "Patient")
    if len(found) != 1:
        text = f"The server has {len(found)} patients for {query}, where one is needed."
        raise Setback(Course.BURY, Problem(Reason.MISSING_REFERENCE, text, answer.status))
    return identifier, f"Patient/{found[0]['id']}"
