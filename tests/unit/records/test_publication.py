"""Publishing artifacts to a FHIR server: what is found there decides what is done."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest

from service.errors import NotSupported, Unavailable
from service.records.ports import Answer, Unreachable
from service.records.publication import Finding, carry_out, differences, plan

Json = dict[str, Any]


class Server:
    """A FHIR server that holds `resources`; it refuses writes with `status` when that is set."""

    base_url = "https://fhir.example/r4"

    def __init__(self, *resources: Json, status: int | None = None) -> None:
        self.resources = list(resources)
        self.status = status
        self.written: list[tuple[str, str, Json, dict[str, str]]] = []

    def send(
        self, method: str, path: str, body: Json | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        kind, _, query = path.partition("?")
        if method == "GET":
            wanted = dict(parse_qsl(query))
            held = [one for one in self.resources if one["resourceType"] == kind]
            found = [one for one in held if all(one.get(name) == value for name, value in wanted.items())]
            return Answer(200, {}, {"resourceType": "Bundle", "entry": [{"resource": one} for one in found]})
        if self.status is not None:
            issue = {"severity": "error", "diagnostics": "no such code"}
            return Answer(self.status, {}, {"resourceType": "OperationOutcome", "issue": [issue]})
        assert body is not None
        self.written.append((method, path, body, dict(headers or {})))
        return Answer(201 if method == "POST" else 200, {}, body)


def artifact(kind: str = "Questionnaire", **elements: Any) -> Json:
    return {
        "resourceType": kind,
        "id": "cough",
        "url": f"urn:{kind}",
        "version": "1.0.0",
        "status": "active",
        **elements,
    }


def test_what_rests_on_others_comes_after_them() -> None:
    kinds = ("PlanDefinition", "Questionnaire", "ConceptMap", "ValueSet", "CodeSystem")
    steps = plan(Server(), [artifact(kind) for kind in kinds])
    assert [step.artifact["resourceType"] for step in steps] == list(reversed(kinds))
    assert {step.finding for step in steps} == {Finding.NEW}


def test_what_is_new_is_created_once_under_an_id_of_the_server() -> None:
    server = Server()
    (step,) = plan(server, [artifact(url="urn:a|b,c")])
    carry_out(server, step)
    ((method, path, body, headers),) = server.written
    assert (method, path) == ("POST", "Questionnaire")
    assert "id" not in body
    assert headers == {"If-None-Exist": r"url=urn%3Aa%5C%7Cb%5C%2Cc&version=1.0.0"}


def test_what_is_there_is_left_alone() -> None:
    there = {**artifact(), "id": "7", "meta": {"versionId": "3"}, "text": {"status": "generated"}}
    server = Server(there)
    (step,) = plan(server, [artifact()])
    assert (step.finding, step.differences) == (Finding.UNCHANGED, ())
    carry_out(server, step)
    assert server.written == []


def test_another_version_stands_beside() -> None:
    server = Server({**artifact(version="0.9.0"), "id": "6"})
    (step,) = plan(server, [artifact()])
    assert step.finding is Finding.NEW


def test_a_change_names_what_differs_and_overwrites_nobody() -> None:
    there = {**artifact(title="Coughing", item=[{"linkId": "a"}]), "id": "7", "meta": {"versionId": "3"}}
    server = Server(there)
    (step,) = plan(server, [artifact(item=[{"linkId": "b"}, {"linkId": "c"}])])
    assert step.finding is Finding.CHANGED
    assert step.differences == (
        '- Questionnaire.title: "Coughing"',
        '~ Questionnaire.item[0].linkId: "a" -> "b"',
        '+ Questionnaire.item[1]: {"linkId":"c"}',
    )
    carry_out(server, step)
    ((method, path, body, headers),) = server.written
    assert (method, path, body["id"], headers) == ("PUT", "Questionnaire/7", "7", {"If-Match": 'W/"3"'})


def test_several_of_one_canonical_are_not_guessed_among() -> None:
    server = Server({**artifact(), "id": "6"}, {**artifact(), "id": "7"})
    with pytest.raises(NotSupported, match="Questionnaire/6, Questionnaire/7"):
        plan(server, [artifact()])


def test_a_refusal_is_told_in_the_servers_words() -> None:
    server = Server(status=422)
    (step,) = plan(server, [artifact()])
    with pytest.raises(
        NotSupported, match=r"urn:Questionnaire\|1.0.0: the server answered with HTTP 422. .*no such code"
    ):
        carry_out(server, step)


def test_a_server_that_does_not_answer_is_asked_again_later() -> None:
    class Gone(Server):
        def send(self, *_: Any, **__: Any) -> Answer:
            raise Unreachable("refused")

    with pytest.raises(Unavailable, match="Publish again"):
        plan(Gone(), [artifact()])


@pytest.mark.parametrize(
    ("there", "here", "lines"),
    [
        (1, 1, []),
        (Decimal("1.0"), Decimal("1.0"), []),
        (1, True, ["~ x: 1 -> true"]),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["~ x.a.b: 1 -> 2"]),
        ([1, 2], [1], ["- x[1]: 2"]),
        ("a" * 100, None, ['- x: "' + "a" * 59 + "…"]),
    ],
)
def test_differences_are_told_by_place(there: Any, here: Any, lines: list[str]) -> None:
    assert list(differences(there, here, "x")) == lines
