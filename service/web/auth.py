"""Who may call: access tokens for the FHIR API (RFC 6750), and which routes need none.

Every route needs a token unless it stands in PUBLIC, so that a new one is closed until somebody decides otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from flask import Flask, g, request

from service.errors import Forbidden, IssueType, Unauthenticated, error
from service.records.access import ANYONE, NOBODY, Caller, TokenCheck, read_caller
from service.records.scopes import Permission
from service.records.search import Bounds
from service.web.site import Site

_DEFINITIONS: Final = "published for everyone; it says nothing of any patient"
_BY_KEY: Final = "opened by the key of the form alone"
_BY_CLINICIAN: Final = "asks for an access token itself, unless a clinician was let in by a launch"
_BY_LAUNCH: Final = "the EHR's authorization server says who comes"
_BY_CDS_CLIENT: Final = "the EHR's own signed token says who calls (`Site.cds_clients`)"
_PROBE: Final = "says how the service does, and nothing of any patient"

PUBLIC: Final[Mapping[str, str]] = {
    "static": "styles and scripts",
    "start.start": _DEFINITIONS,
    "published.metadata": _DEFINITIONS,
    "published.smart_configuration": _DEFINITIONS,
    "published.description": _DEFINITIONS,
    "published.read_published": _DEFINITIONS,
    "published.search_published": _DEFINITIONS,
    "published.read_definition": _DEFINITIONS,
    "questionnaire_operations.package_type": _DEFINITIONS,
    "questionnaire_operations.package_instance": _DEFINITIONS,
    "form.begin": _BY_KEY,
    "form.resume": _BY_KEY,
    "form.step": _BY_KEY,
    "form.answer": _BY_KEY,
    "form.shown": _BY_KEY,
    "form.urgent": _BY_KEY,
    "form.later": _BY_KEY,
    "form.check": _BY_KEY,
    "form.send": _BY_KEY,
    "result.result": _BY_KEY,
    "result.download": _BY_KEY,
    "summary.summary": _BY_CLINICIAN,
    "summary.paper": _BY_CLINICIAN,
    "smart.launch": _BY_LAUNCH,
    "smart.callback": _BY_LAUNCH,
    "smart.keys": _DEFINITIONS,
    "cds.discovery": _DEFINITIONS,
    "cds.call": _BY_CDS_CLIENT,
    "cds.feedback": _BY_CDS_CLIENT,
    "monitoring.live": _PROBE,
    "monitoring.ready": _PROBE,
    "monitoring.metrics": _PROBE,
}
"""Routes that need no access token, and why."""


_BEARER: Final = re.compile(r"Bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)


def register_auth(app: Flask, site: Site) -> None:
    """Finds out who calls before a route does anything, and refuses who is not known where somebody must be."""

    @app.before_request
    def authenticate() -> None:
        # A browser asks for permission to send a token without sending it; what has no route is not found.
        needs_token = request.endpoint is not None and request.endpoint not in PUBLIC and request.method != "OPTIONS"
        if needs_token:
            authenticated(site)


def authenticated(site: Site) -> Caller:
    """Who calls, by their access token. Raises Unauthenticated, Unavailable."""
    g.caller = ANYONE if site.token_check is None else read_caller(_claims(site.token_check), site.own_bases(request))
    found: Caller = g.caller
    return found


def caller() -> Caller:
    """Who calls; on a route that needs no token, nobody with any right."""
    found: Caller = g.get("caller", NOBODY)
    return found


def call_as(found: Caller) -> None:
    """Remembers who calls a route that needs no token, where they are known by other means."""
    g.caller = found


def demand(resource_type: str, permission: Permission) -> Bounds:
    """What of a type whoever calls may treat so. Raises Forbidden where that is nothing."""
    return caller().demand(resource_type, permission)


def _claims(check: TokenCheck) -> Mapping[str, Any]:
    sent = request.headers.get("Authorization")
    if sent is None:
        text = "This needs an access token: send 'Authorization: Bearer' and the token."
        raise Unauthenticated([error(IssueType.LOGIN, text, "http.Authorization")], refused=False)
    match = _BEARER.fullmatch(sent.strip())
    if match is None:
        text = "The Authorization header is not 'Bearer' and a token."
        raise Unauthenticated([error(IssueType.LOGIN, text, "http.Authorization")], refused=True)
    return check(match[1])


def challenge(fault: Unauthenticated | Forbidden, realm: str) -> str:
    """The WWW-Authenticate header that says what a token must be like (RFC 6750, section 3)."""
    told = {"realm": realm}
    if isinstance(fault, Forbidden):
        told |= {"error": "insufficient_scope"} | ({} if fault.scope is None else {"scope": fault.scope})
    elif fault.refused:
        told |= {"error": "invalid_token", "error_description": str(fault).replace('"', "'")}
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in told.items())
