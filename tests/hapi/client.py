"""A small FHIR client for tests: what a test says to a server, and nothing cached on the way."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import requests

Json = dict[str, Any]

TEST_TAG_SYSTEM = "https://symptom-intake.example/test-run"
COMPARTMENT = ("QuestionnaireResponse", "Observation", "Condition")


class FhirClient:
    """Speaks FHIR JSON to the server at `base_url`.

    HAPI answers a repeated search from a cache for a minute; `Cache-Control: no-cache` asks for what is stored now.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self.session = requests.Session()
        self.session.headers.update(
            {
                "Accept": "application/fhir+json",
                "Content-Type": "application/fhir+json",
                "Cache-Control": "no-cache",
            }
        )

    def close(self) -> None:
        self.session.close()

    def request(self, method: str, path: str = "", body: Json | None = None, **headers: str) -> requests.Response:
        """Send one request, `path` relative to the base; header names are written with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.base_url}/{path}".rstrip("/")
        return self.session.request(method, url, json=body, headers=named, timeout=120)

    def create(self, resource: Json) -> Json:
        """Create a resource and return it as stored."""
        return _body(self.request("POST", resource["resourceType"], resource, Prefer="return=representation"))

    def read(self, reference: str) -> Json:
        """Read `Type/id` or `Type/id/_history/version`. Raises requests.HTTPError when it is not there."""
        return _body(self.request("GET", reference))

    def transaction(self, entries: Sequence[Json]) -> requests.Response:
        """Post a transaction Bundle; the answer may be an error."""
        return self.request("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)})

    def search(self, resource_type: str, **parameters: str) -> list[Json]:
        """All resources found, included ones too, over all pages."""
        url: str | None = f"{self.base_url}/{resource_type}"
        query: dict[str, str] | None = {"_count": "200", **parameters}
        found: list[Json] = []
        while url is not None:
            page = _body(self.session.get(url, params=query, timeout=120))
            found += [entry["resource"] for entry in page.get("entry", [])]
            url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
            query = None
        return found


@dataclass(frozen=True, slots=True)
class SyntheticPatient:
    """A Patient made for one test. `reference` is `Patient/id`; `tag` is unique to the test and on the Patient."""

    reference: str
    tag: str


@contextlib.contextmanager
def synthetic_patient(client: FhirClient) -> Iterator[SyntheticPatient]:
    """Create a Patient; at the end delete it and whatever points to it."""
    tag = str(uuid.uuid4())
    patient = client.create(
        {
            "resourceType": "Patient",
            "meta": {"tag": [{"system": TEST_TAG_SYSTEM, "code": tag}]},
            "identifier": [{"system": TEST_TAG_SYSTEM, "value": tag}],
            "name": [{"text": "Synthetic test patient"}],
        }
    )
    reference = f"Patient/{patient['id']}"
    try:
        yield SyntheticPatient(reference, tag)
    finally:
        remove_patient(client, reference)


def remove_patient(client: FhirClient, reference: str) -> None:
    """Delete the Patient, the resources of COMPARTMENT about it and their Provenance, in one transaction.

    Raises requests.HTTPError when the server refuses.
    """
    doomed = {reference}
    for resource_type in COMPARTMENT:
        found = client.search(resource_type, subject=reference, _revinclude="Provenance:target")
        doomed |= {f"{resource['resourceType']}/{resource['id']}" for resource in found}
    client.transaction([{"request": {"method": "DELETE", "url": each}} for each in sorted(doomed)]).raise_for_status()


def warm_up(client: FhirClient, rounds: int = 20, at_once: int = 4) -> None:
    """Write concurrently until a round has no failure: the first concurrent writes on a cold HAPI may answer 500.

    Raises RuntimeError when the last of `rounds` still failed.
    """
    statuses: list[int] = []
    with synthetic_patient(client) as patient, ThreadPoolExecutor(at_once) as threads:
        for _ in range(rounds):
            writes = [_warming_entries(patient, str(uuid.uuid4())) for _ in range(at_once)]
            statuses = [answer.status_code for answer in threads.map(client.transaction, writes)]
            if set(statuses) == {200}:
                return
    raise RuntimeError(f"HAPI still refuses concurrent writes after {rounds} rounds: {statuses}")


def _warming_entries(patient: SyntheticPatient, key: str) -> list[Json]:
    identifier = f"{TEST_TAG_SYSTEM}|{key}"
    observation = {
        "resourceType": "Observation",
        "identifier": [{"system": TEST_TAG_SYSTEM, "value": key}],
        "status": "final",
        "code": {"text": "Warming up"},
        "subject": {"reference": patient.reference},
    }
    provenance = {
        "resourceType": "Provenance",
        "meta": {"tag": [{"system": TEST_TAG_SYSTEM, "code": key}]},
        "target": [{"reference": f"urn:uuid:{key}"}],
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"who": {"display": "Test run"}}],
    }
    return [
        {
            "fullUrl": f"urn:uuid:{key}",
            "resource": observation,
            "request": {"method": "POST", "url": "Observation", "ifNoneExist": f"identifier={identifier}"},
        },
        {
            "resource": provenance,
            "request": {"method": "POST", "url": "Provenance", "ifNoneExist": f"_tag={identifier}"},
        },
    ]


def _body(response: requests.Response) -> Json:
    response.raise_for_status()
    body: Json = response.json()
    return body
