"""Whatever is sent is judged: a wrong Questionnaire or response gives issues, never an unexpected exception."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import DomainError
from service.fhir.json import dumps, parse_object
from service.packs import load_pack, shipped_pages
from service.packs.vignettes import load_vignettes, vignette_response
from service.records.evaluation import Evaluation
from service.records.library import Library

PACK = load_pack(shipped_pages() / "muscle-fasciculation")
EVALUATION = Evaluation(Library((PACK,), ()), lambda: datetime(2026, 3, 15, tzinfo=UTC), lambda: "an-id")
RESPONSES = [vignette_response(PACK, case) for case in load_vignettes(shipped_pages() / PACK.name)]
CORE = "http://hl7.org/fhir/StructureDefinition/"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"

ODD_VALUES = st.one_of(
    st.sampled_from([None, True, 0, -1, 2**40, "", " ", "x", "2026-02-30", "2026", "a" * 3000, [], {}, [None], [{}]]),
    st.sampled_from(["group", "question", "open-choice", "in-progress", "entered-in-error", "=", "1 +", "%none"]),
    st.sampled_from([{"system": "urn:x", "code": "y"}, {"reference": "#none"}, [{"linkId": "side", "type": "choice"}]]),
)
ODD_EXTENSIONS = st.builds(
    lambda url, value: {"url": url, **value},
    st.sampled_from(
        [
            *(CORE + name for name in ("minValue", "maxValue", "minLength", "regex", "maxDecimalPlaces", "maxSize")),
            *(CORE + name for name in ("mimeType", "variable", "targetConstraint", "questionnaire-constraint")),
            *(CORE + f"questionnaire-{name}" for name in ("unitOption", "unitValueSet", "minOccurs", "maxOccurs")),
            *(SDC + name for name in ("minQuantity", "calculatedExpression", "enableWhenExpression", "launchContext")),
            *(SDC + name for name in ("templateExtract", "templateExtractContext", "templateExtractValue")),
            *(SDC + name for name in ("templateExtractBundle", "extractAllocateId", "observationExtract", "isSubject")),
            *(SDC + name for name in ("definitionExtract", "definitionExtractValue", "itemExtractionContext")),
            *(SDC + name for name in ("observation-extract-category", "observationExtractEntry")),
        ]
    ),
    st.sampled_from(
        [
            {"valueString": "x"},
            {"valueInteger": 2},
            {"valueDate": "2026-01"},
            {"valueQuantity": {"value": 1}},
            {"valueCoding": {"code": "kg"}},
            {"valueExpression": {"language": "text/fhirpath", "expression": "1 + 1"}},
            {"valueExpression": {"language": "text/fhirpath", "expression": "(1 | 2) + 1"}},
            {"extension": [{"url": "template", "valueReference": {"reference": "#condition-fasciculation"}}]},
            {"extension": [{"url": "expression", "valueString": "answer.value > 1"}]},
            {"valueBoolean": True},
            {"valueCode": "member"},
            {"valueCode": "Patient"},
            {"extension": [{"url": "definition", "valueCanonical": CORE + "Patient"}]},
            {
                "extension": [
                    {"url": "definition", "valueUri": CORE + "Patient#Patient.name.given"},
                    {"url": "expression", "valueExpression": {"expression": "answer.value"}},
                ]
            },
            {},
        ]
    ),
)


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every value in a JSON document, as its holder and the key or index by which it stands there."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from places(node[key])


@st.composite
def mutated(draw: st.DrawFn, document: dict[str, Any], most: int) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, most))):
        found = list(places(changed))
        if not found:
            break
        holder, key = draw(st.sampled_from(found))
        match draw(st.sampled_from(["replace", "remove", "repeat", "extend"])):
            case "replace":
                holder[key] = copy.deepcopy(draw(ODD_VALUES))
            case "remove":
                del holder[key]
            case "repeat" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case "extend" if isinstance(holder[key], dict):
                extensions = holder[key].setdefault("extension", [])
                if isinstance(extensions, list):
                    extensions.append(copy.deepcopy(draw(ODD_EXTENSIONS)))
    return changed


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_mutated_response_is_judged(data: st.DataObject) -> None:
    response = data.draw(mutated(data.draw(st.sampled_from(RESPONSES)), 4))
    judge(response, None)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_mutated_questionnaire_judges(data: st.DataObject) -> None:
    response = data.draw(mutated(data.draw(st.sampled_from(RESPONSES)), 2))
    judge(response, data.draw(mutated(PACK.questionnaire.definition, 8)))


def judge(response: dict[str, Any], questionnaire: dict[str, Any] | None) -> None:
    try:
        response = parse_object(dumps(response))
        questionnaire = None if questionnaire is None else parse_object(dumps(questionnaire))
    except DomainError:
        return
    assert all(issue.text for issue in EVALUATION.validate(response, questionnaire))
    with suppress(DomainError):
        EVALUATION.assess(response)
    with suppress(DomainError):
        EVALUATION.extract(response, questionnaire)
