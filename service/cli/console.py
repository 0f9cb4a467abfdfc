"""What commands share: settings, logging, FHIR JSON in and out, and faults told to people."""

from __future__ import annotations

import getpass
import logging
import os
from collections.abc import Iterable
from typing import Any, BinaryIO, NoReturn

import click

from service.config import (
    PREFIX,
    ConfigurationInvalid,
    LogFormat,
    LogLevel,
    Settings,
    load_settings,
    unknown_variables,
)
from service.errors import DomainError, Issue
from service.fhir.json import Json, dumps, parse_object
from service.fhir.outcome import operation_outcome
from service.records.ehr import SealBroken
from service.web.log_lines import JsonLines

EXIT_FAULT = 1
EXIT_USAGE = 2


class Commands(click.Group):
    """A group whose commands tell people's faults in sentences, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; faults of settings end with exit code 2, faults of input with 1."""
        try:
            return super().invoke(ctx)
        except ConfigurationInvalid as fault:
            click.echo(f"Error: {fault}", err=True)
            ctx.exit(EXIT_USAGE)
        except SealBroken:
            click.echo(
                f"Error: {PREFIX}SECRET_KEY: what was encrypted here needs another key; add it to these", err=True
            )
            ctx.exit(EXIT_USAGE)
        except DomainError as fault:
            for line in issue_lines(fault.issues):
                click.echo(line, err=True)
            ctx.exit(EXIT_FAULT)


def read_settings(**overrides: Any) -> Settings:
    """The settings of the environment, with `overrides`; warns of variables that are none."""
    for sentence in unknown_variables(os.environ):
        click.echo(f"Warning: {sentence}", err=True)
    return load_settings(**overrides)


def configure_logging(level: LogLevel, log_format: LogFormat = LogFormat.TEXT) -> None:
    """Logs of this service at `level` on standard error; of libraries, warnings alone."""
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler.setFormatter(JsonLines() if log_format is LogFormat.JSON else text)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    # Libraries at a lower level would log statements and addresses, and so what patients answered.
    logging.getLogger("service").setLevel(level.value)


def read_json(file: BinaryIO) -> Json:
    """The JSON object in `file`. Raises DomainError."""
    return parse_object(file.read())


def print_json(value: Any) -> None:
    """Prints FHIR JSON for people and programs."""
    click.echo(dumps(value, indent=2))


def print_outcome(issues: Iterable[Issue]) -> None:
    """Prints an OperationOutcome, and ends the command with exit code 1 when an issue is an error."""
    found = list(issues)
    print_json(operation_outcome(found))
    if any(issue.is_error for issue in found):
        raise click.exceptions.Exit(EXIT_FAULT)


def issue_lines(issues: Iterable[Issue]) -> Iterable[str]:
    """One line an issue: severity, place, text."""
    for issue in issues:
        place = f"{issue.expression}: " if issue.expression else ""
        yield f"{issue.severity.value}: {place}{issue.text}"


def fail(message: str) -> NoReturn:
    """Ends the command with `message` and exit code 1."""
    raise click.ClickException(message)


def operator() -> str:
    """Who runs the command: a user of this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        return str(os.getuid())


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """`rows` under `header` in aligned columns; "" when there are none."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
    return "\n".join(padded)
