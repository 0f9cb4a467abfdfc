"""Cookies that last as long as the browser session."""

from __future__ import annotations

from flask import Response, current_app, request


def set_session_cookie(answer: Response, name: str, value: str, path: str) -> None:
    """Sets a cookie for the browser session, for what is served at and below `path` ("/forms").

    By https it is kept within an EHR's frame as well, for that EHR alone.
    """
    # A proxy may have taken the encryption off: then the public address tells of it.
    secure = request.is_secure or current_app.config["SESSION_COOKIE_SECURE"]
    answer.set_cookie(
        name,
        value,
        path=f"{request.script_root}{path}",
        httponly=True,
        secure=secure,
        samesite="None" if secure else "Lax",
        partitioned=secure,
    )
