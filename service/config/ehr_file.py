"""The file that names the EHRs (the setting EHRS)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from service.config.addresses import is_encrypted, is_origin
from service.config.faults import PREFIX, ConfigurationInvalid, reason
from service.records.ehr import ClientAuthentication, Ehr, WriteBack


def read_ehrs(path: Path) -> dict[str, Ehr]:
    """The EHRs in the TOML file at `path`, by issuer.

    Raises ConfigurationInvalid naming the entry and what is wrong with it; a secret is never repeated.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise ConfigurationInvalid(f"{PREFIX}EHRS: {path} cannot be read: {fault}") from fault
    try:
        ehrs = [entry.ehr() for entry in _EhrFile.model_validate(document).ehr]
    except ValidationError as refusal:
        faults = "\n".join(f"{PREFIX}EHRS: {path}: {_place(one)} {reason(one)}" for one in refusal.errors())
        raise ConfigurationInvalid(faults) from None
    if not ehrs:
        raise ConfigurationInvalid(f"{PREFIX}EHRS: {path} has no [[ehr]]")
    for name in ("issuer", "cds_issuer"):
        named = [value for ehr in ehrs if (value := getattr(ehr, name)) is not None]
        if twice := [value for value in named if named.count(value) > 1]:
            raise ConfigurationInvalid(f"{PREFIX}EHRS: {path}: two EHRs have the {name} {twice[0]}; name each once")
    return {ehr.issuer: ehr for ehr in ehrs}


def _place(fault: ErrorDetails) -> str:
    """Where in the file a fault is: "ehr 2, issuer:"."""
    name, *below = [str(one + 1) if isinstance(one, int) else one for one in fault["loc"]]
    return ", ".join([" ".join([name, *below[:1]]), *below[1:]]) + ":"


class _EhrEntry(BaseModel):
    """One [[ehr]] of the file, checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str
    client_id: str = Field(min_length=1)
    name: str = ""
    authentication: ClientAuthentication = ClientAuthentication.NONE
    client_secret: SecretStr | None = None
    write_back: WriteBack = WriteBack.LAUNCH
    backend_client_id: str | None = None
    algorithm: Literal["ES384", "RS384"] = "ES384"
    frame_origins: tuple[str, ...] = ()
    contact: str = ""
    cds_issuer: str | None = Field(default=None, min_length=1)
    cds_jwks_url: str | None = None

    @field_validator("issuer")
    @classmethod
    def _address(cls, value: str) -> str:
        if not is_encrypted(value):
            raise ValueError("give the EHR's FHIR base URL; https, unless it is loopback")
        return value.rstrip("/")

    @field_validator("cds_jwks_url")
    @classmethod
    def _key_address(cls, value: str | None) -> str | None:
        if value is not None and not is_encrypted(value):
            raise ValueError("give the address of the EHR's JWK Set; https, unless it is loopback")
        return value

    @field_validator("frame_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not is_origin(origin):
                raise ValueError(f"'{origin}' is no origin; write scheme and host, such as https://ehr.example.org")
        return value

    @model_validator(mode="after")
    def _whole(self) -> _EhrEntry:
        if (self.authentication is ClientAuthentication.SECRET) != (self.client_secret is not None):
            raise ValueError("client_secret goes with authentication = 'client-secret', and only with it")
        if (self.cds_issuer is None) != (self.cds_jwks_url is None):
            raise ValueError("cds_issuer and cds_jwks_url go together: whom to trust, and by which keys")
        return self

    def ehr(self) -> Ehr:
        """The entry as the service uses it."""
        return Ehr(
            issuer=self.issuer,
            name=self.name or urlsplit(self.issuer).hostname or self.issuer,
            client_id=self.client_id,
            authentication=self.authentication,
            client_secret=None if self.client_secret is None else self.client_secret.get_secret_value(),
            write_back=self.write_back,
            backend_client_id=self.backend_client_id,
            algorithm=self.algorithm,
            frame_origins=self.frame_origins,
            contact=self.contact,
            cds_issuer=self.cds_issuer,
            cds_jwks_url=self.cds_jwks_url,
        )


class _EhrFile(BaseModel):
    """The whole file, checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ehr: tuple[_EhrEntry, ...] = ()
