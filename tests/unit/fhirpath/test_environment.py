"""The index of items finds what a walk through the response finds, in the same order."""

from datetime import UTC, datetime
from typing import Any

import pytest

from service.fhirpath import Environment, Node, compile_expression, index_items

NOW = datetime(2026, 3, 15, tzinfo=UTC)
TWIN = {"linkId": "a", "answer": [{"valueString": "same"}]}
RESPONSE: dict[str, Any] = {
    "resourceType": "QuestionnaireResponse",
    "item": [
        {"linkId": "g", "item": [TWIN, {"linkId": "a", "text": "deep", "item": [{"linkId": "a", "text": "deeper"}]}]},
        {"linkId": "q", "answer": [{"valueInteger": 1, "item": [{"linkId": "a", "text": "under an answer"}]}]},
        TWIN,
        {"linkId": "a", "text": "top"},
    ],
}


@pytest.mark.parametrize("start", ["%resource.", "$this.", ""])
@pytest.mark.parametrize("walk", ["descendants()", "repeat(item)"])
@pytest.mark.parametrize("link_id", ["a", "g", "none"])
def test_same_items_with_and_without_index(start: str, walk: str, link_id: str) -> None:
    root = Node.of_resource(RESPONSE)
    expression = compile_expression(f"{start}{walk}.where(linkId = '{link_id}')")
    walked = expression.evaluate([root], Environment(NOW, {"resource": [root]}))
    looked_up = expression.evaluate([root], Environment(NOW, {"resource": [root]}, index_items(root)))
    assert [item.value for item in looked_up if isinstance(item, Node)] == [
        item.value for item in walked if isinstance(item, Node)
    ]
    assert len(walked) == {"descendants()": {"a": 6, "g": 1}, "repeat(item)": {"a": 4, "g": 1}}[walk].get(link_id, 0)


def test_the_index_is_not_used_for_another_resource() -> None:
    root = Node.of_resource(RESPONSE)
    other = Node.of_resource({"resourceType": "QuestionnaireResponse", "item": [{"linkId": "z"}]})
    environment = Environment(NOW, {"resource": [root], "other": [other]}, index_items(root))
    assert len(compile_expression("%other.repeat(item).where(linkId = 'z')").evaluate([root], environment)) == 1
    assert len(compile_expression("repeat(item).where(linkId = 'z')").evaluate([other], environment)) == 1
    within = compile_expression("item.where(linkId = 'g').select(repeat(item).where(linkId = 'a'))")
    assert len(within.evaluate([root], environment)) == 3
