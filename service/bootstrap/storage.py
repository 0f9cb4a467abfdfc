"""The database, and the keys that what is secret in it is sealed with."""

from __future__ import annotations

from pathlib import Path

from service.adapters.database import Database, open_database
from service.adapters.secrets import check_key, key_in_file, new_key
from service.config import PREFIX, ConfigurationInvalid, Settings


def opened_database(settings: Settings, *, upgrade: bool = False) -> Database:
    """The database that is set; its schema brought to this release's to `upgrade` it. Raises ConfigurationInvalid."""
    try:
        return open_database(settings.database_url, upgrade=upgrade)
    except OSError as fault:
        raise ConfigurationInvalid(
            f"{PREFIX}DATABASE_URL: {fault.filename}: {fault.strerror}; name a place where this service may make files"
        ) from fault
    except ValueError as fault:
        raise ConfigurationInvalid(f"{PREFIX}DATABASE_URL: {fault}") from fault


def upgrade_database(settings: Settings) -> Database:
    """The database, open, with the schema of this release, whatever it had. Raises ConfigurationInvalid."""
    return opened_database(settings, upgrade=True)


def new_secret_key() -> str:
    """A new key for the setting SECRET_KEY."""
    return new_key()


def secret_keys(settings: Settings) -> list[str]:
    """The keys that are set, or the one in the file beside the database. Raises ConfigurationInvalid."""
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
