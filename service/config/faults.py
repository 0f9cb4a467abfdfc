"""What is wrong with settings, told to whoever writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic_core import ErrorDetails

PREFIX: Final = "SYMPTOM_INTAKE_"
_REASONS: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "is not known; is it misspelt?",
    "bool_parsing": "must be true or false",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "string_type": "must be a text, in quotation marks",
    "string_too_short": "must not be empty",
    "tuple_type": "must be a list, in square brackets",
}


class ConfigurationInvalid(Exception):
    """The settings cannot be used; the message names each variable at fault and how to mend it."""


def reason(fault: ErrorDetails) -> str:
    """What is wrong, in words for whoever writes settings; the value is not repeated."""
    said = fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)
    return _REASONS.get(fault["type"], f"{said[:1].lower()}{said[1:]}")
