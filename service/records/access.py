"""Who calls the API, and what they may do there: the claims of an access token, as rights to resources.

SMART App Launch 2.2, scopes and launch context (http://hl7.org/fhir/smart-app-launch/STU2.2/); what a token says beside
its scopes is named as in SMART's token introspection: `patient`, `fhirUser`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from service.errors import Forbidden, Invalid, IssueType, error
from service.fhir.json import Json
from service.fhir.primitives import is_id, is_reference
from service.records.matching import admits_patient, is_within
from service.records.references import subject_issues
from service.records.scopes import Level, Permission, Scope, read_scopes
from service.records.search import Bounds, Criterion, PatientCriterion, Query, parse_query
from service.records.searchable import subject_key
from service.sdc.references import reference_type

TokenCheck = Callable[[str], Mapping[str, Any]]
"""The claims of an access token. Raises Unauthenticated where it is not good, Unavailable where that cannot be told."""

# A patient sees their own record; of what others may see, their employer's authorization server decides.
_STAFF: Final = frozenset({"Practitioner", "PractitionerRole"})
_VERBS: Final[Mapping[Permission, str]] = {
    Permission.CREATE: "create",
    Permission.READ: "read",
    Permission.UPDATE: "update",
    Permission.DELETE: "delete",
    Permission.SEARCH: "search",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: `client` and `subject` as the authorization server names the app and its user ("" for nobody).

    `fhir_user` is the user's own resource and `patient` whose record is open, as references; None where that is not
    told.
    """

    client: str
    subject: str
    fhir_user: str | None
    patient: str | None
    scopes: tuple[Scope, ...]

    def demand(self, resource_type: str, permission: Permission) -> Bounds:
        """What of a type the caller may treat so. Raises Forbidden where that is nothing."""
        bounds = self.bounds(resource_type, permission)
        if bounds:
            return bounds
        level = next((scope.level for scope in self.scopes), Level.PATIENT)
        needed = f"{level}/{resource_type}.{permission}"
        covering = [scope for scope in self.scopes if scope.covers(resource_type, permission)]
        text = " ".join(dict.fromkeys(_why_not(scope, resource_type) for scope in covering))
        text = text or f"No scope of the token lets it {_VERBS[permission]} {resource_type}: {needed} would."
        raise Forbidden([error(IssueType.FORBIDDEN, text)], needed)

    def demand_any(self, resource_type: str) -> Bounds:
        """What of a type the caller may create, read, update or search. Raises Forbidden where that is nothing."""
        found = [bound for each in Permission for bound in self.bounds(resource_type, each)]
        return tuple(dict.fromkeys(found)) or self.demand(resource_type, Permission.READ)

    def bounds(self, resource_type: str, permission: Permission) -> Bounds:
        """What of a type the caller may treat so; empty for nothing."""
        covering = (scope for scope in self.scopes if scope.covers(resource_type, permission))
        found = (_criteria(self, scope, resource_type) for scope in covering)
        return tuple(dict.fromkeys(criteria for criteria in found if criteria is not None))


ANYONE: Final = Caller("", "", None, None, read_scopes(["system/*.cruds", "system/AuditEvent.rs"]))
"""The caller of an API that asks nobody for credentials."""

NOBODY: Final = Caller("", "", None, None, ())
"""Who calls without a token, where one counts: the person at a form, who is known by its key alone."""


def read_caller(claims: Mapping[str, Any], own_bases: Sequence[str]) -> Caller:
    """The caller that the claims of a token name; references below `own_bases` (base URLs) are taken as relative."""
    told = claims.get("scope")
    listed = told.split() if isinstance(told, str) else told if isinstance(told, list) else ()
    scopes = [one for one in listed if isinstance(one, str)]
    client = claims.get("client_id", claims.get("azp", ""))
    return Caller(
        client=str(client),
        subject=str(claims.get("sub", "")),
        fhir_user=_reference(claims.get("fhirUser"), own_bases),
        patient=_patient(claims.get("patient"), own_bases),
        scopes=read_scopes(scopes),
    )


def expect_subject(response: Json, bounds: Bounds) -> None:
    """Raises Forbidden where `response`, well-formed or not, names a subject that lies beyond `bounds`."""
    is_named = "subject" in response and not subject_issues(response)
    if is_named and not admits_patient(subject_key(response["subject"]), bounds):
        raise _another_patient("QuestionnaireResponse.subject")


def expect_within(response: Json, bounds: Bounds) -> None:
    """Raises Forbidden where the well-formed `response` lies beyond `bounds`."""
    expect_subject(response, bounds)
    if not is_within(response, bounds):
        text = "The scopes of the token are narrowed by a search that this response does not match."
        raise Forbidden([error(IssueType.FORBIDDEN, text)])


def expect_own_patients(query: Query) -> None:
    """Raises Forbidden where a search names patients, and all of them lie beyond its bounds."""
    for one in query.criteria:
        if isinstance(one, PatientCriterion) and not any(
            admits_patient(reference, query.within) for reference in one.references
        ):
            raise _another_patient("http.patient")


def _another_patient(place: str) -> Forbidden:
    text = "The token is for another patient's record than the one that is named here."
    return Forbidden([error(IssueType.FORBIDDEN, text, place)])


def _criteria(caller: Caller, scope: Scope, resource_type: str) -> tuple[Criterion, ...] | None:
    """What limits `scope` for this caller; None where it gives no right."""
    narrowed = _restriction(scope, resource_type)
    if narrowed is None:
        return None
    match scope.level:
        case Level.SYSTEM:
            return narrowed
        case Level.USER if is_staff(caller.fhir_user):
            return narrowed
        case Level.USER if reference_type(caller.fhir_user or "") == "Patient":
            return (PatientCriterion((str(caller.fhir_user),)), *narrowed)
        case _ if caller.patient is not None:
            return (PatientCriterion((caller.patient,)), *narrowed)
        case _:
            return None


def _restriction(scope: Scope, resource_type: str) -> tuple[Criterion, ...] | None:
    """The criteria that narrow `scope`; None for a search that cannot be honoured here."""
    if scope.restriction is None:
        return ()
    pairs = parse_qsl(scope.restriction, keep_blank_values=True)
    try:
        query = parse_query(resource_type, pairs)
    except Invalid:
        return None
    is_understood = len(query.criteria) == len(pairs) and all(value for _, value in pairs)
    return query.criteria if pairs and is_understood else None


def _why_not(scope: Scope, resource_type: str) -> str:
    if _restriction(scope, resource_type) is None:
        return "The search that narrows a scope of the token cannot be honoured here, so the scope gives no right."
    if scope.level is Level.USER:
        return "The token has scopes of a user, but does not say who that is: it needs the claim fhirUser."
    return "The token has scopes for a patient's record, but does not say whose: it needs the claim patient."


def is_staff(user: str | None) -> bool:
    """Whether a user, by reference, is a clinician."""
    return reference_type(user or "") in _STAFF


def _patient(told: Any, own_bases: Sequence[str]) -> str | None:
    named = f"Patient/{told}" if is_id(told) else told
    found = _reference(named, own_bases)
    return found if found is not None and reference_type(found) == "Patient" else None


def _reference(told: Any, own_bases: Sequence[str]) -> str | None:
    if not isinstance(told, str) or not is_reference(told):
        return None
    base = next((one for one in own_bases if told.startswith(f"{one}/")), None)
    return told if base is None else told[len(base) + 1 :]
