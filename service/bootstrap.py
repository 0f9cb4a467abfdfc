"""Where the parts are wired together; nowhere else."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from random import SystemRandom
from secrets import token_urlsafe
from time import monotonic
from urllib.parse import urlsplit
from uuid import uuid4
from zoneinfo import ZoneInfo

from service.adapters.database import NewerSchema, open_database
from service.adapters.fhir_server import RequestsFhirServer, Timeouts
from service.config import PREFIX, Auth, ConfigurationInvalid, Settings, is_loopback
from service.errors import Unavailable
from service.packs import Pack, load_pack, load_packs, shipped_pages
from service.records.delivery import Delivery
from service.records.drafts import Drafts
from service.records.evaluation import Evaluation
from service.records.library import Library
from service.records.population import OpenServer, Population
from service.records.ports import Clock, NewId, Pages, Store
from service.records.submission import Intake
from service.web.helplines import COUNTRIES, Helplines, helplines
from service.web.site import Site

DISTRIBUTION = "symptom-intake"


@dataclass(frozen=True, slots=True)
class Services:
    """The running parts of one process."""

    settings: Settings
    library: Library
    store: Store
    intake: Intake
    evaluation: Evaluation
    population: Population
    clock: Clock
    new_id: NewId

    def delivery(self) -> Delivery | None:
        """A new delivery worker, for one thread; None when no FHIR server is configured."""
        url = self.settings.fhir_server_url
        if url is None:
            return None
        owner = f"{socket.gethostname()}:{os.getpid()}:{self.new_id()}"
        lease = timedelta(seconds=self.settings.delivery_lease_seconds)
        server = fhir_server(self.settings, url)
        return Delivery(self.store, server, self.clock, SystemRandom().random, owner, lease=lease)

    def site(self, worker_alive: Callable[[], bool | None] = lambda: None) -> Site:
        """What the web application needs; `worker_alive` tells of this process's delivery worker."""
        settings = self.settings
        return Site(
            packs=self.library.published,
            store=self.store,
            intake=self.intake,
            evaluation=self.evaluation,
            population=self.population,
            drafts=Drafts(self.intake, self.store, self.population, self.clock),
            clock=self.clock,
            new_id=self.new_id,
            new_key=token_urlsafe,
            version=version(DISTRIBUTION),
            started_at=self.clock(),
            public_url=settings.public_url,
            fhir_server_url=settings.fhir_server_url,
            trusts_host=_host_test(settings),
            cors_origins=settings.cors_origins,
            max_body_bytes=settings.max_body_bytes,
            helplines=_helplines(settings),
            zone=ZoneInfo(settings.time_zone),
            draft_lifetime=timedelta(days=settings.draft_days),
            worker_alive=worker_alive,
        )


def utc_now() -> datetime:
    """The time now, aware, in UTC."""
    return datetime.now(UTC)


def random_id() -> str:
    """A new random UUID as text."""
    return str(uuid4())


def start(
    settings: Settings, clock: Clock = utc_now, new_id: NewId = random_id, packs: tuple[Pack, ...] | None = None
) -> Services:
    """The parts that `settings` describe, the database open; `packs` where the pages are loaded already.

    Raises ConfigurationInvalid for settings that cannot be used, PackInvalid for pages that cannot.
    """
    published = published_packs(settings) if packs is None else packs
    store = _open(settings)
    library = Library.of(published, store.remembered_packs())
    return Services(
        settings=settings,
        library=library,
        store=store,
        intake=Intake(library, store, clock, new_id, settings.fhir_server_url),
        evaluation=Evaluation(library, clock, new_id),
        population=_population(settings, library, clock),
        clock=clock,
        new_id=new_id,
    )


def published_packs(settings: Settings) -> tuple[Pack, ...]:
    """The pages of the folders that are set, or those that are shipped.

    Raises PackInvalid, and ConfigurationInvalid when two folders hold pages of the same name.
    """
    packs = [pack for folder in page_folders(settings) for pack in load_packs(folder)]
    names = [pack.name for pack in packs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationInvalid(f"{PREFIX}PACKS: two folders hold a page named {twice[0]}; name each page once")
    return tuple(packs)


def page_folders(settings: Settings) -> tuple[Path, ...]:
    """The folders of pages that are set, or the one that is shipped."""
    return settings.packs or (shipped_pages(),)


def evaluation(settings: Settings) -> Evaluation:
    """Judges responses by the published pages, without a database. Raises as `published_packs`."""
    return Evaluation(Library(published_packs(settings), ()), utc_now, random_id)


def page_evaluation(folder: Path) -> Evaluation:
    """Judges responses by the one page in `folder`, whatever canonical they name. Raises PackInvalid."""
    return Evaluation(_OnePage(load_pack(folder)), utc_now, random_id)


def population(settings: Settings) -> Population:
    """Populates responses to the published pages, without a database. Raises as `published_packs`."""
    return _population(settings, Library(published_packs(settings), ()), utc_now)


def _population(settings: Settings, pages: Pages, clock: Clock) -> Population:
    url = settings.fhir_server_url
    open_server: OpenServer | None = None if url is None else lambda: closing(fhir_server(settings, url))
    return Population(pages, clock, open_server, monotonic)


@dataclass(frozen=True, slots=True)
class _OnePage:
    pack: Pack

    def resolve(self, canonical: str) -> Pack | None:
        return self.pack


def fhir_server(settings: Settings, url: str) -> RequestsFhirServer:
    """The FHIR server at `url`, with the token and timeouts of `settings`."""
    seconds = settings.fhir_server_timeout_seconds
    token = settings.fhir_server_token
    timeouts = Timeouts(connect_seconds=min(5.0, seconds), read_seconds=seconds, answer_seconds=seconds)
    return RequestsFhirServer(url, None if token is None else _Fixed(token.get_secret_value()), timeouts)


class _Fixed:
    """A token that the operator set; there is no other when it is refused."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, refused: str | None = None) -> str | None:
        return self._token if refused is None else None


def _helplines(settings: Settings) -> Helplines:
    country = settings.country.upper() if settings.country is not None else None
    if country is not None and country not in COUNTRIES:
        raise ConfigurationInvalid(
            f"{PREFIX}COUNTRY: the numbers of {', '.join(COUNTRIES)} are at hand; for another country set "
            f"{PREFIX}EMERGENCY_NUMBER and {PREFIX}POISON_LINE instead"
        )
    return helplines(country, settings.emergency_number, settings.poison_line)


def _open(settings: Settings) -> Store:
    try:
        return open_database(settings.database_url)
    except (ValueError, NewerSchema, Unavailable, OSError) as fault:
        raise ConfigurationInvalid(f"{PREFIX}DATABASE_URL: {fault}") from fault


def _host_test(settings: Settings) -> Callable[[str], bool]:
    # Without credentials, a web page whose host name is made to point to this machine must not be answered.
    if settings.auth is not Auth.OPEN or settings.allow_open_on_network:
        return lambda host: True
    public = urlsplit(settings.public_url or "").hostname
    return lambda host: is_loopback(host) or host == public
