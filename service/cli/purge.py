"""`purge`: responses that were kept long enough, removed for good."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from typing import Final

import click

from service.bootstrap import Services, start
from service.cli.console import operator, read_settings, table
from service.fhir.json import Json
from service.fhir.primitives import instant
from service.records.audit import purge_event
from service.records.retention import Aged, Cutoff, Standing

_BATCH: Final = 20
# So that whoever else writes comes in between.
_PAUSE_SECONDS: Final = 0.05
_DRAFTS: Final = frozenset({Standing.DRAFT, Standing.URGENT_DRAFT, Standing.UNANSWERED})
_ASKED_FOR_BY: Final = {
    Standing.ONLY_COPY: "--only-copies",
    Standing.DRAFT: "--drafts",
    Standing.URGENT_DRAFT: "--drafts",
    Standing.UNANSWERED: "--drafts",
}


@click.command()
@click.option("--older-than", "days", metavar="DAYS", type=click.IntRange(1, 36_500), required=True, help="How old.")
@click.option("--drafts", is_flag=True, help="Also what was never sent, once nobody can go on with it.")
@click.option("--only-copies", is_flag=True, help="Also responses that no FHIR server has: they are nowhere else.")
@click.option("--yes", is_flag=True, help="Remove them. Without it nothing is changed.")
def purge(days: int, drafts: bool, only_copies: bool, yes: bool) -> None:
    """Say which responses are older than DAYS, by their newest version; with --yes, remove them for good.

    Removed is what a FHIR server has, with all that followed from it. What is still on its way, or was given up and
    waits for people, is never removed. That a response was here stays known, and who removed it, in an AuditEvent.

    \b
    Examples:
      symptom-intake purge --older-than 365
      symptom-intake purge --older-than 365 --drafts --yes
    """
    services = start(read_settings())
    with closing(services.store):
        now = services.clock()
        since_drafts = max(timedelta(days=days), timedelta(days=services.settings.draft_days))
        cutoff = Cutoff(now - timedelta(days=days), now - since_drafts)
        standings = frozenset({Standing.DELIVERED}) | (_DRAFTS if drafts else frozenset())
        standings |= frozenset({Standing.ONLY_COPY}) if only_copies else frozenset()
        aged = services.store.aged(cutoff)
        _tell(aged, standings, cutoff)
        count = sum(one.count for one in aged if one.standing in standings)
        if yes:
            _purge(services, cutoff, standings, count)
        elif count:
            click.echo(f"Nothing was changed. With --yes, {count} are removed for good.")


def _tell(aged: Sequence[Aged], standings: frozenset[Standing], cutoff: Cutoff) -> None:
    if not aged:
        click.echo(f"No response is from before {instant(cutoff.responses)}.")
        return
    header = ("STANDING", "RESPONSES", "OLDEST", "NEWEST", "")
    rows = (
        (
            one.standing.value,
            str(one.count),
            instant(one.oldest),
            instant(one.newest),
            "to be removed" if one.standing in standings else _why_kept(one.standing),
        )
        for one in aged
    )
    click.echo(table(header, rows))


def _why_kept(standing: Standing) -> str:
    option = _ASKED_FOR_BY.get(standing)
    return "kept: not delivered yet" if option is None else f"kept, unless you say {option}"


def _purge(services: Services, cutoff: Cutoff, standings: frozenset[Standing], count: int) -> None:
    who, now = operator(), services.clock()

    def tell(response: Json) -> Json:
        return purge_event(response, who, now, services.new_id())

    removed = 0
    last = ""
    while gone := services.store.purge(cutoff, standings, now, tell, at_most=_BATCH, after=last):
        removed += len(gone)
        last = gone[-1]
        click.echo(f"... {removed} of {count}", err=True)
        time.sleep(_PAUSE_SECONDS)
    if Standing.UNANSWERED in standings:
        removed += services.store.purge_unanswered(cutoff)
    click.echo(f"{removed} responses were removed.")
