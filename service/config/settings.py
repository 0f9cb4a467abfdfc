"""What an operator can set: environment variables SYMPTOM_INTAKE_*, each checked by itself."""

from __future__ import annotations

import os
import re
from base64 import b64decode
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from limits import parse_many
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.config.addresses import is_encrypted, is_origin
from service.config.faults import PREFIX
from service.packs import PackInvalid
from service.packs.loader import find_pages

DEFAULT_RATE = "600 per minute"
_PLAIN_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")
# https://www.rfc-editor.org/rfc/rfc6750#section-2.1
_BEARER_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, symmetric signatures
_KEY_BYTES = (24, 64)
_TELEPHONE = re.compile(r"\+?[0-9][0-9 ()/.-]{1,28}")


class Auth(StrEnum):
    """Who may use the API."""

    OPEN = "open"
    SMART = "smart"


class LogLevel(StrEnum):
    """How much is logged on standard error."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


def default_database_url() -> str:
    """A SQLite file in the user's data directory (`XDG_DATA_HOME`, or ~/.local/share)."""
    home = os.environ.get("XDG_DATA_HOME", "")
    data = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "share"
    return f"sqlite:///{data / 'symptom-intake' / 'intake.db'}"


class LogFormat(StrEnum):
    """How logs are written."""

    TEXT = "text"
    JSON = "json"


class Settings(BaseSettings):
    """Everything an operator can set. Each field is the variable SYMPTOM_INTAKE_ + its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, env_ignore_empty=True, extra="ignore")

    database_url: str = Field(
        default_factory=default_database_url,
        description="Where responses and the outbox are kept: `sqlite:///` and the path of a file, or `postgresql://…`.",
    )
    packs: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Folders of pages, separated as in PATH. A folder is one page, or holds one folder a page.",
    )
    fhir_server_url: str | None = Field(
        default=None,
        description="Base address of the FHIR R4 server that receives each response; https unless it is loopback.",
    )
    fhir_server_token: SecretStr | None = Field(
        default=None,
        description="Bearer token sent to that server.",
    )
    fhir_server_timeout_seconds: float = Field(
        default=20,
        gt=0,
        le=600,
        description="How long one request to that server, or to the webhook, may take.",
    )
    delivery_poll_seconds: float = Field(
        default=1,
        gt=0,
        le=3600,
        description="How often the delivery worker looks for work when it has none.",
    )
    delivery_lease_seconds: float = Field(
        default=60,
        gt=0,
        le=3600,
        description="How long a worker holds one delivery before another may take it up; at least three timeouts.",
    )
    delivery_concurrency: int = Field(
        default=4,
        ge=1,
        description="How many deliveries to one FHIR server may be under way at a time, all processes together.",
    )
    webhook_url: SecretStr | None = Field(
        default=None,
        description="Where the operator's system is told of urgent results; https unless it is loopback.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="What notices to it are signed with: `whsec_` and 24 to 64 random bytes in Base64.",
    )
    public_url: str | None = Field(
        default=None,
        description="The address clients use, without `/fhir`, when it differs from the one that is listened on. "
        "Below its path, if it has one, everything is served.",
    )
    auth: Auth = Field(
        default=Auth.OPEN,
        description="Who may use the API: `open`, anybody, on loopback only; `smart`, whoever has an access token.",
    )
    auth_issuer: str | None = Field(
        default=None,
        description="With `AUTH=smart`, the authorization server whose tokens are taken: its issuer URL.",
    )
    auth_audience: str | None = Field(
        default=None,
        description="The audience (`aud`) that tokens must have. None: the FHIR base, `PUBLIC_URL` with `/fhir`.",
    )
    auth_client_id: str | None = Field(
        default=None,
        description="This service's client id at that server. With it tokens are checked by asking (introspection), "
        "without it by their signature.",
    )
    auth_client_secret: SecretStr | None = Field(
        default=None,
        description="The secret that goes with `AUTH_CLIENT_ID`.",
    )
    rate_limit: str | None = Field(
        default=None,
        description="How many requests one client may send, such as `100 per minute; 10 per second`. None: 600 per "
        "minute with `AUTH=smart`, any number with `open`.",
    )
    trusted_proxy: str | None = Field(
        default=None,
        description="The IP address of the proxy in front, whose X-Forwarded-For is believed. None: nobody's is.",
    )
    allow_open_on_network: bool = Field(
        default=False,
        description="`true` lets `AUTH=open` listen beyond loopback: anyone who reaches the port reads everything.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Origins of browser apps that may call the API, separated by commas; `*` for any.",
    )
    max_body_bytes: int = Field(
        default=1024 * 1024,
        ge=1024,
        le=32 * 1024 * 1024,
        description="The largest request body that is read; a larger one is refused with 413.",
    )
    ehrs: Path | None = Field(
        default=None,
        description="A TOML file that names the EHRs that may launch the form, and how each knows this service.",
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="Keys that encrypt tokens at rest, separated by commas. None: a file beside the database has one.",
    )
    country: str | None = Field(
        default=None,
        description="Where people answer (`US`, `GB`, …): whose emergency number and poison line they see.",
    )
    emergency_number: str | None = Field(
        default=None,
        description="The emergency number that people in danger are told to call, instead of the country's.",
    )
    poison_line: str | None = Field(
        default=None,
        description="The telephone number of the poison line, instead of the country's.",
    )
    time_zone: str = Field(
        default="UTC",
        description="The time zone of people whose browser does not tell theirs, such as `Europe/Madrid`.",
    )
    draft_days: int = Field(
        default=30,
        ge=1,
        le=366,
        description="How many days after its last change a form that was not sent can be opened again.",
    )
    stop_seconds: float = Field(
        default=8,
        ge=0,
        le=3600,
        description="How long requests and deliveries that are under way may take once the process is told to end; "
        "less than its process manager waits.",
    )
    log_level: LogLevel = Field(
        default=LogLevel.INFO,
        description="`DEBUG`, `INFO`, `WARNING` or `ERROR`; logs never hold answers or tokens.",
    )
    log_format: LogFormat = Field(
        default=LogFormat.TEXT,
        description="`text`, or `json`: an object a line, with the request's id and `traceparent`.",
    )

    @property
    def database_file(self) -> str | None:
        """The path of the SQLite file; None for another kind of database."""
        return _sqlite_file(self.database_url)

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        parts = urlsplit(value)
        if _sqlite_file(value) or (parts.scheme == "postgresql" and parts.path.strip("/")):
            return value
        raise ValueError(
            "give sqlite:/// and the path of a file, such as sqlite:////var/lib/symptom-intake.db, "
            "or a database of PostgreSQL, such as postgresql://user@host/database"
        )

    @field_validator("packs", mode="before")
    @classmethod
    def _split_folders(cls, value: Any) -> Any:
        return tuple(filter(None, value.split(os.pathsep))) if isinstance(value, str) else value

    @field_validator("packs")
    @classmethod
    def _folders_exist(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        for folder in value:
            if not folder.is_dir():
                raise ValueError(f"there is no folder {folder}; name folders that exist, separated by '{os.pathsep}'")
            try:
                find_pages(folder)
            except PackInvalid as fault:
                raise ValueError(str(fault)) from fault
        return value

    @field_validator("fhir_server_url", "public_url", "auth_issuer")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give an address such as https://fhir.example.org/r4")
        if parts.username is not None or "?" in value or "#" in value:
            raise ValueError("give the address alone, without user name, '?' or '#'")
        try:
            _ = parts.port
        except ValueError as fault:
            raise ValueError("give its port as a number up to 65535") from fault
        return value.rstrip("/")

    @field_validator("public_url")
    @classmethod
    def _without_base(cls, value: str | None) -> str | None:
        if value is not None and value.endswith("/fhir"):
            raise ValueError("leave /fhir out: it is added where it belongs")
        if value is not None and not _PLAIN_PATH.fullmatch(urlsplit(value).path):
            raise ValueError(
                "write its path in letters, digits and -._~ alone, such as https://host.example.org/intake"
            )
        return value

    @field_validator("fhir_server_token")
    @classmethod
    def _bearer_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _BEARER_TOKEN.fullmatch(value.get_secret_value()):
            raise ValueError("give the token alone: letters, digits and -._~+/=, without spaces or line breaks")
        return value

    @field_validator("webhook_url")
    @classmethod
    def _webhook_address(cls, value: SecretStr | None) -> SecretStr | None:
        # Many have a token in their path or query, so the address is a secret as a whole.
        if value is not None:
            address = value.get_secret_value()
            if not urlsplit(address).hostname or urlsplit(address).username or not is_encrypted(address):
                raise ValueError("give an https address without user name (http for loopback addresses only)")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _signing_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                size = len(signing_key(value))
            except ValueError:
                size = 0
            if not _KEY_BYTES[0] <= size <= _KEY_BYTES[1]:
                raise ValueError(
                    "write whsec_ and 24 to 64 random bytes in Base64, such as of: openssl rand -base64 32"
                )
        return value

    @field_validator("fhir_server_url", "auth_issuer")
    @classmethod
    def _encrypted(cls, value: str | None) -> str | None:
        if value is not None and not is_encrypted(value):
            raise ValueError("use https; http is accepted for loopback addresses only (localhost, 127.0.0.1, ::1)")
        return value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(origin.strip().rstrip("/") for origin in value.split(",") if origin.strip())

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not is_origin(origin) and origin != "*":
                raise ValueError(f"'{origin}' is no origin; write scheme and host, such as https://app.example.org")
        return value

    @field_validator("emergency_number", "poison_line")
    @classmethod
    def _telephone_number(cls, value: str | None) -> str | None:
        if value is not None and not _TELEPHONE.fullmatch(value):
            raise ValueError("give a telephone number in digits, such as 112 or +1 800 222 1222")
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
            raise ValueError("give a name of the IANA time zone database, such as Europe/Madrid") from fault
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("rate_limit")
    @classmethod
    def _rates(cls, value: str | None) -> str | None:
        try:
            rates = parse_many(value or DEFAULT_RATE)
        except ValueError as fault:
            raise ValueError("write it as '100 per minute', several of them with ';' between") from fault
        if any(rate.amount < 1 for rate in rates):
            raise ValueError("let at least one request in")
        return value

    @field_validator("trusted_proxy")
    @classmethod
    def _ip_address(cls, value: str | None) -> str | None:
        try:
            return None if value is None else str(ip_address(value))
        except ValueError as fault:
            raise ValueError("give the proxy's IP address, such as 10.0.0.1") from fault


def signing_key(secret: SecretStr) -> bytes:
    """The bytes of a secret as https://www.standardwebhooks.com writes it. Raises ValueError."""
    kind, _, encoded = secret.get_secret_value().partition("_")
    if kind != "whsec":
        raise ValueError("no secret of a webhook")
    return b64decode(encoded, validate=True)


def _sqlite_file(url: str) -> str | None:
    scheme, _, path = url.partition(":///")
    return path if scheme == "sqlite" and path else None
