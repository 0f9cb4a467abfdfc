"""Small resources, acceptances and workers for the contract."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any, cast

from service.adapters.database import Database
from service.adapters.letters import put_target
from service.errors import Detail, Issue, IssueType, Severity
from service.packs import Pack
from service.records import outbox
from service.records.matching import is_within
from service.records.outbox import Letter, Problem, Reason, Target
from service.records.ports import Acceptance, Key, KeyKind, KeyTaken, Store, Stored, Superseded
from service.records.search import Query, parse_query

NOW = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)
TARGET = "https://ehr.example/fhir"
LEASE = timedelta(minutes=5)
WARNING = Issue(
    Severity.WARNING, IssueType.BUSINESS_RULE, "No version.", "QuestionnaireResponse.questionnaire", Detail.NO_VERSION
)
BUSY = Problem(Reason.BUSY, "busy", 503, {"resourceType": "OperationOutcome", "issue": []})


@dataclass(frozen=True)
class SamplePack:
    name: str = "cough"
    url: str = "https://pages.example/Questionnaire/cough"
    version: str = "1.0.0"
    artifacts: tuple[dict[str, Any], ...] = ({"resourceType": "Questionnaire", "id": "cough"},)


def response(id_: str = "r1", **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "QuestionnaireResponse",
        "id": id_,
        "meta": {"versionId": "1", "lastUpdated": "2026-03-15T09:00:00.000Z"},
        "questionnaire": "https://pages.example/Questionnaire/cough|1.0.0",
        "status": "completed",
        "subject": {"reference": "Patient/1"},
        "authored": "2026-03-15T10:00:00+01:00",
        **elements,
    }


def observation(id_: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id_,
        "meta": {"versionId": "1"},
        "identifier": [{"system": "urn:ours", "value": id_}],
        "category": [{"coding": [{"system": "urn:category", "code": "survey"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "75325-1"}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2026-03-15T10:00:00+01:00",
        "derivedFrom": [{"reference": "QuestionnaireResponse/r1"}],
        **elements,
    }


def provenance(id_: str, *targets: str) -> dict[str, Any]:
    about = [{"reference": one} for one in targets]
    return {"resourceType": "Provenance", "id": id_, "meta": {"versionId": "1"}, "target": about}


def acceptance(
    of: dict[str, Any] | None = None,
    *record: dict[str, Any],
    keys: tuple[Key, ...] = (),
    targets: tuple[str, ...] = (TARGET,),
    at: datetime = NOW,
    pack: SamplePack | None = None,
    audit: tuple[dict[str, Any], ...] = (),
) -> Acceptance:
    stored = Stored(of or response(), {"resourceType": "Observation", "id": "t"}, (WARNING,), "digest")
    return Acceptance(stored, record, keys, cast(Pack, pack or SamplePack()), at, targets, audit)


def key(value: str = "form-1", client: str = "app", subject: str = "Patient/1") -> Key:
    return Key(KeyKind.IDENTIFIER, client, subject, "urn:forms", value)


def lease(store: Store, now: datetime = NOW, owner: str = "worker") -> Letter | None:
    return store.lease(TARGET, now, lambda letter: outbox.take(letter, owner, now, LEASE))


def leased(store: Store, now: datetime = NOW) -> Letter:
    letter = lease(store, now)
    assert letter is not None
    return letter


def set_target(store: Store, target: Target) -> None:
    """Write how `target` stands, which otherwise goes with a delivery."""
    assert isinstance(store, Database)
    with store._write() as connection:
        put_target(connection, target)


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """What `work` gives, or the exception it raises, for 0 to 3, begun in threads at the same moment."""
    together = Barrier(4)

    def begin(number: int) -> Any:
        together.wait()
        try:
            return work(number)
        except (KeyTaken, Superseded) as lost:
            return type(lost)

    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(begin, range(4)))


def found(store: Store, resource_type: str, *parameters: tuple[str, str]) -> list[str]:
    """The ids that a search finds, which are also those that the same criteria match without a store."""
    query = parse_query(resource_type, parameters)
    ids = [one["id"] for one in store.search(query).matches]
    stored = store.search(Query(resource_type, ())).matches
    assert {one["id"] for one in stored if is_within(one, (query.criteria,))} == set(ids)
    return ids


def draft(version: int, **elements: Any) -> dict[str, Any]:
    return response(meta={"versionId": str(version)}, status="in-progress", **elements)


def version_of(resource: dict[str, Any], version: int, **elements: Any) -> dict[str, Any]:
    return {**resource, "meta": {"versionId": str(version)}, **elements}


def event(id_: str, patient: str | None = "Patient/1") -> dict[str, Any]:
    whose = [{"what": {"reference": patient}, "role": {"code": "1"}}] if patient else []
    return {
        "resourceType": "AuditEvent",
        "id": id_,
        "meta": {"versionId": "1"},
        "recorded": "2026-03-15T09:00:00.000Z",
        "action": "R",
        "agent": [{"who": {"reference": "Practitioner/9"}}, {"who": {"identifier": {"value": "app"}}}],
        "entity": [*whose, {"what": {"reference": "Observation/o1"}}],
    }
