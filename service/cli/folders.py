"""The folders of pages that a command is about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from service.bootstrap import page_folders
from service.cli.console import EXIT_FAULT, issue_lines, read_settings
from service.errors import Issue
from service.packs import Pack, PackInvalid, load_packs
from service.packs.loader import find_pages

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def chosen_pages(folder: Path | None) -> list[Path]:
    """The folders of single pages: `folder`, those in it, or the published ones. Raises PackInvalid for none."""
    roots = page_folders(read_settings()) if folder is None else (folder,)
    return [page for root in roots for page in find_pages(root)]


def loaded_pages(folder: Path | None) -> Iterator[Pack]:
    """The page in `folder`, every page below it, or the published pages. Ends the command when one is unusable."""
    roots = page_folders(read_settings()) if folder is None else (folder,)
    issues: list[Issue] = []
    for root in roots:
        try:
            yield from load_packs(root)
        except PackInvalid as refusal:
            issues.extend(refusal.issues)
    for line in issue_lines(issues):
        click.echo(line, err=True)
    if issues:
        raise click.exceptions.Exit(EXIT_FAULT)
