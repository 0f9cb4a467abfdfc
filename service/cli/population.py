"""The command populate: first answers to a Questionnaire from a patient's data in a file."""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO

import click

from service import bootstrap
from service.cli.console import EXIT_USAGE, print_json, print_outcome, read_json, read_settings
from service.errors import Detail, DomainError, IssueType, Malformed, error
from service.fhir.json import Json
from service.packs import Pack
from service.records.population_request import PopulationRequest, read_request


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--questionnaire", type=click.File("rb"), metavar="FILE", help="Populate this one, not a published one.")
@click.option("--page", metavar="CANONICAL", help="The published Questionnaire; needed where there are several.")
@click.option("--subject", metavar="REFERENCE", help="Whose answers these are, such as Patient/1; else the Patient.")
@click.option("--local", is_flag=True, help="Ask the configured FHIR server too.")
def populate(
    file: BinaryIO, questionnaire: BinaryIO | None, page: str | None, subject: str | None, *, local: bool
) -> None:
    """Populate a Questionnaire from the data in FILE ('-' reads standard input) and print Parameters.

    FILE is a Patient; a Bundle of the patient's resources, with one Patient; a QuestionnaireResponse, which keeps its
    answers; or Parameters as the operation $populate takes them. Nothing is sent anywhere unless --local is given.

    \b
    Examples:
      symptom-intake populate patient.json
      symptom-intake populate record-bundle.json --questionnaire questionnaire.json
      symptom-intake populate patient.json --local
      symptom-intake populate begun-response.json --local
    """
    try:
        request = _request(read_json(file))
        if questionnaire is not None:
            request = replace(request, questionnaire=read_json(questionnaire), canonical=None)
        settings = read_settings()
        population = bootstrap.population(settings)
        named = (request.questionnaire, request.canonical, (request.partial or {}).get("questionnaire"))
        if questionnaire is None and (page is not None or all(one is None for one in named)):
            request = replace(
                request, questionnaire=None, canonical=page or _only_page(bootstrap.published_packs(settings))
            )
        if subject is not None:
            request = replace(request, subject={"reference": subject})
        answer = population.populate(replace(request, local=local or request.local))
    except DomainError as fault:
        print_outcome(fault.issues)
    else:
        print_json(answer)


def _request(content: Json) -> PopulationRequest:
    match content.get("resourceType"):
        case "Parameters":
            return read_request(content)
        case "QuestionnaireResponse":
            return _begun(content)
        case "Patient":
            patients, data = [content], []
        case "Bundle":
            entries = [entry.get("resource", {}) for entry in content.get("entry", [])]
            patients, data = [one for one in entries if one.get("resourceType") == "Patient"], [content]
        case _:
            text = "Give a Patient, a Bundle, a QuestionnaireResponse or Parameters."
            raise Malformed([error(IssueType.STRUCTURE, text, "resourceType")])
    if len(patients) != 1:
        text = f"The Bundle needs one Patient, whose data it is, but has {len(patients)}."
        raise Malformed([error(IssueType.STRUCTURE, text, "Bundle.entry", Detail.MALFORMED)])
    parts = [{"name": "name", "valueString": "patient"}, {"name": "content", "resource": patients[0]}]
    parameters: list[Json] = [{"name": "context", "part": parts}]
    parameters += [{"name": "data", "resource": one} for one in data]
    return _read(parameters)


def _begun(response: Json) -> PopulationRequest:
    parameters: list[Json] = [{"name": "response", "resource": response}]
    subject = response.get("subject")
    if isinstance(subject, dict) and "reference" in subject:
        parameters.append({"name": "subject", "valueReference": subject})
    return _read(parameters)


def _read(parameters: list[Json]) -> PopulationRequest:
    return read_request({"resourceType": "Parameters", "parameter": parameters})


def _only_page(packs: tuple[Pack, ...]) -> str:
    canonicals = [pack.canonical for pack in packs]
    if len(canonicals) == 1:
        return canonicals[0]
    click.echo(f"Error: several pages are published; name one with --page: {', '.join(canonicals)}", err=True)
    raise click.exceptions.Exit(EXIT_USAGE)
