"""Records to deliver, answers to give, a FHIR server that plays a script, and a clock that is set by hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from service.adapters.database import Database
from service.fhir.json import dumps
from service.packs import Pack
from service.records.amendment import record_changes
from service.records.composition import compose
from service.records.delivery import Delivery
from service.records.identity import identified
from service.records.outbox import Letter
from service.records.ports import Acceptance, Answer, Stored
from service.sdc.extraction import Extracted

PACK = cast(Pack, SimpleNamespace(name="q", url="https://pages.example/q", version="1.0", artifacts=()))
IDS = [f"7f1d2c7e-0a58-4c80-9b43-6f3f25d7a00{number}" for number in range(10)]
ACTIVE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}
MRN = {"identifier": {"system": "urn:mrn", "value": "a,1"}}


def outcome(text: str) -> dict[str, Any]:
    issue = {"severity": "error", "code": "processing", "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def answer(status: int, text: str | None = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, None if text is None else outcome(text))


def acceptance(
    now: datetime, target: str, id_: str = IDS[0], after: Sequence[dict[str, Any]] = (), **elements: Any
) -> Acceptance:
    """The first version of a response and its record, or what follows the record `after`.

    `muscle` and `illness` are what it says: the text of an Observation's value and of a Condition's code, None for
    nothing.
    """
    muscle, illness = elements.pop("muscle", "calf"), elements.pop("illness", "twitching")
    version = 1 + (int(after[0]["meta"]["versionId"]) if after else 0)
    response = identified(
        {
            "resourceType": "QuestionnaireResponse",
            "meta": {"versionId": str(version), "lastUpdated": "2026-03-15T09:00:00.000Z"},
            "questionnaire": "https://pages.example/q|1.0",
            "status": "completed",
            "subject": {"reference": "Patient/1"},
            "author": {"reference": "Practitioner/9"},
            "authored": "2026-03-15T10:00:00+01:00",
            **elements,
        },
        id_,
    )
    subject = response["subject"]
    finding = {"resourceType": "Observation", "status": "final", "code": {"text": "muscle"}, "subject": subject}
    told = {"resourceType": "Condition", "code": {"text": illness}, "subject": subject, "clinicalStatus": ACTIVE}
    extracted = [
        *([Extracted({**finding, "valueString": muscle}, "muscle", "", None, "urn:uuid:1", {})] if muscle else []),
        *([Extracted(told, "illness", "", None, "urn:uuid:2", {})] if illness else []),
    ]
    triage = {**finding, "code": {"text": "triage"}}
    said = compose(response, extracted, triage, now) if response["status"] != "entered-in-error" else ()
    record = record_changes(response, after[1:], said, now)
    return Acceptance(Stored(response, triage, (), id_), record, (), PACK, now, () if target is None else (target,))


def worker(store: Database, server: ScriptedServer, clock: Clock, owner: str = "worker") -> Delivery:
    return Delivery(store, server, clock, lambda: 0.0, owner)


def only_letter(store: Database) -> Letter:
    [letter] = store.letters()
    return letter


TRANSACTIONS = {"resourceType": "CapabilityStatement", "rest": [{"interaction": [{"code": "transaction"}]}]}


@dataclass
class Clock:
    """Tells the time it was set to."""

    now: datetime = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass(frozen=True)
class Request:
    """What was sent; `text` is the body as it goes over the wire."""

    method: str
    path: str
    body: Any
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        return dumps(self.body)


@dataclass
class ScriptedServer:
    """Gives the answers (or raises the faults) of `script` one after the other; metadata has a script of its own.

    Without a script it answers as a good server does.
    """

    base_url: str = "https://ehr.example/fhir"
    script: deque[Answer | Exception] = field(default_factory=deque)
    metadata: deque[Answer | Exception] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)

    def send(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        self.requests.append(Request(method, path, body, headers or {}))
        if path == "metadata":
            return _play(self.metadata) or Answer(200, {}, TRANSACTIONS)
        return _play(self.script) or confirming(confirmed([entry["resource"] for entry in (body or {})["entry"]]))

    @property
    def sent(self) -> list[Request]:
        """All requests but those for metadata."""
        return [request for request in self.requests if request.path != "metadata"]


def confirmed(record: Sequence[dict[str, Any]], status: str = "201 Created") -> list[Any]:
    """The entries of a good answer to the transaction of `record`."""
    return [
        {"response": {"status": status, "location": f"{one['resourceType']}/{number}/_history/1", "etag": 'W/"1"'}}
        for number, one in enumerate(record, 100)
    ]


def confirming(entries: list[Any]) -> Answer:
    """The answer of these entries."""
    return Answer(200, {}, {"resourceType": "Bundle", "type": "transaction-response", "entry": entries})


def _play(script: deque[Answer | Exception]) -> Answer | None:
    if not script:
        return None
    scene = script.popleft()
    if isinstance(scene, Exception):
        raise scene
    return scene
