"""`keys list`, `rotate`, `new`: what this service signs and encrypts with."""

from __future__ import annotations

import click

from service.bootstrap import new_secret_key, start
from service.cli.console import read_settings, table
from service.fhir.primitives import instant


@click.group()
def keys() -> None:
    """Look after the keys that EHRs know this service by."""


@keys.command("list")
def list_keys() -> None:
    """List the signing keys, newest first; /.well-known/jwks.json publishes their public halves.

    \b
    Example:
      symptom-intake keys list
    """
    services = start(read_settings())
    try:
        made = {kid: created_at for kid, _, created_at in services.store.signing_keys()}
        found = services.keys.public()["keys"]
    finally:
        services.store.close()
    rows = [(key["kid"], key["alg"], instant(made[key["kid"]])) for key in found]
    none = "No keys: 'symptom-intake keys rotate' makes them."
    click.echo(table(("KEY", "ALGORITHM", "MADE"), rows) if rows else none)


@keys.command()
def rotate() -> None:
    """Make new signing keys. The ones before stay published until the next rotation, for EHRs that remember them.

    \b
    Example:
      symptom-intake keys rotate
    """
    services = start(read_settings())
    try:
        made = services.keys.rotate()
    finally:
        services.store.close()
    click.echo(f"New keys sign from now on: {', '.join(made)}")


@keys.command()
def new() -> None:
    """Print a new key for SYMPTOM_INTAKE_SECRET_KEY. Put it before the others; those open what they sealed.

    \b
    Example:
      symptom-intake keys new
    """
    click.echo(new_secret_key())
