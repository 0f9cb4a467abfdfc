"""Where a population's queries are answered: the configured FHIR server, or the resources that came with a call.

No address is ever taken from a caller: a server is asked below its own base alone, also for further pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, quote

from service.fhir.elements import search_escaped
from service.fhir.json import Json
from service.fhir.structure import structure_issues
from service.records.access import Caller
from service.records.ports import Answer, AnswerLost, FhirServer, Unreachable
from service.records.scopes import Permission
from service.records.search import Criterion, PatientCriterion, split_or, split_token
from service.sdc.queries import ClinicalData, DataUnavailable, resource_type_of

MAX_QUERIES: Final = 50
MAX_PAGES: Final = 10
MAX_RESOURCES: Final = 1000
MAX_SECONDS: Final = 30.0
_FRESH: Final = {"Cache-Control": "no-cache"}
# Parameters that change how a search is answered, not what matches it.
_PRESENTATION: Final = frozenset({"_sort", "_count", "_include", "_revinclude", "_elements", "_summary", "_total"})
_REFERENCES: Final = frozenset({"patient", "subject"})
_TOKENS: Final[dict[str, str]] = {
    "code": "code",
    "status": "status",
    "clinical-status": "clinicalStatus",
    "verification-status": "verificationStatus",
    "category": "category",
    "intent": "intent",
}


@dataclass(slots=True)
class ServerData:
    """Asks a FHIR server, within limits for one population. `elapsed` gives seconds of a monotonic clock."""

    server: FhirServer
    elapsed: Callable[[], float]
    max_seconds: float = MAX_SECONDS
    _began: float = field(init=False)
    _asked: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._began = self.elapsed()

    def search(self, query: str) -> Sequence[Json]:
        """See ClinicalData."""
        self._asked += 1
        if self._asked > MAX_QUERIES:
            raise DataUnavailable(f"a population asks {MAX_QUERIES} queries at most.")
        found: list[Json] = []
        path: str | None = query
        for _ in range(MAX_PAGES):
            body = self._page(path or "")
            if body.get("resourceType") != "Bundle":
                return _well_formed([body])
            found.extend(entry["resource"] for entry in body.get("entry", []) if "resource" in entry)
            path = self._next(body)
            if path is None:
                return _well_formed(found)
            if len(found) > MAX_RESOURCES:
                break
        raise DataUnavailable(f"it finds more than {MAX_RESOURCES} resources or {MAX_PAGES} pages.")

    def _page(self, path: str) -> Json:
        if self.elapsed() - self._began > self.max_seconds:
            raise DataUnavailable(f"the server's answers took more than {self.max_seconds:g} seconds.")
        try:
            answer: Answer = self.server.send("GET", path, headers=_FRESH)
        except (Unreachable, AnswerLost) as fault:
            raise DataUnavailable("the FHIR server did not answer.") from fault
        if answer.status != 200 or answer.body is None:
            raise DataUnavailable(f"the FHIR server answered with HTTP {answer.status}.")
        return answer.body

    def _next(self, bundle: Json) -> str | None:
        url = next((str(link.get("url")) for link in bundle.get("link", []) if link.get("relation") == "next"), None)
        if url is None:
            return None
        base = self.server.base_url
        if url.startswith((f"{base}/", f"{base}?")):
            return url[len(base) :].removeprefix("/")
        raise DataUnavailable("its next page stands at another address than the server's.")


@dataclass(frozen=True, slots=True)
class SentData:
    """Answers from the resources that came with a call, for searches by patient, status, code and the like."""

    resources: tuple[Json, ...]

    def search(self, query: str) -> Sequence[Json]:
        """See ClinicalData. A type of which nothing was sent is unknown, not empty."""
        kind = resource_type_of(query)
        sent = [one for one in self.resources if one["resourceType"] == kind]
        if not sent:
            raise DataUnavailable(f"no {kind} was sent along, and no FHIR server is asked.")
        path, _, parameters = query.partition("?")
        tests = [("_id", path.partition("/")[2])] if "/" in path else parse_qsl(parameters)
        matches = [one for one in sent if all(_matches(one, name, value) for name, value in tests)]
        return [*matches, *(one for one in self.resources if one["resourceType"] == "Medication" and matches)]


@dataclass(frozen=True, slots=True)
class AllData:
    """Answers from several places together; unknown only where none of them can tell."""

    places: tuple[ClinicalData, ...]

    def search(self, query: str) -> Sequence[Json]:
        """See ClinicalData. A resource that several places know is taken from the first."""
        found: dict[object, Json] = {}
        faults = []
        for place in self.places:
            try:
                for one in place.search(query):
                    key = (one["resourceType"], one["id"]) if "id" in one else id(one)
                    found.setdefault(key, one)
            except DataUnavailable as fault:
                faults.append(fault)
        if len(faults) == len(self.places):
            raise faults[0] if faults else DataUnavailable("no FHIR server is asked.")
        return list(found.values())


@dataclass(frozen=True, slots=True)
class SubjectData:
    """Answers only what is asked about one subject: so a Questionnaire from outside reads nobody else's record."""

    within: ClinicalData
    subject: str | None

    def search(self, query: str) -> Sequence[Json]:
        """See ClinicalData."""
        if self.subject is None or not _names_subject(query, self.subject):
            raise DataUnavailable("a Questionnaire sent along may ask for its subject's data alone.")
        return self.within.search(query)


@dataclass(frozen=True, slots=True)
class PermittedData:
    """Answers what a caller may search for themselves, so that nobody reads a record by this service's right."""

    within: ClinicalData
    caller: Caller

    def search(self, query: str) -> Sequence[Json]:
        """See ClinicalData."""
        kind = resource_type_of(query)
        bounds = self.caller.bounds(kind, Permission.SEARCH)
        if not any(all(_keeps(one, query) for one in criteria) for criteria in bounds):
            raise DataUnavailable(f"the token does not let it read {kind} here.")
        return self.within.search(query)


def _keeps(criterion: Criterion, query: str) -> bool:
    """True where `query` finds nothing beyond the criterion, as can be told of patients alone."""
    return isinstance(criterion, PatientCriterion) and all(_names_subject(query, one) for one in criterion.references)


def read_reference(data: ClinicalData, reference: str) -> Json | None:
    """The resource that a relative reference ("Patient/1") names. Raises DataUnavailable."""
    kind, _, identity = reference.partition("/")
    found = data.search(f"{kind}?_id={quote(search_escaped(identity), safe='')}")
    return next((one for one in found if (one["resourceType"], one.get("id")) == (kind, identity)), None)


def _well_formed(resources: Sequence[Json]) -> Sequence[Json]:
    for resource in resources:
        if structure_issues(resource):
            raise DataUnavailable("the FHIR server's answer is not FHIR R4.")
    return resources


def _names_subject(query: str, subject: str) -> bool:
    path, _, parameters = query.partition("?")
    if path == subject:
        return True
    kind, _, identity = subject.partition("/")
    named = parse_qsl(parameters, keep_blank_values=True)
    # A reverse include would bring what refers to the subject's resources, whoever it is about.
    if any(name.startswith("_revinclude") for name, _ in named):
        return False
    if path == kind:
        return [value for name, value in named if name == "_id"] == [identity]
    given = [value for name, value in named if name in _REFERENCES]
    return bool(given) and all(one in (subject, identity) for one in given)


def _matches(resource: Json, name: str, value: str) -> bool:
    plain = name.partition(":")[0]
    if plain in _PRESENTATION:
        return True
    wanted = split_or(value)
    if name == "_id":
        return resource.get("id") in wanted
    if name == "date" and value.startswith("ge"):
        # Population-based on Observations looks at the time itself, exactly.
        return True
    if name in _REFERENCES:
        about: Json = resource.get("subject") or resource.get("patient") or {}
        holder = str(about.get("reference", ""))
        return any(holder == one or holder.endswith(f"/{one}") for one in wanted)
    if name in _TOKENS:
        return any(_has_token(resource.get(_TOKENS[name]), one) for one in _tokens(value))
    raise DataUnavailable(f"a search by '{plain}' cannot be answered from what was sent along.")


def _tokens(value: str) -> list[tuple[str | None, str]]:
    # Parted at commas first, escapes left in place for the token's own separator.
    parts, part = [], ""
    for index, character in enumerate(value):
        if character == "," and not (index and value[index - 1] == "\\"):
            parts.append(part)
            part = ""
        else:
            part += character
    return [split_token(one) for one in (*parts, part)]


def _has_token(element: object, wanted: tuple[str | None, str]) -> bool:
    system, code = wanted
    if isinstance(element, list):
        return any(_has_token(one, wanted) for one in element)
    if isinstance(element, dict):
        return any(
            (system is None or coding.get("system") == system) and coding.get("code") == code
            for coding in element.get("coding", [])
        )
    return element == code
