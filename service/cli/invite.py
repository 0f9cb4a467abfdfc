"""`invite`: links that open the form for patients without an account."""

from __future__ import annotations

from datetime import timedelta
from secrets import token_urlsafe
from urllib.parse import parse_qs, urlsplit

import click

from service.bootstrap import Services, start
from service.cli.console import fail, read_settings
from service.records.drafts import draft_id
from service.records.invitations import Invitation
from service.records.references import subject_issues


@click.command()
@click.option("--patient", metavar="REFERENCE", help="Whose record the answers are for, such as Patient/123.")
@click.option("--page", metavar="NAME", help="The page to ask; may be left out where there is one.")
@click.option("--days", type=click.IntRange(1, 366), default=14, show_default=True, help="How long it can be begun.")
@click.option("--revoke", "link", metavar="LINK", help="Take an invitation back; give the link that was printed.")
def invite(patient: str | None, page: str | None, days: int, link: str | None) -> None:
    """Print a link that opens one form for one patient, or take it back.

    Whoever has the link can answer in the patient's name and see the result, so send it to the patient alone. It
    carries no health data.

    \b
    Examples:
      symptom-intake invite --patient Patient/123 --page muscle-fasciculation --days 3
      symptom-intake invite --revoke 'https://intake.example.org/forms/…?key=…'
    """
    if (patient is None) == (link is None):
        raise click.UsageError("Give --patient for a new link, or --revoke for one to take back.")
    services = start(read_settings())
    try:
        if link is not None:
            _revoke(services, link)
        else:
            click.echo(_invite(services, patient or "", page, days))
    finally:
        services.store.close()


def _invite(services: Services, patient: str, page: str | None, days: int) -> str:
    reference = patient if "/" in patient else f"Patient/{patient}"
    issues = subject_issues({"subject": {"reference": reference}})
    if issues:
        raise click.BadParameter(issues[0].text, param_hint="--patient")
    name = _page(services, page)
    key = token_urlsafe()
    now = services.clock()
    invitation = Invitation(draft_id(key), name, reference, now, now + timedelta(days=days))
    services.store.keep_invitation(invitation)
    base = services.settings.public_url
    if base is None:
        click.echo("SYMPTOM_INTAKE_PUBLIC_URL is not set; the link leads to this machine.", err=True)
    return f"{base or 'http://localhost:8000'}/forms/{name}/{invitation.response_id}?key={key}"


def _page(services: Services, page: str | None) -> str:
    names = [pack.name for pack in services.library.published]
    if page is None and len(names) == 1:
        return names[0]
    if page not in names:
        raise click.BadParameter(f"name one of {', '.join(names)}", param_hint="--page")
    return page


def _revoke(services: Services, link: str) -> None:
    keys = parse_qs(urlsplit(link).query).get("key", [])
    if len(keys) != 1 or not services.store.revoke_invitation(draft_id(keys[0]), services.clock()):
        fail("No invitation stands that this link belongs to.")
    click.echo("The link opens nothing any more.")
