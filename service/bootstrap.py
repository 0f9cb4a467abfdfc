"""Where the parts are wired together; nowhere else."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from random import SystemRandom
from secrets import token_urlsafe
from time import monotonic
from urllib.parse import urlsplit
from uuid import uuid4
from zoneinfo import ZoneInfo

from service.adapters.authorization_server import AuthorizationServer, IntrospectedTokens, SignedTokens
from service.adapters.cds_clients import SignedCdsClients
from service.adapters.database import Database, open_database
from service.adapters.exchange import Timeouts
from service.adapters.fhir_server import RequestsFhirServer
from service.adapters.paper import pdf_maker
from service.adapters.published_keys import PublishedKeys
from service.adapters.secrets import FernetBox, check_key, key_in_file, new_key
from service.adapters.signing_keys import SigningKeys
from service.adapters.smart_client import SmartClient
from service.config import DEFAULT_RATE, PREFIX, Auth, ConfigurationInvalid, Settings, is_loopback, read_ehrs
from service.packs import Pack, load_pack, load_packs, shipped_pages
from service.records.access import TokenCheck
from service.records.clinical_data import ServerData
from service.records.delivery import Delivery
from service.records.drafts import Drafts
from service.records.ehr import ClientAuthentication, Ehr, Ehrs, WriteBack
from service.records.evaluation import Evaluation
from service.records.guidance import Guidance
from service.records.launches import BackendTokens, Launches
from service.records.library import Library
from service.records.outbox import Letter
from service.records.population import OpenServer, Population
from service.records.ports import Clock, FhirServer, NewId, Pages
from service.records.smart import WRITTEN_TYPES
from service.records.submission import Intake
from service.web.helplines import COUNTRIES, Helplines, helplines
from service.web.metrics import Metrics
from service.web.site import Site

DISTRIBUTION = "symptom-intake"

# A clinician waits for what is done within a call of CDS Hooks: then rather no card than a late one.
_CALL_SECONDS = 2.0


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
        """The base URLs of the FHIR servers that answers are delivered to: the one that is set, and the EHRs."""
        url = self.settings.fhir_server_url
        return (*([] if url is None else [url]), *self.launches.ehrs)

    def delivery(self, target: str) -> Delivery:
        """A new delivery worker for one of `targets`, for one thread."""
        owner = f"{socket.gethostname()}:{os.getpid()}:{self.new_id()}"
        lease = timedelta(seconds=self.settings.delivery_lease_seconds)
        ehr = self.launches.ehrs.get(target)
        servers = None
        if ehr is None:
            server = fhir_server(self.settings, target)
        elif ehr.write_back is WriteBack.BACKEND:
            server = backend_server(self.settings, ehr, self.launches, WRITTEN_TYPES)
        else:
            server = RequestsFhirServer(target, timeouts=_timeouts(self.settings))
            servers = self._granted_server
        return Delivery(
            self.store,
            server,
            self.clock,
            SystemRandom().random,
            owner,
            lease=lease,
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
        return RequestsFhirServer(issuer, partial(self.launches.token, issuer, patient), _timeouts(self.settings))

    def _ehr_reader(self, issuer: str, patient: str) -> AbstractContextManager[FhirServer]:
        return closing(self._ehr_server(issuer, patient))

    @contextmanager
    def _chart(self, issuer: str, token: str) -> Iterator[ServerData]:
        """An EHR with a token that came with a call of CDS Hooks, and that ends with it."""
        with closing(RequestsFhirServer(issuer, _Fixed(token), _call_timeouts(self.settings))) as server:
            yield ServerData(server, monotonic, _CALL_SECONDS)

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
            keys=PublishedKeys(self.clock, _call_timeouts(self.settings).answer_seconds),
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
        server = _authorization_server(settings, self.clock)
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
            token_check=None if server is None else _token_check(settings, server),
            authorization_metadata=None if server is None else server.metadata,
            rate_limit=settings.rate_limit or (None if server is None else DEFAULT_RATE),
            make_pdf=pdf_maker(),
            worker_alive=worker_alive,
            is_stopping=is_stopping,
            metrics=self.metrics,
        )


def utc_now() -> datetime:
    """The time now, aware, in UTC."""
    return datetime.now(UTC)


def new_secret_key() -> str:
    """A new key for the setting SECRET_KEY."""
    return new_key()


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
    metrics = Metrics()
    box = FernetBox(lambda: _secret_keys(settings))
    keys = SigningKeys(store, box, clock)
    ehrs = _ehrs(settings)
    if ehrs or settings.secret_key is not None:
        # What is wrong with them is told now, and not to the first patient who comes from an EHR.
        _secret_keys(settings)
    if any(_needs_keys(ehr) for ehr in ehrs.values()) and not store.signing_keys():
        keys.rotate()
    return Services(
        settings=settings,
        library=library,
        store=store,
        intake=Intake(library, store, clock, new_id, settings.fhir_server_url, metrics.count_acceptance),
        evaluation=Evaluation(library, clock, new_id),
        population=_population(settings, library, clock),
        launches=Launches(
            ehrs=ehrs,
            store=store,
            box=box,
            server=lambda ehr: SmartClient(ehr, keys, clock, new_id, _timeouts(settings)),
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


def upgrade_database(settings: Settings) -> Database:
    """The database, open, with the schema of this release, whatever it had. Raises ConfigurationInvalid."""
    return _open(settings, upgrade=True)


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


@contextmanager
def any_fhir_server(settings: Settings, url: str) -> Iterator[RequestsFhirServer]:
    """The FHIR server at `url`, with whatever right this service has there: the token that is set, its own as a client
    of an EHR that is listed, or none.

    Raises ConfigurationInvalid for an EHR that gave this service no right of its own, ValueError for no address.
    """
    base = url.rstrip("/")
    if base not in _ehrs(settings):
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


@dataclass(frozen=True, slots=True)
class _OnePage:
    pack: Pack

    def resolve(self, canonical: str) -> Pack | None:
        return self.pack


def fhir_server(settings: Settings, url: str) -> RequestsFhirServer:
    """The FHIR server at `url`, with the token and timeouts of `settings`."""
    token = settings.fhir_server_token
    tokens = None if token is None else _Fixed(token.get_secret_value())
    return RequestsFhirServer(url, tokens, _timeouts(settings))


def backend_server(settings: Settings, ehr: Ehr, launches: Launches, types: Sequence[str]) -> RequestsFhirServer:
    """An EHR with this service's own right (SMART Backend Services) to create, read, update and search `types`."""
    scopes = tuple(f"system/{one}.cruds" if one == "*" else f"system/{one}.crus" for one in types)
    return RequestsFhirServer(
        ehr.issuer, BackendTokens(launches.server(ehr), scopes, launches.clock), _timeouts(settings)
    )


def _timeouts(settings: Settings) -> Timeouts:
    seconds = settings.fhir_server_timeout_seconds
    return Timeouts(connect_seconds=min(5.0, seconds), read_seconds=seconds, answer_seconds=seconds)


def _call_timeouts(settings: Settings) -> Timeouts:
    seconds = min(_CALL_SECONDS, settings.fhir_server_timeout_seconds)
    return Timeouts(connect_seconds=seconds, read_seconds=seconds, answer_seconds=seconds)


def _ehrs(settings: Settings) -> Ehrs:
    ehrs = {} if settings.ehrs is None else read_ehrs(settings.ehrs)
    if settings.fhir_server_url in ehrs:
        raise ConfigurationInvalid(
            f"{PREFIX}EHRS: {settings.fhir_server_url} is set as {PREFIX}FHIR_SERVER_URL too; it can be one of them"
        )
    return ehrs


def _needs_keys(ehr: Ehr) -> bool:
    return ehr.authentication is ClientAuthentication.PRIVATE_KEY or ehr.write_back is WriteBack.BACKEND


def _secret_keys(settings: Settings) -> list[str]:
    if settings.secret_key is not None:
        keys = [key.strip() for key in settings.secret_key.get_secret_value().split(",") if key.strip()]
        try:
            for key in keys:
                check_key(key)
        except ValueError as fault:
            text = f"{PREFIX}SECRET_KEY: a key is 32 bytes in URL-safe base64, as 'symptom-intake keys new' prints"
            raise ConfigurationInvalid(text) from fault
        return keys
    if settings.database_file is None:
        raise ConfigurationInvalid(
            f"{PREFIX}SECRET_KEY: with PostgreSQL set a key, the same for every process; 'symptom-intake keys new' "
            "prints one"
        )
    return [key_in_file(Path(f"{settings.database_file}.key"))]


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


def _open(settings: Settings, *, upgrade: bool = False) -> Database:
    try:
        return open_database(settings.database_url, upgrade=upgrade)
    except OSError as fault:
        raise ConfigurationInvalid(
            f"{PREFIX}DATABASE_URL: {fault.filename}: {fault.strerror}; name a place where this service may make files"
        ) from fault
    except ValueError as fault:
        raise ConfigurationInvalid(f"{PREFIX}DATABASE_URL: {fault}") from fault


def _authorization_server(settings: Settings, clock: Clock) -> AuthorizationServer | None:
    """The server whose access tokens open the API; None where none is needed."""
    if settings.auth is Auth.OPEN or settings.auth_issuer is None:
        return None
    return AuthorizationServer(settings.auth_issuer, clock, settings.fhir_server_timeout_seconds)


def _token_check(settings: Settings, server: AuthorizationServer) -> TokenCheck:
    audience = settings.auth_audience or f"{settings.public_url}/fhir"
    if settings.auth_client_id is not None and settings.auth_client_secret is not None:
        secret = settings.auth_client_secret.get_secret_value()
        return IntrospectedTokens(server, settings.auth_client_id, secret, audience)
    return SignedTokens(server, PublishedKeys(server.clock, server.timeout_seconds), audience)


def _host_test(settings: Settings) -> Callable[[str], bool]:
    # Without credentials, a web page whose host name is made to point to this machine must not be answered.
    if settings.auth is not Auth.OPEN or settings.allow_open_on_network:
        return lambda host: True
    public = urlsplit(settings.public_url or "").hostname
    return lambda host: is_loopback(host) or host == public
