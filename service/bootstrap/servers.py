"""The servers that this service asks and brings to, with the rights and the patience that settings give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from service.adapters.authorization_server import AuthorizationServer, IntrospectedTokens, SignedTokens
from service.adapters.exchange import Exchange, Timeouts
from service.adapters.fhir_server import RequestsFhirServer
from service.adapters.published_keys import PublishedKeys
from service.adapters.webhook import RequestsWebhook
from service.config import PREFIX, Auth, ConfigurationInvalid, Settings, read_ehrs
from service.records.access import TokenCheck
from service.records.ehr import Ehr, Ehrs
from service.records.launches import BackendTokens, Launches
from service.records.ports import Clock

# A clinician waits for what is done within a call of CDS Hooks: then rather no card than a late one.
CALL_SECONDS: Final = 2.0


def fhir_server(settings: Settings, url: str) -> RequestsFhirServer:
    """The FHIR server at `url`, with the token and timeouts of `settings`."""
    token = settings.fhir_server_token
    tokens = None if token is None else FixedToken(token.get_secret_value())
    return RequestsFhirServer(url, tokens, timeouts(settings))


def backend_server(settings: Settings, ehr: Ehr, launches: Launches, types: Sequence[str]) -> RequestsFhirServer:
    """An EHR with this service's own right (SMART Backend Services) to create, read, update and search `types`."""
    scopes = tuple(f"system/{one}.cruds" if one == "*" else f"system/{one}.crus" for one in types)
    return RequestsFhirServer(
        ehr.issuer, BackendTokens(launches.server(ehr), scopes, launches.clock), timeouts(settings)
    )


def webhook(settings: Settings, url: str) -> RequestsWebhook:
    """The operator's webhook at `url`."""
    return RequestsWebhook(url, Exchange(timeouts(settings)))


def timeouts(settings: Settings) -> Timeouts:
    """For one request to a server of others."""
    seconds = settings.fhir_server_timeout_seconds
    return Timeouts(connect_seconds=min(5.0, seconds), read_seconds=seconds, answer_seconds=seconds)


def call_timeouts(settings: Settings) -> Timeouts:
    """For one request within a call that a clinician waits for."""
    seconds = min(CALL_SECONDS, settings.fhir_server_timeout_seconds)
    return Timeouts(connect_seconds=seconds, read_seconds=seconds, answer_seconds=seconds)


def listed_ehrs(settings: Settings) -> Ehrs:
    """The EHRs of the file that is set. Raises ConfigurationInvalid."""
    ehrs = {} if settings.ehrs is None else read_ehrs(settings.ehrs)
    if settings.fhir_server_url in ehrs:
        raise ConfigurationInvalid(
            f"{PREFIX}EHRS: {settings.fhir_server_url} is set as {PREFIX}FHIR_SERVER_URL too; it can be one of them"
        )
    return ehrs


def authorization_server(settings: Settings, clock: Clock) -> AuthorizationServer | None:
    """The server whose access tokens open the API; None where none is needed."""
    if settings.auth is Auth.OPEN or settings.auth_issuer is None:
        return None
    return AuthorizationServer(settings.auth_issuer, clock, settings.fhir_server_timeout_seconds)


def token_check(settings: Settings, server: AuthorizationServer) -> TokenCheck:
    """How access tokens of `server` are checked: by asking it where this service is a client of it."""
    audience = settings.auth_audience or f"{settings.public_url}/fhir"
    if settings.auth_client_id is not None and settings.auth_client_secret is not None:
        secret = settings.auth_client_secret.get_secret_value()
        return IntrospectedTokens(server, settings.auth_client_id, secret, audience)
    return SignedTokens(server, PublishedKeys(server.clock, server.timeout_seconds), audience)


class FixedToken:
    """A token that the operator set; there is no other when it is refused."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, refused: str | None = None) -> str | None:
        return self._token if refused is None else None
