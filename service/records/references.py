"""References: of which server they speak, and where they lead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from service.errors import Detail, Issue, IssueType, error
from service.fhir.json import Json
from service.records.searchable import conditional_reference

_ID = r"[A-Za-z0-9\-.]{1,64}"
_PATIENT: Final = re.compile(rf"(https?://[^\s?#]+/)?Patient/{_ID}")


def rewritten(value: Any, rewrite: Callable[[str], str]) -> Any:
    """A copy of the JSON `value` with `rewrite` applied to every `reference` in it."""
    match value:
        case dict():
            return {
                name: rewrite(child) if name == "reference" and isinstance(child, str) else rewritten(child, rewrite)
                for name, child in value.items()
            }
        case list():
            return [rewritten(child, rewrite) for child in value]
        case _:
            return value


def references_in(value: Any) -> Iterator[str]:
    """Every `reference` in the JSON `value`."""
    if isinstance(value, dict):
        for name, child in value.items():
            if name == "reference" and isinstance(child, str):
                yield child
            else:
                yield from references_in(child)
    elif isinstance(value, list):
        for child in value:
            yield from references_in(child)


def local_reference(resource: Json) -> str:
    """How the resources of one record refer to `resource`."""
    return f"{resource['resourceType']}/{resource['id']}"


def localised(resource: Json, base_url: str | None) -> Json:
    """`resource` with what lies below `base_url` referred to relatively, as that server itself does.

    References to other servers stay absolute, so that `Patient/1` of two servers never meet.
    """
    if base_url is None:
        return resource
    prefix = base_url.rstrip("/") + "/"
    return dict(rewritten(resource, lambda reference: reference.removeprefix(prefix)))


def subject_issues(response: Json) -> list[Issue]:
    """Why the `subject` of `response` does not say whose record it belongs to; empty when it does."""
    place = "QuestionnaireResponse.subject"
    subject = response.get("subject")
    if subject is None:
        text = "A subject is needed: whose answers are these? Give a reference such as Patient/123."
        return [error(IssueType.REQUIRED, text, place, Detail.REQUIRED_MISSING)]
    if not isinstance(subject, dict):
        return [error(IssueType.STRUCTURE, "A subject is a Reference: a JSON object.", place, Detail.MALFORMED)]
    reference = subject.get("reference")
    if reference is None and subject.get("type", "Patient") == "Patient" and conditional_reference(subject) is not None:
        return []
    if isinstance(reference, str) and _PATIENT.fullmatch(reference):
        return []
    text = (
        "The subject must be a patient: a reference Patient/id (or a server's URL before it), "
        "or an identifier with system and value."
    )
    return [error(IssueType.VALUE, text, place, Detail.INVALID_VALUE)]
