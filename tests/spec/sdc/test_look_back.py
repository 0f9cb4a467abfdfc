"""Looking back at earlier responses: which count, what facts see of them, and where they must not be read."""

from __future__ import annotations

from typing import Any

import pytest

from service.sdc.assessment import Assessment, assess
from service.sdc.compilation import compile_questionnaire
from service.sdc.context import read_response
from service.sdc.explanation import explain
from service.sdc.extraction import compile_extraction
from service.sdc.look_back import looked_back_at
from service.sdc.population_plan import compile_population
from service.sdc.questionnaire import Questionnaire
from service.sdc.triage import TriagePlan, compile_plan
from tests.spec.sdc.questionnaires import (
    CORE,
    NOW,
    SDC,
    SYSTEM,
    answered,
    choice,
    constraint,
    expression,
    questionnaire,
    response,
)

LEVELS = "urn:levels"
LEVEL_SYSTEM = {
    "resourceType": "CodeSystem",
    "url": LEVELS,
    "concept": [{"code": code, "property": [{"code": "order", "valueInteger": n}]} for n, code in enumerate("ab")],
}
AUTHORED = "2026-03-15T10:00:00+01:00"


def variable(name: str, text: str) -> dict[str, Any]:
    source = {"name": name, "language": "text/fhirpath", "expression": text}
    return {"url": CORE + "variable", "valueExpression": source}


ANSWER = ".repeat(item).where(linkId = 'place').answer.value.ofType(Coding).code"
FACTS = [
    variable("place", f"%resource{ANSWER}"),
    variable("before", "%previous.where(authored.toDate() < %authoredDate - 14 days)"),
    variable("samePlace", f"%before{ANSWER}.intersect(%place).exists()"),
]
PLACE = choice("place", "calf", "thumb", repeats=True, text="Where?")
ASKED = questionnaire(PLACE, extension=FACTS)


def plan(asked: Questionnaire, condition: str) -> TriagePlan:
    action = {
        "id": "C",
        "title": "Told before",
        "textEquivalent": "Call.",
        "code": [{"coding": [{"system": LEVELS, "code": "b"}]}],
        "documentation": [{"type": "documentation", "label": "policy", "citation": "A source"}],
        "condition": [{"kind": "applicability", "expression": {"language": "text/fhirpath", "expression": condition}}],
    }
    definition = {"topic": [{"coding": [{"system": SYSTEM, "code": "t"}]}], "action": [action]}
    return compile_plan(definition, asked, asked.terminology.with_contained([LEVEL_SYSTEM]))


def earlier(id_: str, authored: str, *places: str, **more: Any) -> dict[str, Any]:
    return response(answered("place", *places), id=id_, authored=authored, **more)


def assessed(*previous: dict[str, Any]) -> Assessment:
    sent = response(answered("place", "calf"), authored=AUTHORED)
    return assess(plan(ASKED, "%samePlace"), read_response(ASKED, sent, NOW).looking_back(previous))


class TestWhichResponsesCount:
    def test_complete_ones_authored_before_the_newest_first(self) -> None:
        others = [
            earlier("old", "2026-01-01T10:00:00Z"),
            earlier("amended", "2026-02-01T10:00:00Z", status="amended"),
            earlier("just-before", "2026-03-15T09:59:59+01:00"),
            earlier("day", "2026-03-14"),
        ]
        found = looked_back_at(response(id="now", authored=AUTHORED), others)
        assert [one["id"] for one in found] == ["just-before", "day", "amended", "old"]

    @pytest.mark.parametrize(
        "other",
        [
            earlier("draft", "2026-01-01T10:00:00Z", status="in-progress"),
            earlier("withdrawn", "2026-01-01T10:00:00Z", status="entered-in-error"),
            earlier("now", "2026-01-01T10:00:00Z"),
            earlier("same-moment", "2026-03-15T09:00:00Z"),
            earlier("later", "2026-03-15T08:30:00-01:00"),
            earlier("this-month", "2026-03"),
        ],
        ids=lambda other: other["id"],
    )
    def test_others_do_not(self, other: dict[str, Any]) -> None:
        assert looked_back_at(response(id="now", authored=AUTHORED), [other]) == ()

    def test_a_draft_looks_back_at_none(self) -> None:
        draft = response(id="now", authored=AUTHORED, status="in-progress")
        assert looked_back_at(draft, [earlier("old", "2026-01-01")]) == ()

    def test_a_response_that_does_not_say_when_it_was_authored_looks_back_at_none(self) -> None:
        assert looked_back_at(response(), [earlier("old", "2026-01-01")]) == ()


class TestRules:
    def test_a_rule_fires_by_an_earlier_response_and_not_without(self) -> None:
        assert [one.rule.id for one in assessed(earlier("p", "2026-02-01T10:00:00Z", "calf")).fired] == ["C"]
        for previous in ((), (earlier("p", "2026-02-01T10:00:00Z", "thumb"),), (earlier("p", "2026-03-10", "calf"),)):
            judged = assessed(*previous)
            assert (judged.fired, judged.not_assessed) == ((), ())

    def test_the_reason_is_the_answer_now_and_that_of_the_newest_response_that_alone_makes_it_fire(self) -> None:
        (outcome,) = assessed(
            earlier("too-new", "2026-03-10T10:00:00Z", "calf"),
            earlier("other", "2026-02-20T10:00:00Z", "thumb"),
            earlier("same", "2026-02-10T23:30:00-10:00", "calf", "thumb"),
            earlier("older", "2026-01-10T10:00:00Z", "calf"),
        ).fired
        assert [(one.told_on, one.answers) for one in outcome.reasons] == [
            (None, ("Calf",)),
            ("2026-02-10", ("Calf", "Thumb")),
        ]
        assert "Because of: “Where?” Calf; On 2026-02-10: “Where?” Calf, Thumb." in explain(outcome)

    def test_where_no_response_alone_makes_it_fire_none_is_named(self) -> None:
        asked = questionnaire(PLACE, extension=[*FACTS, variable("twice", f"%before{ANSWER}.count() > 1")])
        previous = tuple(earlier(place, "2026-02-01T10:00:00Z", place) for place in ("calf", "thumb"))
        context = read_response(asked, response(answered("place", "calf"), authored=AUTHORED), NOW)
        (outcome,) = assess(plan(asked, "%twice"), context.looking_back(previous)).fired
        assert [one.told_on for one in outcome.reasons] == [None]


class TestWhereItMustNotBeRead:
    @pytest.mark.parametrize("read", ["%samePlace", "%previous.exists()"])
    @pytest.mark.parametrize(
        "extension",
        [
            lambda read: expression(SDC + "enableWhenExpression", read),
            lambda read: expression(SDC + "calculatedExpression", read),
            constraint,
            lambda read: variable("own", read),
        ],
    )
    def test_what_is_asked_and_demanded_does_not_depend_on_it(self, extension: Any, read: str) -> None:
        asked = questionnaire(
            PLACE, {"linkId": "x", "type": "boolean", "extension": [extension(read)]}, extension=FACTS
        )
        (issue,) = asked.issues
        assert "such facts by rules alone" in issue.text

    @pytest.mark.parametrize("read", ["%samePlace", "%previous.exists()"])
    def test_nor_what_is_proposed_or_extracted(self, read: str) -> None:
        proposed = {"linkId": "x", "type": "boolean", "extension": [expression(SDC + "initialExpression", read)]}
        (issue,) = compile_population(questionnaire(PLACE, proposed, extension=FACTS)).issues
        assert "such facts by rules alone" in issue.text
        value = {"extension": [{"url": SDC + "templateExtractValue", "valueString": read}]}
        template = {"resourceType": "Observation", "id": "o", "status": "final", "code": {}, "_valueBoolean": value}
        extract = {
            "url": SDC + "templateExtract",
            "extension": [{"url": "template", "valueReference": {"reference": "#o"}}],
        }
        definition = {**questionnaire(PLACE, extension=[*FACTS, extract]).definition, "contained": [template]}
        found = compile_extraction(compile_questionnaire(definition)).issues
        assert [issue for issue in found if "such facts by rules alone" in issue.text]

    def test_a_rule_reads_facts_and_not_the_responses(self) -> None:
        assert plan(ASKED, "%samePlace").issues == ()
        issue, *_ = plan(ASKED, "%previous.exists()").issues
        assert "by facts (root variables) alone" in issue.text

    def test_an_element_that_responses_do_not_have_is_refused(self) -> None:
        (issue,) = questionnaire(PLACE, extension=[variable("a", "%previous.onset.exists()")]).issues
        assert "QuestionnaireResponse has no element 'onset'" in issue.text
