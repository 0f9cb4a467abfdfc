"""`db upgrade`."""

from __future__ import annotations

import click

from service.bootstrap import upgrade_database
from service.cli.console import read_settings


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
def upgrade() -> None:
    """Make the database, or bring it to the schema of this release.

    A file of SQLite is brought to it by whatever opens it first. PostgreSQL, which other processes may be using, is
    left as it is until this command is run. Make a backup first, and stop the processes of the earlier release.

    \b
    Example:
      symptom-intake db upgrade
    """
    database = upgrade_database(read_settings())
    database.close()
    for one in database.migrations:
        click.echo(f"Applied {one}")
    click.echo(f"The database has the schema of this release: {database.url}")
