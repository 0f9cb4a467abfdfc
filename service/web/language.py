"""The language of an answer: what a request asks for, and what the answer says of it."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Response, request
from werkzeug.exceptions import HTTPException

from service.fhir.json import Json
from service.web.publications import LANGUAGE


def wanted_languages() -> tuple[str, ...]:
    """The languages that the request asks for, the best first: `_language`, else Accept-Language (RFC 9110, 12.5.4)."""
    named = sent_value(LANGUAGE)
    if named is not None:
        return (named,)
    return tuple(tag for tag, quality in request.accept_languages if quality > 0)


def sent_value(name: str) -> str | None:
    """A parameter of the address or of the form in the body; None without it."""
    try:
        return request.values.get(name)
    except HTTPException:
        # A body that cannot be read names nothing, and the page that says so must have a language.
        return request.args.get(name)


def in_language(answer: Response, resources: Iterable[Json | None]) -> Response:
    """The answer, which holds `resources`, with headers that tell their languages, and that there may be others."""
    told = sorted({one["language"] for one in resources if one is not None and "language" in one})
    if told:
        answer.headers["Content-Language"] = ", ".join(told)
    answer.vary.add("Accept-Language")
    return answer
