"""The operations on Questionnaire: $populate and $questionnaire-package, on the type and on a published page."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from service.errors import IssueType, Malformed, NotFound, error
from service.fhir.elements import choice_value, split_canonical
from service.fhir.json import Json
from service.fhir.structure import structure_issues
from service.packs import Pack
from service.records.access import expect_subject
from service.records.audit import Interaction
from service.records.population_request import PopulationRequest, read_request
from service.records.references import localised
from service.web.audit import audit
from service.web.auth import caller
from service.web.content import body_resource, fhir_answer
from service.web.language import in_language, wanted_languages
from service.web.publications import LANGUAGE, Publications
from service.web.rest import sent_resource
from service.web.searching import PRESENTATION
from service.web.site import Site

_PACKAGE_PARAMETERS = frozenset({"url", "version"})


def questionnaire_operation_routes(site: Site) -> Blueprint:
    """The routes of the operations on Questionnaire."""
    routes = Blueprint("questionnaire_operations", __name__, url_prefix="/fhir/Questionnaire")

    @routes.post("/$populate")
    def populate_type() -> ResponseReturnValue:
        return _populate(site, read_request(sent_resource(site)))

    @routes.post("/<resource_id>/$populate")
    def populate_instance(resource_id: str) -> ResponseReturnValue:
        asked = read_request(sent_resource(site))
        # Called on one Questionnaire, the operation ignores any other that is named.
        asked = replace(asked, questionnaire=None, canonical=None)
        return _populate(site, asked, _page(site, resource_id))

    @routes.route("/$questionnaire-package", methods=["GET", "POST"])
    def package_type() -> ResponseReturnValue:
        return _package(site, _named_page(site))

    @routes.route("/<resource_id>/$questionnaire-package", methods=["GET", "POST"])
    def package_instance(resource_id: str) -> ResponseReturnValue:
        return _package(site, _page(site, resource_id))

    return routes


def _populate(site: Site, asked: PopulationRequest, pack: Pack | None = None) -> ResponseReturnValue:
    """The answer to a population, which reads no more of the record than whoever calls may."""
    within = caller().demand_any("QuestionnaireResponse")
    about: Json = {"resourceType": "QuestionnaireResponse"} | ({"subject": asked.subject} if asked.subject else {})
    expect_subject(localised(about, site.fhir_server_url), within)
    populated = site.population.populate(asked, pack, caller())
    if asked.local or asked.references:
        audit(site, Interaction.OPERATION, [about])
    return fhir_answer(request, populated)


def _page(site: Site, resource_id: str) -> Pack:
    found = next((pack for pack in site.packs if pack.name == resource_id), None)
    if found is None:
        raise NotFound([error(IssueType.NOT_FOUND, "There is no such Questionnaire here.")])
    return found


def _named_page(site: Site) -> Pack:
    """The page of the parameters `url` (a canonical) and `version`. Raises Malformed and NotFound."""
    asked = {name: value for name, value in request.args.items() if name not in (*PRESENTATION, LANGUAGE)}
    named = asked if request.method == "GET" else _posted(body_resource(request))
    url, version = split_canonical(named.get("url", ""))
    given = named.get("version")
    if named.keys() - _PACKAGE_PARAMETERS or not url or (version and given and version != given):
        text = "The operation needs 'url', the Questionnaire's canonical, and takes 'version'; nothing else."
        raise Malformed([error(IssueType.REQUIRED, text, "http.url")])
    wanted = version or given
    found = site.population.pages.resolve(f"{url}|{wanted}" if wanted else url)
    if found is None:
        raise NotFound([error(IssueType.NOT_FOUND, "No such Questionnaire is published here.", "http.url")])
    return found


def _posted(body: Json) -> dict[str, str]:
    """The simple parameters of Parameters, as text."""
    faults = [issue for issue in structure_issues(body) if issue.is_error]
    if faults or body["resourceType"] != "Parameters":
        raise Malformed(faults or [error(IssueType.STRUCTURE, "The operation takes Parameters.", "resourceType")])
    return {str(entry.get("name")): str(choice_value(entry)) for entry in body.get("parameter", [])}


def _package(site: Site, pack: Pack) -> ResponseReturnValue:
    """A collection Bundle of a Questionnaire, first, and all that it needs."""
    base = site.fhir_base(request)
    # As they are read one by one, with the version that the content has.
    resources = Publications.of(pack.artifacts).everything(wanted_languages())
    ordered = sorted(resources, key=lambda one: one["resourceType"] != "Questionnaire")
    entries = [{"fullUrl": f"{base}/{one['resourceType']}/{one['id']}", "resource": one} for one in ordered]
    bundle: Json = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    return in_language(fhir_answer(request, bundle), ordered)
