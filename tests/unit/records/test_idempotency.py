"""Keys and digests of submissions."""

from decimal import Decimal
from typing import Any

import pytest

from service.errors import PreconditionFailed
from service.records.idempotency import body_digest, condition_key, header_key, identifier_key
from service.records.ports import Key, KeyKind

SUBJECT = {"reference": "Patient/1"}
KEY = Key(KeyKind.IDENTIFIER, "app", "Patient/1", "urn:forms", "a|1")


def test_an_identifier_with_a_system_is_a_key_within_client_and_subject() -> None:
    response = {"identifier": {"system": "urn:forms", "value": "a|1"}, "subject": SUBJECT}
    assert identifier_key(response, "app") == KEY


@pytest.mark.parametrize(
    "response",
    [
        {"subject": SUBJECT},
        {"identifier": {"value": "form-1"}, "subject": SUBJECT},
        {"identifier": {"system": "urn:forms"}, "subject": SUBJECT},
        {"identifier": {"system": "urn:forms", "value": 1}, "subject": SUBJECT},
        {"identifier": ["form-1"], "subject": SUBJECT},
        {"identifier": {"system": "urn:forms", "value": "1"}},
    ],
)
def test_anything_less_is_no_key(response: dict[str, Any]) -> None:
    assert identifier_key(response, "app") is None


def test_the_header_is_a_key_within_the_client() -> None:
    assert header_key("k", "app") == Key(KeyKind.HEADER, "app", "", "", "k")
    assert header_key(None, "app") is None


@pytest.mark.parametrize(
    "condition",
    [
        r"identifier=urn:forms|a\|1",
        "identifier=urn%3Aforms%7Ca%5C%7C1",
        r"QuestionnaireResponse?identifier=urn:forms|a\|1",
    ],
)
def test_if_none_exist_is_the_key_of_that_identifier(condition: str) -> None:
    assert condition_key(condition, {"subject": SUBJECT}, "app") == KEY


def test_no_condition_no_key() -> None:
    assert condition_key(None, {"subject": SUBJECT}, "app") is None
    assert condition_key("identifier=a|b", {}, "app") is None


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "identifier=form-1",
        "identifier=|form-1",
        "identifier=urn:forms|",
        "identifier=a|b&status=completed",
        "identifier=a|b,c|d",
        "_id=1",
    ],
)
def test_other_conditions_are_refused(condition: str) -> None:
    with pytest.raises(PreconditionFailed):
        condition_key(condition, {"subject": SUBJECT}, "app")


def test_the_order_of_properties_does_not_make_another_body() -> None:
    assert body_digest({"a": [{"b": 1, "c": "d"}], "e": True}) == body_digest({"e": True, "a": [{"c": "d", "b": 1}]})


@pytest.mark.parametrize(
    "other", [{"a": [2, 1]}, {"a": [1, 2], "b": None}, {"a": [1, Decimal("2.0")]}, {"a": ["1", 2]}]
)
def test_any_other_difference_does(other: dict[str, Any]) -> None:
    assert body_digest(other) != body_digest({"a": [1, 2]})
