"""Which responses $extract takes: those whose answers can be read, whatever else is to be said about them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from service.errors import Detail, Invalid
from service.packs import Pack
from service.records.evaluation import Evaluation
from tests.spec.sdc.extractions import context, observation, template_extract, value
from tests.spec.sdc.questionnaires import SDC, answered, choice, expression, question, response

TEMPLATE = observation(valueCodeableConcept={"coding": [value("answer.value")]}, code={"text": "x"})
ENABLED_BY_NOTHING_KNOWN = expression(SDC + "enableWhenExpression", "%unknown > 12")


class NoPages:
    """A service that publishes nothing."""

    def resolve(self, canonical: str) -> Pack | None:
        """No page."""
        return None


def extract(*items: dict[str, Any], given: list[dict[str, Any]], **more: Any) -> list[Any]:
    """The codes that $extract finds by an inline Questionnaire with `items`."""
    definition = {
        "resourceType": "Questionnaire",
        "url": "urn:q",
        "version": "1",
        "status": "active",
        "contained": [TEMPLATE],
        "item": list(items),
        **more,
    }
    evaluation = Evaluation(NoPages(), lambda: datetime(2026, 3, 15, tzinfo=UTC), lambda: "id")  # type: ignore[arg-type]
    found = evaluation.extract(response(*given), definition)
    return [one["resource"]["valueCodeableConcept"]["coding"][0]["code"] for one in found.get("entry", [])]


def asked(*codes: str, **more: Any) -> dict[str, Any]:
    return {**choice("q", *codes), "extension": [template_extract("t")], **more}


VALUE_SET = "http://example.org/fhir/ValueSet/elsewhere"


@pytest.mark.parametrize(
    ("items", "given"),
    [
        ([{**question("q", "choice", answerValueSet=VALUE_SET), "extension": [template_extract("t")]}], ["a"]),
        ([asked("a"), question("r", "string", required=True)], ["a"]),
        ([asked("a", "b", repeats=True)], ["a", "a"]),
        ([asked("a", text="asked otherwise")], ["a"]),
        ([asked("a"), question("d", "display", text="x", extension=[ENABLED_BY_NOTHING_KNOWN])], ["a"]),
        ([asked("a"), question("r", "string", extension=[ENABLED_BY_NOTHING_KNOWN])], ["a"]),
    ],
)
def test_answers_that_say_what_they_say_are_extracted(items: list[dict[str, Any]], given: list[str]) -> None:
    assert extract(*items, given=[answered("q", *given)]) == given


@pytest.mark.parametrize("status", ["draft", "retired"])
def test_a_warning_refuses_nothing(status: str) -> None:
    assert extract(asked("a"), given=[answered("q", "a")], status=status) == ["a"]


@pytest.mark.parametrize(
    ("item", "given", "detail"),
    [
        (asked("a"), answered("q", "b"), Detail.NOT_AN_OPTION),
        (asked("a"), answered("q", {"valueString": "a"}), Detail.WRONG_TYPE),
        (asked("a"), answered("r", "a"), Detail.UNKNOWN_LINK_ID),
        (asked("a", extension=[ENABLED_BY_NOTHING_KNOWN]), answered("q", "a"), Detail.QUESTIONNAIRE_UNUSABLE),
        (asked("a", extension=[template_extract("none")]), answered("q", "a"), Detail.TEMPLATE_UNUSABLE),
        (asked("a", extension=[template_extract("t", fullUrl="1 | 2")]), answered("q", "a"), Detail.NOT_EXTRACTED),
    ],
)
def test_what_cannot_be_read_or_carried_out_is_refused(
    item: dict[str, Any], given: dict[str, Any], detail: Detail
) -> None:
    with pytest.raises(Invalid) as refusal:
        extract(item, given=[given])
    assert [issue.detail for issue in refusal.value.issues] == [detail]


def test_a_template_whose_context_is_empty_is_no_fault() -> None:
    template = {**TEMPLATE, **context("answer.value.where(code = 'b')")}
    assert extract(asked("a"), given=[answered("q", "a")], contained=[template]) == []
