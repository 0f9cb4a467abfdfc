"""`demo`: two responses on their whole way, over real HTTP, told as a story."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from service.bootstrap import Services, fhir_server, start
from service.cli import story
from service.cli.console import configure_logging, fail
from service.cli.listener import Listener
from service.cli.loopback import LoopbackClient
from service.config import PREFIX, LogLevel, Settings, load_settings
from service.fhir.json import Json
from service.packs import Pack, shipped_pages
from service.packs.vignettes import load_vignettes, vignette_response
from service.records.outbox import State
from service.records.ports import AnswerLost, FhirServer, Unreachable
from service.web.app import create_app

PAGE = "muscle-fasciculation"
CASES = ("case-01", "case-08")
_HOST = "127.0.0.1"
_IDENTIFIERS = "https://symptom-intake.example/demo"
_LOCAL_PATIENT = "Patient/demo"


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demonstration: our own server by HTTP, and the patient that it is about."""

    services: Services
    client: LoopbackClient
    patient: str


@click.command()
@click.option("--fhir-server", "url", metavar="URL", help="Also deliver to this FHIR R4 server (synthetic data).")
def demo(url: str | None) -> None:
    """Show the main job: two responses submitted, triaged with reasons, and written to the record.

    Uses a temporary database. With --fhir-server the record is also written there, for a synthetic patient that stays
    there to be looked at.

    \b
    Examples:
      symptom-intake demo
      symptom-intake demo --fhir-server http://localhost:8080/fhir
    """
    configure_logging(LogLevel.ERROR)
    with TemporaryDirectory(prefix="symptom-intake-demo-") as folder:
        settings = load_settings(
            database_url=f"sqlite:///{Path(folder) / 'demo.db'}",
            packs=(shipped_pages(),),
            fhir_server_url=url,
            fhir_server_token=_token_for(url),
            public_url=None,
        )
        services = start(settings)
        try:
            _tell(settings, services)
        finally:
            services.store.close()


def _token_for(url: str | None) -> str | None:
    """The token that is set, if it is for this very server."""
    configured = load_settings()
    if url is None or configured.fhir_server_url != url.rstrip("/") or configured.fhir_server_token is None:
        return None
    return configured.fhir_server_token.get_secret_value()


def _tell(settings: Settings, services: Services) -> None:
    page = next(pack for pack in services.library.published if pack.name == PAGE)
    server = None if settings.fhir_server_url is None else fhir_server(settings, settings.fhir_server_url)
    patient = _LOCAL_PATIENT if server is None else _create_patient(server, services.new_id())
    with _serving(services) as client:
        story.opening(client.base, client.send("GET", "Questionnaire"), settings.fhir_server_url, patient)
        run = Demo(services, client, patient)
        for case in CASES:
            _submit(run, page, case)
        if server is not None:
            _deliver(run, server)
    story.ending(PREFIX, settings.fhir_server_url)


def _submit(run: Demo, page: Pack, case: str) -> None:
    vignette = next(one for one in load_vignettes(shipped_pages() / PAGE) if one.name.startswith(case))
    response = {
        **vignette_response(page, vignette),
        "identifier": {"system": _IDENTIFIERS, "value": run.services.new_id()},
        "subject": {"reference": run.patient},
    }
    accepted = run.client.send("POST", "QuestionnaireResponse", response)
    own = f"derived-from=QuestionnaireResponse/{accepted['id']}&_revinclude=Provenance:target&_count=200"
    observations = run.client.send("GET", f"Observation?{own}")
    conditions = run.client.send("GET", f"Condition?patient={run.patient}&_count=200")
    triage = run.client.send("GET", f"QuestionnaireResponse/{accepted['id']}/$assess")
    story.response(vignette.name, accepted, triage, _of_response(accepted, observations, conditions))


def _of_response(accepted: Json, observations: Json, conditions: Json) -> list[Json]:
    """The resources of one response: what is derived from it, and the Conditions that rest on that as evidence."""
    found = [entry["resource"] for entry in observations.get("entry", [])]
    here = {f"{resource['resourceType']}/{resource['id']}" for resource in found}
    here.add(f"QuestionnaireResponse/{accepted['id']}")
    for entry in conditions.get("entry", []):
        evidence = [detail["reference"] for one in entry["resource"].get("evidence", []) for detail in one["detail"]]
        if here.intersection(evidence):
            found.append(entry["resource"])
    return sorted(found, key=lambda resource: str(resource["resourceType"]))


def _create_patient(server: FhirServer, unique: str) -> str:
    """Creates a synthetic patient; gives its reference on the server."""
    patient: Json = {
        "resourceType": "Patient",
        "identifier": [{"system": _IDENTIFIERS, "value": unique}],
        "name": [{"family": "Demo", "given": ["Synthetic"]}],
    }
    try:
        answer = server.send("POST", "Patient", patient)
    except (Unreachable, AnswerLost) as fault:
        fail(f"{server.base_url} cannot be reached ({fault}). Is it running?")
    location = answer.headers.get("location", "")
    if answer.status != 201 or "Patient/" not in location:
        fail(f"{server.base_url} did not create a Patient: HTTP {answer.status}. Try 'symptom-intake doctor' on it.")
    return "Patient/" + location.partition("Patient/")[2].partition("/")[0]


def _deliver(run: Demo, server: FhirServer) -> None:
    delivery = run.services.delivery(server.base_url)
    while (report := delivery.run_once()) is not None:
        story.delivery(report)
        locations = sorted((one.location for one in report.placements), key=_reading_order)
        story.read_back([(location, server.send("GET", location).body) for location in locations])
    if any(letter.state is not State.DELIVERED for letter in run.services.store.letters()):
        fail("Not everything was delivered; the lines above say why.")


def _reading_order(location: str) -> tuple[str, int, str]:
    """The response first, the Provenance last; within a type by length and then text, so that 9 comes before 10."""
    kind, _, id_ = location.partition("/")
    rank = {"QuestionnaireResponse": "0", "Provenance": "2"}.get(kind, "1")
    return rank + kind, len(id_), id_


@contextmanager
def _serving(services: Services) -> Iterator[LoopbackClient]:
    """Our own server on a free loopback port, while the block runs."""
    listener = Listener(create_app(services.site()), _HOST, 0)
    with listener.running():
        yield LoopbackClient(f"{listener.address}/fhir")
