"""The running parts of one process, and how they are wired together."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from random import SystemRandom
from secrets import token_urlsafe
from time import monotonic
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from service.adapters.cds_clients import SignedCdsClients
from service.adapters.database import Database
from service.adapters.fhir_server import RequestsFhirServer
from service.adapters.paper import pdf_maker
from service.adapters.published_keys import PublishedKeys
from service.adapters.secrets import FernetBox
from service.adapters.signing_keys import SigningKeys
from service.adapters.smart_client import SmartClient
from service.bootstrap.pages import population_by, published_packs
from service.bootstrap.servers import (
    CALL_SECONDS,
    FixedToken,
    authorization_server,
    backend_server,
    call_timeouts,
    fhir_server,
    listed_ehrs,
    timeouts,
    token_check,
    webhook,
)
from service.bootstrap.storage import opened_database, secret_keys
from service.bootstrap.world import random_id, utc_now
from service.config import DEFAULT_RATE, PREFIX, Auth, ConfigurationInvalid, Settings, is_loopback, signing_key
from service.packs import Pack
from service.records.clinical_data import ServerData
from service.records.delivery import Delivery
from service.records.drafts import Drafts
from service.records.ehr import ClientAuthentication, Ehr, WriteBack
from service.records.evaluation import Evaluation
from service.records.guidance import Guidance
from service.records.launches import Launches
from service.records.library import Library
from service.records.notice import Notifier
from service.records.outbox import WEBHOOK, Letter
from service.records.population import Population
from service.records.ports import Clock, FhirServer, NewId
from service.records.smart import WRITTEN_TYPES
from service.records.submission import Intake
from service.records.worker import Worker
from service.web.helplines import COUNTRIES, Helplines, helplines
from service.web.metrics import Metrics
from service.web.site import Site

DISTRIBUTION = "symptom-intake"


@dataclass(frozen=True, slots=True)
class Services:
    """The running parts of one process."""

    settings: Settings
    library: Library
    store: Database
    intake: Intake
    evaluation: Evaluation
    population: Population
    launches: Launches
    keys: SigningKeys
    clock: Clock
    new_id: NewId
    metrics: Metrics

    @property
    def targets(self) -> tuple[str, ...]:
        """Whereto letters go: the base URLs of the FHIR server that is set and of the EHRs, and the webhook."""
        told = [] if self.settings.webhook_url is None else [WEBHOOK]
        return (*self.fhir_servers, *told)

    @property
    def fhir_servers(self) -> tuple[str, ...]:
        """The base URLs of the FHIR servers that answers are delivered to: the one that is set, and the EHRs."""
        url = self.settings.fhir_server_url
        return (*([] if url is None else [url]), *self.launches.ehrs)

    def worker(self, target: str) -> Worker:
        """A new worker for one of `targets`, for one thread."""
        return self._notifier() if target == WEBHOOK else self.delivery(target)

    def _notifier(self) -> Notifier:
        settings = self.settings
        address, secret = settings.webhook_url, settings.webhook_secret
        assert address is not None, "there is a worker for what is set alone"
        assert secret is not None, "the two go together"
        public = settings.public_url
        return Notifier(
            self.store,
            webhook(settings, address.get_secret_value()),
            signing_key(secret),
            lambda response_id: None if public is None else f"{public}/responses/{response_id}/summary",
            self.clock,
            SystemRandom().random,
            self._owner(),
            lease=self._lease,
            at_most=settings.delivery_concurrency,
        )

    def _owner(self) -> str:
        return f"{socket.gethostname()}:{os.getpid()}:{self.new_id()}"

    @property
    def _lease(self) -> timedelta:
        return timedelta(seconds=self.settings.delivery_lease_seconds)

    def delivery(self, target: str) -> Delivery:
        """A new worker for one of `fhir_servers`, for one thread."""
        ehr = self.launches.ehrs.get(target)
        servers = None
        if ehr is None:
            server = fhir_server(self.settings, target)
        elif ehr.write_back is WriteBack.BACKEND:
            server = backend_server(self.settings, ehr, self.launches, WRITTEN_TYPES)
        else:
            server = RequestsFhirServer(target, timeouts=timeouts(self.settings))
            servers = self._granted_server
        return Delivery(
            self.store,
            server,
            self.clock,
            SystemRandom().random,
            self._owner(),
            lease=self._lease,
            at_most=self.settings.delivery_concurrency,
            servers=servers,
        )

    def _granted_server(self, letter: Letter) -> RequestsFhirServer | None:
        launch = self.store.launch(letter.response_id)
        if launch is None or self.launches.token(launch.issuer, launch.patient) is None:
            return None
        return self._ehr_server(launch.issuer, launch.patient)

    def _ehr_server(self, issuer: str, patient: str) -> RequestsFhirServer:
        """An EHR with the right that a launch gave for one patient."""
        return RequestsFhirServer(issuer, partial(self.launches.token, issuer, patient), timeouts(self.settings))

    def _ehr_reader(self, issuer: str, patient: str) -> AbstractContextManager[FhirServer]:
        return closing(self._ehr_server(issuer, patient))

    @contextmanager
    def _chart(self, issuer: str, token: str) -> Iterator[ServerData]:
        """An EHR with a token that came with a call of CDS Hooks, and that ends with it."""
        with closing(RequestsFhirServer(issuer, FixedToken(token), call_timeouts(self.settings))) as server:
            yield ServerData(server, monotonic, CALL_SECONDS)

    def _guidance(self) -> Guidance:
        return Guidance(
            packs=self.library.published,
            store=self.store,
            hook_store=self.store,
            evaluation=self.evaluation,
            ehrs=self.launches.ehrs,
            fhir_server_url=self.settings.fhir_server_url,
            open_chart=self._chart,
            clock=self.clock,
            new_id=self.new_id,
        )

    def _cds_clients(self) -> SignedCdsClients:
        ehrs = self.launches.ehrs
        is_named = any(ehr.cds_issuer is not None for ehr in ehrs.values())
        return SignedCdsClients(
            ehrs=ehrs,
            keys=PublishedKeys(self.clock, call_timeouts(self.settings).answer_seconds),
            keep_token_id=self.store.keep_token_id,
            clock=self.clock,
            # Where the API asks for credentials, so does this; the only ones it knows are those of listed EHRs.
            is_required=is_named or self.settings.auth is not Auth.OPEN,
        )

    def _drafts(self) -> Drafts:
        return Drafts(
            self.intake,
            self.store,
            self.population,
            self.clock,
            launch_of=self.store.launch,
            open_ehr=lambda launch: self._ehr_reader(launch.issuer, launch.patient),
        )

    def site(
        self, worker_alive: Callable[[], bool | None] = lambda: None, is_stopping: Callable[[], bool] = lambda: False
    ) -> Site:
        """What the web application needs; `worker_alive` tells of this process's delivery worker."""
        settings = self.settings
        server = authorization_server(settings, self.clock)
        return Site(
            packs=self.library.published,
            store=self.store,
            intake=self.intake,
            evaluation=self.evaluation,
            population=self.population,
            drafts=self._drafts(),
            launches=self.launches,
            launch_store=self.store,
            visit_store=self.store,
            guidance=self._guidance(),
            cds_clients=self._cds_clients(),
            hook_store=self.store,
            invitation_of=self.store.invitation,
            public_keys=self.keys.public,
            ehr_reader=self._ehr_reader,
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
            frame_origins=tuple(sorted({one for ehr in self.launches.ehrs.values() for one in ehr.frame_origins})),
            targets=frozenset(self.targets),
            token_check=None if server is None else token_check(settings, server),
            authorization_metadata=None if server is None else server.metadata,
            rate_limit=settings.rate_limit or (None if server is None else DEFAULT_RATE),
            make_pdf=pdf_maker(),
            worker_alive=worker_alive,
            is_stopping=is_stopping,
            metrics=self.metrics,
        )


def start(
    settings: Settings, clock: Clock = utc_now, new_id: NewId = random_id, packs: tuple[Pack, ...] | None = None
) -> Services:
    """The parts that `settings` describe, the database open; `packs` where the pages are loaded already.

    Raises ConfigurationInvalid for settings that cannot be used, PackInvalid for pages that cannot.
    """
    published = published_packs(settings) if packs is None else packs
    store = opened_database(settings)
    library = Library.of(published, store.remembered_packs())
    metrics = Metrics()
    box = FernetBox(lambda: secret_keys(settings))
    keys = SigningKeys(store, box, clock)
    ehrs = listed_ehrs(settings)
    if ehrs or settings.secret_key is not None:
        # What is wrong with them is told now, and not to the first patient who comes from an EHR.
        secret_keys(settings)
    if any(_needs_keys(ehr) for ehr in ehrs.values()) and not store.signing_keys():
        keys.rotate()
    return Services(
        settings=settings,
        library=library,
        store=store,
        intake=Intake(
            pages=library,
            store=store,
            clock=clock,
            new_id=new_id,
            target_base_url=settings.fhir_server_url,
            tells_urgent=settings.webhook_url is not None,
            on_accepted=metrics.count_acceptance,
        ),
        evaluation=Evaluation(library, clock, new_id),
        population=population_by(settings, library, clock),
        launches=Launches(
            ehrs=ehrs,
            store=store,
            box=box,
            server=lambda ehr: SmartClient(ehr, keys, clock, new_id, timeouts(settings)),
            pages=library,
            published=library.published,
            clock=clock,
            new_id=new_id,
            new_secret=token_urlsafe,
        ),
        keys=keys,
        clock=clock,
        new_id=new_id,
        metrics=metrics,
    )


@contextmanager
def any_fhir_server(settings: Settings, url: str) -> Iterator[RequestsFhirServer]:
    """The FHIR server at `url`, with whatever right this service has there: the token that is set, its own as a client
    of an EHR that is listed, or none.

    Raises ConfigurationInvalid for an EHR that gave this service no right of its own, ValueError for no address.
    """
    base = url.rstrip("/")
    if base not in listed_ehrs(settings):
        known = (
            settings if settings.fhir_server_url == base else settings.model_copy(update={"fhir_server_token": None})
        )
        with closing(fhir_server(known, url)) as server:
            yield server
        return
    services = start(settings)
    try:
        ehr = services.launches.ehrs[base]
        if ehr.write_back is not WriteBack.BACKEND and ehr.backend_client_id is None:
            raise ConfigurationInvalid(
                f"{PREFIX}EHRS: {base} lets this service in by launches alone, which need a person; "
                "give it a backend_client_id to examine it"
            )
        with closing(backend_server(settings, ehr, services.launches, ["*"])) as server:
            yield server
    finally:
        services.store.close()


def _needs_keys(ehr: Ehr) -> bool:
    return ehr.authentication is ClientAuthentication.PRIVATE_KEY or ehr.write_back is WriteBack.BACKEND


def _helplines(settings: Settings) -> Helplines:
    country = settings.country.upper() if settings.country is not None else None
    if country is not None and country not in COUNTRIES:
        raise ConfigurationInvalid(
            f"{PREFIX}COUNTRY: the numbers of {', '.join(COUNTRIES)} are at hand; for another country set "
            f"{PREFIX}EMERGENCY_NUMBER and {PREFIX}POISON_LINE instead"
        )
    return helplines(country, settings.emergency_number, settings.poison_line)


def _host_test(settings: Settings) -> Callable[[str], bool]:
    # Without credentials, a web page whose host name is made to point to this machine must not be answered.
    if settings.auth is not Auth.OPEN or settings.allow_open_on_network:
        return lambda host: True
    public = urlsplit(settings.public_url or "").hostname
    return lambda host: is_loopback(host) or host == public
