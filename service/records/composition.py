"""From what was extracted and concluded to what stands in the personal medical record.

Adds what no template can know: identity, `derivedFrom`, evidence, time of acceptance, narrative; and Provenance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from service.fhir.json import Json
from service.fhir.primitives import instant
from service.records.identity import identified, resource_id
from service.records.narrative import with_narrative
from service.records.references import references_in, rewritten
from service.sdc.explanation import response_performer
from service.sdc.extraction import Extracted

SOFTWARE_NAME: Final = "Symptom Intake"
_ACTIVITY_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_AGENT_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


class Activity(StrEnum):
    """What a version did to the record: codes of v3-DataOperation."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    NULLIFY = "NULLIFY"


def compose(response: Json, extracted: Sequence[Extracted], triage: Json, accepted_at: datetime) -> tuple[Json, ...]:
    """What the answers of `response` come to: the resources extracted, and the triage Observation.

    `response` is as stored (with id); every resource gets its id, the same for the same response at every call. They
    refer to each other by `Type/id`. Extracted Observations stand first, then the triage result, then Conditions.
    """
    ids = _identities(response, extracted)
    here = {one.full_url: f"{one.resource['resourceType']}/{id_}" for one, id_ in zip(extracted, ids, strict=True)}
    made = [
        identified(rewritten(one.resource, lambda reference: here.get(reference, reference)), id_)
        for one, id_ in zip(extracted, ids, strict=True)
    ]
    triage_id = resource_id(response["id"], "triage")
    findings = [one for one in made if one["resourceType"] == "Observation"]
    others = [one for one in made if one["resourceType"] != "Observation"]
    observations = [_observation(one, response, accepted_at) for one in findings]
    conclusion = _observation(identified(triage, triage_id), response, accepted_at)
    conditions = [_with_evidence(one, findings, accepted_at) for one in others]
    return tuple(with_narrative(_with_contained(one, response)) for one in (*observations, conclusion, *conditions))


def provenance(
    response: Json, targets: Sequence[Json], activity: Activity, accepted_at: datetime, reasons: Sequence[Json] = ()
) -> Json:
    """What a version of `response` did to `targets`, and why (http://hl7.org/fhir/R4/provenance.html).

    Its id is made from that version and the `activity`; `reasons` are CodeableConcepts.
    """
    version = response["meta"]["versionId"]
    resource: Json = {
        "resourceType": "Provenance",
        "target": [_reference_to(one) for one in targets],
        "recorded": instant(accepted_at),
        **({"reason": [*reasons]} if reasons else {}),
        "activity": {"coding": [{"system": _ACTIVITY_SYSTEM, "code": activity.value}]},
        "agent": [
            {"type": _agent_type("informant"), "who": response_performer(response)},
            {"type": _agent_type("assembler"), "who": {"display": SOFTWARE_NAME}},
        ],
        "entity": [{"role": "source", "what": _reference_to(response)}],
    }
    resource = identified(resource, resource_id(response["id"], "provenance", version, activity.value))
    return with_narrative(_with_contained(resource, response))


def _identities(response: Json, extracted: Sequence[Extracted]) -> list[str]:
    """One id each, by place, template and answer; only answers alike in all of them are told apart by their number."""
    seen: Counter[tuple[str, str, str | None]] = Counter()
    ids = []
    for one in extracted:
        key = (one.item_path, one.template, one.answer_key)
        repeat = (seen[key],) if seen[key] else ()
        ids.append(resource_id(response["id"], *key, *repeat))
        seen[key] += 1
    return ids


def _observation(observation: Json, response: Json, accepted_at: datetime) -> Json:
    source = _reference_to(response)
    derived_from = observation.get("derivedFrom", [])
    if source not in derived_from:
        derived_from = [*derived_from, source]
    return {**observation, "issued": instant(accepted_at), "derivedFrom": derived_from}


def _with_evidence(resource: Json, findings: Sequence[Json], accepted_at: datetime) -> Json:
    if resource["resourceType"] != "Condition":
        return resource
    resource = {"recordedDate": instant(accepted_at), **resource}
    if findings:
        evidence = {"detail": [_reference_to(one) for one in findings]}
        resource["evidence"] = [*resource.get("evidence", []), evidence]
    return resource


def _with_contained(resource: Json, response: Json) -> Json:
    """`resource` with what the response contains and `resource` refers to, such as a person who answered for another.

    A reference such as `#mother` reaches no further than the resource that it stands in (dom-3).
    """
    here = {one.get("id") for one in resource.get("contained", [])}
    offered = {one.get("id"): one for one in response.get("contained", []) if one.get("id") not in here}
    if not offered:
        return resource
    references = [*references_in(resource)]
    missing: list[Json] = []
    for reference in references:
        found = offered.pop(reference[1:], None) if reference.startswith("#") else None
        if found is not None:
            missing.append(found)
            references.extend(references_in(found))
    return {**resource, "contained": [*resource.get("contained", []), *missing]} if missing else resource


def _reference_to(resource: Json) -> Json:
    return {"reference": f"{resource['resourceType']}/{resource['id']}"}


def _agent_type(code: str) -> Json:
    return {"coding": [{"system": _AGENT_SYSTEM, "code": code}]}
