"""Whatever is sent to the API is answered as described: never with a failure, nothing acknowledged and lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import schemathesis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.bootstrap import Services, start
from service.config import load_settings
from service.fhir.json import dumps
from service.fhir.models import model_issues
from service.records.bundle import transaction_bundle
from service.records.parcel import parcel_of
from service.records.search import Query
from service.records.submission import Sender
from service.web.app import create_app
from tests.fuzz.test_evaluation import PACK, RESPONSES, mutated

TARGET = "https://fhir.example/r4"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'intake.db'}"
        services = start(load_settings(database_url=url, fhir_server_url=TARGET), packs=(PACK,))
        yield services
        services.store.close()


QUICK = settings(
    max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
)


@pytest.fixture(scope="module")
def known(services: Services) -> dict[str, str]:
    """The id of a resource of each type that has any."""
    sender = Sender("")
    services.intake.submit({**RESPONSES[0], "subject": {"reference": "Patient/1"}}, sender)
    stored = ("QuestionnaireResponse", "Observation", "Condition", "Provenance")
    found = {kind: services.store.search(Query(kind, (), count=1)).matches for kind in stored}
    published = {one["resourceType"]: str(one["id"]) for one in PACK.artifacts}
    return published | {kind: str(matches[0]["id"]) for kind, matches in found.items() if matches}


def test_every_operation_answers_as_described(services: Services, known: dict[str, str]) -> None:
    described = schemathesis.openapi.from_wsgi("/fhir/openapi.json", create_app(services.site()))
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) > 60
    for operation in operations:

        @given(case=operation.as_strategy())
        @QUICK
        def answer(case: schemathesis.Case) -> None:
            path = case.path_parameters
            if "id" in path and len(path["id"]) % 2:
                # Of random ids, none is ever found.
                path["id"] = known.get(case.path.split("/")[1], path["id"])
            case.call_and_validate(checks=CHECKS)

        answer()


def test_what_is_acknowledged_is_kept_and_can_be_delivered(services: Services) -> None:
    client = create_app(services.site()).test_client()
    whole = st.sampled_from(RESPONSES).map(lambda one: {**one, "subject": {"reference": "Patient/1"}})

    @settings(QUICK, max_examples=100)
    @given(sent=whole.flatmap(lambda one: mutated(one, 3)))
    def accept(sent: dict[str, Any]) -> None:
        _accept(services, client, dumps(sent))

    accept()


def _accept(services: Services, client: FlaskClient, body: str) -> None:
    answer = client.post("/fhir/QuestionnaireResponse", data=body, headers={"Content-Type": "application/fhir+json"})
    if answer.status_code != 201:
        assert answer.status_code in (400, 422), answer.json
        assert answer.json["resourceType"] == "OperationOutcome"
        return
    kept = answer.json
    assert client.get(f"/fhir/QuestionnaireResponse/{kept['id']}").json == kept
    record = services.store.record(kept["id"], 1)
    letters = services.store.letters_of(kept["id"])
    if kept["status"] == "in-progress":
        assert (len(record), letters) == (1, ())
    else:
        assert [one.target for one in letters] == [TARGET]
        assert model_issues(transaction_bundle(parcel_of(record, ()))) == []
