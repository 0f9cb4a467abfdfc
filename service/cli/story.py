"""What `demo` tells in the terminal."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

import click

from service.fhir.json import Json
from service.records.narrative import concept_text
from service.records.worker import DeliveryReport

_WIDTH = 100


def opening(base: str, questionnaires: Json, fhir_server_url: str | None, patient: str) -> None:
    """What runs, what is published, and whom it is about."""
    _heading("Symptom Intake: a demonstration with a temporary database and a synthetic patient")
    click.echo(f"Serving {base}. GET Questionnaire finds {questionnaires['total']}:")
    for entry in questionnaires.get("entry", []):
        resource = entry["resource"]
        click.echo(f"  {resource['title']} ({resource['url']}|{resource['version']}, {resource['status']})")
    where = f"{fhir_server_url}/{patient}" if fhir_server_url else f"{patient}, in the embedded record alone"
    click.echo(f"The patient is {where}.")


def response(name: str, accepted: Json, triage: Json, resources: Sequence[Json]) -> None:
    """One response: its answers, its triage with the reasons, and what stands in the record."""
    _heading(f"Response {name}")
    click.echo(f"POST QuestionnaireResponse -> 201 Created, QuestionnaireResponse/{accepted['id']}")
    click.echo("\nAnswers")
    for question, answers in _answers(accepted.get("item", [])):
        _wrapped(f"{question} {click.style(answers, bold=True)}", "  ", "      ")
    level = triage["valueCodeableConcept"]["coding"][0]
    click.echo(f"\nTriage: {click.style(str(level.get('display', level['code'])), bold=True)} ({level['code']})")
    for note in triage.get("note", []):
        _wrapped(note["text"], "  - ", "    ")
    counts = Counter(resource["resourceType"] for resource in resources)
    click.echo(f"\nIn the record: {', '.join(f'{count} {kind}' for kind, count in counts.items())}")
    for resource in resources:
        click.echo(f"  {resource['resourceType']:<12} {_about(resource)}".rstrip())


def delivery(report: DeliveryReport) -> None:
    """What became of one delivery."""
    letter = report.letter
    why = f": {letter.problem.text}" if letter.problem else ""
    _heading(f"Delivery of QuestionnaireResponse/{letter.response_id}")
    click.echo(f"One transaction to {letter.target}: {click.style(letter.state.value, bold=True)}{why}")


def read_back(resources: Sequence[tuple[str, Json | None]]) -> None:
    """What the FHIR server answers for each location it gave."""
    click.echo("Read back from there:")
    width = max((len(location) for location, _ in resources), default=0)
    for location, resource in resources:
        told = "cannot be read back" if resource is None else _about(resource)
        click.echo(f"  {location.ljust(width)}  {told}".rstrip())


def ending(prefix: str, fhir_server_url: str | None) -> None:
    """What to do next."""
    _heading("Now with a database that stays")
    setting = f"{prefix}FHIR_SERVER_URL={fhir_server_url} " if fhir_server_url else ""
    click.echo(f"  {setting}symptom-intake serve")
    click.echo("Information only: not a medical device, not advice, no substitute for medical care.")


def _answers(items: Sequence[Json]) -> Iterator[tuple[str, str]]:
    for item in items:
        texts = [_answer_text(answer) for answer in item.get("answer", [])]
        if texts:
            yield str(item.get("text", item["linkId"])), ", ".join(texts)
        yield from _answers(item.get("item", []))


def _answer_text(answer: Json) -> str:
    value = next(value for key, value in answer.items() if key.startswith("value"))
    return str(value.get("display", value.get("code"))) if isinstance(value, dict) else str(value)


def _about(resource: Json) -> str:
    """What a resource says, on one line: its subject matter, its value, and where in the body."""
    if resource["resourceType"] == "Provenance":
        return f"of the {len(resource['target'])} resources above"
    code = _shortened(concept_text(resource["code"])) if "code" in resource else ""
    value = concept_text(resource["valueCodeableConcept"]) if "valueCodeableConcept" in resource else ""
    other = next((str(one) for key, one in resource.items() if key in ("valueString", "valueDateTime")), "")
    sites = resource.get("bodySite", [])
    where = ", ".join(concept_text(site) for site in (sites if isinstance(sites, list) else [sites]))
    return ": ".join(part for part in (code, value or other) if part) + (f" ({where})" if where else "")


def _shortened(text: str) -> str:
    return textwrap.shorten(text, _WIDTH * 2 // 3, placeholder=" …")


def _heading(text: str) -> None:
    click.echo(f"\n{click.style(text, bold=True, underline=True)}\n")


def _wrapped(text: str, first: str, other: str) -> None:
    click.echo(textwrap.fill(text, _WIDTH, initial_indent=first, subsequent_indent=other, break_long_words=False))
