"""Short ways to write Questionnaires and responses in spec tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from service.sdc.compilation import compile_questionnaire
from service.sdc.questionnaire import Questionnaire
from service.sdc.validation import validate

NOW = datetime(2026, 3, 15, 9, tzinfo=UTC)
SYSTEM = "urn:codes"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
CORE = "http://hl7.org/fhir/StructureDefinition/"


def coding(code: str) -> dict[str, Any]:
    return {"system": SYSTEM, "code": code, "display": code.capitalize()}


def option(code: str, *, exclusive: bool = False) -> dict[str, Any]:
    extension = [{"url": CORE + "questionnaire-optionExclusive", "valueBoolean": True}]
    return {**({"extension": extension} if exclusive else {}), "valueCoding": coding(code)}


def question(link_id: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"linkId": link_id, "type": kind, **more}


def choice(link_id: str, *codes: str, **more: Any) -> dict[str, Any]:
    return question(link_id, "choice", answerOption=[option(code) for code in codes], **more)


def when(link_id: str, operator: str, **answer: Any) -> dict[str, Any]:
    return {"question": link_id, "operator": operator, **answer}


def expression(url: str, text: str) -> dict[str, Any]:
    return {"url": url, "valueExpression": {"language": "text/fhirpath", "expression": text}}


def constraint(text: str, severity: str = "error") -> dict[str, Any]:
    parts = [
        {"url": "key", "valueId": "c-1"},
        {"url": "severity", "valueCode": severity},
        {"url": "expression", "valueString": text},
        {"url": "human", "valueString": "It must hold."},
    ]
    return {"url": CORE + "questionnaire-constraint", "extension": parts}


def questionnaire(*items: dict[str, Any], **more: Any) -> Questionnaire:
    definition = {"resourceType": "Questionnaire", "url": "urn:q", "version": "1", "status": "active", **more}
    return compile_questionnaire({**definition, "item": list(items)})


def answered(link_id: str, *answers: Any) -> dict[str, Any]:
    """A response item; an answer that is a dict stands as it is, a text is a code of SYSTEM."""
    given = [answer if isinstance(answer, dict) else {"valueCoding": coding(answer)} for answer in answers]
    return {"linkId": link_id, "answer": given}


def group(link_id: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"linkId": link_id, "item": list(items)}


def response(*items: dict[str, Any], status: str = "completed", **more: Any) -> dict[str, Any]:
    made = {"resourceType": "QuestionnaireResponse", "questionnaire": "urn:q|1", "status": status, **more}
    return {**made, "item": list(items)} if items else made


def findings(asked: Questionnaire, *items: dict[str, Any], **more: Any) -> list[tuple[str, str | None]]:
    """What validation finds: (detail, place without the leading type), errors and warnings."""
    issues = validate(asked, response(*items, **more), NOW)
    return [(issue.detail or "", (issue.expression or "").removeprefix("QuestionnaireResponse.")) for issue in issues]
