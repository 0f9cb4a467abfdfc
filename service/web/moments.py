"""Moments as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from babel.dates import format_date
from flask_babel import get_locale

from service.web.interface import gettext as _


def in_words(moment: str, zone: tzinfo) -> str:
    """A dateTime as people read it: in its own offset, or in `zone` where it is in UTC."""
    if len(moment) <= len("2026-01-01"):
        return moment
    parsed = datetime.fromisoformat(moment)
    local = parsed.astimezone(zone) if parsed.utcoffset() == timedelta() else parsed
    day = format_date(local, "long", locale=get_locale())
    return _("%(day)s at %(time)s (%(offset)s)", day=day, time=f"{local:%H:%M}", offset=_offset(local))


def _offset(moment: datetime) -> str:
    offset = moment.strftime("%z")
    return "UTC" if offset in ("", "+0000") else f"UTC{offset[:3]}:{offset[3:5]}"
