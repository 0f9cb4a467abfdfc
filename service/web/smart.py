"""SMART App Launch: an EHR opens the form or a summary; what it grants for a form is kept, to read and write there."""

from __future__ import annotations

import logging
from typing import Any, Final

from flask import Blueprint, Response, jsonify, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.fhir.json import Json
from service.records.drafts import draft_id
from service.records.ehr import Launch
from service.records.launches import Arrival
from service.records.ports import AnswerLost, Unreachable
from service.records.smart import Failure, LaunchFailed
from service.sdc.form import form_steps
from service.web.cookies import set_session_cookie
from service.web.interface import carried, speak
from service.web.site import Site
from service.web.summary import opened_summary

log = logging.getLogger(__name__)

COOKIE: Final = "launch"
_JWKS_SECONDS: Final = 3600
_STATUS: Final = {
    Failure.UNKNOWN_ISSUER: 403,
    Failure.NOT_OURS: 400,
    Failure.REFUSED: 403,
    Failure.SCOPES_MISSING: 403,
    Failure.NO_PAGE: 404,
    Failure.NO_SUMMARY: 403,
}


def smart_routes(site: Site) -> Blueprint:
    """The routes of launches, and of this service's public keys."""
    routes = Blueprint("smart", __name__)

    @routes.errorhandler(LaunchFailed)
    def failed(fault: LaunchFailed) -> ResponseReturnValue:
        log.warning("a launch failed: %s", fault.kind)
        ehr = fault.ehr or site.launches.ehrs.get(request.args.get("iss", "").rstrip("/"))
        page = render_template("launch/failed.html", fault=fault, ehr=ehr, launch_address=_here(site, "smart.launch"))
        return page, _STATUS.get(fault.kind, 502)

    @routes.get("/launch")
    def launch() -> ResponseReturnValue:
        issuer = request.args.get("iss", "")
        if not issuer and len(site.launches.ehrs) == 1:
            issuer = next(iter(site.launches.ehrs))
        if not issuer:
            return render_template("launch/choose.html", ehrs=list(site.launches.ehrs.values()))
        site.launches.ehr(issuer)
        if "tried" not in request.args:
            # Whether the browser keeps cookies here, as it may not within an EHR's frame, shows on the next request.
            again = url_for("smart.launch", **{**_asked(issuer), "tried": "1"})
            return _with_cookie(redirect(again, 303), site.new_key())
        if COOKIE not in request.cookies:
            return render_template("launch/new_window.html", address=url_for("smart.launch", **_asked(issuer)))
        asked = request.args.get("launch"), request.args.get("page")
        departure = site.launches.begin(issuer, *asked, _here(site, "smart.callback"))
        return _with_cookie(redirect(departure.address, 303), departure.binding)

    @routes.get("/callback")
    def callback() -> ResponseReturnValue:
        told = {name: request.args.get(name) for name in ("code", "error")}
        binding = request.cookies.get(COOKIE)
        arrival = site.launches.finish(request.args.get("state", ""), binding, told["code"], told["error"])
        summary = arrival.context.summary
        return _opened_form(site, arrival) if summary is None else opened_summary(site, arrival, summary)

    @routes.get("/.well-known/jwks.json")
    def keys() -> ResponseReturnValue:
        answer = jsonify(site.public_keys())
        answer.headers["Cache-Control"] = f"public, max-age={_JWKS_SECONDS}"
        return answer

    return routes


def _asked(issuer: str) -> dict[str, Any]:
    """The parameters of a launch as they came."""
    return {
        "iss": issuer,
        **{name: request.args[name] for name in ("launch", "page") if name in request.args},
        **carried(),
    }


def _here(site: Site, endpoint: str) -> str:
    return site.address(request, url_for(endpoint))


def _with_cookie(answer: ResponseReturnValue, value: str) -> Response:
    made = make_response(answer)
    set_session_cookie(made, COOKIE, value, "/")
    return made


def _opened_form(site: Site, arrival: Arrival) -> ResponseReturnValue:
    """The way to the first step of a new form for the patient of the launch."""
    key = site.new_key()
    context, ehr = arrival.context, arrival.ehr
    site.launch_store.keep_launch(
        Launch(
            response_id=draft_id(key),
            issuer=ehr.issuer,
            patient=context.patient,
            launched_at=site.clock(),
            encounter=context.encounter,
            user=arrival.user,
            banner=_banner(site, ehr.issuer, context.patient) if context.needs_banner else None,
        )
    )
    first = form_steps(arrival.pack.questionnaire)[0]
    # With its key, because a browser that keeps no cookies within a frame must find the form as well.
    shown = speak(arrival.pack)
    number = first.number
    address = url_for("form.step", page=shown.name, draft=draft_id(key), number=number, key=key, **carried())
    if arrival.missing:
        return render_template("launch/less.html", pack=shown, ehr=ehr, missing=arrival.missing, onward=address)
    return redirect(address, 303)


def _banner(site: Site, issuer: str, patient: str) -> str:
    """Who the patient is, in words; their id where their record cannot be read."""
    try:
        with site.ehr_reader(issuer, patient) as server:
            answer = server.send("GET", f"Patient/{patient}")
    except (Unreachable, AnswerLost) as fault:
        log.warning("a form shows an id instead of the patient's name: %s", fault)
        return patient
    if answer.status != 200:
        log.warning("a form shows an id instead of the patient's name: the EHR answered %d", answer.status)
    found = answer.body if answer.status == 200 and answer.body is not None else {}
    return ", ".join(part for part in (_name(found), str(found.get("birthDate", ""))) if part) or patient


def _name(patient: Json) -> str:
    for name in patient.get("name", []):
        text = name.get("text") or " ".join([*name.get("given", []), name.get("family", "")]).strip()
        if text:
            return str(text)
    return ""
