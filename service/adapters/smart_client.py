"""This service as a SMART app at one EHR: discovery, the code flow, refreshing, backend services, identity.

SMART App Launch 2.2; RFC 6749, RFC 7636 (PKCE), RFC 7523 (client assertions), OpenID Connect Core 3.1.3.7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from service.adapters.exchange import Timeouts
from service.adapters.fhir_server import RequestsFhirServer
from service.adapters.published_keys import KeysUnavailable, Untrusted, fetch_keys, verified_claims
from service.adapters.signing_keys import SigningKeys
from service.fhir.json import Json
from service.records.ehr import ClientAuthentication, Ehr, SmartConfiguration
from service.records.ports import Answer, AnswerLost, Clock, NewId, Unreachable
from service.records.smart import Failure, LaunchFailed, read_capability, read_configuration

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIFETIME: Final = timedelta(minutes=4)
_LEEWAY_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class SmartClient:
    """Implements service.records.ehr.SmartServer for one EHR."""

    ehr: Ehr
    keys: SigningKeys
    clock: Clock
    new_id: NewId
    timeouts: Timeouts

    def discover(self) -> SmartConfiguration:
        """Where the authorization server is. Raises LaunchFailed."""
        server = RequestsFhirServer(self.ehr.issuer, timeouts=self.timeouts)
        try:
            told = _ask(server, ".well-known/smart-configuration")
            if told.status == 200 and told.body is not None:
                return read_configuration(told.body, self.ehr.issuer)
            told = _ask(server, "metadata")
            if told.status == 200 and told.body is not None:
                return read_capability(told.body, self.ehr.issuer)
        finally:
            server.close()
        raise LaunchFailed(Failure.NO_SMART, f"{self.ehr.name} does not say where its authorization server is.")

    def authorization_url(self, configuration: SmartConfiguration, parameters: Mapping[str, str]) -> str:
        """The address that a person's browser is sent to."""
        joint = "&" if "?" in configuration.authorization_endpoint else "?"
        named = {"response_type": "code", "client_id": self.ehr.client_id, **parameters}
        return f"{configuration.authorization_endpoint}{joint}{urlencode(named)}"

    def exchange(self, configuration: SmartConfiguration, code: str, verifier: str, redirect_uri: str) -> Json:
        """The token response for an authorization code. Raises LaunchFailed."""
        session = self._session(configuration, self.ehr.client_id, self.ehr.authentication)
        session.redirect_uri = redirect_uri
        return self._token(session, configuration, grant_type="authorization_code", code=code, code_verifier=verifier)

    def refresh(self, configuration: SmartConfiguration, refresh_token: str) -> Json:
        """The token response for a refresh token. Raises LaunchFailed."""
        session = self._session(configuration, self.ehr.client_id, self.ehr.authentication)
        return self._told(
            lambda: session.refresh_token(configuration.token_endpoint, refresh_token, timeout=self._seconds)
        )

    def backend_token(self, configuration: SmartConfiguration, scopes: Sequence[str]) -> Json:
        """The token response for this service's own credentials. Raises LaunchFailed."""
        client_id = self.ehr.backend_client_id or self.ehr.client_id
        session = self._session(configuration, client_id, ClientAuthentication.PRIVATE_KEY)
        return self._token(session, configuration, grant_type="client_credentials", scope=" ".join(scopes))

    def identity(self, configuration: SmartConfiguration, id_token: str, nonce: str) -> Mapping[str, Any]:
        """The claims of an id_token. Raises LaunchFailed where it cannot be trusted."""
        if configuration.jwks_uri is None:
            raise LaunchFailed(Failure.BAD_IDENTITY, f"{self.ehr.name} does not publish the keys of its id_tokens.")
        try:
            return verified_claims(
                id_token,
                fetch_keys(configuration.jwks_uri, self._seconds),
                self.clock(),
                _LEEWAY_SECONDS,
                iss=configuration.issuer or self.ehr.issuer,
                aud=self.ehr.client_id,
                nonce=nonce,
            )
        except KeysUnavailable as fault:
            raise LaunchFailed(Failure.BAD_IDENTITY, f"Who you are cannot be verified. {fault}") from fault
        except Untrusted as fault:
            text = f"What {self.ehr.name} says of who you are cannot be trusted: {fault}."
            raise LaunchFailed(Failure.BAD_IDENTITY, text) from fault

    @property
    def _seconds(self) -> float:
        return self.timeouts.answer_seconds

    def _session(
        self, configuration: SmartConfiguration, client_id: str, authentication: ClientAuthentication
    ) -> OAuth2Session:
        methods = {ClientAuthentication.NONE: "none", ClientAuthentication.SECRET: "client_secret_basic"}
        method = methods.get(authentication, "private_key_jwt")
        secret = self.ehr.client_secret if authentication is ClientAuthentication.SECRET else None
        session = OAuth2Session(client_id, secret, token_endpoint_auth_method=method)
        # A token request that is led elsewhere would carry a secret there.
        session.max_redirects = 0

        def assert_client(client: Any, method: str, uri: str, headers: Any, body: str) -> tuple[str, Any, str]:
            assertion = self._assertion(client_id, configuration.token_endpoint)
            proof = urlencode({"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion})
            return uri, headers, f"{body}&{proof}"

        session.register_client_auth_method(("private_key_jwt", assert_client))
        return session

    def _assertion(self, client_id: str, audience: str) -> str:
        now = self.clock()
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "jti": self.new_id(),
            "iat": int(now.timestamp()),
            "exp": int((now + _ASSERTION_LIFETIME).timestamp()),
        }
        return self.keys.signed(self.ehr.algorithm, claims)

    def _token(self, session: OAuth2Session, configuration: SmartConfiguration, **parameters: str) -> Json:
        return self._told(
            lambda: session.fetch_token(configuration.token_endpoint, timeout=self._seconds, **parameters)
        )

    def _told(self, ask: Callable[[], Any]) -> Json:
        """The token response that `ask` gets. Its errors are told by their code alone: texts may hold anything."""
        try:
            answer = dict(ask())
        except OAuthError as fault:
            text = f"{self.ehr.name} refused: {fault.error}."
            raise LaunchFailed(Failure.REFUSED, text) from fault
        except requests.RequestException as fault:
            text = f"{self.ehr.name} cannot be reached ({type(fault).__name__})."
            raise LaunchFailed(Failure.UNREACHABLE, text) from fault
        except ValueError as fault:
            raise LaunchFailed(Failure.BAD_ANSWER, f"{self.ehr.name} answered something odd.") from fault
        token, kind = answer.get("access_token"), str(answer.get("token_type", ""))
        if not isinstance(token, str) or not token or kind.lower() != "bearer":
            raise LaunchFailed(Failure.BAD_ANSWER, f"{self.ehr.name} gave no bearer token.")
        return answer


def _ask(server: RequestsFhirServer, path: str) -> Answer:
    try:
        return server.send("GET", path, headers={"Accept": "application/json, application/fhir+json"})
    except (Unreachable, AnswerLost) as fault:
        raise LaunchFailed(Failure.UNREACHABLE, f"The EHR cannot be reached: {fault}.") from fault
