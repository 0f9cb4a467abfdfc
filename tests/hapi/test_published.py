"""The page's artifacts, as our API serves them, judged by a real FHIR server, and used by it to judge responses."""

from __future__ import annotations

import pytest

from service.packs.vignettes import Vignette
from tests.hapi.cases import page, response_to, vignettes
from tests.hapi.client import FhirClient, Json
from tests.hapi.published import verdict
from tests.hapi.service import Service

ARTIFACTS = [(one["resourceType"], one["id"]) for one in page().artifacts]
# HAPI knows SDC's enableWhenExpression and exclusive options, but evaluates no constraint of a question.
UNJUDGED = "constraint-violated"


def unserved(resource: Json) -> Json:
    """The resource without the version that our API adds to it."""
    return {name: value for name, value in resource.items() if name != "meta"}


@pytest.mark.parametrize(("kind", "name"), ARTIFACTS, ids=["/".join(one) for one in ARTIFACTS])
def test_what_is_served_is_what_was_written_and_has_no_error(
    service: Service, judge: FhirClient, kind: str, name: str
) -> None:
    served = service.fhir.read(f"{kind}/{name}")

    (written,) = [one for one in page().artifacts if (one["resourceType"], one["id"]) == (kind, name)]
    assert unserved(served) == unserved(written)
    assert verdict(judge, served) == []


def test_nothing_that_is_served_beside_the_page_has_an_error_either(service: Service, judge: FhirClient) -> None:
    capabilities = service.fhir.read("metadata")
    named = {
        operation["definition"].partition("/OperationDefinition/")
        for resource in capabilities["rest"][0]["resource"]
        for operation in resource.get("operation", [])
    }
    own = [service.fhir.read(f"OperationDefinition/{name}") for base, _, name in named if "hl7.org" not in base]
    kinds = ("Questionnaire", "PlanDefinition", "CodeSystem", "ValueSet", "ConceptMap")
    published = [one for kind in kinds for one in service.fhir.search(kind)]
    others = [one for one in published if (one["resourceType"], one["id"]) not in ARTIFACTS]

    assert own
    assert [fault for one in (capabilities, *own, *others) for fault in verdict(judge, one)] == []


@pytest.mark.parametrize("vignette", vignettes(), ids=lambda one: one.name)
def test_another_implementation_agrees_which_responses_are_valid(judge: FhirClient, vignette: Vignette) -> None:
    errors = verdict(judge, response_to(vignette, "Patient/any"))

    expected = [issue for issue in vignette.issues if issue != UNJUDGED]
    assert bool(errors) == bool(expected), errors


def test_a_wrong_option_and_an_unknown_question_are_errors_there_too(judge: FhirClient) -> None:
    (good,) = [response_to(one, "Patient/any") for one in vignettes() if one.name.startswith("case-01")]
    danger = good["item"][0]["item"][0]
    wrong = {**danger, "answer": [{"valueCoding": {**danger["answer"][0]["valueCoding"], "code": "no-such-option"}}]}

    for bad in (wrong, {**danger, "linkId": "no-such-question"}):
        first = {**good["item"][0], "item": [bad]}
        errors = verdict(judge, {**good, "item": [first, *good["item"][1:]]})
        assert any("no-such" in error for error in errors), errors
