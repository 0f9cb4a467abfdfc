"""What becomes of a draft as its answers change: what is dropped, what is calculated, and what is still asked."""

from __future__ import annotations

from typing import Any

import pytest

from service.sdc.drafting import asked, completed, settle, with_given, without
from service.sdc.questionnaire import Questionnaire
from tests.spec.sdc.questionnaires import (
    NOW,
    SDC,
    answered,
    choice,
    coding,
    expression,
    group,
    option,
    question,
    questionnaire,
    response,
    when,
)

Json = dict[str, Any]
HIDDEN: Json = {"url": "http://hl7.org/fhir/StructureDefinition/questionnaire-hidden", "valueBoolean": True}


def calculated(link_id: str, formula: str, **more: Any) -> Json:
    return question(link_id, "integer", extension=[expression(SDC + "calculatedExpression", formula)], **more)


def answer_to(link_id: str) -> str:
    return f"%resource.repeat(item).where(linkId = '{link_id}').answer.value"


def settled(asking: Questionnaire, *items: Json) -> list[Json]:
    """The items of the draft once it is settled."""
    found: list[Json] = settle(asking, response(*items, status="in-progress"), NOW).response.get("item", [])
    return found


def integer(link_id: str, value: int) -> Json:
    return answered(link_id, {"valueInteger": value})


class TestSettling:
    ASKING = questionnaire(
        choice("a", "x", "y"),
        question("b", "string", enableWhen=[when("a", "=", answerCoding=coding("x"))]),
        question("c", "string", enableWhen=[when("b", "exists", answerBoolean=True)]),
    )

    def test_a_shown_answer_stays(self) -> None:
        items = [answered("a", "x"), answered("b", {"valueString": "1"}), answered("c", {"valueString": "2"})]
        assert settled(self.ASKING, *items) == items

    def test_an_answer_that_others_hide_goes_with_all_that_hung_on_it(self) -> None:
        items = [answered("a", "y"), answered("b", {"valueString": "1"}), answered("c", {"valueString": "2"})]
        assert settled(self.ASKING, *items) == items[:1]

    def test_an_exclusive_option_beside_others_goes(self) -> None:
        asking = questionnaire(
            question("a", "choice", repeats=True, answerOption=[option("x"), option("n", exclusive=True)])
        )
        assert settled(asking, answered("a", "x", "n")) == [answered("a", "x")]

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ([integer("n", 2)], [integer("n", 2), integer("twice", 4)]),
            ([integer("n", 2), integer("twice", 5)], [integer("n", 2), integer("twice", 4)]),
            ([integer("twice", 5)], []),
            ([], []),
        ],
    )
    def test_calculated_answers_follow(self, before: list[Json], after: list[Json]) -> None:
        asking = questionnaire(question("n", "integer"), calculated("twice", f"{answer_to('n')} * 2"))
        assert settled(asking, *before) == after

    def test_one_calculated_from_another_in_a_group_that_is_missing(self) -> None:
        asking = questionnaire(
            question("g", "group", item=[calculated("four", f"{answer_to('two')} * 2", text="Four")]),
            calculated("two", f"{answer_to('n')} * 2"),
            question("n", "integer"),
        )
        found = settled(asking, integer("n", 1))
        assert found == [group("g", {**integer("four", 4), "text": "Four"}), integer("two", 2), integer("n", 1)]

    def test_a_calculated_answer_that_is_hidden_is_none(self) -> None:
        hidden = calculated("two", "2", enableWhen=[when("a", "=", answerCoding=coding("x"))])
        asking = questionnaire(choice("a", "x", "y"), hidden)
        assert settled(asking, answered("a", "x")) == [answered("a", "x"), integer("two", 2)]
        assert settled(asking, answered("a", "y"), integer("two", 2)) == [answered("a", "y")]

    def test_one_that_cannot_be_calculated_stays_for_the_validation_to_tell(self) -> None:
        asking = questionnaire(question("s", "string"), calculated("n", f"{answer_to('s')} * 2"))
        items = [answered("s", {"valueString": "x"}), integer("n", 1)]
        assert settled(asking, *items) == items


def missing(asking: Questionnaire, *items: Json) -> list[str]:
    """The names of the questions that a complete response needs and the draft lacks."""
    context = settle(asking, response(*items, status="in-progress"), NOW)
    return ["~".join([one.item.link_id, *map(str, one.rows)]) for one in asked(context, asking.items) if one.is_missing]


class TestWhatIsMissing:
    def test_required_and_shown(self) -> None:
        asking = questionnaire(
            choice("a", "x", "y", required=True),
            question("b", "string", required=True, enableWhen=[when("a", "=", answerCoding=coding("x"))]),
            question("c", "string"),
        )
        assert missing(asking) == ["a"]
        assert missing(asking, answered("a", "x")) == ["b"]
        assert missing(asking, answered("a", "y")) == []

    def test_too_few(self) -> None:
        extension = [{"url": "http://hl7.org/fhir/StructureDefinition/questionnaire-minOccurs", "valueInteger": 2}]
        asking = questionnaire(choice("a", "x", "y", repeats=True, extension=extension))
        assert missing(asking) == []
        assert missing(asking, answered("a", "x")) == ["a"]
        assert missing(asking, answered("a", "x", "y")) == []

    def test_what_no_person_answers_is_never_missing(self) -> None:
        asking = questionnaire(
            question("a", "string", required=True, readOnly=True), calculated("b", "{}", required=True)
        )
        assert missing(asking) == []

    ROWS = questionnaire(
        question("g", "group", repeats=True, item=[question("a", "string", required=True), question("b", "string")])
    )

    def test_a_repetition_that_may_stay_empty(self) -> None:
        assert missing(self.ROWS) == []
        assert missing(self.ROWS, group("g"), group("g")) == []

    def test_a_repetition_that_was_begun(self) -> None:
        assert missing(self.ROWS, group("g"), group("g", answered("b", {"valueString": "x"}))) == ["a~1"]

    def test_a_repetition_that_is_needed(self) -> None:
        asking = questionnaire(
            question("g", "group", required=True, repeats=True, item=[question("a", "string", required=True)])
        )
        assert missing(asking) == ["a~0"]


class TestWhatNoPersonAnswers:
    ASKING = questionnaire(
        question("g", "group", item=[question("a", "string", extension=[HIDDEN]), question("b", "string")]),
        question("c", "string", readOnly=True),
        question("r", "group", repeats=True, item=[question("d", "string", extension=[HIDDEN])]),
    )
    POPULATED = response(
        group("g", answered("a", {"valueString": "1"}), answered("b", {"valueString": "2"})),
        answered("c", {"valueString": "3"}),
        group("r", answered("d", {"valueString": "4"})),
    )

    def given(self, *items: Json) -> list[Json]:
        draft = response(*items, status="in-progress")
        found: list[Json] = with_given(settle(self.ASKING, draft, NOW), self.POPULATED)["item"]
        return found

    def test_it_goes_into_the_draft_and_nothing_else_does(self) -> None:
        assert self.given() == [group("g", answered("a", {"valueString": "1"})), answered("c", {"valueString": "3"})]

    def test_what_is_there_stays(self) -> None:
        there = [group("g", answered("b", {"valueString": "mine"})), answered("c", {"valueString": "kept"})]
        assert self.given(*there) == [
            group("g", answered("a", {"valueString": "1"}), answered("b", {"valueString": "mine"})),
            answered("c", {"valueString": "kept"}),
        ]


def test_without_some_answers_no_empty_list_is_left() -> None:
    asking = questionnaire(question("g", "group", item=[question("a", "string")]), question("b", "string"))
    draft = response(group("g", answered("a", {"valueString": "x"})), answered("b", {"valueString": "y"}))
    context = settle(asking, draft, NOW)
    left = without(context.response, [entry for entry in context.paired.entries if entry.item.link_id == "a"])
    assert left["item"] == [{"linkId": "g"}, answered("b", {"valueString": "y"})]
    assert draft["item"][0]["item"] != []


def test_completed_it_has_no_group_without_an_answer() -> None:
    full = group("g", answered("a", {"valueString": "x"}))
    assert completed(response(group("g"), full, group("h", group("i"))))["item"] == [full]
    assert "item" not in completed(response(group("g")))
