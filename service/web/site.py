"""What the web application is made of."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from urllib.parse import urlsplit

from flask import Request

from service.fhir.json import Json
from service.packs import Pack
from service.records.access import TokenCheck
from service.records.clinician_visit import VisitStore
from service.records.drafts import Drafts
from service.records.ehr import CdsClients, LaunchStore
from service.records.evaluation import Evaluation
from service.records.feedback import HookStore
from service.records.guidance import Guidance
from service.records.invitations import Invitation
from service.records.launches import Launches
from service.records.population import Population
from service.records.ports import Clock, FhirServer, NewId, Store
from service.records.submission import Intake
from service.web.helplines import Helplines
from service.web.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Site:
    """The parts and settings that the routes use.

    `public_url` is the address clients use, without /fhir (None: the one they called); `trusts_host` says whether a
    request to a host name is answered; `worker_alive` tells whether this process's delivery worker lives (None: it
    has none), `is_stopping` whether the process was told to end; `started_at` is aware UTC; `zone` is the time zone of
    people whose browser does not tell theirs; `draft_lifetime` is how long a form that was not sent can be opened
    again; `new_key` makes a secret to open it with; `ehr_reader` opens an EHR (by issuer) with the right that a launch
    gave for one patient (by id); `frame_origins` may embed the form; `targets` are whereto letters go; `token_check`
    judges access tokens (None: nobody is asked for one), `authorization_metadata` tells of the server that gives them;
    `rate_limit` is how much one client may send ("600 per minute"; None: any number);
    `make_pdf` makes a PDF of HTML, a stylesheet and the address that links are relative to (None: it is not installed).
    """

    packs: tuple[Pack, ...]
    store: Store
    intake: Intake
    evaluation: Evaluation
    population: Population
    drafts: Drafts
    launches: Launches
    launch_store: LaunchStore
    visit_store: VisitStore
    guidance: Guidance
    cds_clients: CdsClients
    hook_store: HookStore
    invitation_of: Callable[[str], Invitation | None]
    public_keys: Callable[[], Json]
    ehr_reader: Callable[[str, str], AbstractContextManager[FhirServer]]
    clock: Clock
    new_id: NewId
    new_key: Callable[[], str]
    version: str
    started_at: datetime
    public_url: str | None
    fhir_server_url: str | None
    trusts_host: Callable[[str], bool]
    cors_origins: tuple[str, ...]
    max_body_bytes: int
    helplines: Helplines
    zone: tzinfo
    draft_lifetime: timedelta
    frame_origins: tuple[str, ...]
    targets: frozenset[str]
    token_check: TokenCheck | None
    authorization_metadata: Callable[[], Json] | None
    rate_limit: str | None
    make_pdf: Callable[[str, str, str], bytes] | None
    worker_alive: Callable[[], bool | None]
    is_stopping: Callable[[], bool]
    metrics: Metrics

    @property
    def is_open(self) -> bool:
        """True where nobody is asked for credentials."""
        return self.token_check is None

    def own_bases(self, request: Request) -> tuple[str, ...]:
        """The base addresses below which a reference means the same as a relative one."""
        return (self.fhir_base(request), *([self.fhir_server_url] if self.fhir_server_url else []))

    def address(self, request: Request, path: str) -> str:
        """The address, as clients know it, of a path as `url_for` gives it ("/launch")."""
        public = urlsplit(self.public_url or request.host_url)
        return f"{public.scheme}://{public.netloc}{path}"

    def asked_address(self, request: Request) -> str:
        """The address that was asked, without its query, as clients know it."""
        return self.address(request, request.script_root + request.path)

    def fhir_base(self, request: Request) -> str:
        """The FHIR base address as clients know it, without a trailing slash."""
        return self.address(request, f"{request.script_root}/fhir")
