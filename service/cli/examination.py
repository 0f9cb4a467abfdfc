"""What deliveries need of a FHIR server, tried out one by one. Leaves nothing behind that it can remove."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from service.fhir.elements import objects_in
from service.fhir.json import Json
from service.records.ports import Answer, AnswerLost, FhirServer, NewId, Unreachable
from service.records.searchable import token_query

_SYSTEM = "https://symptom-intake.example/doctor"
_NOT_CACHED = {"Cache-Control": "no-cache"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One check, what came of it, and why deliveries depend on it."""

    check: str
    why: str
    passed: bool
    detail: str = ""


class Failed(Exception):
    """A check that did not pass; the message says what was answered."""


@dataclass(slots=True)
class _Examination:
    server: FhirServer
    tag: str
    made: list[str] = field(default_factory=list)

    def metadata(self) -> str:
        answer = self._send("GET", "metadata")
        body = answer.body or {}
        if answer.status != 200 or body.get("resourceType") != "CapabilityStatement":
            raise Failed(f"HTTP {answer.status}, no CapabilityStatement")
        software = body.get("software") or {}
        version = str(body.get("fhirVersion", "unknown"))
        if not version.startswith("4.0"):
            raise Failed(f"FHIR {version}")
        return f"{software.get('name', '')} {software.get('version', '')} FHIR {version}".strip()

    def create_patient(self) -> str:
        answer = self._send("POST", "Patient", {"resourceType": "Patient", "meta": self._meta(), "active": True})
        return self._keep(_expect(answer, 201))

    def transaction(self) -> str:
        entries = _entries(self._send("POST", "", self._bundle()), "201")
        for entry in entries:
            self._keep_location(str(entry.get("location", "")))
        return f"{len(entries)} resources created"

    def conditional_create(self) -> str:
        entries = _entries(self._send("POST", "", self._bundle()), "200")
        return f"{len(entries)} resources found, none created"

    def tag_search(self) -> str:
        query = token_query("_tag", _SYSTEM, self.tag)
        answer = _expect(self._send("GET", f"Observation?{query}", headers=_NOT_CACHED), 200)
        entries = (answer.body or {}).get("entry") or []
        if len(entries) != 1:
            raise Failed(f"{len(entries)} found, 1 expected")
        return "1 found"

    def versioned_update(self) -> str:
        location, answer = self._read_observation()
        etag = answer.headers.get("etag")
        if etag is None:
            raise Failed("no ETag answered")
        changed = {**(answer.body or {}), "status": "amended"}
        _expect(self._send("PUT", location, changed, {"If-Match": etag}), 200)
        stale = self._send("PUT", location, {**changed, "status": "corrected"}, {"If-Match": etag})
        if stale.status not in (409, 412):
            raise Failed(f"a stale If-Match was answered with {stale.status}")
        return f"stale If-Match refused with {stale.status}"

    def read_back(self) -> str:
        _, answer = self._read_observation()
        status = (answer.body or {}).get("status")
        if status != "amended":
            raise Failed(f"status is '{status}', 'amended' was written")
        return "as written"

    def remove(self) -> str:
        left = []
        try:
            self._find_untold()
        except Failed as fault:
            left.append(f"what could not be looked for ({fault})")
        for location in reversed(self.made):
            if self._send("DELETE", location).status not in (200, 202, 204):
                left.append(location)
        if left:
            raise Failed(f"left behind: {', '.join(left)}")
        return f"{len(self.made)} resources removed"

    def _find_untold(self) -> None:
        """Adds what was made although the server never said where: its answer was lost, or was none."""
        for kind in ("Patient", "QuestionnaireResponse", "Observation"):
            answer = self._send("GET", f"{kind}?{token_query('_tag', _SYSTEM, self.tag)}", headers=_NOT_CACHED)
            for entry in objects_in((answer.body or {}).get("entry")):
                resource = entry.get("resource")
                # A server that knows no _tag answers with everybody's resources.
                if isinstance(resource, dict) and self._is_ours(resource):
                    self.made.append(f"{kind}/{resource.get('id')}")
        self.made = list(dict.fromkeys(self.made))

    def _is_ours(self, resource: Json) -> bool:
        meta = resource.get("meta")
        tags = objects_in(meta.get("tag")) if isinstance(meta, dict) else ()
        return any((tag.get("system"), tag.get("code")) == (_SYSTEM, self.tag) for tag in tags)

    def _bundle(self) -> Json:
        """A transaction of a response and an Observation derived from it, each created unless it is there."""
        response: Json = {
            "resourceType": "QuestionnaireResponse",
            "meta": self._meta(),
            "status": "completed",
            "subject": {"reference": self._patient()},
            "authored": "2026-01-01T00:00:00Z",
        }
        observation: Json = {
            "resourceType": "Observation",
            "meta": self._meta(),
            "status": "final",
            "code": {"text": "Symptom Intake examines this server"},
            "subject": {"reference": self._patient()},
            "derivedFrom": [{"reference": "urn:uuid:8a5b6a0e-5a0e-4c35-9d6a-7e5f0f7f3a01"}],
            "valueBoolean": True,
        }
        condition = token_query("_tag", _SYSTEM, self.tag)
        entries: list[Json] = [
            {"fullUrl": "urn:uuid:8a5b6a0e-5a0e-4c35-9d6a-7e5f0f7f3a01", "resource": response},
            {"fullUrl": "urn:uuid:8a5b6a0e-5a0e-4c35-9d6a-7e5f0f7f3a02", "resource": observation},
        ]
        for entry in entries:
            kind = entry["resource"]["resourceType"]
            entry["request"] = {"method": "POST", "url": kind, "ifNoneExist": condition}
        return {"resourceType": "Bundle", "type": "transaction", "entry": entries}

    def _meta(self) -> Json:
        return {"tag": [{"system": _SYSTEM, "code": self.tag}]}

    def _patient(self) -> str:
        return self._made("Patient")

    def _made(self, kind: str) -> str:
        location = next((one for one in self.made if one.startswith(f"{kind}/")), None)
        if location is None:
            raise Failed(f"there is no {kind} to try it on")
        return location

    def _read_observation(self) -> tuple[str, Answer]:
        location = self._made("Observation")
        return location, _expect(self._send("GET", location, headers=_NOT_CACHED), 200)

    def _keep(self, answer: Answer) -> str:
        return self._keep_location(answer.headers.get("location", ""))

    def _keep_location(self, location: str) -> str:
        parts = location.partition("/_history")[0].rstrip("/").rsplit("/", 2)
        if len(parts) < 2:
            raise Failed("no Location was answered")
        place = "/".join(parts[-2:])
        self.made.append(place)
        return place

    def _send(self, method: str, path: str, body: Json | None = None, headers: dict[str, str] | None = None) -> Answer:
        try:
            return self.server.send(method, path, body, headers)
        except Unreachable as fault:
            raise Failed(f"not reached: {fault}") from fault
        except AnswerLost as fault:
            raise Failed(f"no answer: {fault}") from fault


def examine(server: FhirServer, new_id: NewId) -> list[Finding]:
    """Every check on `server`, in order; what was made is removed whatever happens."""
    examination = _Examination(server, new_id())
    findings = []
    try:
        for check, why, attempt in _checks(examination):
            findings.append(_finding(check, why, attempt))
            if attempt == examination.metadata and not findings[-1].passed:
                break
    except BaseException:
        # Whoever ends it early is not to find its patient there.
        _finding("delete", "the examination leaves nothing behind", examination.remove)
        raise
    return findings


def _checks(examination: _Examination) -> Iterator[tuple[str, str, Callable[[], str]]]:
    yield "metadata, FHIR R4", "only FHIR R4 is spoken here", examination.metadata
    yield "create", "patients' records must be writable with these credentials", examination.create_patient
    yield "transaction", "a response and its findings arrive together or not at all", examination.transaction
    yield "conditional create", "a repeated delivery creates nothing twice", examination.conditional_create
    yield "search by _tag", "a delivery whose answer was lost is found again", examination.tag_search
    yield "update with If-Match", "a clinician's change is never overwritten", examination.versioned_update
    yield "read back", "what was written is verified", examination.read_back
    yield "delete", "the examination leaves nothing behind", examination.remove


def _finding(check: str, why: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(check, why, True, attempt())
    except Failed as fault:
        return Finding(check, why, False, str(fault))


def _expect(answer: Answer, status: int) -> Answer:
    if answer.status != status:
        raise Failed(f"HTTP {answer.status}, {status} expected")
    return answer


def _entries(answer: Answer, status: str) -> list[Json]:
    """The answers to the entries of a transaction, each of which must have this status."""
    body = _expect(answer, 200).body or {}
    responses = [entry.get("response") or {} for entry in body.get("entry") or []]
    if len(responses) != 2:
        raise Failed(f"{len(responses)} entries answered, 2 expected")
    for response in responses:
        if not str(response.get("status", "")).startswith(status):
            raise Failed(f"an entry was answered with {response.get('status')}, {status} expected")
    return responses
