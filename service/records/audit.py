"""Who read or wrote which patient's data: AuditEvents as IHE's Basic Audit Log Patterns shape them.

http://hl7.org/fhir/R4/auditevent.html, https://profiles.ihe.net/ITI/BALP/ (RESTful activities).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from service.fhir.json import Json
from service.fhir.primitives import instant
from service.records.access import NOBODY, Caller
from service.records.composition import SOFTWARE_NAME
from service.records.outbox import Letter
from service.records.ports import NewId
from service.records.searchable import PATIENT_ROLE

_EVENT_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_LIFECYCLE: Final = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_INTERACTION: Final = "http://hl7.org/fhir/restful-interaction"
_ENTITY_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ENTITY_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_REQUEST_ID: Final = {
    "system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
    "code": "XrequestId",
}
# http://hl7.org/fhir/R4/valueset-audit-event-outcome.html: serious failure, what was to be done was not.
_NOT_DONE: Final = "8"
_PERSON: Final = "1"
_SYSTEM_OBJECT: Final = "2"
_DOMAIN_RESOURCE: Final = "4"
_QUERY: Final = "24"
# http://hl7.org/fhir/R4/valueset-network-type.html: an IP address.
_IP_ADDRESS: Final = "2"


class Interaction(StrEnum):
    """What was done, by FHIR's own code."""

    READ = "read"
    VREAD = "vread"
    HISTORY = "history-instance"
    SEARCH = "search-type"
    CREATE = "create"
    UPDATE = "update"
    OPERATION = "operation"


_ACTIONS: Final = {
    Interaction.CREATE: "C",
    Interaction.UPDATE: "U",
    Interaction.SEARCH: "E",
    Interaction.OPERATION: "E",
}


@dataclass(frozen=True, slots=True)
class Access:
    """One request that was granted: what it did, and to which resources (references) of which patients (References).

    `query` is the address that was asked, for a search; `address` is the caller's, for the network.
    """

    interaction: Interaction
    caller: Caller
    address: str | None
    request_id: str
    resources: tuple[str, ...] = ()
    patients: tuple[Json, ...] = ()
    query: str | None = None


def audit_events(access: Access, now: datetime, new_id: NewId) -> tuple[Json, ...]:
    """The AuditEvents of `access` at `now` (aware UTC): one for each patient; one where there is none."""
    patients: Sequence[Json | None] = access.patients or (None,)
    return tuple(_event(access, patient, now, new_id()) for patient in patients)


def no_audit(response: Json) -> tuple[Json, ...]:
    """The AuditEvents of `response` where nobody is asked who they are: none."""
    return ()


def discard_event(letter: Letter, patient: Json | None, operator: str, now: datetime, id_: str) -> Json:
    """The AuditEvent of a delivery that `operator` (a user of this machine) gave up, with the reason in its note.

    `patient` is the subject (Reference) of the response; `now` is aware UTC.
    """
    return {
        "resourceType": "AuditEvent",
        "id": id_,
        "meta": {"versionId": "1", "lastUpdated": instant(now)},
        "type": {"system": _LIFECYCLE, "code": "transmit", "display": "Transmit Record Lifecycle Event"},
        "action": "E",
        "recorded": instant(now),
        "outcome": _NOT_DONE,
        "outcomeDesc": f"Discarded, so not sent to {letter.target}: {letter.note}",
        "agent": [{"who": {"identifier": {"value": operator}}, "requestor": True}],
        "source": {"observer": {"display": SOFTWARE_NAME}},
        "entity": list(_about(patient, [f"QuestionnaireResponse/{letter.response_id}"])),
    }


def purge_event(response: Json, operator: str, now: datetime, id_: str) -> Json:
    """The AuditEvent of a response that `operator` (a user of this machine) purged, with what followed from it.

    `now` is aware UTC.
    """
    return {
        "resourceType": "AuditEvent",
        "id": id_,
        "meta": {"versionId": "1", "lastUpdated": instant(now)},
        "type": {"system": _LIFECYCLE, "code": "destroy", "display": "Destroy/Delete Record Lifecycle Event"},
        "action": "D",
        "recorded": instant(now),
        "outcome": "0",
        "agent": [{"who": {"identifier": {"value": operator}}, "requestor": True}],
        "source": {"observer": {"display": SOFTWARE_NAME}},
        "entity": list(_about(response.get("subject"), [f"QuestionnaireResponse/{response['id']}"])),
    }


def _event(access: Access, patient: Json | None, now: datetime, id_: str) -> Json:
    return {
        "resourceType": "AuditEvent",
        "id": id_,
        "meta": {"versionId": "1", "lastUpdated": instant(now)},
        "type": {"system": _EVENT_TYPE, "code": "rest", "display": "RESTful Operation"},
        "subtype": [{"system": _INTERACTION, "code": access.interaction.value}],
        "action": _ACTIONS.get(access.interaction, "R"),
        "recorded": instant(now),
        "outcome": "0",
        "agent": list(_agents(access)),
        "source": {"observer": {"display": SOFTWARE_NAME}},
        "entity": list(_entities(access, patient)),
    }


def _agents(access: Access) -> Iterable[Json]:
    """The user, where there is one, and the app; the first of them is who asked for it."""
    caller = access.caller
    network = {} if access.address is None else {"network": {"address": access.address, "type": _IP_ADDRESS}}
    users: list[Json] = []
    if caller.fhir_user is not None:
        users.append({"reference": caller.fhir_user})
    elif caller.subject and caller.subject != caller.client:
        users.append({"identifier": {"value": caller.subject}})
    unnamed = "who has the key of the form" if caller == NOBODY else "an app that its token does not name"
    app = {"identifier": {"value": caller.client}} if caller.client else {"display": unnamed}
    for index, who in enumerate([*users, app]):
        yield {"who": who, "requestor": index == 0, **(network if who is app else {})}


def _entities(access: Access, patient: Json | None) -> Iterable[Json]:
    yield from _about(patient, access.resources)
    if access.query is not None:
        query = b64encode(access.query.encode()).decode()
        yield {"type": _entity_type(_SYSTEM_OBJECT), "role": _role(_QUERY), "query": query}
    yield {"what": {"identifier": {"value": access.request_id}}, "type": _REQUEST_ID}


def _about(patient: Json | None, resources: Iterable[str]) -> Iterable[Json]:
    if patient is not None:
        yield {"what": patient, "type": _entity_type(_PERSON), "role": _role(PATIENT_ROLE)}
    for reference in resources:
        yield {"what": {"reference": reference}, "type": _entity_type(_SYSTEM_OBJECT), "role": _role(_DOMAIN_RESOURCE)}


def _entity_type(code: str) -> Json:
    return {"system": _ENTITY_TYPE, "code": code}


def _role(code: str) -> Json:
    return {"system": _ENTITY_ROLE, "code": code}
