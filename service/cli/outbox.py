"""`outbox list`, `show`, `retry`, `discard`: what is on its way to FHIR servers, and what was given up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

from service.bootstrap import Services, start
from service.cli.console import EXIT_FAULT, fail, operator, print_json, read_settings, table
from service.fhir.primitives import instant
from service.records.audit import discard_event
from service.records.outbox import WEBHOOK, Letter, State, discarded, resumed, retried

# As databases number rows.
_ID = click.IntRange(1, 2**63 - 1)


@click.group()
def outbox() -> None:
    """Look at deliveries, and retry or discard those that were given up."""


@outbox.command("list")
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only deliveries in this state.")
@click.option("--limit", type=click.IntRange(1, 2**63 - 1), default=100, show_default=True, help="The most to list.")
def list_letters(state: str | None, limit: int) -> None:
    """List deliveries, oldest first.

    \b
    Example:
      symptom-intake outbox list --state dead
    """
    with _services() as services:
        letters = services.store.letters(None if state is None else State(state), limit)
        held = [target for target in services.store.targets() if target.held_until is not None]
        given_up = services.store.given_up()
        blocking = {(one.response_id, one.target): one.id for one in _all_dead(services)}
    header = ("ID", "STATE", "ATTEMPTS", "RESPONSE", "ACCEPTED", "PROBLEM")
    rows = (_row(letter, blocking.get((letter.response_id, letter.target))) for letter in letters)
    click.echo(table(header, rows) if letters else "No deliveries.")
    for one in given_up:
        told = f"{one.count} given up ({one.reason.value}), the oldest accepted {instant(one.oldest)}."
        click.echo(f"{one.target}: {told}")
    for target in held:
        reason = f" {target.problem.text}" if target.problem else ""
        click.echo(f"{target.name} is held until {instant(target.held_until or services.clock())}.{reason}")


@outbox.command()
@click.argument("letter_id", metavar="ID", type=_ID)
def show(letter_id: int) -> None:
    """Show one delivery as JSON, with the server's OperationOutcome and where its resources stand.

    \b
    Example:
      symptom-intake outbox show 7
    """
    with _services() as services:
        letter = _letter(services, letter_id)
        placements = services.store.placements(letter.target, letter.response_id)
    problem = letter.problem
    print_json(
        {
            "id": letter.id,
            "state": letter.state.value,
            "response": f"QuestionnaireResponse/{letter.response_id}",
            "version": letter.version,
            "target": letter.target,
            "attempts": letter.attempts,
            "accepted": instant(letter.created_at),
            "changed": instant(letter.changed_at),
            "due": instant(letter.due_at),
            "problem": problem and {"reason": problem.reason.value, "text": problem.text, "status": problem.status},
            "outcome": problem and problem.outcome,
            "discarded": letter.note,
            "locations": [placement.location for placement in placements],
        }
    )


@outbox.command()
@click.argument("letter_ids", metavar="[ID]...", type=_ID, nargs=-1)
@click.option("--all", "all_dead", is_flag=True, help="Every delivery that was given up.")
def retry(letter_ids: tuple[int, ...], all_dead: bool) -> None:
    """Make deliveries due again, with all their attempts, and stop holding their servers.

    \b
    Examples:
      symptom-intake outbox retry 7
      symptom-intake outbox retry --all
    """
    if bool(letter_ids) == all_dead:
        raise click.UsageError("Name deliveries by their ids, or use --all.")
    with _services() as services:
        letters = list(_all_dead(services)) if all_dead else _named(services, letter_ids)
        for letter in letters:
            _retry(services, letter)
    click.echo(f"Deliveries that are due again: {len(letters)}.")


@outbox.command()
@click.argument("letter_ids", metavar="ID...", type=_ID, nargs=-1, required=True)
@click.option("--reason", required=True, help="Why; it is kept with the delivery and in an AuditEvent.")
def discard(letter_ids: tuple[int, ...], reason: str) -> None:
    """Give deliveries up for good: they are not sent, and stay listed with the reason.

    A later version of the same response brings what still stands of them.

    \b
    Example:
      symptom-intake outbox discard 7 --reason "The patient moved; sent by post on 3 May"
    """
    if not reason.strip():
        raise click.UsageError("Give a reason that says something.")
    with _services() as services:
        letters = _named(services, letter_ids)
        for letter in letters:
            _discard(services, letter, reason.strip())
    click.echo(f"Discarded deliveries: {len(letters)}.")


def _discard(services: Services, letter: Letter, reason: str) -> None:
    if letter.state not in (State.DEAD, State.PENDING):
        fail(f"Delivery {letter.id} is {letter.state.value}; only dead and pending ones can be discarded.")
    now = services.clock()
    after = discarded(letter, reason, now)
    response = services.store.read("QuestionnaireResponse", letter.response_id)
    patient = None if response is None else response.get("subject")
    event = discard_event(after, patient, operator(), now, services.new_id())
    if not services.store.change(letter, after, audit=[event]):
        fail(f"Delivery {letter.id} changed meanwhile. Look at it again.")


def _all_dead(services: Services) -> Iterator[Letter]:
    backlog = services.store.backlog()
    dead = sum(entry.count for entry in backlog if entry.state is State.DEAD)
    return iter(services.store.letters(State.DEAD, dead)) if dead else iter(())


def _retry(services: Services, letter: Letter) -> None:
    if letter.state not in (State.DEAD, State.PENDING):
        fail(f"Delivery {letter.id} is {letter.state.value}; only dead and pending ones can be retried.")
    target = resumed(services.store.target(letter.target))
    if not services.store.change(letter, retried(letter, services.clock()), target=target):
        fail(f"Delivery {letter.id} changed meanwhile. Look at it again.")


def _named(services: Services, letter_ids: Iterable[int]) -> list[Letter]:
    return [_letter(services, one) for one in dict.fromkeys(letter_ids)]


def _letter(services: Services, letter_id: int) -> Letter:
    letter = services.store.letter(letter_id)
    if letter is None:
        click.echo(f"Error: There is no delivery {letter_id}. 'symptom-intake outbox list' shows them.", err=True)
        raise click.exceptions.Exit(EXIT_FAULT)
    return letter


def _row(letter: Letter, blocking: int | None) -> tuple[str, ...]:
    problem = letter.problem
    why = "" if problem is None else problem.reason.value + (f" ({problem.status})" if problem.status else "")
    if letter.state is State.PENDING and blocking is not None and blocking < letter.id:
        why = f"waits for {blocking}"
    if letter.target == WEBHOOK:
        # Beside the delivery of the same response: whoever discards one must not take it for the other.
        why = f"notice: {why}" if why else "notice"
    accepted = instant(letter.created_at)
    return str(letter.id), letter.state.value, str(letter.attempts), letter.response_id, accepted, why


@contextmanager
def _services() -> Iterator[Services]:
    services = start(read_settings())
    try:
        yield services
    finally:
        services.store.close()
