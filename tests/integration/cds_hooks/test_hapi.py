"""HAPI's own classes for CDS Hooks read what this service answers, strictly, and understand all of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.hapi.hapi import PROJECT, build, command
from tests.integration.cds_hooks.conftest import CHART, EMPTY, Caller, hook

Json = dict[str, Any]


def read_by_hapi(*values: tuple[str, Json]) -> list[Json]:
    """What HAPI understood of each value, by its class for it."""
    build()
    lines = "".join(f"{name}\t{json.dumps(value)}\n" for name, value in values)
    reader = subprocess.run(
        command("CdsHooksReader"), cwd=PROJECT, input=lines, capture_output=True, text=True, check=False
    )
    assert reader.returncode == 0, reader.stderr
    return [_valued(json.loads(line)) for line in reader.stdout.splitlines()]


def _valued(value: Any) -> Any:
    """`value` without null: HAPI writes one for all that was not there."""
    if isinstance(value, dict):
        return {name: _valued(one) for name, one in value.items() if one is not None}
    return [_valued(one) for one in value] if isinstance(value, list) else value


def test_all_that_is_answered_comes_back_from_hapi_as_it_was(caller: Caller, answered: Callable[..., str]) -> None:
    service = caller.discover()
    nothing = {"cards": caller.cards(hook(EMPTY))}
    ask = {"cards": caller.cards(hook(CHART))}
    answered("case-07", authored="2026-01-01T10:00:00Z")
    both = {"cards": caller.cards(hook(CHART))}
    assert [len(one["cards"]) for one in (nothing, ask, both)] == [0, 1, 2]
    reported = {"card": both["cards"][0]["uuid"], "outcome": "overridden", "outcomeTimestamp": "2026-03-15T09:00:00Z"}

    services, *others = read_by_hapi(
        ("CdsServicesJson", {"services": [service]}),
        ("CdsServiceResponseJson", nothing),
        ("CdsServiceResponseJson", ask),
        ("CdsServiceResponseJson", both),
        ("CdsServiceFeedbackJson", reported),
    )

    assert services == {"services": [{name: one for name, one in service.items() if name != "usageRequirements"}]}
    assert others == [nothing, ask, both, reported]


def test_feedback_as_hapi_writes_it_is_taken(caller: Caller) -> None:
    reason = {"reason": {"code": "seen", "system": "urn:reasons"}, "userComment": "Seen."}
    sent = {"card": "c", "outcome": "overridden", "overrideReason": reason, "outcomeTimestamp": "2026-03-15T09:00:00Z"}
    (written,) = read_by_hapi(("CdsServiceFeedbackJson", sent))
    assert caller.post({"feedback": [written]}, "/cds-services/symptom-intake/feedback").status_code == 200


def test_hapi_would_not_overlook_what_it_does_not_know() -> None:
    with pytest.raises(AssertionError, match="UnrecognizedPropertyException"):
        read_by_hapi(("CdsServiceResponseJson", {"cards": [{"summary": "s", "importance": "high"}]}))
