"""Logs as lines of JSON, each with the request that it belongs to."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from flask import g, has_request_context

from service.web.errors import describe


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object.

    It has `time` (UTC), `level`, `logger` and `message`; within a request its `request_id` and, where the caller gave
    one, `traceparent` (W3C Trace Context); and the record's own `fields`. Of an exception it tells the type and the
    places: its message may quote what a patient answered.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line, without its end."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if has_request_context():
            given = {name: g.get(name) for name in ("request_id", "traceparent")}
            told |= {name: value for name, value in given.items() if value is not None}
        told |= getattr(record, "fields", {})
        if record.exc_info is not None and record.exc_info[1] is not None:
            told["exception"] = describe(record.exc_info[1])
        return json.dumps(told, ensure_ascii=False)
