"""The command `symptom-intake`."""

from __future__ import annotations

import click

from service.cli.console import Commands
from service.cli.database import db
from service.cli.demo import demo
from service.cli.doctor import doctor
from service.cli.invite import invite
from service.cli.keys import keys
from service.cli.outbox import outbox
from service.cli.pages import pack
from service.cli.population import populate
from service.cli.publishing import publish
from service.cli.purge import purge
from service.cli.responses import assess, extract, fhirpath, validate
from service.cli.serving import deliver, serve

EXAMPLES = """\b
Examples:
  symptom-intake demo
  symptom-intake serve --port 8000
  symptom-intake validate response.json
  symptom-intake doctor https://fhir.example.org/r4
"""


@click.group(cls=Commands, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="symptom-intake")
def main() -> None:
    """Symptom questionnaires on FHIR R4: validated, triaged by red flags, delivered to the medical record.

    Settings are environment variables SYMPTOM_INTAKE_*; README lists them. Exit codes: 0 all is well, 1 the input or
    the world is at fault, 2 the command or a setting is.
    """


for _command in (
    demo,
    serve,
    deliver,
    validate,
    assess,
    extract,
    populate,
    fhirpath,
    pack,
    invite,
    outbox,
    purge,
    doctor,
    keys,
    db,
):
    main.add_command(_command)
pack.add_command(publish)
