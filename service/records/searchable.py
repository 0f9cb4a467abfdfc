"""What a resource is found by: the search parameters of each type, and the values they have in a resource.

http://hl7.org/fhir/R4/search.html. A store keeps these values; `search` reads what callers ask of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any, Final
from urllib.parse import quote

from service.fhir.elements import search_escaped
from service.fhir.json import Json
from service.fhir.spans import AFTER_ALL, BEFORE_ALL, span


class Kind(StrEnum):
    """The kinds of search parameter in use."""

    TOKEN = auto()
    REFERENCE = auto()
    CANONICAL = auto()
    DATE = auto()


@dataclass(frozen=True, slots=True)
class Term:
    """A value that a resource is found by: of a token, its code and system ("" for none); of a reference, the
    reference and ""; of a canonical, its URL and its version ("" for none)."""

    parameter: str
    value: str
    system: str


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a date or period covers: from `low` to just before `high`, milliseconds since 1970 in UTC."""

    parameter: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class SearchValues:
    """All that one resource is found by. `patient` is its subject's reference."""

    patient: str | None
    terms: tuple[Term, ...]
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """How one search parameter is read, and the elements it looks at (the first name that has a value counts)."""

    kind: Kind
    elements: tuple[str, ...]


PARAMETERS: Final[Mapping[str, Mapping[str, Parameter]]] = {
    "QuestionnaireResponse": {
        "questionnaire": Parameter(Kind.CANONICAL, ("questionnaire",)),
        "authored": Parameter(Kind.DATE, ("authored",)),
        "status": Parameter(Kind.TOKEN, ("status",)),
        "identifier": Parameter(Kind.TOKEN, ("identifier",)),
    },
    "Observation": {
        "identifier": Parameter(Kind.TOKEN, ("identifier",)),
        "code": Parameter(Kind.TOKEN, ("code",)),
        "category": Parameter(Kind.TOKEN, ("category",)),
        "date": Parameter(Kind.DATE, ("effectiveDateTime", "effectivePeriod", "effectiveInstant")),
        "derived-from": Parameter(Kind.REFERENCE, ("derivedFrom",)),
    },
    "Condition": {
        "identifier": Parameter(Kind.TOKEN, ("identifier",)),
        "code": Parameter(Kind.TOKEN, ("code",)),
        "category": Parameter(Kind.TOKEN, ("category",)),
        "onset-date": Parameter(Kind.DATE, ("onsetDateTime", "onsetPeriod")),
        "recorded-date": Parameter(Kind.DATE, ("recordedDate",)),
    },
    "Provenance": {"target": Parameter(Kind.REFERENCE, ("target",))},
    "AuditEvent": {
        "date": Parameter(Kind.DATE, ("recorded",)),
        "action": Parameter(Kind.TOKEN, ("action",)),
        "type": Parameter(Kind.TOKEN, ("type",)),
        "subtype": Parameter(Kind.TOKEN, ("subtype",)),
        "agent": Parameter(Kind.REFERENCE, ("agent.who",)),
        "entity": Parameter(Kind.REFERENCE, ("entity.what",)),
    },
}
"""The parameters of each type beside `_id`, `patient` and `subject`, which a store answers from columns of its own."""

PATIENT_PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    "QuestionnaireResponse": ("patient", "subject"),
    "Observation": ("patient", "subject"),
    "Condition": ("patient", "subject"),
    "AuditEvent": ("patient",),
}
"""The parameters of each type that say whose record is searched."""

# http://hl7.org/fhir/R4/valueset-object-role.html
PATIENT_ROLE: Final = "1"


def search_values(resource: Json) -> SearchValues:
    """What `resource` is found by; a type with no parameters of ours has none."""
    terms: list[Term] = []
    spans: list[Span] = []
    for name, parameter in PARAMETERS.get(resource["resourceType"], {}).items():
        for value in _elements(resource, parameter.elements):
            match parameter.kind:
                case Kind.TOKEN:
                    terms.extend(Term(name, code, system) for system, code in _tokens(value))
                case Kind.REFERENCE:
                    terms.extend(Term(name, reference, "") for reference in _references(value))
                case Kind.CANONICAL:
                    url, _, version = value.partition("|")
                    terms.append(Term(name, url, version))
                case Kind.DATE:
                    # What cannot be read is not found by date; whether it may be sent is for the delivery to judge.
                    with suppress(ValueError):
                        spans.append(Span(name, *_span_of(value)))
    return SearchValues(_patient(resource), tuple(dict.fromkeys(terms)), tuple(spans))


def _patient(resource: Json) -> str | None:
    """Whom `resource` is about, as it says itself: a subject, or who is named as patient in an AuditEvent."""
    for entity in resource.get("entity", []) if resource["resourceType"] == "AuditEvent" else ():
        if entity.get("role", {}).get("code") == PATIENT_ROLE:
            return subject_key(entity["what"])
    return subject_key(resource.get("subject"))


def subject_key(subject: Any) -> str | None:
    """The text that stands for a subject in searches and keys; None when it names nobody.

    Its reference; of a subject known by an identifier alone, the conditional reference (`Patient?identifier=…`).
    """
    if not isinstance(subject, dict):
        return None
    reference = subject.get("reference")
    if isinstance(reference, str):
        return reference
    return conditional_reference(subject)


def conditional_reference(subject: Json) -> str | None:
    """`Patient?identifier=system|value` (escaped) of a Reference that holds an identifier with both; else None."""
    identifier = subject.get("identifier")
    if not isinstance(identifier, dict):
        return None
    system, value = identifier.get("system"), identifier.get("value")
    if not (isinstance(system, str) and isinstance(value, str)):
        return None
    return f"{subject.get('type', 'Patient')}?{token_query('identifier', system, value)}"


def token_query(parameter: str, system: str, code: str) -> str:
    r"""`parameter=system|code` for a URL or ifNoneExist: FHIR's escapes (`\` `,` `$` `|`), then percent-encoded."""
    return f"{parameter}={quote(f'{search_escaped(system)}|{search_escaped(code)}', safe='')}"


def _elements(resource: Json, names: Iterable[str]) -> Iterator[Any]:
    for name in names:
        found = list(_at(resource, name))
        if found:
            yield from found
            return


def _at(value: Json, path: str) -> Iterator[Any]:
    """The values at `path`, element names with dots between; a list gives each of its own."""
    name, _, rest = path.partition(".")
    held = value.get(name)
    for one in held if isinstance(held, list) else () if held is None else (held,):
        if rest:
            yield from _at(one, rest)
        else:
            yield one


def _tokens(value: Any) -> Iterator[tuple[str, str]]:
    """(system, code) pairs of a code, Identifier, Coding or CodeableConcept."""
    if isinstance(value, str):
        yield "", value
    elif "coding" in value:
        for coding in value["coding"]:
            yield from _tokens(coding)
    else:
        code = value.get("code", value.get("value"))
        if isinstance(code, str):
            yield value.get("system", ""), code


def _references(value: Json) -> Iterator[str]:
    reference = value.get("reference")
    if isinstance(reference, str):
        yield reference


def _span_of(value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        return span(value)
    start, end = value.get("start"), value.get("end")
    return (span(start)[0] if start else BEFORE_ALL, span(end)[1] if end else AFTER_ALL)
