"""Moments as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo


def in_words(moment: str, zone: tzinfo) -> str:
    """A dateTime as people read it: in its own offset, or in `zone` where it is in UTC."""
    if len(moment) <= len("2026-01-01"):
        return moment
    parsed = datetime.fromisoformat(moment)
    local = parsed.astimezone(zone) if parsed.utcoffset() == timedelta() else parsed
    return f"{local.day} {local:%B %Y} at {local:%H:%M} ({_offset(local)})"


def _offset(moment: datetime) -> str:
    offset = moment.strftime("%z")
    return "UTC" if offset in ("", "+0000") else f"UTC{offset[:3]}:{offset[3:5]}"
