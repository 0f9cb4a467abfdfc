"""What of a chart the hook needs, and what an EHR sent along of it (CDS Hooks 2.0, "Prefetch Template")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeGuard
from urllib.parse import quote

from service.fhir.elements import search_escaped
from service.fhir.json import Json
from service.fhir.structure import structure_issues
from service.sdc.chart_trigger import ChartTrigger

CONDITIONS: Final = "conditions"
"""The key of the Conditions that call for a page."""

_PATIENT: Final = "{{context.patientId}}"
_FAILURES: Final = ("error", "fatal")


def templates(triggers: Iterable[ChartTrigger]) -> dict[str, str]:
    """The prefetch templates by key; none when no chart calls for any page."""
    codes = sorted({code for trigger in triggers for code in trigger.codes})
    if not codes:
        return {}
    tokens = ",".join(quote(f"{search_escaped(system)}|{search_escaped(code)}", safe=":/") for system, code in codes)
    return {CONDITIONS: f"Condition?patient={_PATIENT}&code={tokens}"}


def query(template: str, patient: str) -> str:
    """The FHIR search of a template for the patient with this id."""
    return template.replace(_PATIENT, patient)


def conditions_sent(prefetch: Json) -> tuple[tuple[Json, ...], str | None]:
    """The Conditions that came along, and why they may not be all; None when they are.

    A null says that the chart has none ("If the CDS Client has no data to populate a template prefetch key, the
    prefetch template key MUST have a value of null"); a key that is not there says nothing, and neither does what is
    not the answer to a search in FHIR R4.
    """
    if CONDITIONS not in prefetch:
        return (), "it was not sent"
    sent = prefetch[CONDITIONS]
    if sent is None:
        return (), None
    kind = sent.get("resourceType") if isinstance(sent, dict) else None
    if kind == "OperationOutcome":
        return (), "the EHR could not read it"
    entries, links = (sent.get(name, []) if kind == "Bundle" else None for name in ("entry", "link"))
    if not _are_objects(entries) or not _are_objects(links):
        return (), "what was sent is no Bundle, as a search gives"
    resources = [entry["resource"] for entry in entries if "resource" in entry]
    faults = [issue for one in resources for issue in structure_issues(one)]
    if faults:
        return (), f"what was sent is not FHIR R4: {faults[0].expression}: {faults[0].text}"
    if any(link.get("relation") == "next" for link in links):
        return tuple(resources), "it has more pages than were sent"
    if any(_is_failure(one) for one in resources):
        return tuple(resources), "the EHR could not read all of it"
    return tuple(resources), None


def conditions_of(resources: Iterable[Json], patient: str) -> Iterator[Json]:
    """The Conditions among `resources` whose subject is the patient with this id."""
    for one in resources:
        subject: Any = one.get("subject", {}).get("reference", "") if one["resourceType"] == "Condition" else ""
        if f"/{subject}".endswith(f"/Patient/{patient}"):
            yield one


def _are_objects(value: Any) -> TypeGuard[list[Json]]:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _is_failure(resource: Json) -> bool:
    issues = resource.get("issue", []) if resource["resourceType"] == "OperationOutcome" else []
    return any(issue.get("severity") in _FAILURES for issue in issues)
