"""What `doctor` finds on servers that lack something, and that it cleans up after itself."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import pytest
from click.testing import CliRunner

from service.cli import main
from service.cli.examination import Finding, examine
from service.fhir.json import Json
from service.records.ports import Answer, AnswerLost, Unreachable


class FakeServer:
    """A FHIR server in memory, as far as the examination goes; `lacks` names what it does not do."""

    base_url = "https://fhir.example.org/r4"

    def __init__(self, *lacks: str) -> None:
        self.lacks = frozenset(lacks)
        self.resources: dict[str, Json] = {}
        self.versions: dict[str, int] = {}

    def send(
        self, method: str, path: str, body: Json | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        if "reach" in self.lacks:
            raise Unreachable("the connection was refused")
        if "searches" in self.lacks and "?" in path:
            raise AnswerLost("the connection was reset")
        kind = path.partition("?")[0]
        match method, kind:
            case "GET", "metadata":
                version = "3.0.2" if "r4" in self.lacks else "4.0.1"
                return Answer(200, {}, {"resourceType": "CapabilityStatement", "fhirVersion": version})
            case "POST", "":
                return self._transaction(body or {})
            case "POST", _:
                return Answer(201, {"location": f"{self.base_url}/{self._create(kind, body or {})}/_history/1"}, None)
            case "GET", _ if "?" in path:
                return Answer(200, {}, {"resourceType": "Bundle", "entry": self._found(kind)})
            case "DELETE", _ if "delete" in self.lacks:
                return Answer(405, {}, None)
            case "DELETE", _:
                del self.resources[path]
                return Answer(204, {}, None)
            case _:
                return self._stored(method, path, body, headers or {})

    def _found(self, kind: str) -> list[Json]:
        found = {} if "search" in self.lacks else self.resources
        return [
            {"resource": {**resource, "id": place.partition("/")[2]}}
            for place, resource in found.items()
            if place.startswith(f"{kind}/")
        ]

    def _transaction(self, bundle: Json) -> Answer:
        if "transaction" in self.lacks:
            return Answer(404, {}, None)
        if "patience" in self.lacks:
            raise KeyboardInterrupt
        answers = []
        for entry in bundle["entry"]:
            kind = entry["request"]["url"]
            there = [one for one in self.resources if one.startswith(f"{kind}/")]
            if there and "conditional" not in self.lacks:
                answers.append({"status": "200 OK", "location": f"{there[0]}/_history/1"})
            else:
                answers.append(
                    {"status": "201 Created", "location": f"{self._create(kind, entry['resource'])}/_history/1"}
                )
        if "answers" in self.lacks:
            raise AnswerLost("the connection was reset")
        entries = [{"response": answer} for answer in answers]
        return Answer(200, {}, {"resourceType": "Bundle", "type": "transaction-response", "entry": entries})

    def _stored(self, method: str, path: str, body: Json | None, headers: Mapping[str, str]) -> Answer:
        etag = f'W/"{self.versions[path]}"'
        if method == "PUT":
            if headers.get("If-Match") != etag and "versions" not in self.lacks:
                return Answer(412, {}, None)
            self.resources[path] = body or {}
            self.versions[path] += 1
            return Answer(200, {}, None)
        return Answer(200, {"etag": etag}, self.resources[path])

    def _create(self, kind: str, resource: Json) -> str:
        place = f"{kind}/{len(self.versions) + 1}"
        self.resources[place] = resource
        self.versions[place] = 1
        return place


def _failed(*lacks: str) -> list[str]:
    return [finding.check for finding in examine(FakeServer(*lacks), lambda: "tag") if not finding.passed]


def test_a_server_that_does_all_passes_and_is_left_as_it_was() -> None:
    server = FakeServer()
    findings = examine(server, lambda: "tag")
    assert all(finding.passed for finding in findings)
    assert len(findings) == 8
    assert server.resources == {}


@pytest.mark.parametrize(
    ("lacks", "failed"),
    [
        ("r4", ["metadata, FHIR R4"]),
        ("reach", ["metadata, FHIR R4"]),
        (
            "transaction",
            ["transaction", "conditional create", "search by _tag", "update with If-Match", "read back"],
        ),
        ("conditional", ["conditional create", "search by _tag"]),
        ("search", ["search by _tag"]),
        ("versions", ["update with If-Match", "read back"]),
        ("delete", ["delete"]),
    ],
)
def test_what_a_server_lacks_is_found(lacks: str, failed: list[str]) -> None:
    assert _failed(lacks) == failed


def test_what_a_failed_check_created_is_removed_too() -> None:
    server = FakeServer("transaction", "search")
    examine(server, lambda: "tag")
    assert server.resources == {}


@pytest.mark.parametrize("lacks", ["answers", "conditional"])
def test_what_the_server_did_not_tell_of_is_removed_and_nobody_elses(lacks: str) -> None:
    server = FakeServer(lacks)
    others = {
        "Observation/7": {"resourceType": "Observation"},
        "Observation/8": {"resourceType": "Observation", "meta": {"tag": [{"code": "tag"}, None]}},
        "Patient/9": {"resourceType": "Patient", "meta": None},
    }
    server.resources |= others
    examine(server, lambda: "tag")
    assert server.resources == others


def test_what_cannot_be_looked_for_is_told_and_the_rest_removed() -> None:
    server = FakeServer("searches")
    findings = examine(server, lambda: "tag")
    assert [one.check for one in findings if not one.passed] == ["search by _tag", "delete"]
    assert "could not be looked for" in findings[-1].detail
    assert server.resources == {}


def test_who_ends_it_early_finds_nothing_there() -> None:
    server = FakeServer("patience")
    with pytest.raises(KeyboardInterrupt):
        examine(server, lambda: "tag")
    assert server.resources == {}


@pytest.mark.parametrize(("lacks", "exit_code"), [((), 0), (("search",), 1)])
def test_the_command_prints_a_table(monkeypatch: pytest.MonkeyPatch, lacks: tuple[str, ...], exit_code: int) -> None:
    def found(*_: Any) -> list[Finding]:
        return examine(FakeServer(*lacks), lambda: "tag")

    # The package's attribute of this name is the command; the module is found by its full name.
    monkeypatch.setattr(import_module("service.cli.doctor"), "examine", found)
    result = CliRunner().invoke(main, ["doctor", "https://fhir.example.org/r4"])
    assert result.exit_code == exit_code
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["CHECK", "RESULT", "WHY", "IT", "MATTERS"]
    assert len(lines) == 10
