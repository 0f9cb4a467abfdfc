"""`pack check`, `pack test` and `pack new`: what is wrong with pages, their vignettes, and a page to begin with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from service.adapters.git import folder_at
from service.cli.console import EXIT_FAULT, issue_lines, print_outcome
from service.cli.folders import FOLDER, chosen_pages
from service.cli.proving import prove_command
from service.errors import Issue
from service.packs import Pack, PackInvalid, load_pack
from service.packs.beginning import begin_page
from service.packs.loader import QUESTIONNAIRE_FILE, find_pages, review
from service.packs.vignettes import load_vignettes, run_vignette


@click.group()
def pack() -> None:
    """Make, check, prove and test pages: folders with a Questionnaire, red flags and cases."""


pack.add_command(prove_command)


@pack.command()
@click.argument("folder", type=FOLDER, required=False)
@click.option("--against", metavar="FOLDER|REVISION", help="The published copy: its versions keep their meaning.")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", help="How to print findings.")
def check(folder: Path | None, against: str | None, output: str) -> None:
    """Check the page in FOLDER, every page below it, or the published pages; say what is wrong, and how to mend it.

    \b
    Examples:
      symptom-intake pack check questionnaires/muscle-fasciculation
      symptom-intake pack check questionnaires/muscle-fasciculation --against v1.0.0
      symptom-intake pack check --format json
    """
    issues: list[Issue] = []
    for place in chosen_pages(folder):
        try:
            with _published(place, against) as published:
                found = review(place, published)
        except PackInvalid as refusal:
            found = list(refusal.issues)
        issues += found
        if output == "text":
            for line in issue_lines(found):
                click.echo(line, err=True)
            if not any(issue.is_error for issue in found):
                page = load_pack(place)
                click.echo(f"{page.name} {page.version}: usable. {_contents(page)}")
    if output == "json":
        print_outcome(issues)
    if any(issue.is_error for issue in issues):
        raise click.exceptions.Exit(EXIT_FAULT)


@pack.command()
@click.argument("folder", type=FOLDER, required=False)
def test(folder: Path | None) -> None:
    """Run the vignettes of the page in FOLDER, of every page below it, or of the published pages.

    \b
    Example:
      symptom-intake pack test questionnaires/muscle-fasciculation
    """
    failures = count = 0
    for place in chosen_pages(folder):
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


@pack.command()
@click.argument("name")
@click.option("--in", "folder", type=FOLDER, default=Path(), help="Where to make the folder; by default here.")
def new(name: str, folder: Path) -> None:
    """Make the folder of a new page called NAME: a small page that passes every check, to be changed.

    \b
    Example:
      symptom-intake pack new sore-throat --in questionnaires
    """
    page = begin_page(folder, name)
    click.echo(f"{page}: a page to begin with. Change it, and see with pack check, pack test and pack prove.")


@contextmanager
def _published(folder: Path, against: str | None) -> Iterator[Pack | None]:
    """The copy of the page that is in use: in a folder (of it, or of all pages), or at a git revision; if any."""
    if against is None:
        yield None
    elif (root := Path(against)).is_dir():
        find_pages(root)
        copy = root if (root / QUESTIONNAIRE_FILE).is_file() else root / folder.resolve().name
        yield load_pack(copy) if copy.is_dir() else None
    else:
        with folder_at(folder, against) as copy_at:
            yield None if copy_at is None else load_pack(copy_at)


def _contents(page: Pack) -> str:
    questions = sum(item.is_question for item in page.questionnaire.by_link_id.values())
    return f"{questions} questions, {len(page.plan.rules)} rules, {len(page.artifacts)} resources."
