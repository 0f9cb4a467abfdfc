"""Settings: environment variables SYMPTOM_INTAKE_*, and the file of EHRs that one of them names."""

from service.config.addresses import is_loopback
from service.config.ehr_file import read_ehrs
from service.config.environment import check_listening, load_settings, unknown_variables, variable_name
from service.config.faults import PREFIX, ConfigurationInvalid
from service.config.settings import (
    DEFAULT_RATE,
    Auth,
    LogFormat,
    LogLevel,
    Settings,
    default_database_url,
    signing_key,
)

__all__ = [
    "DEFAULT_RATE",
    "PREFIX",
    "Auth",
    "ConfigurationInvalid",
    "LogFormat",
    "LogLevel",
    "Settings",
    "check_listening",
    "default_database_url",
    "is_loopback",
    "load_settings",
    "read_ehrs",
    "signing_key",
    "unknown_variables",
    "variable_name",
]
