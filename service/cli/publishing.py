"""`pack publish`: the artifacts of a page, brought to a FHIR server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from service.bootstrap import any_fhir_server
from service.cli.console import fail, read_settings
from service.cli.folders import FOLDER, loaded_pages
from service.records.ports import FhirServer
from service.records.publication import Finding, Step, carry_out, plan

_MOST_LINES = 20


@click.command()
@click.argument("folder", type=FOLDER, required=False)
@click.option("--to", "url", required=True, help="Base address of a FHIR R4 server.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--replace", is_flag=True, help="Also change what was published under the same version.")
def publish(folder: Path | None, url: str, dry_run: bool, replace: bool) -> None:
    """Bring the page in FOLDER, every page below it, or the published pages to the FHIR server at --to.

    Versions stand beside each other. A version that was published before with other content is left as it is, and the
    command fails: give the content a version of its own, or say --replace.

    \b
    Examples:
      symptom-intake pack publish --to http://localhost:8080/fhir --dry-run
      symptom-intake pack publish questionnaires/muscle-fasciculation --to https://fhir.example.org/r4
    """
    pages = loaded_pages(folder)
    # An artifact that several pages carry is published once.
    artifacts = {(one["resourceType"], one["url"], one["version"]): one for page in pages for one in page.artifacts}
    try:
        with any_fhir_server(read_settings(), url) as server:
            steps = plan(server, artifacts.values())
            _tell(steps)
            refused = [] if replace else [step for step in steps if step.finding is Finding.CHANGED]
            if refused:
                fail(f"{len(refused)} published under this version have other content. See --replace in --help.")
            if not dry_run:
                _publish(server, steps)
    except ValueError as fault:
        raise click.BadParameter(str(fault), param_hint="--to") from fault


def _tell(steps: Sequence[Step]) -> None:
    for step in steps:
        click.echo(f"{step.finding.value:10}{step.name}")
        for line in step.differences[:_MOST_LINES]:
            click.echo(f"            {line}")
        if len(step.differences) > _MOST_LINES:
            click.echo(f"            and {len(step.differences) - _MOST_LINES} more")


def _publish(server: FhirServer, steps: Sequence[Step]) -> None:
    todo = [step for step in steps if step.finding is not Finding.UNCHANGED]
    for step in todo:
        carry_out(server, step)
    click.echo(f"{len(todo)} published to {server.base_url}, {len(steps) - len(todo)} were there.")
