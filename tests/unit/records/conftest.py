"""A FHIR server that answers by a script, a clock that is set by hand, and a store in a folder of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.adapters.database import Database, open_database
from service.fhir.json import dumps
from service.records.ports import Answer

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
    body: dict[str, Any] | None
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
        return _play(self.script) or self.good_answer(body)

    def good_answer(self, body: dict[str, Any] | None, status: str = "201 Created") -> Answer:
        assert body is not None
        entries = [
            {
                "response": {
                    "status": status,
                    "location": f"{entry['resource']['resourceType']}/{number}/_history/1",
                    "etag": 'W/"1"',
                }
            }
            for number, entry in enumerate(body["entry"], 100)
        ]
        return Answer(200, {}, {"resourceType": "Bundle", "type": "transaction-response", "entry": entries})

    @property
    def sent(self) -> list[Request]:
        """All requests but those for metadata."""
        return [request for request in self.requests if request.path != "metadata"]


def _play(script: deque[Answer | Exception]) -> Answer | None:
    if not script:
        return None
    scene = script.popleft()
    if isinstance(scene, Exception):
        raise scene
    return scene


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> ScriptedServer:
    return ScriptedServer()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path / 'records.db'}")
    yield database
    database.close()
