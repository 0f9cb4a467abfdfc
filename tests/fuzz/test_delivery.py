"""Whatever a FHIR server answers, the delivery ends with a state and a reason: no answer ends the worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.adapters.database import Database, open_database
from service.records.delivery import Delivery
from service.records.outbox import State
from service.records.ports import Answer
from tests.unit.records.samples import Clock, acceptance

Json = dict[str, Any]
BASE = "https://ehr.example/fhir"
KINDS = ("Observation", "Condition", "QuestionnaireResponse", "Provenance")

# Control characters never come so far: `service.fhir.json.parse` refuses them.
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(0, 999) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def objects(**elements: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """Objects with any of these elements, each as it should be, or anything."""
    return st.fixed_dictionaries({}, optional={name: value | ANYTHING for name, value in elements.items()})


CODINGS = objects(text=TEXTS)
ISSUES = st.lists(
    objects(
        severity=st.just("error"),
        diagnostics=TEXTS,
        details=CODINGS,
        code=st.just("processing"),
        expression=st.lists(TEXTS, max_size=2),
    ),
    max_size=2,
)
OUTCOMES = objects(issue=ISSUES).map(lambda body: {"resourceType": "OperationOutcome", **body})
CAPABILITIES = objects(
    rest=st.lists(
        objects(interaction=st.lists(objects(code=st.sampled_from(["transaction", "batch"])), max_size=2)), max_size=2
    )
).map(lambda body: {"resourceType": "CapabilityStatement", **body})
RESOURCES = objects(
    resourceType=st.sampled_from(KINDS), id=st.just("1"), meta=objects(versionId=st.sampled_from(["1", "2"]))
)
RESPONSES = objects(
    status=st.sampled_from(["200 OK", "201 Created", "412 Precondition Failed", "500"]),
    location=st.sampled_from([f"{kind}/1/_history/1" for kind in KINDS]),
    etag=st.sampled_from(['W/"1"', "1"]),
    outcome=OUTCOMES,
)
BUNDLES = objects(entry=st.lists(objects(response=RESPONSES, resource=RESOURCES), max_size=5)).map(
    lambda body: {"resourceType": "Bundle", **body}
)
ANSWERS = st.builds(
    Answer,
    st.sampled_from([200, 200, 200, 201, 204, 301, 400, 401, 404, 405, 409, 410, 412, 422, 429, 500, 501, 503]),
    st.dictionaries(
        st.sampled_from(["content-type", "location", "etag", "retry-after"]),
        st.sampled_from(['W/"1"', "Observation/1/_history/1", "text/html", "7", "Fri, 31 Dec 1999 23:59:59 GMT", ""]),
        max_size=3,
    ),
    st.none() | OUTCOMES | CAPABILITIES | BUNDLES | RESOURCES,
)


class OddServer:
    """Answers with what it is given, in turn; the last answer again and again."""

    base_url = BASE

    def __init__(self, answers: list[Answer]) -> None:
        self._answers = answers

    def send(
        self, method: str, path: str, body: Json | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        if path == "metadata" and self._answers[0].status % 2 == 0:
            return Answer(200, {}, {"resourceType": "CapabilityStatement"})
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('odd') / 'records.db'}")
    yield database
    database.close()


@given(st.lists(ANSWERS, min_size=1, max_size=6), st.booleans())
@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_answer_ends_the_worker(store: Database, answers: list[Answer], is_amended: bool) -> None:
    clock, id_ = Clock(), str(uuid4())
    target = f"{BASE}/{id_}"
    server = OddServer(answers)
    server.base_url = target
    first = acceptance(clock(), target, id_)
    store.accept(first)
    if is_amended:
        before = (first.stored.resource, *first.record)
        store.accept(acceptance(clock(), target, id_, before, status="amended", muscle="arm"))
    delivery = Delivery(store, server, clock, lambda: 0.0, "worker")
    for _ in range(4):
        report = delivery.run_once()
        if report is not None:
            assert report.letter.state in (State.PENDING, State.DELIVERED, State.DEAD)
            assert (report.letter.problem is None) is (report.letter.state is State.DELIVERED)
        clock.advance(hours=2)
