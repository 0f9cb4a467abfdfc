"""Publishing the artifacts of a page to a FHIR server: what is there, what would change, and changing it.

An artifact is known by its canonical (`url` and `version`), never by its id. Versions stand beside each other: a new
one replaces none, and one that was published is not changed unless somebody says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import Any, Final
from urllib.parse import quote

from service.errors import IssueType, NotSupported, Unavailable, error
from service.fhir.elements import search_escaped
from service.fhir.json import Json, dumps
from service.fhir.outcome import outcome_texts
from service.records.ports import Answer, AnswerLost, FhirServer, Unreachable

# What an artifact rests on stands before it.
_ORDER: Final = ("CodeSystem", "ValueSet", "ConceptMap", "Questionnaire", "PlanDefinition")
# What a server gives of its own.
_SERVERS_OWN: Final = frozenset({"id", "meta", "text"})
_LONGEST_SHOWN: Final = 60
_RETRY_AFTER_SECONDS: Final = 30


class Finding(StrEnum):
    """How an artifact stands on the server."""

    NEW = "new"
    UNCHANGED = "unchanged"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Step:
    """What publishing one artifact means.

    `differences` are lines for people; `location` ("Questionnaire/12") and `etag` are those of what the server has.
    """

    artifact: Json
    finding: Finding
    differences: tuple[str, ...] = ()
    location: str | None = None
    etag: str | None = None

    @property
    def name(self) -> str:
        """The type and canonical of the artifact."""
        return f"{self.artifact['resourceType']} {self.artifact['url']}|{self.artifact['version']}"


def plan(server: FhirServer, artifacts: Iterable[Json]) -> tuple[Step, ...]:
    """What publishing `artifacts` would do, in the order to do it in. Nothing is written.

    Raises NotSupported when the server has several of one canonical, or refuses to be asked, and Unavailable.
    """
    ordered = sorted(artifacts, key=lambda one: _ORDER.index(one["resourceType"]))
    return tuple(_step(server, artifact) for artifact in ordered)


def carry_out(server: FhirServer, step: Step) -> None:
    """Publish one artifact, unless it stands there as it is. Raises NotSupported with the server's reason, Unavailable.

    Safe to repeat: what is new is created conditionally, what changed meanwhile is refused by the server.
    """
    body = {name: value for name, value in step.artifact.items() if name not in ("id", "meta")}
    kind = step.artifact["resourceType"]
    match step.finding:
        case Finding.NEW:
            condition = {"If-None-Exist": _canonical_query(step.artifact)}
            _expect(_sent(server, "POST", kind, body, condition), (200, 201), step.name)
        case Finding.CHANGED if step.location is not None:
            stored = {**body, "id": step.location.rpartition("/")[2]}
            condition = {} if step.etag is None else {"If-Match": step.etag}
            _expect(_sent(server, "PUT", step.location, stored, condition), (200,), step.name)
        case _:
            pass


def differences(there: Any, here: Any, path: str) -> Iterator[str]:
    """What differs between two JSON values, one line for each place; `path` is that of the values."""
    match there, here:
        case dict(), dict():
            for name in dict.fromkeys((*there, *here)):
                yield from differences(there.get(name), here.get(name), f"{path}.{name}")
        case list(), list():
            for index, (before, after) in enumerate(zip_longest(there, here)):
                yield from differences(before, after, f"{path}[{index}]")
        case _ if there == here and type(there) is type(here):
            pass
        case None, _:
            yield f"+ {path}: {_shown(here)}"
        case _, None:
            yield f"- {path}: {_shown(there)}"
        case _:
            yield f"~ {path}: {_shown(there)} -> {_shown(here)}"


def _step(server: FhirServer, artifact: Json) -> Step:
    kind = artifact["resourceType"]
    answer = _sent(server, "GET", f"{kind}?{_canonical_query(artifact)}", None, {"Cache-Control": "no-cache"})
    _expect(answer, (200,), f"{kind} {artifact['url']}")
    entries = (answer.body or {}).get("entry", [])
    found = [one["resource"] for one in entries if one.get("resource", {}).get("resourceType") == kind]
    if len(found) > 1:
        ids = ", ".join(f"{kind}/{one['id']}" for one in found)
        text = f"The server has {len(found)} of {artifact['url']}|{artifact['version']}: {ids}. Remove all but one."
        raise NotSupported([error(IssueType.MULTIPLE_MATCHES, text)])
    if not found:
        return Step(artifact, Finding.NEW)
    there = found[0]
    lines = tuple(differences(_content(there), _content(artifact), kind))
    version = there.get("meta", {}).get("versionId")
    return Step(
        artifact=artifact,
        finding=Finding.CHANGED if lines else Finding.UNCHANGED,
        differences=lines,
        location=f"{kind}/{there['id']}",
        etag=None if version is None else f'W/"{version}"',
    )


def _canonical_query(artifact: Json) -> str:
    values = ((name, quote(search_escaped(artifact[name]), safe="")) for name in ("url", "version"))
    return "&".join(f"{name}={value}" for name, value in values)


def _content(resource: Json) -> Json:
    return {name: value for name, value in resource.items() if name not in _SERVERS_OWN}


def _shown(value: Any) -> str:
    text = dumps(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _sent(server: FhirServer, method: str, path: str, body: Json | None, headers: dict[str, str]) -> Answer:
    try:
        return server.send(method, path, body, headers)
    except (Unreachable, AnswerLost) as fault:
        text = f"{server.base_url} did not answer: {fault}. Publish again: what was done stays done."
        raise Unavailable([error(IssueType.TRANSIENT, text)], _RETRY_AFTER_SECONDS) from fault


def _expect(answer: Answer, statuses: tuple[int, ...], name: str) -> None:
    if answer.status not in statuses:
        reasons = " ".join(outcome_texts(answer.body)) if answer.body is not None else ""
        text = f"{name}: the server answered with HTTP {answer.status}. {reasons}".rstrip()
        raise NotSupported([error(IssueType.PROCESSING, text)])
