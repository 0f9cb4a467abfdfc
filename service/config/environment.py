"""The settings of the environment, read once at start, and whether they go together."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.config.addresses import is_loopback
from service.config.faults import PREFIX, ConfigurationInvalid, reason
from service.config.settings import Auth, Settings

# A delivery asks for the server's abilities, and sends its transaction; one more where the first is refused.
_REQUESTS_A_LEASE: Final = 3


def load_settings(**overrides: Any) -> Settings:
    """The settings of the environment, with `overrides` (field names) standing over it.

    Raises ConfigurationInvalid naming each variable at fault; the value of a variable is never repeated.
    """
    try:
        settings = Settings(**overrides)
    except ValidationError as refusal:
        raise ConfigurationInvalid("\n".join(_explain(fault) for fault in refusal.errors())) from None
    if settings.delivery_lease_seconds < _REQUESTS_A_LEASE * settings.fhir_server_timeout_seconds:
        raise ConfigurationInvalid(
            f"{PREFIX}DELIVERY_LEASE_SECONDS: must be at least {_REQUESTS_A_LEASE} times "
            f"{PREFIX}FHIR_SERVER_TIMEOUT_SECONDS, or a second worker may begin before the first has ended"
        )
    if (settings.webhook_url is None) != (settings.webhook_secret is None):
        raise ConfigurationInvalid(f"{PREFIX}WEBHOOK_SECRET: set it together with {PREFIX}WEBHOOK_URL")
    if settings.auth is Auth.SMART:
        _check_smart(settings)
    elif settings.auth_issuer is not None:
        raise ConfigurationInvalid(
            f"{PREFIX}AUTH_ISSUER: it counts with {PREFIX}AUTH=smart alone; set that too, or leave it out"
        )
    return settings


def _check_smart(settings: Settings) -> None:
    if settings.auth_issuer is None:
        raise ConfigurationInvalid(
            f"{PREFIX}AUTH_ISSUER: AUTH=smart needs the issuer URL of the authorization server whose tokens are taken"
        )
    if settings.auth_audience is None and settings.public_url is None:
        raise ConfigurationInvalid(
            f"{PREFIX}PUBLIC_URL: AUTH=smart needs the address that clients use, because tokens are made for it "
            f"(or {PREFIX}AUTH_AUDIENCE, where their audience is another)"
        )
    public = urlsplit(settings.public_url or "")
    if public.scheme == "http" and not is_loopback(public.hostname or ""):
        raise ConfigurationInvalid(f"{PREFIX}PUBLIC_URL: with AUTH=smart use https, or tokens can be read on the way")
    if (settings.auth_client_id is None) != (settings.auth_client_secret is None):
        raise ConfigurationInvalid(f"{PREFIX}AUTH_CLIENT_SECRET: set it together with {PREFIX}AUTH_CLIENT_ID")


def check_listening(settings: Settings, host: str) -> None:
    """Raises ConfigurationInvalid when `host` would offer an API without authentication to a network."""
    if settings.auth is Auth.OPEN and not settings.allow_open_on_network and not is_loopback(host):
        raise ConfigurationInvalid(
            f"AUTH=open asks nobody for credentials, so it listens on loopback only, not on {host}.\n"
            f"Use --host 127.0.0.1, or accept that anyone who reaches the port reads and writes every response: "
            f"{PREFIX}ALLOW_OPEN_ON_NETWORK=true"
        )


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each variable with our prefix that is no setting, with the nearest name there is."""
    names = [variable_name(field) for field in Settings.model_fields]
    sentences = []
    for variable in sorted(environment):
        if variable.upper().startswith(PREFIX) and variable.upper() not in names:
            near = get_close_matches(variable.upper(), names, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            sentences.append(f"{variable} is no setting and is ignored.{hint}")
    return sentences


def variable_name(field: str) -> str:
    """The environment variable of a field of `Settings`."""
    return PREFIX + field.upper()


def _explain(fault: ErrorDetails) -> str:
    return f"{variable_name(str(fault['loc'][0]))}: {reason(fault)}"
