"""Carries out $populate: reads what was asked, finds the data, and answers a response with what could not be done.

SDC STU4, http://hl7.org/fhir/uv/sdc/OperationDefinition/Questionnaire-populate. Nothing is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Final

from service.errors import Detail, Invalid, Issue, IssueType, NotFound, Severity, error
from service.fhir.json import Json
from service.fhir.outcome import operation_outcome
from service.packs import Pack
from service.records.access import ANYONE, Caller
from service.records.clinical_data import AllData, PermittedData, SentData, ServerData, SubjectData, read_reference
from service.records.evaluation import compile_inline
from service.records.population_request import PopulationRequest
from service.records.ports import Clock, FhirServer, Pages
from service.sdc.items import pair
from service.sdc.population import Given, populate
from service.sdc.population_plan import PopulationPlan, compile_population
from service.sdc.queries import ClinicalData, DataUnavailable
from service.sdc.questionnaire import Questionnaire
from service.sdc.structure import response_structure_issues

_PATIENT: Final = "patient"
_LOCAL: Final = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}")

OpenServer = Callable[[], AbstractContextManager[FhirServer]]
"""Opens the configured FHIR server for one population."""


@dataclass(frozen=True, slots=True)
class Population:
    """Populates responses. `open_server` is None where no FHIR server is configured; `elapsed` a monotonic clock."""

    pages: Pages
    clock: Clock
    open_server: OpenServer | None
    elapsed: Callable[[], float]

    def populate(self, request: PopulationRequest, pack: Pack | None = None, caller: Caller = ANYONE) -> Json:
        """Parameters with `response` and, where there are any, `issues`; `pack` is the page the operation is called on.

        The FHIR server is asked for what `caller` may read alone. Raises Invalid (no Questionnaire to populate, or what
        was sent contradicts itself) and NotFound (no such page).
        """
        questionnaire, plan, is_inline = self._questionnaire(request, pack)
        _check_partial(questionnaire, request)
        with self._opened(request) as server:
            server_data = None if server is None else PermittedData(ServerData(server, self.elapsed), caller)
            base = None if server is None else server.base_url
            given, issues = _given(questionnaire, request, server_data, base)
            if server_data is not None and request.local and not _is_here(given.subject):
                text = "The subject is no patient of the configured FHIR server, which was not asked for their record."
                issues.append(_warning(IssueType.INCOMPLETE, text, Detail.DATA_NOT_AT_HAND))
                server_data = None
            data = _data(request, given, server_data, is_inline=is_inline)
            populated = populate(questionnaire, plan, given, data, self.clock())
        found = (*request.issues, *issues, *populated.issues)
        parameters: list[Json] = [{"name": "response", "resource": populated.response}]
        if found:
            parameters.append({"name": "issues", "resource": operation_outcome(found)})
        return {"resourceType": "Parameters", "parameter": parameters}

    def _questionnaire(
        self, request: PopulationRequest, pack: Pack | None
    ) -> tuple[Questionnaire, PopulationPlan, bool]:
        """The Questionnaire, its plan, and whether it came with the request."""
        if pack is None and request.questionnaire is not None:
            questionnaire = compile_inline(request.questionnaire)
            return questionnaire, compile_population(questionnaire), True
        if pack is None:
            pack = self._page(request)
        return pack.questionnaire, pack.population, False

    def _page(self, request: PopulationRequest) -> Pack:
        canonical = request.canonical or (request.partial or {}).get("questionnaire")
        if canonical is None:
            text = "Name the Questionnaire: call the operation on one, or send 'questionnaire'."
            raise Invalid([error(IssueType.REQUIRED, text, "Parameters.parameter", Detail.UNKNOWN_QUESTIONNAIRE)])
        pack = self.pages.resolve(str(canonical))
        if pack is None:
            text = f"No questionnaire '{canonical}' is published here. GET Questionnaire lists those that are."
            raise NotFound([error(IssueType.NOT_FOUND, text, "Parameters.parameter", Detail.UNKNOWN_QUESTIONNAIRE)])
        return pack

    def _opened(self, request: PopulationRequest) -> AbstractContextManager[FhirServer | None]:
        if self.open_server is None or not (request.local or request.references):
            return nullcontext()
        return self.open_server()


def _given(
    questionnaire: Questionnaire, request: PopulationRequest, server: ClinicalData | None, base: str | None
) -> tuple[Given, list[Issue]]:
    """What the population starts from: launch contexts as sent, as referenced, or for the patient, as the subject."""
    named = {name: list(resources) for name, resources in request.contexts.items()}
    known = questionnaire.launch_contexts | questionnaire.population_names
    issues = []
    for name in sorted({*named, *request.references} - known):
        text = f"The Questionnaire has no launch context or query '{name}'. What was sent for it serves as data."
        issues.append(_warning(IssueType.NOT_FOUND, text, Detail.NOT_POPULATED))
    subject = request.subject or _subject_of(named)
    wanted = [(name, reference) for name, all_of in request.references.items() for reference in all_of]
    if request.local and subject is not None and _PATIENT in questionnaire.launch_contexts and _PATIENT not in named:
        wanted.append((_PATIENT, str(subject.get("reference", ""))))
    for name, reference in wanted:
        try:
            named.setdefault(name, []).append(_read(reference, server, base))
        except DataUnavailable as fault:
            text = f"'{name}' is not at hand: {fault}"
            issues.append(_warning(IssueType.INCOMPLETE, text, Detail.DATA_NOT_AT_HAND))
    subject = subject or _subject_of(named)
    _check_subject(subject, named)
    resources = (*request.data, *(one for name, found in named.items() if name not in known for one in found))
    launched = {name: found for name, found in named.items() if name in known and found}
    return Given(_relative(subject, base), launched, resources, request.partial), issues


def _data(request: PopulationRequest, given: Given, server: ClinicalData | None, *, is_inline: bool) -> ClinicalData:
    sent = tuple(_unpacked((*given.resources, *(one for found in given.named.values() for one in found))))
    places: tuple[ClinicalData, ...] = (SentData(sent),)
    if server is not None and request.local:
        subject = (given.subject or {}).get("reference")
        places = (SubjectData(server, subject) if is_inline else server, *places)
    return AllData(places)


def _unpacked(resources: tuple[Json, ...]) -> Iterator[Json]:
    for resource in resources:
        if resource["resourceType"] == "Bundle":
            yield from _unpacked(tuple(one["resource"] for one in resource.get("entry", []) if "resource" in one))
        else:
            yield resource


def _read(reference: str, server: ClinicalData | None, base: str | None) -> Json:
    if server is None or base is None:
        raise DataUnavailable("it was sent as a reference, and no FHIR server is configured to read it from.")
    relative = _on_server(reference, base)
    if relative is None:
        raise DataUnavailable("its reference is not one of the configured FHIR server.")
    found = read_reference(server, relative)
    if found is None:
        raise DataUnavailable("the FHIR server does not have it.")
    return found


def _subject_of(named: dict[str, list[Json]]) -> Json | None:
    patient = next(iter(named.get(_PATIENT, [])), {})
    return {"reference": f"Patient/{patient['id']}"} if "id" in patient else None


def _check_subject(subject: Json | None, named: dict[str, list[Json]]) -> None:
    """Raises Invalid when the patient sent along is not the subject: answers must not come from another's record."""
    reference = str((subject or {}).get("reference", ""))
    patients = named.get(_PATIENT, [])
    if len(patients) > 1 or any(one["resourceType"] != "Patient" for one in patients):
        text = "The launch context 'patient' takes one Patient, whose answers these are."
        raise Invalid([error(IssueType.VALUE, text, "Parameters.parameter", Detail.INVALID_VALUE)])
    for patient in patients:
        if "id" in patient and "/" in reference:
            path = reference.partition("/_history")[0]
            if path.rpartition("Patient/")[2] != patient["id"]:
                text = "The patient in the launch context is not the subject. Send the subject's own Patient."
                raise Invalid([error(IssueType.CONFLICT, text, "Parameters.parameter", Detail.INVALID_VALUE)])


def _is_here(subject: Json | None) -> bool:
    """Whether `subject` may be looked for on the configured server: another server's Patient/1 is somebody else."""
    reference = (subject or {}).get("reference")
    return reference is None or _LOCAL.fullmatch(str(reference)) is not None


def _relative(subject: Json | None, base: str | None) -> Json | None:
    if subject is None or base is None or "reference" not in subject:
        return subject
    return {**subject, "reference": _on_server(subject["reference"], base) or subject["reference"]}


def _check_partial(questionnaire: Questionnaire, request: PopulationRequest) -> None:
    """Raises Invalid when the answers that are there already cannot be placed in the Questionnaire."""
    if request.partial is None:
        return
    faults = [issue for issue in response_structure_issues(request.partial) if issue.is_error]
    if not faults:
        faults = [issue for issue in pair(questionnaire, request.partial).issues if issue.is_error]
    if faults:
        raise Invalid([replace(fault, text=f"The response sent along: {fault.text}") for fault in faults])


def _on_server(reference: str, base: str) -> str | None:
    """`reference` as the server at `base` writes it ("Patient/1"); None when it leads elsewhere."""
    relative = reference.removeprefix(f"{base}/")
    return relative if _LOCAL.fullmatch(relative) else None


def _warning(code: IssueType, text: str, detail: Detail) -> Issue:
    return Issue(Severity.WARNING, code, text, "Parameters.parameter", detail)
