"""`doctor URL`: tries on any FHIR server what deliveries need, with a throw-away patient."""

from __future__ import annotations

import click

from service.bootstrap import any_fhir_server, random_id
from service.cli.console import EXIT_FAULT, read_settings, table
from service.cli.examination import Finding, examine
from service.config import ConfigurationInvalid


@click.command()
@click.argument("url")
def doctor(url: str) -> None:
    """Try on the FHIR server at URL what deliveries need; print a table; remove what was made.

    The token that is set is sent only if URL is the FHIR server that is set. An EHR that is listed in
    SYMPTOM_INTAKE_EHRS is asked with this service's own credentials (SMART Backend Services).

    \b
    Examples:
      symptom-intake doctor http://localhost:8080/fhir
      symptom-intake doctor https://hapi.fhir.org/baseR4
    """
    if not url.startswith(("http://", "https://")):
        raise ConfigurationInvalid(f"'{url}' is no address; write it such as https://fhir.example.org/r4")
    try:
        with any_fhir_server(read_settings(), url) as server:
            click.echo(f"Examining {server.base_url} …", err=True)
            findings = examine(server, random_id)
    except ValueError as fault:
        raise click.BadParameter(str(fault), param_hint="URL") from fault
    click.echo(table(("CHECK", "RESULT", "WHY IT MATTERS"), (_row(finding) for finding in findings)))
    failed = [finding for finding in findings if not finding.passed]
    click.echo(_verdict(len(failed)))
    if failed:
        raise click.exceptions.Exit(EXIT_FAULT)


def _row(finding: Finding) -> tuple[str, str, str]:
    return finding.check, ("ok" if finding.passed else "FAILED") + f" {finding.detail}".rstrip(), finding.why


def _verdict(failures: int) -> str:
    if failures == 0:
        return "This server takes deliveries."
    return f"{failures} checks failed: deliveries to this server will not work as they should."
