"""Short ways to write what is extracted, and to extract it, in spec tables."""

from __future__ import annotations

from itertools import count
from typing import Any

from service.errors import Issue
from service.fhir.models import model_issues
from service.sdc.context import read_response
from service.sdc.extraction import Extracted, compile_extraction, extract, transaction_bundle
from service.sdc.questionnaire import Questionnaire
from tests.spec.sdc.questionnaires import NOW, SDC, questionnaire, response


def template_extract(template: str, **more: str) -> dict[str, Any]:
    parts = [{"url": "template", "valueReference": {"reference": f"#{template}"}}]
    parts += [{"url": name, "valueString": text} for name, text in more.items()]
    return {"url": SDC + "templateExtract", "extension": parts}


def context(text: str, name: str | None = None) -> dict[str, Any]:
    if name is None:
        return {"extension": [{"url": SDC + "templateExtractContext", "valueString": text}]}
    source = {"name": name, "language": "text/fhirpath", "expression": text}
    return {"extension": [{"url": SDC + "templateExtractContext", "valueExpression": source}]}


def value(text: str) -> dict[str, Any]:
    return {"extension": [{"url": SDC + "templateExtractValue", "valueString": text}]}


def both(narrow: str, text: str) -> dict[str, Any]:
    """A context, and a value within it, on one element."""
    return {"extension": [*context(narrow)["extension"], *value(text)["extension"]]}


def allocate(name: str) -> dict[str, Any]:
    return {"url": SDC + "extractAllocateId", "valueString": name}


def observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": "t", "status": "final", **elements}


def extracted(asked: Questionnaire, *items: dict[str, Any], **more: Any) -> tuple[Extracted, ...]:
    ids = count(1)
    compiled = compile_extraction(asked)
    assert compiled.issues == ()
    return extract(compiled, read_response(asked, response(*items, **more), NOW), lambda: f"id-{next(ids)}")


def resources(template: dict[str, Any], asked: dict[str, Any], *items: dict[str, Any]) -> list[dict[str, Any]]:
    """What `template` gives on the question `asked`."""
    with_template = {**asked, "extension": [*asked.get("extension", []), template_extract("t")]}
    return [one.resource for one in extracted(questionnaire(with_template, contained=[template]), *items)]


def bundle(asked: Questionnaire, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The transaction that a response gives; its resources pass their models."""
    made = transaction_bundle(extracted(asked, *items, **more))
    assert [issue for entry in made.get("entry", []) for issue in model_issues(entry["resource"])] == []
    assert model_issues(made) == []
    return made


def made_resources(asked: Questionnaire, *items: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """The resources of the transaction that a response gives."""
    return [entry["resource"] for entry in bundle(asked, *items, **more).get("entry", [])]


def faults(asked: Questionnaire) -> list[tuple[str, str]]:
    """Why the extraction of a Questionnaire cannot be compiled: (issue type, place)."""
    return [(issue.code, _place(issue)) for issue in compile_extraction(asked).issues]


def _place(issue: Issue) -> str:
    assert issue.expression is not None
    return issue.expression
