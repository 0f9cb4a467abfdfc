"""The start page: what runs here, and where to find it."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from service.web.capability import RESPONSE_TYPE
from service.web.interface import spoken
from service.web.site import Site


def start_routes(site: Site) -> Blueprint:
    """The route of the start page."""
    routes = Blueprint("start", __name__)

    @routes.get("/")
    def start() -> ResponseReturnValue:
        base = site.fhir_base(request)
        return render_template(
            "start.html",
            packs=[pack.in_language(spoken()) for pack in site.packs],
            base=base,
            response_type=RESPONSE_TYPE,
            fhir_server_url=site.fhir_server_url,
        )

    return routes
