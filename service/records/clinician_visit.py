"""A clinician who opened a patient's summary from an EHR: whose record, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Protocol

LIFETIME: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ClinicianVisit:
    """What a launch allowed: the summaries of one patient, until `expires_at` (aware UTC).

    `patient` is the id in the EHR with this issuer; `user` is the clinician, a reference as the EHR wrote it.
    """

    issuer: str
    patient: str
    user: str
    expires_at: datetime


class VisitStore(Protocol):
    """What is remembered of clinicians' visits. Every method is one transaction and may raise Unavailable."""

    def keep_visit(self, visit_id: str, visit: ClinicianVisit, now: datetime) -> None:
        """Keep a visit, and forget those that ended."""
        ...

    def visit(self, visit_id: str) -> ClinicianVisit | None:
        """A visit, also one that ended."""
        ...


def visit_id(key: str) -> str:
    """What a visit is kept under: no key can be made of it."""
    return sha256(key.encode()).hexdigest()


def subjects(visit: ClinicianVisit, fhir_server_url: str | None) -> tuple[str, ...]:
    """How responses refer to the patient of the visit; relatively too where the EHR is the configured server."""
    absolute = f"{visit.issuer}/Patient/{visit.patient}"
    return (absolute, f"Patient/{visit.patient}") if visit.issuer == fhir_server_url else (absolute,)
