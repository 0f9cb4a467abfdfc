"""The triage result as one FHIR Observation: the level, a component for each fired rule, and the reasons in words."""

from __future__ import annotations

from collections.abc import Iterator

from service.fhir.json import Json
from service.fhir.primitives import instant, is_datetime
from service.sdc.assessment import Assessment, Reason, RuleOutcome
from service.sdc.context import ResponseContext
from service.sdc.triage import Rule, Source, TriagePlan

_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_PERFORMERS = ("Patient", "RelatedPerson", "Practitioner")


def triage_observation(plan: TriagePlan, assessment: Assessment, context: ResponseContext) -> Json:
    """The Observation that carries `assessment`; preliminary for a draft.

    Without a level it has the data-absent reason temp-unknown (obs-6: never both).
    """
    response = context.response
    authored = response.get("authored")
    observation: Json = {
        "resourceType": "Observation",
        "status": "preliminary" if assessment.is_draft else "final",
        "category": [{"coding": [{"system": _CATEGORY, "code": "survey", "display": "Survey"}]}],
        "code": plan.code,
        "subject": response.get("subject"),
        "encounter": response.get("encounter"),
        "effectiveDateTime": authored if is_datetime(authored) else instant(context.now),
        "performer": [performer] if (performer := response_performer(response)) else None,
        **_value(assessment),
        "note": [{"text": text} for text in _notes(assessment)],
        "derivedFrom": _derived_from(response),
        "component": [_component(plan, outcome.rule) for outcome in assessment.fired],
    }
    return {key: value for key, value in observation.items() if value not in (None, [])}


def has_fired(triage: Json) -> bool:
    """Whether any rule fired in the assessment that the Observation `triage` tells of."""
    return "component" in triage


def response_performer(response: Json) -> Json | None:
    """Who answered: `source`; else an author who is a person; else the subject. None when the response names none."""
    author = response.get("author") or {}
    kind = author.get("type") or str(author.get("reference", "")).rpartition("/")[0].rpartition("/")[2]
    performer: Json | None = response.get("source") or (author if kind in _PERFORMERS else response.get("subject"))
    return performer


def explain(outcome: RuleOutcome) -> str:
    """One fired rule in words: its id, title, level, sentences, the answers behind it, and its sources with labels."""
    rule = outcome.rule
    parts = [f"{rule.id} {rule.title} ({rule.level.display}).", *outcome.sentences]
    reasons = [_told(reason, "not answered") for reason in outcome.reasons]
    if reasons:
        parts.append(f"Because of: {'; '.join(reasons)}.")
    if outcome.fault is not None:
        parts.append(f"Not all of this could be evaluated: {outcome.fault}.")
    parts.append(f"Source: {'; '.join(_source(source) for source in rule.sources)}.")
    return " ".join(parts)


def _value(assessment: Assessment) -> Json:
    level = assessment.level
    if level is None:
        reason = {"system": _ABSENT, "code": "temp-unknown", "display": "Temporarily Unknown"}
        return {"dataAbsentReason": {"coding": [reason]}}
    value: Json = {"valueCodeableConcept": {"coding": [level.coding], "text": level.display}}
    if level.interpretation is not None:
        value["interpretation"] = [{"coding": [{"system": _INTERPRETATION, "code": level.interpretation}]}]
    return value


def _component(plan: TriagePlan, rule: Rule) -> Json:
    system = (plan.code.get("coding") or [{}])[0].get("system")
    return {
        "code": {"coding": [{"system": system, "code": rule.id, "display": rule.title}], "text": rule.title},
        "valueCodeableConcept": {"coding": [rule.level.coding], "text": rule.level.display},
    }


def _notes(assessment: Assessment) -> Iterator[str]:
    for outcome in assessment.fired:
        yield explain(outcome)
    if assessment.not_assessed:
        rules = "; ".join(_not_assessed(outcome) for outcome in assessment.not_assessed)
        yield f"Not assessed: {rules}."
    if assessment.is_draft:
        yield "The response is not complete: only rules of the highest level were judged."


def _not_assessed(outcome: RuleOutcome) -> str:
    name = f"{outcome.rule.id} {outcome.rule.title}"
    if outcome.fault is not None:
        return f"{name} (it could not be evaluated: {outcome.fault})"
    open_questions = ", ".join(_told(reason, "") for reason in outcome.reasons)
    return f"{name} (open: {open_questions})" if open_questions else name


def _told(reason: Reason, without_answer: str) -> str:
    """A question as asked, and its answers in the words they were chosen by, with the code's term where it differs."""
    answers = [
        label if label == term else f"{label} ({term})"
        for label, term in zip(reason.labels, reason.answers, strict=True)
    ]
    when = "" if reason.told_on is None else f"On {reason.told_on}: "
    return f"{when}“{reason.question}” {', '.join(answers) or without_answer}".rstrip()


def _source(source: Source) -> str:
    place = f"{source.citation}, {source.url}" if source.url else source.citation
    return f"{place} [{source.label}]"


def _derived_from(response: Json) -> list[Json]:
    return [{"reference": f"QuestionnaireResponse/{response['id']}"}] if "id" in response else []
