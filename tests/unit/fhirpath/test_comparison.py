"""Repetitions are found by equality: of whole elements, whatever their texts alone would tell."""

from decimal import Decimal
from typing import Any

import pytest

from service.fhirpath import Item, Node, Quantity
from service.fhirpath.comparison import distinct


def item(content: dict[str, Any]) -> Node:
    return Node.of(content, "QuestionnaireResponse.item")


ONE = item({"linkId": "a", "answer": [{"valueDecimal": Decimal("1.0")}]})


@pytest.mark.parametrize(
    ("other", "is_repetition"),
    [
        (ONE, True),
        (item({"answer": [{"valueDecimal": Decimal("1.00")}], "linkId": "a"}), True),
        (item({"linkId": "a", "answer": [{"valueDecimal": Decimal(2)}]}), False),
        (item({"linkId": "b", "answer": [{"valueDecimal": Decimal("1.0")}]}), False),
        (item({"linkId": "a", "text": "", "answer": [{"valueDecimal": Decimal("1.0")}]}), False),
    ],
)
def test_elements(other: Node, is_repetition: bool) -> None:
    third = item({"linkId": "a", "answer": []})
    assert distinct([ONE, third, other, third]) == [ONE, third] + [other] * (not is_repetition)


@pytest.mark.parametrize(
    ("left", "right", "is_repetition"),
    [
        (1, Decimal("1.0"), True),
        (1, True, False),
        ("a", Node.of("a", "code"), True),
        (Quantity(Decimal(5), "mg"), Quantity(Decimal("0.005"), "g"), True),
        (Node.of({"value": Decimal(5), "code": "mg"}, "Quantity"), Quantity(Decimal("0.005"), "g"), True),
        (Node.of(None, "string", {"id": "x"}), Node.of(None, "string", {"id": "x"}), False),
    ],
)
def test_values(left: Item, right: Item, is_repetition: bool) -> None:
    assert len(distinct([left, right])) == (1 if is_repetition else 2)
    assert len(distinct([left, left])) == 1
