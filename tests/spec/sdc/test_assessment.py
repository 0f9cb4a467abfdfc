"""Three-valued triage: present, absent, not assessed; levels; rules about rules; drafts; the resulting Observation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from service.fhir.terminology import Terminology
from service.sdc.assessment import Assessment, RuleState, assess
from service.sdc.compilation import compile_questionnaire
from service.sdc.context import ResponseContext, read_response
from service.sdc.explanation import triage_observation
from service.sdc.triage import TriagePlan, compile_plan
from tests.spec.sdc.questionnaires import NOW, SYSTEM, answered, choice, questionnaire, response

LEVELS = "urn:levels"


def level(code: str, order: int, interpretation: str) -> dict[str, Any]:
    properties = [{"code": "order", "valueInteger": order}, {"code": "interpretation", "valueCode": interpretation}]
    return {"code": code, "display": code.capitalize(), "property": properties}


LEVEL_SYSTEM = {
    "resourceType": "CodeSystem",
    "url": LEVELS,
    "content": "complete",
    "concept": [level("low", 1, "N"), level("middle", 2, "A"), level("high", 3, "AA")],
}


def variable(name: str, text: str) -> dict[str, Any]:
    source = {"name": name, "language": "text/fhirpath", "expression": text}
    return {"url": "http://hl7.org/fhir/StructureDefinition/variable", "valueExpression": source}


def fact(link_id: str) -> dict[str, Any]:
    answer = f"%resource.item.where(linkId = '{link_id}').answer.value.code"
    return variable(link_id, f"iif({answer}.where($this != 'unsure').exists(), {answer} = 'yes', {{}})")


QUESTIONS = questionnaire(
    *(choice(link_id, "yes", "no", "unsure", text=f"Have you {link_id}?") for link_id in ("p", "q")),
    extension=[fact("p"), fact("q")],
)


def rule(identity: str, code: str, condition: str, **more: Any) -> dict[str, Any]:
    return {
        "id": identity,
        "title": f"Rule {identity}",
        "textEquivalent": f"Do {identity}.",
        "code": [{"coding": [{"system": LEVELS, "code": code}]}],
        "documentation": [{"type": "documentation", "label": "policy", "citation": "A source"}],
        "condition": [{"kind": "applicability", "expression": {"language": "text/fhirpath", "expression": condition}}],
        **more,
    }


def compiled(*rules: dict[str, Any], advice: Sequence[dict[str, Any]] = ()) -> TriagePlan:
    topic = {"coding": [{"system": SYSTEM, "code": "triage"}], "text": "Triage"}
    definition = {"topic": [topic], "action": list(rules), "contained": [{"action": list(advice)}]}
    return compile_plan(definition, QUESTIONS, Terminology.of([LEVEL_SYSTEM]))


def plan(*rules: dict[str, Any], advice: Sequence[dict[str, Any]] = ()) -> TriagePlan:
    made = compiled(*rules, advice=advice)
    assert made.issues == ()
    return made


def context(status: str = "completed", **answers: str) -> ResponseContext:
    items = [answered(link_id, code) for link_id, code in answers.items()]
    authored = "2026-03-15T10:00:00+01:00"
    sent = response(*items, status=status, authored=authored, subject={"reference": "Patient/1"})
    return read_response(QUESTIONS, sent, NOW)


def assessed(*rules: dict[str, Any], status: str = "completed", **answers: str) -> Assessment:
    return assess(plan(*rules), context(status, **answers))


def states(assessment: Assessment) -> dict[str, str]:
    return {outcome.rule.id: outcome.state.value for outcome in assessment.outcomes}


@pytest.mark.parametrize(
    ("condition", "answers", "state"),
    [
        ("%p", {"p": "yes"}, "present"),
        ("%p", {"p": "no"}, "absent"),
        ("%p", {"p": "unsure"}, "not-assessed"),
        ("%p", {}, "not-assessed"),
        ("%p or %q", {"p": "yes"}, "present"),
        ("%p or %q", {"p": "no"}, "not-assessed"),
        ("%p and %q", {"p": "no"}, "absent"),
        ("%p and %q", {"p": "yes"}, "not-assessed"),
    ],
)
def test_a_rule_is_present_absent_or_not_assessed(condition: str, answers: dict[str, str], state: str) -> None:
    assert states(assessed(rule("A", "low", condition), **answers)) == {"A": state}


def test_the_highest_fired_level_wins() -> None:
    found = assessed(rule("A", "low", "true"), rule("B", "high", "%p"), rule("C", "middle", "%p"), p="yes")
    assert found.level is not None
    assert found.level.code == "high"
    assert [outcome.rule.id for outcome in found.fired] == ["B", "C", "A"]


def test_rules_about_rules_see_all_others_whatever_their_place() -> None:
    rules = (
        rule("H", "low", "%fired.empty()"),
        rule("C", "middle", "%notAssessed.exists()"),
        rule("A", "high", "%p"),
    )
    assert states(assessed(*rules, p="no")) == {"H": "present", "C": "absent", "A": "absent"}
    assert states(assessed(*rules)) == {"H": "absent", "C": "present", "A": "not-assessed"}


def test_a_condition_that_fails_is_not_assessed_and_says_why() -> None:
    found = assessed(rule("A", "high", "(1 | 2) > 0"), rule("C", "middle", "%notAssessed.exists()"))
    assert states(found) == {"A": "not-assessed", "C": "present"}
    assert found.outcomes[0].fault is not None


def test_a_fired_rule_stands_also_where_its_reasons_or_additions_cannot_be_told() -> None:
    broken = {"textEquivalent": "More.", "condition": rule("x", "low", "(1 | 2) > 0")["condition"]}
    (outcome,) = assessed(rule("A", "high", "%p", action=[broken]), p="yes").outcomes
    assert (outcome.state, outcome.sentences) == (RuleState.PRESENT, ("Do A.",))
    assert [reason.answers for reason in outcome.reasons] == [("Yes",)]
    assert outcome.fault is not None
    with_fault = questionnaire(
        choice("p", "yes", text="Have you p?"), extension=[fact("p"), variable("broken", "(1 | 2) > 0")]
    )
    definition = {"topic": [{"text": "Triage"}], "action": [rule("A", "high", "%p or %broken")]}
    compiled = compile_plan(definition, with_fault, Terminology.of([LEVEL_SYSTEM]))
    sent = response(answered("p", "yes"), authored="2026-03-15")
    (stands,) = assess(compiled, read_response(with_fault, sent, NOW)).outcomes
    assert (stands.state, stands.sentences) == (RuleState.PRESENT, ("Do A.",))
    assert stands.fault is not None


def test_of_a_draft_only_the_highest_rules_are_judged() -> None:
    rules = (rule("A", "high", "%p"), rule("B", "middle", "true"))
    found = assessed(*rules, status="in-progress", p="no")
    assert states(found) == {"A": "absent"}
    assert (found.level, found.is_draft) == (None, True)
    urgent = assessed(*rules, status="in-progress", p="yes")
    assert urgent.level is not None
    assert urgent.level.code == "high"


def test_a_fired_rule_names_the_answers_behind_it_and_an_open_one_its_questions() -> None:
    found = assessed(rule("A", "high", "%p or %q"), rule("B", "low", "%q"), p="yes")
    fired, still_open = found.outcomes
    assert [(reason.question, reason.answers) for reason in fired.reasons] == [("Have you p?", ("Yes",))]
    assert still_open.state is RuleState.NOT_ASSESSED
    assert [(reason.question, reason.answers) for reason in still_open.reasons] == [("Have you q?", ())]


def test_an_open_rule_names_only_the_questions_that_would_settle_it() -> None:
    follow_up = {
        **choice("q", "yes", "no", "unsure", text="Have you q?"),
        "enableWhen": [{"question": "p", "operator": "=", "answerCoding": {"system": SYSTEM, "code": "yes"}}],
    }
    both = variable("both", f"%p and {fact('q')['valueExpression']['expression']}")
    asked = questionnaire(
        choice("p", "yes", "no", "unsure", text="Have you p?"), follow_up, extension=[fact("p"), both]
    )
    definition = {"topic": [{"text": "Triage"}], "action": [rule("A", "high", "%both")]}
    compiled = compile_plan(definition, asked, Terminology.of([LEVEL_SYSTEM]))

    def still_open(*items: dict[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
        (outcome,) = assess(compiled, read_response(asked, response(*items, authored="2026-03-15"), NOW)).outcomes
        assert outcome.state is RuleState.NOT_ASSESSED
        return [(reason.link_id, reason.labels) for reason in outcome.reasons]

    # The parent is known; a question that is hidden cannot settle anything.
    assert still_open(answered("p", "yes"), answered("q", "unsure")) == [("q", ("Unsure",))]
    assert still_open(answered("p", "unsure")) == [("p", ("Unsure",))]
    assert still_open() == [("p", ())]


def test_a_rule_that_fires_because_others_are_open_has_their_questions() -> None:
    found = assessed(rule("A", "high", "%p"), rule("C", "low", "%notAssessed.exists()"), p="unsure")
    (outcome,) = found.fired
    assert [(reason.link_id, reason.labels) for reason in outcome.reasons] == [("p", ("Unsure",))]


def test_a_rule_that_fires_by_a_no_names_that_answer() -> None:
    (outcome,) = assessed(rule("A", "high", "%p.not()"), p="no").fired
    assert [(reason.link_id, reason.labels) for reason in outcome.reasons] == [("p", ("No",))]


def test_a_nested_action_adds_a_sentence_where_it_holds() -> None:
    nested = {"textEquivalent": "And more.", "condition": rule("x", "low", "%q")["condition"]}
    with_more = rule("A", "low", "%p", action=[nested])
    assert assessed(with_more, p="yes", q="yes").outcomes[0].sentences == ("Do A.", "And more.")
    assert assessed(with_more, p="yes", q="no").outcomes[0].sentences == ("Do A.",)
    assert assessed(with_more, p="yes").outcomes[0].sentences == ("Do A.",)


def test_the_observation_carries_level_rules_and_reasons() -> None:
    compiled = plan(rule("A", "high", "%p"), rule("B", "low", "%q"))
    given = context(p="yes")
    found = triage_observation(compiled, assess(compiled, given), given)
    high = {"coding": [{"system": LEVELS, "code": "high", "display": "High"}], "text": "High"}
    assert found["status"] == "final"
    assert found["code"]["coding"][0]["code"] == "triage"
    assert found["valueCodeableConcept"] == high
    assert found["interpretation"][0]["coding"][0]["code"] == "AA"
    assert found["component"] == [
        {
            "code": {"coding": [{"system": SYSTEM, "code": "A", "display": "Rule A"}], "text": "Rule A"},
            "valueCodeableConcept": high,
        }
    ]
    assert found["effectiveDateTime"] == "2026-03-15T10:00:00+01:00"
    assert found["performer"] == [{"reference": "Patient/1"}]
    fired, not_assessed = (note["text"] for note in found["note"])
    assert fired == "A Rule A (High). Do A. Because of: “Have you p?” Yes. Source: A source [policy]."
    assert not_assessed == "Not assessed: B Rule B (open: “Have you q?”)."
    assert "dataAbsentReason" not in found


def test_the_notes_give_answers_as_chosen_and_sources_with_their_place() -> None:
    label = {"url": "http://hl7.org/fhir/StructureDefinition/rendering-markdown", "valueMarkdown": "I feel faint"}
    asked = questionnaire(choice("p", "yes", "no", "unsure", text="Have you p?"), extension=[fact("p")])
    asked.definition["item"][0]["answerOption"][0]["valueCoding"]["_display"] = {"extension": [label]}
    source = {"type": "citation", "label": "guidance", "citation": "A guide", "url": "https://guide.example/p"}
    definition = {"topic": [{"text": "Triage"}], "action": [rule("A", "high", "%p", documentation=[source])]}
    compiled = compile_plan(definition, compile_questionnaire(asked.definition), Terminology.of([LEVEL_SYSTEM]))
    for code, said in (
        ("yes", "Because of: “Have you p?” I feel faint (Yes). Source: A guide, https://guide.example/p [guidance]."),
        ("unsure", "Not assessed: A Rule A (open: “Have you p?” Unsure)."),
    ):
        given = read_response(
            compile_questionnaire(asked.definition), response(answered("p", code), authored="2026-03-15"), NOW
        )
        (note,) = triage_observation(compiled, assess(compiled, given), given)["note"]
        assert said in note["text"]


def test_the_observation_of_a_draft_without_a_level_says_that_it_is_not_known_yet() -> None:
    compiled = plan(rule("A", "high", "%p"))
    given = context("in-progress")
    found = triage_observation(compiled, assess(compiled, given), given)
    assert found["status"] == "preliminary"
    assert found["dataAbsentReason"]["coding"][0]["code"] == "temp-unknown"
    assert "valueCodeableConcept" not in found
    assert "component" not in found
    assert "Have you p?" in found["note"][0]["text"]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (rule("A", "high", "%p and"), "compiled"),
        (rule("A", "high", "%unknown"), "compiled"),
        (rule("A", "unheard", "%p"), "level"),
        (rule("A", "high", "%p", documentation=[]), "source"),
        (rule("A", "high", "%p", title=""), "title"),
    ],
)
def test_a_rule_that_cannot_be_used_is_an_issue(broken: dict[str, Any], said: str) -> None:
    definition = {"topic": [{"text": "Triage"}], "action": [broken]}
    issues = compile_plan(definition, QUESTIONS, Terminology.of([LEVEL_SYSTEM])).issues
    assert said in issues[0].text
    assert (issues[0].expression or "").startswith("PlanDefinition.action[0]")


class TestAdvice:
    """What goes with a result beside its rules: the actions of a PlanDefinition that the plan contains."""

    @staticmethod
    def told(condition: str | None, *items: dict[str, Any], **more: Any) -> tuple[list[str], list[str]]:
        """The ids of the advice told, and of that which could not be decided."""
        action = {
            "id": "rest",
            "title": "Rest",
            "textEquivalent": "Rest.",
            "documentation": [{"type": "documentation", "label": "policy", "citation": "A source"}],
        }
        if condition is not None:
            expression = {"language": "text/fhirpath", "expression": condition}
            action["condition"] = [{"kind": "applicability", "expression": expression}]
        made = plan(rule("A", "high", "%p"), rule("B", "low", "%q"), advice=[action])
        context = read_response(QUESTIONS, response(*items, **more), NOW)
        assessment = assess(made, context)
        return [one.id for one in assessment.advice], list(assessment.undecided_advice)

    @pytest.mark.parametrize(
        ("condition", "p", "wanted"),
        [
            (None, "yes", (["rest"], [])),
            ("%fired.empty()", "no", (["rest"], [])),
            ("%fired.empty()", "yes", ([], [])),
            ("%fired contains 'A'", "yes", (["rest"], [])),
            ("%p", "unsure", ([], [])),
            ("(1 | 2) + 1 = 2", "no", ([], ["rest"])),
        ],
    )
    def test_it_is_told_only_where_its_condition_is_true(
        self, condition: str | None, p: str, wanted: tuple[list[str], list[str]]
    ) -> None:
        assert self.told(condition, answered("p", p), answered("q", "no")) == wanted

    def test_a_draft_has_none(self) -> None:
        assert self.told(None, answered("p", "no"), status="in-progress") == ([], [])

    def test_it_is_no_rule(self) -> None:
        made = compiled(rule("A", "high", "%p"), advice=[{"id": "rest"}])
        assert [one.id for one in made.rules] == ["A"]
        assert "Advice needs title, textEquivalent." in [issue.text for issue in made.issues]
