"""When a chart calls for a page: which Conditions do, which answers are recent, and what an author may not write."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from service.sdc.chart_trigger import ChartTrigger, compile_trigger
from tests.spec.sdc.questionnaires import NOW

SCT, ICD, OURS = "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10-cm", "urn:ours"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
PATH = "PlanDefinition.contained[0].action[0]"
Json = dict[str, Any]


def concept(system: str, *codes: str) -> Json:
    return {"coding": [{"system": system, "code": code} for code in codes]}


def condition(code: Json | None = None, clinical: str | None = "active", verification: str | None = None) -> Json:
    found = {
        "code": concept(SCT, "82470000") if code is None else code,
        "clinicalStatus": clinical and concept(CLINICAL, clinical),
        "verificationStatus": verification and concept(VERIFICATION, verification),
    }
    return {"resourceType": "Condition", **{name: value for name, value in found.items() if value is not None}}


ACTION: Json = {
    "id": "ask",
    "title": "Ask now?",
    "textEquivalent": "The form asks for danger signs first.",
    "trigger": [
        {
            "type": "named-event",
            "name": "patient-view",
            "data": [
                {
                    "type": "Condition",
                    "codeFilter": [
                        {
                            "path": "code",
                            "code": [{"system": SCT, "code": "82470000"}, {"system": ICD, "code": "R25.3"}],
                        },
                        {"path": "clinicalStatus", "code": [{"system": CLINICAL, "code": "active"}]},
                    ],
                }
            ],
        }
    ],
    "input": [
        {
            "type": "QuestionnaireResponse",
            "dateFilter": [{"path": "authored", "valueDuration": {"value": 30, "code": "d"}}],
        }
    ],
}


def trigger(action: Json = ACTION) -> ChartTrigger:
    made, issues = compile_trigger(action, PATH)
    assert issues == ()
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("found", "calls"),
    [
        (condition(), True),
        (condition(concept(ICD, "R25.3")), True),
        (condition({"coding": [*concept(OURS, "x")["coding"], *concept(SCT, "82470000")["coding"]]}), True),
        (condition(verification="unconfirmed"), True),
        (condition(concept(OURS, "82470000")), False),
        (condition(concept(SCT, "R25.3")), False),
        (condition({"text": "82470000"}), False),
        (condition(clinical="resolved"), False),
        (condition(clinical="inactive"), False),
        (condition(clinical=None), False),
        (condition(verification="refuted"), False),
        (condition(verification="entered-in-error"), False),
        ({"resourceType": "Condition"}, False),
    ],
)
def test_an_active_problem_with_one_of_the_codes_calls_for_the_page(found: Json, calls: bool) -> None:
    assert trigger().is_met_by([found]) is calls


def test_one_of_several_conditions_is_enough() -> None:
    assert trigger().is_met_by([condition(clinical="resolved"), condition()])
    assert not trigger().is_met_by([])


def test_answers_are_recent_for_as_long_as_the_page_says() -> None:
    assert trigger().recent_since(NOW) == NOW - timedelta(days=30)
    assert trigger().codes == {(SCT, "82470000"), (ICD, "R25.3")}


def data(action: Json) -> Json:
    found: Json = action["trigger"][0]["data"][0]
    return found


def answers(action: Json) -> Json:
    found: Json = action["input"][0]
    return found


FAULTS: list[tuple[Callable[[Json], object], str, str]] = [
    (lambda a: a.pop("title"), "", "title"),
    (lambda a: a.update(title="x" * 140), ".title", "139 characters"),
    (lambda a: a.update(condition=[{}]), ".condition", "leave the FHIRPath condition out"),
    (lambda a: a["trigger"].append(a["trigger"][0]), ".trigger", "exactly one trigger"),
    (lambda a: a["trigger"][0].update(name="order-sign"), ".trigger[0]", "patient-view"),
    (lambda a: a["trigger"][0].update(type="periodic"), ".trigger[0]", "patient-view"),
    (lambda a: a["trigger"][0].pop("data"), ".trigger[0]", "needs data"),
    (lambda a: data(a).update(type="Observation"), ".trigger[0].data[0]", "Conditions"),
    (lambda a: data(a).update(dateFilter=[{"path": "onset"}]), ".trigger[0].data[0]", "two code filters"),
    (lambda a: data(a)["codeFilter"].pop(), ".trigger[0].data[0]", "'clinicalStatus'"),
    (lambda a: data(a)["codeFilter"][0].update(path="category"), ".trigger[0].data[0]", "'code'"),
    (lambda a: data(a)["codeFilter"][0].pop("code"), ".data[0].codeFilter", "lists its codes"),
    (lambda a: data(a)["codeFilter"][0].update(valueSet="urn:x"), ".data[0].codeFilter", "lists its codes"),
    (lambda a: data(a)["codeFilter"][0]["code"][0].pop("system"), ".data[0].codeFilter", "with a system"),
    (lambda a: a.pop("input"), ".input", "exactly one input"),
    (lambda a: answers(a).update(type="Observation"), ".input[0]", "QuestionnaireResponse"),
    (lambda a: answers(a).update(codeFilter=[{"path": "status"}]), ".input[0]", "one date filter"),
    (lambda a: answers(a)["dateFilter"][0].update(path="meta.lastUpdated"), ".input[0]", "'authored'"),
    (lambda a: answers(a)["dateFilter"][0].pop("valueDuration"), ".input[0].dateFilter", "valueDuration"),
    (lambda a: answers(a)["dateFilter"][0]["valueDuration"].update(code="mg"), ".input[0].dateFilter", "UCUM"),
]


@pytest.mark.parametrize(("spoil", "place", "said"), FAULTS)
def test_a_fault_is_named_by_its_place(spoil: Callable[[Json], object], place: str, said: str) -> None:
    action = deepcopy(ACTION)
    spoil(action)
    made, (issue,) = compile_trigger(action, PATH)
    assert made is None
    assert (issue.expression or "").endswith(place)
    assert said in issue.text
