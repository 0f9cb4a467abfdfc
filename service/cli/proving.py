"""`pack prove`: what holds of a page's rules for every input."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from service.cli.console import EXIT_FAULT
from service.cli.folders import FOLDER, chosen_pages
from service.packs.loader import load_page
from service.packs.page import Page
from service.packs.proof import Fate, Proof, prove, try_mutants


@click.command("prove")
@click.argument("folder", type=FOLDER, required=False)
@click.option("--mutants", is_flag=True, help="Also change rules and facts, one at a time: does anything notice?")
def prove_command(folder: Path | None, mutants: bool) -> None:
    """Prove the rules of the page in FOLDER, of every page below it, or of the published pages, for every input.

    What does not hold comes with a response that shows it.

    \b
    Examples:
      symptom-intake pack prove questionnaires/muscle-fasciculation
      symptom-intake pack prove questionnaires/muscle-fasciculation --mutants
    """
    is_fine = True
    for place in chosen_pages(folder):
        page = load_page(place)
        proof = prove(page, _progress)
        _tell(page, proof)
        is_fine &= proof.holds
        if mutants and proof.holds:
            is_fine &= _tell_mutants(page)
    if not is_fine:
        raise click.exceptions.Exit(EXIT_FAULT)


def _progress(what: str) -> None:
    click.echo(f"... {what}", err=True)


def _tell(page: Page, proof: Proof) -> None:
    click.echo(f"{page.pack.name} {page.pack.version}")
    for theorem in proof.theorems:
        click.echo(f"  {'holds ' if theorem.holds else 'FAILS '} {theorem.statement}")
        for one in theorem.counterexamples:
            click.echo(f"           {one}")
    if proof.idle:
        click.echo(f"  Never change the level: {', '.join(proof.idle)}")
    click.echo(
        f"  {proof.groups} groups of questions that do not hang together; {proof.cases} combinations of answers within "
        f"them, told apart by {proof.evaluated} evaluations of responses. Every one of the {proof.inputs:.1e} "
        f"combinations of these is covered, in {proof.visited} steps of search. {proof.compared} whole responses were "
        "judged by the engine, too."
    )


def _tell_mutants(page: Page) -> bool:
    """Tells what became of the mutants; True if none survived."""
    fates: Counter[Fate] = Counter()
    for trial in try_mutants(page, _progress):
        fates[trial.fate] += 1
        if trial.fate is Fate.SURVIVED:
            click.echo(f"  SURVIVED {trial.name}: {trial.note}")
    click.echo(f"  {fates.total()} mutants: {', '.join(f'{fates[fate]} {fate}' for fate in Fate)}.")
    return not fates[Fate.SURVIVED]
