"""Commands on a QuestionnaireResponse in a file: validate, assess, extract; and fhirpath on any resource."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click

from service.bootstrap import evaluation, page_evaluation, utc_now
from service.cli.console import EXIT_FAULT, print_json, print_outcome, read_json, read_settings
from service.errors import Detail, DomainError, IssueType, error
from service.fhirpath import Environment, FhirPathError, Node, compile_expression, json_value

_FILE = click.File("rb")
_QUESTIONNAIRE_HELP = "Judge by this Questionnaire instead of the published one."


@click.command()
@click.argument("file", type=_FILE)
@click.option("--questionnaire", type=_FILE, metavar="FILE", help=_QUESTIONNAIRE_HELP)
def validate(file: BinaryIO, questionnaire: BinaryIO | None) -> None:
    """Check the QuestionnaireResponse in FILE ('-' reads standard input) and print an OperationOutcome.

    \b
    Examples:
      symptom-intake validate response.json
      symptom-intake validate - --questionnaire questionnaire.json < response.json
    """
    try:
        response = read_json(file)
        inline = None if questionnaire is None else read_json(questionnaire)
        issues = evaluation(read_settings()).validate(response, inline)
    except DomainError as fault:
        issues = list(fault.issues)
    print_outcome(issues)


@click.command()
@click.argument("file", type=_FILE)
@click.option(
    "--questionnaire",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The Questionnaire of a page; its red flags are read from the same folder.",
)
def assess(file: BinaryIO, questionnaire: Path | None) -> None:
    """Triage the QuestionnaireResponse in FILE ('-' reads standard input) and print the Observation.

    \b
    Example:
      symptom-intake assess response.json
    """
    try:
        response = read_json(file)
        if questionnaire is None:
            judged = evaluation(read_settings()).assess(response)
        else:
            judged = page_evaluation(questionnaire.parent).assess(response)
    except DomainError as fault:
        print_outcome(fault.issues)
    else:
        print_json(judged.observation)


@click.command()
@click.argument("file", type=_FILE)
@click.option("--questionnaire", type=_FILE, metavar="FILE", help=_QUESTIONNAIRE_HELP)
def extract(file: BinaryIO, questionnaire: BinaryIO | None) -> None:
    """Extract resources from the QuestionnaireResponse in FILE ('-' reads standard input); print the Bundle.

    \b
    Example:
      symptom-intake extract response.json --questionnaire questionnaire.json
    """
    try:
        response = read_json(file)
        inline = None if questionnaire is None else read_json(questionnaire)
        bundle = evaluation(read_settings()).extract(response, inline)
    except DomainError as fault:
        print_outcome(fault.issues)
    else:
        print_json(bundle)


@click.command()
@click.argument("expression")
@click.argument("file", type=_FILE)
def fhirpath(expression: str, file: BinaryIO) -> None:
    """Evaluate the FHIRPath EXPRESSION on the resource in FILE ('-' reads standard input); print a JSON array.

    \b
    Example:
      symptom-intake fhirpath "item.where(linkId = 'muscles').answer.value.code" response.json
    """
    try:
        resource = read_json(file)
    except DomainError as fault:
        print_outcome(fault.issues)
        return
    try:
        root = Node.of_resource(resource)
    except KeyError:
        text = "The file holds no resource of FHIR R4: 'resourceType' says which one it is, such as 'Patient'."
        print_outcome([error(IssueType.STRUCTURE, text, "resourceType", Detail.MALFORMED)])
        return
    environment = Environment(now=utc_now(), variables={"resource": [root], "rootResource": [root], "context": [root]})
    try:
        compiled = compile_expression(expression, context_type=root.type, variables=environment.variables)
        print_json([json_value(item) for item in compiled.evaluate([root], environment)])
    except FhirPathError as fault:
        _point_out(expression, fault)


def _point_out(expression: str, fault: FhirPathError) -> None:
    """Shows where in the expression the fault is."""
    lines = expression.splitlines() or [""]
    if fault.text == expression and 1 <= fault.line <= len(lines):
        click.echo(f"  {lines[fault.line - 1]}\n  {' ' * (fault.column - 1)}^", err=True)
    click.echo(f"Error: {fault.reason}", err=True)
    raise click.exceptions.Exit(EXIT_FAULT)
