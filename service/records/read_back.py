"""Reading back from a target before anything is written over: what stands there, and whether it is as we left it.

A server stores what it was sent in its own way: with an id and versions of its own, references in its own form, the
narrative spaced anew. What a resource says is compared, so that a change by anybody else is told from all that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html import unescape
from typing import Any, Final

from service.fhir.elements import objects_in
from service.fhir.json import Json
from service.records.outbox import Problem, Reason
from service.records.parcel import Parcel, Write, outgoing
from service.records.ports import Answer, Placement
from service.records.setback import Course, Setback

Send = Callable[[str, str, Json | None, dict[str, str]], Answer]
"""Sends (method, path, body, headers) and raises Setback for anything but a 2xx."""

Versions = Callable[[Json], Sequence[Json]]
"""Our own versions before that of a resource, as they may have been sent."""

NOT_CACHED: Final = {"Cache-Control": "no-cache"}
_GONE: Final = (404, 410)
_SERVERS_OWN: Final = ("id", "meta")
_VERSION: Final = re.compile(r"/_history/[^/?#]+$")


def read_back(parcel: Parcel, versions: Versions, send: Send) -> Parcel:
    """`parcel` without what its target has already, and the rest at the places and versions that stand there now.

    Raises Setback with the reason `conflict` where the target has something that was not brought by us, or has deleted
    what we brought.
    """
    found = [(write, _found(write, send)) for write in parcel.writes]
    placed = [one[0] for _, one in found if one is not None]
    addresses = replace(parcel, there=(*parcel.there, *placed)).addresses
    writes, there = [], list(parcel.there)
    for write, standing in found:
        if standing is None:
            writes.append(write)
            continue
        place, body = standing
        ours = (replace(write, placement=place, resource=one) for one in (write.resource, *versions(write.resource)))
        as_sent = next((one for one in ours if says_the_same(outgoing(one, addresses, parcel.subject), body)), None)
        if as_sent is not None and as_sent.resource is write.resource:
            there.append(place)
        elif as_sent is not None:
            writes.append(replace(write, placement=place))
        elif write.is_first and write.placement is None:
            # It was to be created, and was: what others made of it since is not known as ours.
            there.append(replace(place, etag=None))
        else:
            raise _conflict(f"{place.location} was changed on the server by someone else, which is not overwritten.")
    return Parcel(tuple(writes), tuple(there), parcel.subject)


def says_the_same(sent: Any, found: Any) -> bool:
    """Whether a resource `found` on a server is what was `sent` to it."""
    if isinstance(sent, dict) and isinstance(found, dict):
        names = (sent.keys() | found.keys()) - set(_SERVERS_OWN if "resourceType" in sent else ())
        return all(name in sent and name in found and _is_same_element(name, sent[name], found[name]) for name in names)
    if isinstance(sent, list) and isinstance(found, list):
        return len(sent) == len(found) and all(map(says_the_same, sent, found))
    return bool(sent == found)


def _is_same_element(name: str, sent: Any, found: Any) -> bool:
    match name, sent, found:
        case "reference", str(), str():
            # A conditional reference has become that of whoever it found.
            return "?" in sent or f"/{_VERSION.sub('', found)}".endswith(f"/{sent}")
        case "div", str(), str():
            return _visible(sent) == _visible(found)
        case _:
            return says_the_same(sent, found)


def _visible(xhtml: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", xhtml)).split())


def _found(write: Write, send: Send) -> tuple[Placement, Json] | None:
    """What stands on the target: at the place that is known, else by identity."""
    if write.placement is not None:
        return _at(write, write.placement, send)
    answer = send("GET", f"{write.kind}?{write.identity}", None, NOT_CACHED)
    bodies = resources_in(answer, write.kind)
    if len(bodies) > 1:
        raise _conflict(f"The server has {len(bodies)} of {write.kind}?{write.identity}, where one is known.")
    return _standing(write, bodies[0], None) if bodies else None


def _at(write: Write, place: Placement, send: Send) -> tuple[Placement, Json]:
    try:
        answer = send("GET", place.location, None, NOT_CACHED)
    except Setback as setback:
        if setback.problem.status not in _GONE:
            raise
        raise _conflict(f"{place.location} was deleted on the server by someone else.", setback) from setback
    return _standing(write, answer.body or {}, answer.headers.get("etag"))


def _standing(write: Write, body: Json, etag: str | None) -> tuple[Placement, Json]:
    meta = body.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    known = etag or (version if isinstance(version, str) else None)
    place = write.placed(f"{write.kind}/{body.get('id')}", known, 0)
    if place is None:
        raise _conflict(f"The server answers for a {write.kind} of ours with something else.")
    return place, body


def resources_in(answer: Answer, kind: str) -> list[Json]:
    """The resources of type `kind`, each with an id, in the Bundle answered."""
    found = [entry.get("resource") for entry in objects_in((answer.body or {}).get("entry"))]
    return [
        one
        for one in found
        if isinstance(one, dict) and one.get("resourceType") == kind and isinstance(one.get("id"), str)
    ]


def _conflict(text: str, of: Setback | None = None) -> Setback:
    told = (None, None) if of is None else (of.problem.status, of.problem.outcome)
    return Setback(Course.BURY, Problem(Reason.CONFLICT, text, *told))
