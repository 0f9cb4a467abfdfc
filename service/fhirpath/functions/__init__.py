"""The functions of FHIRPath by family, and all of them by name."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from service.fhirpath.functions import (
    boundaries,
    collections,
    conversion,
    existence,
    fhir,
    filtering,
    mathematics,
    strings,
)
from service.fhirpath.functions.signature import Functions

FUNCTIONS: Final[Functions] = MappingProxyType(
    {
        **existence.FUNCTIONS,
        **filtering.FUNCTIONS,
        **collections.FUNCTIONS,
        **conversion.FUNCTIONS,
        **strings.FUNCTIONS,
        **mathematics.FUNCTIONS,
        **boundaries.FUNCTIONS,
        **fhir.FUNCTIONS,
    }
)
"""All functions but those that take a type (is, as, ofType), which the compiler knows itself."""
