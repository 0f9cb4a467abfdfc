"""Logs as lines of JSON."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from flask import Flask

from service.web.log_lines import JsonLines
from service.web.security import register_request_id

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def line(message: str = "held: %s", *arguments: object, **more: Any) -> Any:
    record = logging.LogRecord("service.records", logging.WARNING, __file__, 1, message, arguments, None)
    record.created = 1_773_565_200.25
    record.__dict__.update(more)
    return json.loads(JsonLines().format(record))


def test_a_record_is_one_object() -> None:
    assert line("held: %s", "x\ny") == {
        "time": "2026-03-15T09:00:00.250+00:00",
        "level": "WARNING",
        "logger": "service.records",
        "message": "held: x\ny",
    }
    assert "\n" not in JsonLines().format(logging.LogRecord("a", logging.INFO, "", 1, "x\ny", (), None))


def test_its_fields_stand_beside_the_message() -> None:
    assert line("request", fields={"status": 200, "ms": 1.5})["status"] == 200


def test_of_an_exception_the_message_is_left_out() -> None:
    fault = ValueError("the patient said so")
    told = line("failed", exc_info=(ValueError, fault, None))
    assert told["exception"].startswith("ValueError at ")
    assert "patient" not in str(told)


@pytest.mark.parametrize(("sent", "kept"), [(TRACE, TRACE), ("00-x-y-01", None), (f"{TRACE}-x", None), ("", None)])
def test_within_a_request_its_id_and_trace_are_told(sent: str, kept: str | None) -> None:
    app = Flask("sample")
    register_request_id(app, lambda: "id-1")
    told: list[Any] = []
    app.add_url_rule("/", view_func=lambda: told.append(line("x")) or "done")
    app.test_client().get("/", headers={"traceparent": sent})
    assert told[0]["request_id"] == "id-1"
    assert told[0].get("traceparent") == kept
