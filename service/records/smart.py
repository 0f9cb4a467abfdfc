"""SMART App Launch 2.2 as an app sees it: what is discovered, what is asked for, and what is granted.

Pure. http://hl7.org/fhir/smart-app-launch/STU2.2/: app-launch, scopes-and-launch-context, conformance.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from service.fhir.json import Json
from service.fhir.primitives import is_id, is_reference
from service.records.ehr import Ehr, SmartConfiguration, WriteBack
from service.records.scopes import Level, Permission, Scope, ScopeSyntax, read_scopes

SUMMARY_CONTEXT: Final = "summary/"
"""What an app_context begins with that asks for a summary; the id of the response follows."""

WRITTEN_TYPES: Final = ("QuestionnaireResponse", "Observation", "Condition", "Provenance")
_OAUTH_URIS: Final = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
# Without an expiry that it tells, a token is taken to last as long as the shortest that servers give.
_UNTOLD_SECONDS: Final = 300


class LaunchFailed(Exception):
    """A launch that cannot go on. `kind` names why, for the page; the message is for people, without secrets.

    `ehr` is the EHR that it concerns, where that is known.
    """

    def __init__(self, kind: Failure, text: str, ehr: Ehr | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.ehr = ehr


class Failure(StrEnum):
    """Why a launch cannot go on."""

    UNKNOWN_ISSUER = "unknown-issuer"
    NO_SMART = "no-smart"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    NOT_OURS = "not-ours"
    BAD_ANSWER = "bad-answer"
    BAD_IDENTITY = "bad-identity"
    NO_PATIENT = "no-patient"
    NO_PAGE = "no-page"
    SCOPES_MISSING = "scopes-missing"
    NO_SUMMARY = "no-summary"


def read_configuration(document: Json, base: str) -> SmartConfiguration:
    """The configuration in `.well-known/smart-configuration` of the FHIR server at `base`; URLs may be relative to it.

    Raises LaunchFailed when an endpoint is missing, or would be reached without encryption.
    """
    capabilities = _texts(document.get("capabilities"))
    told = {scope.syntax for scope in read_scopes(_texts(document.get("scopes_supported")))}
    says_v1 = "permission-v1" in capabilities or ScopeSyntax.V1 in told
    says_v2 = "permission-v2" in capabilities or ScopeSyntax.V2 in told
    return SmartConfiguration(
        authorization_endpoint=_endpoint(document, "authorization_endpoint", base),
        token_endpoint=_endpoint(document, "token_endpoint", base),
        issuer=_text(document.get("issuer")),
        jwks_uri=_endpoint(document, "jwks_uri", base) if "jwks_uri" in document else None,
        syntax=ScopeSyntax.V1 if says_v1 and not says_v2 else ScopeSyntax.V2,
    )


def read_capability(statement: Json, base: str) -> SmartConfiguration:
    """The configuration in a CapabilityStatement's `oauth-uris`, the older way (SMART 1). Raises LaunchFailed."""
    found: dict[str, Any] = {}
    for rest in statement.get("rest", []):
        for extension in rest.get("security", {}).get("extension", []):
            if extension.get("url") == _OAUTH_URIS:
                found.update({one.get("url"): one.get("valueUri") for one in extension.get("extension", [])})
    document = {"authorization_endpoint": found.get("authorize"), "token_endpoint": found.get("token")}
    return SmartConfiguration(
        authorization_endpoint=_endpoint(document, "authorization_endpoint", base),
        token_endpoint=_endpoint(document, "token_endpoint", base),
        issuer=None,
        jwks_uri=None,
        syntax=ScopeSyntax.V1,
    )


def wanted_scopes(
    ehr: Ehr, read_types: Iterable[str], configuration: SmartConfiguration, *, from_ehr: bool
) -> tuple[str, ...]:
    """What is asked for: identity, the launch, reading what prefills, and writing where the launch's right is used.

    Identity only where its keys are published: what cannot be verified is not asked for.
    """
    types = sorted({"Patient", *read_types})
    reading = [("rs", "read", one) for one in types]
    writing = [("crus", "*", one) for one in WRITTEN_TYPES] if ehr.write_back is WriteBack.LAUNCH else []
    written = {one for *_, one in writing}
    clinical = [*(part for part in reading if part[2] not in written), *writing]
    lasting = ["offline_access"] if ehr.write_back is WriteBack.LAUNCH else []
    named = [f"patient/{one}.{v2 if configuration.syntax is ScopeSyntax.V2 else v1}" for v2, v1, one in clinical]
    identity = ["openid", "fhirUser"] if configuration.jwks_uri is not None else []
    return (*identity, "launch" if from_ehr else "launch/patient", *lasting, *named)


def missing_scopes(wanted: Iterable[str], granted: Collection[str]) -> tuple[str, ...]:
    """The clinical scopes of `wanted` that none of `granted` covers, in part or whole."""
    held = _usable(granted)
    return tuple(
        text
        for text in wanted
        for scope in _usable([text])
        if not all(any(one.covers(scope.resource_type, Permission(each)) for one in held) for each in scope.permissions)
    )


def is_writing(scope: str) -> bool:
    """True for a scope without which nothing can be written back."""
    return any(Permission.CREATE in one.permissions for one in _usable([scope]))


def challenge(verifier: str) -> str:
    """The S256 code challenge of a PKCE verifier (RFC 7636)."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class LaunchContext:
    """What a token response says of the launch. References are as the EHR wrote them.

    `app_context` is what a CDS Hooks card gave to its link: here the name of a page, or the summary of a response.
    """

    patient: str
    encounter: str | None
    intent: str | None
    app_context: str | None
    questionnaire: str | None
    needs_banner: bool

    @property
    def summary(self) -> str | None:
        """The id of the response whose summary is asked for, not its page's form."""
        asked = (self.app_context or "").removeprefix(SUMMARY_CONTEXT)
        return asked if is_id(asked) and asked != self.app_context else None


def read_context(answer: Json) -> LaunchContext:
    """The launch context of a token response. Raises LaunchFailed when it does not say whose record is open."""
    patient = answer.get("patient")
    if not is_id(patient):
        text = "The EHR did not say whose record is open: its token response has no 'patient'."
        raise LaunchFailed(Failure.NO_PATIENT, text)
    encounter = answer.get("encounter")
    return LaunchContext(
        patient=str(patient),
        encounter=f"Encounter/{encounter}" if is_id(encounter) else None,
        intent=_text(answer.get("intent")),
        app_context=_text(answer.get("appContext")),
        questionnaire=_questionnaire(answer.get("fhirContext")),
        # Where the EHR does not say that it shows whose record is open, the form does.
        needs_banner=answer.get("need_patient_banner") is not False,
    )


def granted_scopes(answer: Json, asked: Iterable[str]) -> frozenset[str]:
    """The scopes of a token response; those that were asked where it names none (RFC 6749, 5.1)."""
    told = answer.get("scope")
    return frozenset(told.split() if isinstance(told, str) else asked)


def expiry(answer: Json, now: datetime) -> datetime:
    """When the access token of a token response ends (aware UTC)."""
    told = answer.get("expires_in")
    digits = str(told) if isinstance(told, int | str) else ""
    is_number = digits.isascii() and digits.isdigit() and len(digits) < 10
    return now + timedelta(seconds=int(digits) if is_number else _UNTOLD_SECONDS)


def fhir_user(claims: Mapping[str, Any], issuer: str) -> str | None:
    """The `fhirUser` of an id_token as a reference below `issuer`, or as it is; None when it names nobody."""
    told = claims.get("fhirUser", claims.get("profile"))
    return told.removeprefix(f"{issuer}/") if isinstance(told, str) and is_reference(told) else None


def _questionnaire(contexts: Any) -> str | None:
    """The canonical of the first Questionnaire that `fhirContext` names."""
    for one in contexts if isinstance(contexts, list) else ():
        if isinstance(one, dict):
            canonical = _text(one.get("canonical"))
            if canonical is not None and one.get("type", "Questionnaire") == "Questionnaire":
                return canonical
    return None


def _usable(texts: Iterable[str]) -> tuple[Scope, ...]:
    """The scopes for a patient's record; one narrowed by a search does not count."""
    return tuple(one for one in read_scopes(texts) if one.level is not Level.SYSTEM and one.restriction is None)


def _endpoint(document: Json, name: str, base: str) -> str:
    told = _text(document.get(name))
    if told is None:
        text = f"The EHR does not say where its {name.replace('_', ' ')} is."
        raise LaunchFailed(Failure.NO_SMART, text)
    address = urljoin(f"{base}/", told)
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname == urlsplit(base).hostname):
        text = f"The EHR's {name.replace('_', ' ')} is not reached by https."
        raise LaunchFailed(Failure.NO_SMART, text)
    return address


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
