"""What a letter brings to a FHIR server, resource by resource: creates, updates, and where things stand there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from service.fhir.json import Json
from service.records.identity import identity_query
from service.records.ports import Placement
from service.records.references import local_reference, references_in, rewritten
from service.records.searchable import conditional_reference

_LOCATION: Final = re.compile(r"(?:.*/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/[^/?#]+)?")
_OWN_META: Final = frozenset({"versionId", "lastUpdated"})

Subject = tuple[Json, str]
"""The identifier that a subject is known by, and the reference that takes its place."""


@dataclass(frozen=True, slots=True)
class Write:
    """A resource to bring: an update of what stands at `placement`, or without one a conditional create."""

    resource: Json
    placement: Placement | None = None

    @property
    def kind(self) -> str:
        """Its resource type."""
        return str(self.resource["resourceType"])

    @property
    def identity(self) -> str:
        """The search that finds it on any server."""
        return identity_query(self.kind, self.resource["id"])

    @property
    def is_first(self) -> bool:
        """Whether it is the first version of its resource."""
        return bool(self.resource["meta"]["versionId"] == "1")

    def placed(self, location: str | None, etag: str | None, status: int) -> Placement | None:
        """Where it stands by the `location` answered with `status`; None when that is no place it can have.

        An update may be answered without a location. A create answered with 200 was there before, and others may have
        changed it since: then its version is not known as ours.
        """
        if location is None and self.placement is not None:
            location = self.placement.location
        match = _LOCATION.fullmatch(location or "")
        if match is None or match["type"] != self.kind:
            return None
        place = f"{self.kind}/{match['id']}"
        if self.placement is not None and self.placement.location != place:
            return None
        was_there = self.placement is None and status == 200
        return Placement(self.kind, self.resource["id"], place, None if was_there else _weak(etag))


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is to be written on a target, and where other resources of the same response stand there already.

    `subject` is set where the subject of the response is known by an identifier alone.
    """

    writes: tuple[Write, ...]
    there: tuple[Placement, ...] = ()
    subject: Subject | None = None

    @property
    def addresses(self) -> dict[str, str]:
        """Where the target has what our own `Type/id` stands for, as far as that is known."""
        placed = [*self.there, *(write.placement for write in self.writes if write.placement is not None)]
        return {f"{one.resource_type}/{one.id}": one.location for one in placed}

    @property
    def outside(self) -> list[str]:
        """What it refers to and neither holds nor knows to be there, each once: it must exist on the target."""
        resources = [write.resource for write in self.writes]
        own = {local_reference(one) for one in resources} | self.addresses.keys()
        found = [reference for reference in references_in(resources) if not reference.startswith("#")]
        outside = [reference for reference in found if reference not in own]
        return list(dict.fromkeys([*outside, *([self.subject[1]] if self.subject else [])]))


def parcel_of(record: Sequence[Json], placements: Sequence[Placement]) -> Parcel:
    """The parcel that brings `record`, whose response stands first; `placements` is what its target has of it."""
    placed = {(one.resource_type, one.id): one for one in placements}
    writes = tuple(Write(one, placed.pop((one["resourceType"], one["id"]), None)) for one in record)
    subject = record[0].get("subject", {})
    reference = None if "reference" in subject else conditional_reference(subject)
    return Parcel(writes, tuple(placed.values()), None if reference is None else (subject["identifier"], reference))


def outgoing(write: Write, addresses: Mapping[str, str], subject: Subject | None) -> Json:
    """The resource as a server is to take it: no id or version of ours, references by `addresses` and `subject`."""
    resource = write.resource
    head: Json = {"resourceType": write.kind}
    if write.placement is not None:
        head["id"] = write.placement.location.partition("/")[2]
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in _OWN_META}
    if meta:
        head["meta"] = meta
    body = head | {name: value for name, value in resource.items() if name not in ("id", "meta")}
    body = rewritten(body, lambda reference: addresses.get(reference, reference))
    return body if subject is None else dict(_with_subject(body, subject))


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
