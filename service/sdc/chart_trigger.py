"""When a patient's chart calls for a page: an action of the plan with a `trigger`, compiled.

FHIR R4 TriggerDefinition and DataRequirement (http://hl7.org/fhir/R4/metadatatypes.html). The trigger is a named event,
the CDS Hooks hook `patient-view`, whose `data` are the Conditions that call for the page: any one of them does, by
code and clinical status. `input` says which answers are recent enough not to ask again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from service.errors import Detail, Issue, IssueType, error
from service.fhir.json import Json
from service.sdc.observations import period_start

PATIENT_VIEW: Final = "patient-view"
"""The hook of CDS Hooks that a trigger may name: a clinician has just opened a patient's record."""

MAX_TITLE_LENGTH: Final = 139
"""A title is the summary of a CDS Hooks card, which has fewer than 140 characters."""

_DENIED: Final = frozenset({"refuted", "entered-in-error"})
"""The values of the modifier Condition.verificationStatus that say: the patient does not have it."""

Codes = frozenset[tuple[str, str]]
"""(system, code) pairs."""


@dataclass(frozen=True, slots=True)
class ConditionRequirement:
    """The Conditions with one of `codes` and one of the clinical `statuses`."""

    codes: Codes
    statuses: Codes

    def is_met_by(self, condition: Json) -> bool:
        """True when the Condition is one of them; one that is refuted or was entered in error is none."""
        return (
            bool(self.codes & _codings(condition.get("code")))
            and bool(self.statuses & _codings(condition.get("clinicalStatus")))
            and not any(code in _DENIED for _, code in _codings(condition.get("verificationStatus")))
        )


@dataclass(frozen=True, slots=True)
class ChartTrigger:
    """When to ask for a page's answers. `title` and `text` are for the clinician; `recent` is a Duration (UCUM)."""

    id: str
    title: str
    text: str
    requirements: tuple[ConditionRequirement, ...]
    recent: Json

    @property
    def codes(self) -> Codes:
        """The codes of all Conditions that call for the page."""
        return Codes().union(*(one.codes for one in self.requirements))

    def is_met_by(self, conditions: Iterable[Json]) -> bool:
        """True when one of the Conditions calls for the page."""
        return any(requirement.is_met_by(one) for one in conditions for requirement in self.requirements)

    def recent_since(self, now: datetime) -> datetime:
        """Answers given from this moment on are recent."""
        start = period_start(now, self.recent)
        assert start is not None, "it is compiled only when it can be read"
        return start


class _Unusable(Exception):
    """What is wrong in a trigger, for its author."""

    def __init__(self, text: str, path: str) -> None:
        super().__init__(text)
        self.path = path


def compile_trigger(action: Json, path: str) -> tuple[ChartTrigger | None, tuple[Issue, ...]]:
    """The trigger of an action at `path` that has one; None, and why, when it cannot be used."""
    try:
        return _compiled(action, path), ()
    except _Unusable as fault:
        return None, (error(IssueType.INVALID, str(fault), fault.path, Detail.PLAN_UNUSABLE),)


def _compiled(action: Json, path: str) -> ChartTrigger:
    missing = [name for name in ("id", "title", "textEquivalent") if not action.get(name)]
    if missing:
        raise _Unusable(f"An action with a trigger needs {', '.join(missing)}.", path)
    if len(action["title"]) > MAX_TITLE_LENGTH:
        raise _Unusable(f"The title is shown on a card: {MAX_TITLE_LENGTH} characters at most.", f"{path}.title")
    if "condition" in action:
        text = "The data of a trigger are its condition: leave the FHIRPath condition out."
        raise _Unusable(text, f"{path}.condition")
    trigger = _only(action, "trigger", path)
    place = f"{path}.trigger[0]"
    if (trigger.get("type"), trigger.get("name")) != ("named-event", PATIENT_VIEW):
        raise _Unusable(f"A trigger is the named-event '{PATIENT_VIEW}'.", place)
    if not trigger.get("data"):
        raise _Unusable("A trigger needs data: the Conditions that call for the page.", place)
    return ChartTrigger(
        id=action["id"],
        title=action["title"],
        text=action["textEquivalent"],
        requirements=tuple(_requirement(one, f"{place}.data[{index}]") for index, one in enumerate(trigger["data"])),
        recent=_recent(_only(action, "input", path), f"{path}.input[0]"),
    )


def _requirement(data: Json, path: str) -> ConditionRequirement:
    filters = {one.get("path"): one for one in data.get("codeFilter", [])}
    if data.get("type") != "Condition" or "dateFilter" in data or filters.keys() != {"code", "clinicalStatus"}:
        text = "The data of a trigger are Conditions, by two code filters: 'code' and 'clinicalStatus'."
        raise _Unusable(text, path)
    return ConditionRequirement(*(_codes(filters[name], name, path) for name in ("code", "clinicalStatus")))


def _codes(code_filter: Json, name: str, path: str) -> Codes:
    codings = code_filter.get("code", [])
    if not codings or "valueSet" in code_filter or not all(one.get("system") and one.get("code") for one in codings):
        raise _Unusable(f"The filter '{name}' lists its codes, each with a system.", f"{path}.codeFilter")
    return frozenset((one["system"], one["code"]) for one in codings)


def _recent(data: Json, path: str) -> Json:
    filters = data.get("dateFilter", [])
    paths = [one.get("path") for one in filters]
    period: Any = filters[0].get("valueDuration") if filters else None
    if data.get("type") != "QuestionnaireResponse" or "codeFilter" in data or paths != ["authored"]:
        text = "The input of a trigger is a QuestionnaireResponse, by one date filter: 'authored'."
        raise _Unusable(text, path)
    if not isinstance(period, dict) or period_start(datetime(2020, 1, 1, tzinfo=UTC), period) is None:
        raise _Unusable("How long answers are recent is a valueDuration in a UCUM unit of time.", f"{path}.dateFilter")
    return period


def _only(action: Json, name: str, path: str) -> Json:
    found: list[Json] = action.get(name, [])
    if len(found) != 1:
        raise _Unusable(f"An action with a trigger has exactly one {name}.", f"{path}.{name}")
    return found[0]


def _codings(concept: Any) -> Codes:
    codings = concept.get("coding", []) if isinstance(concept, dict) else []
    return frozenset((str(one.get("system")), str(one.get("code"))) for one in codings)
