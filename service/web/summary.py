"""The clinician's summary of a response, and how it changed since earlier ones of the same patient."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.fhir.json import Json
from service.records.access import Caller, is_staff
from service.records.audit import Interaction
from service.records.clinician_visit import LIFETIME, ClinicianVisit, subjects, visit_id
from service.records.evaluation import RESPONSE_TYPE
from service.records.launches import Arrival
from service.records.outbox import State
from service.records.retention import gone
from service.records.scopes import Permission
from service.records.search import EVERYTHING, Bounds, PatientCriterion
from service.records.searchable import subject_key
from service.records.smart import Failure, LaunchFailed
from service.records.succession import AMENDED, DRAFT, RETRACTED
from service.records.summary import Summaries, Summary
from service.web.audit import audit
from service.web.auth import authenticated, call_as
from service.web.cookies import set_session_cookie
from service.web.moments import in_words
from service.web.site import Site
from service.web.timeline import timeline_drawing

COOKIE: Final = "clinician"
_STYLES: Final = ("style.css", "summary.css")
_DELIVERY_WORDS: Final = {
    State.PENDING: "waiting",
    State.LEASED: "waiting",
    State.DELIVERED: "delivered",
    State.DEAD: "not delivered; the operators see why",
    State.DISCARDED: "not delivered; given up by the operators",
}


def summary_routes(site: Site) -> Blueprint:
    """The routes of a response's summary."""
    routes = Blueprint("summary", __name__, url_prefix="/responses")
    style = "".join((Path(__file__).parent / "static" / name).read_text(encoding="utf-8") for name in _STYLES)
    summaries = Summaries(site.store, site.population.pages, site.evaluation)

    @routes.get("/<response_id>/summary")
    def summary(response_id: str) -> ResponseReturnValue:
        shown = opened(response_id)
        return render_template("summary/summary.html", **shown, note=render_template("summary/note.txt", **shown))

    @routes.get("/<response_id>/summary.pdf")
    def paper(response_id: str) -> ResponseReturnValue:
        if site.make_pdf is None:
            abort(404)
        html = render_template("summary/paper.html", **opened(response_id))
        made = site.make_pdf(html, style, site.asked_address(request))
        headers = {"Content-Disposition": f'inline; filename="summary-{response_id}.pdf"'}
        return Response(made, headers=headers, content_type="application/pdf")

    def opened(response_id: str) -> dict[str, Any]:
        """What the templates show of a response that may be read. Ends the request where there is nothing to show."""
        within = _readable(site)
        response = site.store.read(RESPONSE_TYPE, response_id, within=within)
        if response is None and site.store.was_purged(RESPONSE_TYPE, response_id, within):
            raise gone()
        pack = None if response is None else site.population.pages.resolve(response["questionnaire"])
        if response is None or pack is None:
            abort(404)
        if response["status"] == RETRACTED:
            audit(site, Interaction.READ, [response])
            authored = in_words(response["authored"], site.zone)
            abort(make_response(render_template("summary/retracted.html", pack=pack, authored=authored)))
        found = summaries.summary(response, within)
        audit(site, Interaction.READ, found.disclosed)
        return _shown(site, found)

    return routes


def opened_summary(site: Site, arrival: Arrival, response_id: str) -> ResponseReturnValue:
    """The way to the summary that a launch asked for, opened for a clinician and for its patient alone.

    Raises LaunchFailed for anybody else, with the same words whether there is such a response or not.
    """
    visit = ClinicianVisit(
        issuer=arrival.ehr.issuer,
        patient=arrival.context.patient,
        user=arrival.user or "",
        expires_at=site.clock() + LIFETIME,
    )
    response = site.store.read(RESPONSE_TYPE, response_id, within=_bounds(site, visit))
    if response is None or not is_staff(visit.user):
        text = (
            "A summary opens for a clinician whom the EHR names, from the chart of the patient whose answers it shows."
        )
        raise LaunchFailed(Failure.NO_SUMMARY, text, arrival.ehr)
    key = site.new_key()
    site.visit_store.keep_visit(visit_id(key), visit, site.clock())
    answer = make_response(redirect(url_for("summary.summary", response_id=response_id), 303))
    set_session_cookie(answer, COOKIE, key, "/responses")
    return answer


def _readable(site: Site) -> Bounds:
    """What whoever asks may read: a clinician their patient's responses for a while, others by an access token."""
    if site.is_open:
        return EVERYTHING
    if "Authorization" in request.headers:
        return authenticated(site).demand(RESPONSE_TYPE, Permission.READ)
    key = request.cookies.get(COOKIE)
    visit = None if key is None else site.visit_store.visit(visit_id(key))
    if visit is None or visit.expires_at <= site.clock():
        abort(make_response(render_template("summary/refused.html"), 403))
    user = visit.user if "://" in visit.user else f"{visit.issuer}/{visit.user}"
    call_as(Caller(visit.issuer, "", fhir_user=user, patient=None, scopes=()))
    return _bounds(site, visit)


def _bounds(site: Site, visit: ClinicianVisit) -> Bounds:
    return ((PatientCriterion(subjects(visit, site.fhir_server_url)),),)


def _shown(site: Site, summary: Summary) -> dict[str, Any]:
    """What the templates show."""
    reading = summary.reading
    response, plan = reading.response, reading.judged.plan
    words = partial(in_words, zone=site.zone)
    has_course = len(summary.timeline) > 1
    return {
        "pack": reading.pack,
        "reading": reading,
        "names": reading.names,
        "assessment": reading.judged.assessment,
        "is_highest": reading.level == plan.highest,
        "is_draft": response["status"] == DRAFT,
        "authored": words(response["authored"]),
        "changed": words(response["meta"]["lastUpdated"]) if response["status"] == AMENDED else None,
        "patient": _patient(response),
        "points": summary.timeline,
        "timeline": timeline_drawing(summary.timeline, plan.levels) if has_course else None,
        "earlier": summary.earlier,
        "changes": summary.changes,
        "newer": summary.newer,
        "posted": summary.posted,
        "letters": summary.letters,
        "delivery_words": _DELIVERY_WORDS,
        "links_open": site.is_open,
        "has_pdf": site.make_pdf is not None,
        "in_words": words,
    }


def _patient(response: Json) -> str:
    """Whose answers these are, as the response says it."""
    subject = response.get("subject", {})
    return str(subject.get("display") or subject.get("reference") or subject_key(subject) or "Not said whose")
