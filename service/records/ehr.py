"""EHRs that launch this service and take back what was answered: how each knows us, and what each granted.

SMART App Launch 2.2 (http://hl7.org/fhir/smart-app-launch/STU2.2/): an EHR is known by its FHIR base URL (`iss`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from service.records.scopes import ScopeSyntax


class ClientAuthentication(StrEnum):
    """How this service proves to an EHR's authorization server who it is."""

    NONE = "none"
    SECRET = "client-secret"  # noqa: S105 - the name of a method, no secret
    PRIVATE_KEY = "private-key-jwt"


class WriteBack(StrEnum):
    """By whose right answers are written into the EHR: that of the launch, or one of this service's own."""

    LAUNCH = "launch"
    BACKEND = "backend"


@dataclass(frozen=True, slots=True)
class Ehr:
    """One EHR, as its operator registered this service there.

    `issuer` is its FHIR base URL without a trailing slash; `frame_origins` are the origins whose pages may embed the
    form; `contact` says whom people may ask; `algorithm` (RS384 or ES384) signs client assertions. As a CDS client it
    signs its requests in the name `cds_issuer`, with keys that it publishes at `cds_jwks_url`: both or none.
    """

    issuer: str
    name: str
    client_id: str
    authentication: ClientAuthentication = ClientAuthentication.NONE
    client_secret: str | None = None
    write_back: WriteBack = WriteBack.LAUNCH
    backend_client_id: str | None = None
    algorithm: str = "ES384"
    frame_origins: tuple[str, ...] = ()
    contact: str = ""
    cds_issuer: str | None = None
    cds_jwks_url: str | None = None


Ehrs = Mapping[str, Ehr]
"""The EHRs that may launch this service, by issuer."""


@dataclass(frozen=True, slots=True)
class SmartConfiguration:
    """Where an EHR's authorization server is, and what it says of itself. `issuer` is that of its id_tokens."""

    authorization_endpoint: str
    token_endpoint: str
    issuer: str | None
    jwks_uri: str | None
    syntax: ScopeSyntax


@dataclass(frozen=True, slots=True)
class Grant:
    """What an EHR's authorization server granted at a launch: tokens for one patient's record.

    Times are aware UTC; `expires_at` is when the access token ends. Tokens are secrets: they are kept encrypted, and
    never leave this service but to their EHR.
    """

    id: str
    issuer: str
    patient: str
    access_token: str
    refresh_token: str | None
    expires_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Launch:
    """What a launch said of one response: whose record, in which EHR, and who was there; `launched_at` is aware UTC.

    `patient` is the id in that EHR; `encounter` and `user` are references as the EHR wrote them; `banner` names the
    patient in words, where the form has to show whose record is open.
    """

    response_id: str
    issuer: str
    patient: str
    launched_at: datetime
    encounter: str | None = None
    user: str | None = None
    banner: str | None = None


class LaunchStore(Protocol):
    """What is remembered of launches. Every method is one transaction and may raise Unavailable.

    What is `sealed` was encrypted before it came here.
    """

    def keep_launch_request(self, state: str, sealed: str, created_at: datetime) -> None:
        """Keep a request for authorization under `state`, a hash."""
        ...

    def take_launch_request(self, state: str) -> tuple[str, datetime] | None:
        """What was kept under `state`, and when; it can be taken once."""
        ...

    def keep_launch(self, launch: Launch) -> None:
        """Keep what a launch said of a response."""
        ...

    def launch(self, response_id: str) -> Launch | None:
        """The launch that a response began with."""
        ...

    def keep_grant(self, id: str, issuer: str, patient: str, sealed: str, created_at: datetime) -> None:  # noqa: A002
        """Keep a grant, or what replaces it, and make what waits for the patient's next launch due at `created_at`."""
        ...

    def grants(self, issuer: str, patient: str) -> Sequence[tuple[str, str]]:
        """Ids and sealed tokens of the grants for one patient, newest first."""
        ...

    def drop_grant(self, id: str) -> None:  # noqa: A002
        """Forget a grant."""
        ...

    def keep_signing_key(self, kid: str, sealed: str, created_at: datetime) -> None:
        """Keep a private key."""
        ...

    def signing_keys(self) -> Sequence[tuple[str, str, datetime]]:
        """Key ids, sealed private keys and when each was made, newest first."""
        ...

    def drop_signing_key(self, kid: str) -> None:
        """Forget a private key."""
        ...


class SecretBox(Protocol):
    """Encrypts what is kept, so that a copy of the database opens nothing."""

    def seal(self, text: str) -> str:
        """`text` encrypted and authenticated."""
        ...

    def open(self, sealed: str) -> str:
        """What was sealed. Raises SealBroken when it was not sealed by a key at hand."""
        ...


class CdsClients(Protocol):
    """Tells which EHR called a CDS service."""

    def client(self, authorization: str | None, audience: str) -> Ehr | None:
        """The EHR that the Authorization header proves to have called the address `audience`; None where no proof is
        asked for.

        Raises Unauthenticated, and Unavailable when the EHR's keys cannot be had.
        """
        ...


class SealBroken(Exception):
    """Something was encrypted with a key that is not at hand, or was altered."""


class SmartServer(Protocol):
    """An EHR's authorization server. Every method may raise service.records.smart.LaunchFailed."""

    def discover(self) -> SmartConfiguration:
        """Where it is, by `.well-known/smart-configuration`, else by the CapabilityStatement."""
        ...

    def authorization_url(self, configuration: SmartConfiguration, parameters: Mapping[str, str]) -> str:
        """The address that a person's browser is sent to."""
        ...

    def exchange(self, configuration: SmartConfiguration, code: str, verifier: str, redirect_uri: str) -> Any:
        """The token response for an authorization code."""
        ...

    def refresh(self, configuration: SmartConfiguration, refresh_token: str) -> Any:
        """The token response for a refresh token."""
        ...

    def backend_token(self, configuration: SmartConfiguration, scopes: Sequence[str]) -> Any:
        """The token response for this service's own credentials (SMART Backend Services)."""
        ...

    def identity(self, configuration: SmartConfiguration, id_token: str, nonce: str) -> Mapping[str, Any]:
        """The claims of an id_token whose signature, issuer, audience, expiry and nonce are right."""
        ...
