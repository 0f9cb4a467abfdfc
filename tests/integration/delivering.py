"""Responses on their way to a FHIR server, with answers of the tests' choice, and a database that is gone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

from flask.testing import FlaskClient

from service.bootstrap import Services, utc_now
from service.errors import IssueType, Unavailable, error
from service.fhir.json import Json
from service.records.delivery import Delivery
from service.records.ports import Answer, Store, Unreachable
from service.records.worker import DeliveryReport
from service.web.app import create_app
from service.web.site import Site
from tests.integration.answers import MakeResponse

TARGET = "https://fhir.example.org/r4"
_CAPABILITY = Answer(
    200, {"content-type": "application/fhir+json"}, {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
)


class _Server:
    """A FHIR server that answers every delivery alike, or cannot be reached."""

    base_url = TARGET

    def __init__(self, answer: Answer | None) -> None:
        self._answer = answer

    def send(
        self, method: str, path: str, body: Json | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        if self._answer is None:
            raise Unreachable("the connection was refused")
        return _CAPABILITY if path == "metadata" and self._answer.status == 400 else self._answer


class Broken:
    """A store whose database is gone."""

    def check(self) -> NoReturn:
        raise Unavailable([error(IssueType.TRANSIENT, "The database cannot be used now.")], 5)

    def backlog(self) -> NoReturn:
        self.check()


def delivering(services: Services) -> Site:
    """The site of `services` that delivers to TARGET, though nobody does."""
    intake = replace(services.intake, target_base_url=TARGET)
    return replace(services.site(), intake=intake, targets=frozenset({TARGET}))


def client_of(site: Site) -> FlaskClient:
    """A client of the application that serves `site`."""
    return create_app(site).test_client()


def submit(client: FlaskClient, make_response: MakeResponse) -> None:
    """One response, accepted."""
    headers = {"Content-Type": "application/fhir+json"}
    body = json.dumps(make_response())
    assert client.post("/fhir/QuestionnaireResponse", data=body, headers=headers).status_code == 201


def deliver(store: Store, answer: Answer | None) -> DeliveryReport:
    """What became of the one delivery that is due, tried on a server that answers so; None: it cannot be reached."""
    delivery = Delivery(store, _Server(answer), utc_now, lambda: 0.0, "test", lease=timedelta(minutes=1))
    report = delivery.run_once()
    assert report is not None
    return report


def outcome(status: int) -> Answer:
    """An answer with an OperationOutcome."""
    return Answer(status, {"content-type": "application/fhir+json"}, {"resourceType": "OperationOutcome", "issue": []})
