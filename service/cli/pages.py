"""`pack check` and `pack test`: the loading gate and the vignettes of pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from service.bootstrap import page_folders
from service.cli.console import EXIT_FAULT, issue_lines, read_settings
from service.errors import Issue
from service.packs import Pack, PackInvalid, load_pack, load_packs
from service.packs.loader import QUESTIONNAIRE_FILE
from service.packs.vignettes import load_vignettes, run_vignette

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def pack() -> None:
    """Check and test pages: folders with a Questionnaire, red flags and cases."""


@pack.command()
@click.argument("folder", type=FOLDER, required=False)
def check(folder: Path | None) -> None:
    """Load the page in FOLDER, every page below it, or the published pages; say what is unusable.

    \b
    Example:
      symptom-intake pack check questionnaires/muscle-fasciculation
    """
    for page in loaded_pages(folder):
        click.echo(f"{page.name} {page.version}: usable. {_contents(page)}")


@pack.command()
@click.argument("folder", type=FOLDER, required=False)
def test(folder: Path | None) -> None:
    """Run the vignettes of the page in FOLDER, of every page below it, or of the published pages.

    \b
    Example:
      symptom-intake pack test questionnaires/muscle-fasciculation
    """
    failures = count = 0
    for place in _folders(folder):
        page = load_pack(place)
        for vignette in load_vignettes(place):
            count += 1
            differences = run_vignette(page, vignette)
            failures += bool(differences)
            click.echo(f"{'FAILED' if differences else 'ok    '} {page.name} {vignette.name}")
            for difference in differences:
                click.echo(f"         {difference}")
    click.echo(f"{count} vignettes, {failures} failed.")
    if failures:
        raise click.exceptions.Exit(EXIT_FAULT)


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


def _folders(folder: Path | None) -> Iterator[Path]:
    """The folders of single pages; the gate refuses a root that holds none."""
    for root in page_folders(read_settings()) if folder is None else (folder,):
        if (root / QUESTIONNAIRE_FILE).is_file():
            yield root
        else:
            yield from (root / page.name for page in load_packs(root))


def _contents(page: Pack) -> str:
    questions = sum(item.is_question for item in page.questionnaire.by_link_id.values())
    return f"{questions} questions, {len(page.plan.rules)} rules, {len(page.artifacts)} resources."
