"""`db upgrade`."""

from __future__ import annotations

import click

from service.bootstrap import start
from service.cli.console import read_settings


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
def upgrade() -> None:
    """Make the database, or bring it to the schema of this release; `serve` does so by itself.

    \b
    Example:
      symptom-intake db upgrade
    """
    store = start(read_settings()).store
    store.close()
    click.echo(f"The database is ready: {store.url}")
