"""What one version of a response does to the record: what it adds, what it changes, and what it no longer says.

Pure. Identities are deterministic, so that a later version of a response meets the resources of the earlier ones. Each
resource counts versions of its own. What is no longer said stays readable as entered in error, and what did not change
is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from service.fhir.elements import ENTERED_IN_ERROR, is_entered_in_error
from service.fhir.json import Json
from service.fhir.primitives import instant
from service.records.composition import Activity, provenance
from service.records.narrative import with_narrative
from service.records.references import local_reference

_VERIFICATION_SYSTEMS: Final = {
    "Condition": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
    "AllergyIntolerance": "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification",
}
_CHANGED: Final = "The answers to the questionnaire were changed."
_ADDED: Final = "The changed answers to the questionnaire say this too."
_NO_LONGER_SAID: Final = "The changed answers to the questionnaire no longer say this."
_RETRACTED: Final = "The answers to the questionnaire were marked as entered in error."


def record_changes(
    response: Json, standing: Sequence[Json], said: Sequence[Json], now: datetime, reasons: Sequence[Json] = ()
) -> tuple[Json, ...]:
    """What is written beside this version of `response`: resources at their next versions, then why (Provenances).

    `standing` is the newest version of whatever earlier versions of the response wrote, empty the first time; `said` is
    what its answers come to now (see `compose`), empty when it is retracted; `reasons` are the sender's own
    (CodeableConcepts), which take the place of ours. What stands and did not change is not in the result.
    """
    before = {local_reference(one): one for one in standing if one["resourceType"] not in _TOLD_ABOUT}
    names = {local_reference(one) for one in said}
    created = [_at_version(one, 1, now) for one in said if local_reference(one) not in before]
    pairs = [(before[local_reference(one)], one) for one in said if local_reference(one) in before]
    updated = [_successor(earlier, one, now) for earlier, one in pairs if not _is_same(earlier, one, now)]
    gone = [
        _at_version(with_error_told(one), _version(one) + 1, now)
        for name, one in before.items()
        if name not in names and _can_be_marked(one) and not is_entered_in_error(one)
    ]

    def told(activity: Activity, targets: Sequence[Json], reason: str | None) -> Json:
        own = [{"text": reason}] if reason is not None else []
        return _at_version(provenance(response, targets, activity, now, reasons or own), 1, now)

    if response["status"] == ENTERED_IN_ERROR:
        return (*gone, told(Activity.NULLIFY, [response, *gone], _RETRACTED))
    if not standing:
        return (*created, told(Activity.CREATE, created, None))
    why = [told(Activity.UPDATE, [response, *updated], _CHANGED)]
    why += [told(Activity.CREATE, created, _ADDED)] if created else []
    why += [told(Activity.NULLIFY, gone, _NO_LONGER_SAID)] if gone else []
    return (*updated, *created, *gone, *why)


def with_error_told(resource: Json) -> Json:
    """`resource` marked as entered in error; the rest of its content stays readable.

    A Condition has no clinicalStatus then (con-5), and so says nothing of its abatement (con-4).
    """
    system = _VERIFICATION_SYSTEMS.get(resource["resourceType"])
    if system is None:
        marked = {**resource, "status": ENTERED_IN_ERROR}
    else:
        kept = {name: value for name, value in resource.items() if not name.lstrip("_").startswith(_ONLY_IF_TRUE)}
        marked = {**kept, "verificationStatus": {"coding": [{"system": system, "code": ENTERED_IN_ERROR}]}}
    return with_narrative({name: value for name, value in marked.items() if name != "text"})


_TOLD_ABOUT: Final = ("QuestionnaireResponse", "Provenance")
_ONLY_IF_TRUE: Final = ("clinicalStatus", "abatement")
_OF_THE_VERSION: Final = ("versionId", "lastUpdated")


def _can_be_marked(resource: Json) -> bool:
    # A Patient or an Organization, say, has no status that tells of an error.
    return resource["resourceType"] in _VERIFICATION_SYSTEMS or "status" in resource


def _successor(before: Json, said: Json, now: datetime) -> Json:
    return _at_version(_following(before, said, now), _version(before) + 1, now)


def _following(before: Json, said: Json, now: datetime) -> Json:
    """`said` as it comes after `before`: a final Observation as amended, a Condition recorded when it first was."""
    if said["resourceType"] == "Observation" and said["status"] == "final":
        return {**said, "status": "amended"}
    if said.get("recordedDate") == instant(now) and "recordedDate" in before:
        return {**said, "recordedDate": before["recordedDate"]}
    return said


def _is_same(before: Json, said: Json, now: datetime) -> bool:
    return _content(before) == _content(_following(before, said, now))


def _content(resource: Json) -> Json:
    """What a resource says, whenever it was issued, and whether for the first time or amended."""
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in _OF_THE_VERSION}
    content = {name: value for name, value in resource.items() if name != "issued"} | {"meta": meta}
    if resource["resourceType"] == "Observation" and resource["status"] == "final":
        content["status"] = "amended"
    return content


def _version(resource: Json) -> int:
    return int(resource["meta"]["versionId"])


def _at_version(resource: Json, version: int, now: datetime) -> Json:
    head: Json = {name: resource[name] for name in ("resourceType", "id") if name in resource}
    kept = {name: value for name, value in resource.get("meta", {}).items() if name not in _OF_THE_VERSION}
    meta = {"versionId": str(version), "lastUpdated": instant(now), **kept}
    return {**head, "meta": meta, **{name: value for name, value in resource.items() if name != "meta"}}
