"""Reads the call of a CDS service (CDS Hooks 2.0, "Calling a CDS Service") for the hook `patient-view`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from service.fhir.json import Json
from service.fhir.primitives import is_id
from service.records.json_fields import Fields
from service.sdc.chart_trigger import PATIENT_VIEW

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_USER: Final = re.compile(r"(?:Practitioner|PractitionerRole|Patient|RelatedPerson)/[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True, slots=True)
class HookRequest:
    """A chart that was opened: of the patient with the id `patient`, by `user` ("Practitioner/1"), in an EHR.

    `server` is the EHR's FHIR base URL without a trailing slash; `token` reads there, for this one request: it is kept
    nowhere. `prefetch` is what the EHR sent along, by key, as it came.
    """

    patient: str
    user: str
    server: str | None
    token: str | None = field(repr=False)
    prefetch: Json = field(repr=False)


def read_request(body: Any) -> HookRequest:
    """The request in `body`. Raises Malformed with all that is wrong in it.

    A null stands for an element that is not there, save in `prefetch`, where it has a meaning.
    """
    fields = Fields.of_body(body)
    fields.text("hook", lambda value: value == PATIENT_VIEW, f"'{PATIENT_VIEW}', the hook of this service")
    fields.text("hookInstance", lambda value: _UUID.fullmatch(value) is not None, "a UUID")
    context = fields.object("context")
    patient, user = None, None
    if context is not None:
        patient = context.text("patientId", is_id, "the id of a Patient")
        user = context.text(
            "userId", lambda value: _USER.fullmatch(value) is not None, "a reference such as Practitioner/1"
        )
    authorization = fields.object("fhirAuthorization", required=False)
    server = fields.text("fhirServer", _is_address, "a FHIR base URL", required=authorization is not None)
    token = None if authorization is None else _token(authorization, patient)
    prefetch = body.get("prefetch", {})
    if not isinstance(prefetch, dict | None):
        fields.refuse("prefetch", "'prefetch' must be an object.")
    fields.accept()
    base = None if server is None else server.rstrip("/")
    return HookRequest(str(patient), str(user), base, token, prefetch or {})


def _token(fields: Fields, patient: str | None) -> str | None:
    fields.text("token_type", lambda value: value.lower() == "bearer", "'Bearer'")
    fields.number("expires_in")
    fields.text("scope")
    fields.text("subject")
    fields.text("patient", lambda value: value == patient, "the patient of the context", required=False)
    return fields.text("access_token", lambda value: value.isascii() and value.isprintable(), "a token")


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(parts.hostname) and not parts.query and not parts.fragment
