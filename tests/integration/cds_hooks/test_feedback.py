"""What clinicians made of cards: what is taken, what is counted, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from service.bootstrap import Services
from tests.integration.cds_hooks.conftest import CHART, EMPTY, Caller, hook
from tests.integration.test_metrics import figures

Json = dict[str, Any]
PATH = "/cds-services/symptom-intake/feedback"
WHEN = "2026-03-15T09:05:31Z"


def dismissed(card: str, **more: Any) -> Json:
    return {"card": card, "outcome": "overridden", "outcomeTimestamp": WHEN, **more}


def accepted(card: str, **more: Any) -> Json:
    return {**dismissed(card, acceptedSuggestions=[{"id": "s1"}]), "outcome": "accepted", **more}


def send(caller: Caller, *entries: Json) -> None:
    answer = caller.post({"feedback": list(entries)}, PATH)
    assert (answer.status_code, answer.data) == (200, b"")


def counted(caller: Caller) -> list[str]:
    return [f"{labels}: {count:.0f}" for labels, count in figures(caller.http, "cds_feedback_total").items()]


def test_outcomes_are_counted_by_what_the_card_was_for(caller: Caller, answered: Callable[..., str]) -> None:
    (ask,) = caller.cards(hook(CHART))
    answered("case-07")
    (result,) = caller.cards(hook(EMPTY))
    reason = {"reason": {"code": "seen", "system": "urn:reasons", "display": "Seen"}, "userComment": "Called her."}
    send(caller, dismissed(ask["uuid"]), dismissed(result["uuid"], overrideReason=reason))
    send(caller, accepted(result["uuid"]))
    assert counted(caller) == [
        "card=ask outcome=overridden page=muscle-fasciculation: 1",
        "card=result outcome=accepted page=muscle-fasciculation: 1",
        "card=result outcome=overridden page=muscle-fasciculation: 1",
    ]


def test_what_is_sent_again_counts_once_and_what_happened_again_twice(caller: Caller) -> None:
    (ask,) = caller.cards(hook(CHART))
    for _ in range(2):
        send(caller, dismissed(ask["uuid"]))
    assert counted(caller) == ["card=ask outcome=overridden page=muscle-fasciculation: 1"]
    send(caller, dismissed(ask["uuid"], outcomeTimestamp="2026-03-15T10:00:00Z"))
    assert counted(caller) == ["card=ask outcome=overridden page=muscle-fasciculation: 2"]


def test_a_card_that_is_not_known_is_counted_as_such(caller: Caller) -> None:
    (ask,) = caller.cards(hook(CHART))
    send(caller, dismissed("4e0a3a1e-3283-4575-ab82-028d55fe2719"), dismissed(ask["uuid"]))
    assert counted(caller)[0] == "card=unknown outcome=overridden page=: 1"
    assert len(counted(caller)) == 2


def test_all_of_it_is_kept(caller: Caller, services: Services) -> None:
    entry = dismissed("c", overrideReason={"userComment": "No."}, extension={"org.example.x": 1})
    send(caller, entry)
    with services.store._engine.connect() as connection:
        (row,) = connection.exec_driver_sql("SELECT body FROM feedback").all()
    assert "No." in row[0]
    assert "org.example.x" in row[0]


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ({"outcome": "overridden", "outcomeTimestamp": WHEN}, "card"),
        (dismissed(""), "card"),
        (dismissed("x" * 256), "card"),
        (dismissed("c", outcome="ignored"), "outcome"),
        ({"card": "c", "outcome": "overridden"}, "outcomeTimestamp"),
        (dismissed("c", outcomeTimestamp="2026-03-15"), "outcomeTimestamp"),
        (dismissed("c", outcomeTimestamp="2026-03-15T09:00:00"), "outcomeTimestamp"),
        (dismissed("c", outcomeTimestamp="2026-03-15T10:00:00+01:00"), "outcomeTimestamp"),
        (dismissed("c", outcomeTimestamp="2026-02-30T10:00:00Z"), "outcomeTimestamp"),
        (dismissed("c", outcome="accepted"), "acceptedSuggestions"),
        (accepted("c", acceptedSuggestions=[]), "acceptedSuggestions"),
        (accepted("c", acceptedSuggestions=["s1"]), "acceptedSuggestions"),
        (accepted("c", acceptedSuggestions=[{"id": ""}]), "acceptedSuggestions[0].id"),
        (accepted("c", acceptedSuggestions=[{"id": "s", "uuid": "s"}]), "acceptedSuggestions[0].uuid"),
        (dismissed("c", overrideReason={}), "overrideReason"),
        (dismissed("c", overrideReason=None), "overrideReason"),
        (dismissed("c", overrideReason="no"), "overrideReason"),
        (dismissed("c", overrideReason={"userComment": ""}), "overrideReason.userComment"),
        (dismissed("c", overrideReason={"reason": {"code": "x"}}), "overrideReason.reason.system"),
        (dismissed("c", overrideReason={"reason": {"system": "x"}}), "overrideReason.reason.code"),
        (dismissed("c", overideReason={"userComment": "x"}), "overideReason"),
    ],
)
def test_what_the_specification_does_not_allow_is_refused_whole(caller: Caller, entry: Json, place: str) -> None:
    errors = caller.errors({"feedback": [dismissed("good"), entry]}, 400, PATH)
    assert [one["expression"] for one in errors] == [f"feedback[1].{place}"]
    assert counted(caller) == []


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "feedback"),
        ({"feedback": []}, "feedback"),
        ({"feedback": None}, "feedback"),
        ({"feedback": [None]}, "feedback"),
        ({"feedback": [dismissed("c")], "card": "c"}, "card"),
    ],
)
def test_a_body_is_an_object_with_an_array(caller: Caller, body: Json, place: str) -> None:
    assert [one["expression"] for one in caller.errors(body, 400, PATH)][-1] == place
    caller.errors([dismissed("c")], 400, PATH)
