"""What came of a response, for the person who gave it: what to do, why, and where their answers are now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from functools import partial

from flask import Blueprint, Response, abort, make_response, render_template, request
from flask.typing import ResponseReturnValue

from service.fhir.json import Json, dumps
from service.packs import Pack
from service.records.audit import Interaction
from service.records.evaluation import RESPONSE_TYPE
from service.records.latest_answers import earlier_answers
from service.records.outbox import Letter, State, deliveries
from service.records.retention import gone
from service.records.scopes import Permission
from service.records.search import EVERYTHING, Bounds
from service.records.succession import AMENDED, DRAFT, RETRACTED
from service.sdc.assessment import RuleOutcome
from service.web.audit import audit
from service.web.auth import authenticated
from service.web.content import FHIR_JSON
from service.web.interface import speak
from service.web.moments import in_words
from service.web.site import Site
from service.web.visits import given_key


class Arrival(StrEnum):
    """Where the answers are."""

    HERE = "here"
    WAITING = "waiting"
    DELIVERED = "delivered"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the answers are, and, once they have arrived, since when (in words)."""

    arrival: Arrival
    since: str = ""


def result_routes(site: Site) -> Blueprint:
    """The routes of a response's result."""
    routes = Blueprint("result", __name__, url_prefix="/responses")

    @routes.get("/<response_id>")
    def result(response_id: str) -> ResponseReturnValue:
        response, pack = _found(site, response_id)
        shown = speak(pack)
        authored = in_words(response["authored"], site.zone)
        whereabouts = _whereabouts(deliveries(site.store.letters_of(response_id)), site.zone)
        if response["status"] == RETRACTED:
            return render_template("result/retracted.html", pack=shown, authored=authored, whereabouts=whereabouts)
        judged = site.evaluation.assess(response, shown.language, partial(earlier_answers, site.store))
        return render_template(
            "result/result.html",
            pack=shown,
            response_id=response_id,
            is_draft=response["status"] == DRAFT,
            authored=authored,
            changed=in_words(response["meta"]["lastUpdated"], site.zone) if response["status"] == AMENDED else None,
            assessment=judged.assessment,
            is_highest=judged.assessment.level == judged.plan.highest,
            deciding=_deciding(judged.assessment.fired),
            whereabouts=whereabouts,
        )

    @routes.get("/<response_id>/download")
    def download(response_id: str) -> ResponseReturnValue:
        response, _ = _found(site, response_id)
        record = site.store.record(response_id, int(response["meta"]["versionId"]))
        bundle: Json = {
            "resourceType": "Bundle",
            "type": "collection",
            "timestamp": response["meta"]["lastUpdated"],
            "entry": [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in record],
        }
        headers = {"Content-Disposition": f'attachment; filename="response-{response_id}.json"'}
        return Response(dumps(bundle, indent=2), headers=headers, content_type=f"{FHIR_JSON}; charset=utf-8")

    return routes


def _found(site: Site, response_id: str) -> tuple[Json, Pack]:
    within = _readable(site, response_id)
    response = site.store.read(RESPONSE_TYPE, response_id, within=within)
    if response is None and site.store.was_purged(RESPONSE_TYPE, response_id, within):
        raise gone()
    pack = None if response is None else site.population.pages.resolve(response["questionnaire"])
    if response is None or pack is None:
        abort(404)
    audit(site, Interaction.READ, [response])
    return response, pack


def _readable(site: Site, response_id: str) -> Bounds:
    """What whoever asks may read: their own result by the key of its form, others by an access token."""
    if site.is_open or given_key(response_id) is not None:
        return EVERYTHING
    if "Authorization" not in request.headers:
        abort(make_response(render_template("form/refused.html", why="not_yours"), 403))
    return authenticated(site).demand(RESPONSE_TYPE, Permission.READ)


def _deciding(fired: tuple[RuleOutcome, ...]) -> tuple[RuleOutcome, ...]:
    """The rules that decide the level: those of the highest level that fired."""
    return tuple(outcome for outcome in fired if outcome.rule.level == fired[0].rule.level)


def _whereabouts(letters: tuple[Letter, ...], zone: tzinfo) -> Whereabouts:
    """Where the newest version is: it brings what earlier ones did not, but waits for those that are not settled."""
    states = [letter.state for letter in letters]
    if not states:
        return Whereabouts(Arrival.HERE)
    if State.DEAD in states or states[-1] is State.DISCARDED:
        return Whereabouts(Arrival.STOPPED)
    if states[-1] is not State.DELIVERED:
        return Whereabouts(Arrival.WAITING)
    return Whereabouts(Arrival.DELIVERED, in_words(letters[-1].changed_at.isoformat(), zone))
