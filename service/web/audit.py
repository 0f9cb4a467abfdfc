"""Keeps who read or wrote which patient's data, before the answer leaves; what is written, together with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlencode

from flask import g, request

from service.fhir.json import Json
from service.records.audit import Access, Interaction, audit_events
from service.records.ports import Audit
from service.records.searchable import PATIENT_ROLE
from service.web.auth import caller
from service.web.site import Site

_REFERENCE = ("reference", "type", "identifier")


def audit(site: Site, interaction: Interaction, resources: Iterable[Json]) -> None:
    """Keep that `resources` were disclosed to whoever calls. Raises Unavailable where that fails."""
    events = _events(site, interaction, resources)
    if events:
        site.store.keep_audit(events)


def writing_audit(site: Site, interaction: Interaction) -> Audit:
    """The AuditEvents of a response that whoever calls writes, for the transaction that writes it."""
    return lambda response: _events(site, interaction, [response])


def _events(site: Site, interaction: Interaction, resources: Iterable[Json]) -> tuple[Json, ...]:
    """None where nobody is asked who they are."""
    if site.token_check is None:
        return ()
    found = list(resources)
    is_search = interaction is Interaction.SEARCH
    access = Access(
        interaction=interaction,
        caller=caller(),
        address=request.remote_addr,
        request_id=g.request_id,
        resources=() if is_search else tuple(f"{one['resourceType']}/{one['id']}" for one in found if "id" in one),
        patients=tuple({str(one): one for one in _patients(site, found)}.values()),
        query=_query() if is_search else None,
    )
    return audit_events(access, site.clock(), site.new_id)


def _query() -> str:
    pairs = [*request.args.items(multi=True), *request.form.items(multi=True)]
    return f"{request.method} {request.path}?{urlencode(pairs)}"


def _patients(site: Site, resources: Iterable[Json]) -> Iterator[Json]:
    """Whom `resources` are about, as bare References."""
    for resource in resources:
        about = _about(site, resource)
        if about is not None:
            yield {name: about[name] for name in _REFERENCE if name in about}


def _about(site: Site, resource: Json) -> Json | None:
    match resource["resourceType"]:
        case "Provenance":
            # It names the response that it tells the origin of, and that one its patient.
            _, _, response_id = resource["entity"][0]["what"]["reference"].partition("/")
            response = site.store.read("QuestionnaireResponse", response_id)
            return None if response is None else response.get("subject")
        case "AuditEvent":
            patients = (one["what"] for one in resource["entity"] if one.get("role", {}).get("code") == PATIENT_ROLE)
            return next(patients, None)
        case _:
            return resource.get("subject")
