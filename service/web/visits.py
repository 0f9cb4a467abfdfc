"""A visit to a form: whose draft it is, and by what right it is opened.

A draft is opened by its key, which stands in a cookie of the browser session, or in the link that a person kept. A
POST carries the key in its body, which no other site knows: it needs no cookie, so an expired session loses nothing.
Another site could only begin a form, with a key that it made up: there the browser must say that the POST is our own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any, Final, NoReturn

from flask import abort, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask.wrappers import Response

from service.fhir.json import Json
from service.fhir.primitives import instant
from service.packs import Pack
from service.records.drafts import draft_id, unknown_person
from service.records.ehr import Launch
from service.records.invitations import Invitation
from service.records.references import subject_issues
from service.records.retention import gone
from service.records.succession import DRAFT
from service.sdc.context import ResponseContext
from service.sdc.drafting import settle
from service.sdc.form import Step, form_steps
from service.sdc.references import reference_type
from service.web.cookies import set_session_cookie
from service.web.form_reading import Proposals, proposals_of
from service.web.interface import carried, speak
from service.web.site import Site

COOKIE: Final = "draft"
_TIME_TO_ANSWER: Final = timedelta(hours=1)
_MOST_OFFSET_MINUTES: Final = 14 * 60


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to one draft. `response` is the draft as kept; as it begins, where nothing is `kept` yet.

    `pack` is the page whose texts are kept with the answers, `shown` the same in the person's language. `launch` is
    what an EHR said when it opened the form.
    """

    site: Site
    pack: Pack
    shown: Pack
    id: str
    key: str
    response: Json
    kept: bool
    launch: Launch | None = None

    @property
    def needs_key(self) -> bool:
        """True when the browser sends no cookie that opens the draft, so that addresses must."""
        return request.cookies.get(COOKIE) != self.key

    def address(self, endpoint: str, **values: Any) -> str:
        """The address of a page of this draft."""
        if self.needs_key:
            values["key"] = self.key
        return url_for(f"form.{endpoint}", page=self.pack.name, draft=self.id, **values, **carried())

    def step_address(self, step: Step, anchor: str | None = None, **values: Any) -> str:
        """The address of a step, or of one question in it."""
        return self.address("step", number=step.number, _anchor=anchor, **values)

    def context(self) -> ResponseContext:
        """The draft as it is shown, without what other answers hide."""
        return settle(self.shown.questionnaire, self.response, self.site.clock())

    def steps(self, context: ResponseContext) -> tuple[Step, ...]:
        """The steps that show anything after the answers so far."""
        root = context.paired.root
        return tuple(
            step
            for step in form_steps(context.questionnaire)
            if any(context.enablement.is_enabled(item, root) for item in step.items)
        )

    def step(self, context: ResponseContext, number: int) -> Step:
        """The step with this number. Ends the request with 404 when it shows nothing now."""
        found = next((step for step in self.steps(context) if step.number == number), None)
        if found is None:
            abort(404)
        return found

    def proposals(self, context: ResponseContext) -> Proposals:
        """First answers from the patient's record; of a draft that is not kept yet, defaults alone."""
        if self.kept:
            proposal = self.site.drafts.proposal(self.id)
        else:
            without_record = {**self.response, "subject": unknown_person(self.id)}
            proposal = self.site.drafts.propose(self.pack, without_record)
        return proposals_of(context.questionnaire, proposal, context)

    def urgent_rules(self) -> frozenset[str]:
        """The ids of the rules of the highest level that the answers kept so far fire."""
        if not self.kept:
            return frozenset()
        judged = self.site.evaluation.assess(self.response)
        return frozenset(one.rule.id for one in judged.assessment.fired if one.rule.level == judged.plan.highest)


def published(site: Site, page: str) -> Pack:
    """The page of this name. Ends the request with 404 when there is none."""
    found = next((pack for pack in site.packs if pack.name == page), None)
    if found is None:
        abort(404)
    return found


def unfinished(site: Site) -> str | None:
    """The id of the draft that this browser session began and did not send."""
    key = request.cookies.get(COOKIE)
    response = None if key is None else site.drafts.read(draft_id(key))
    if key is None or response is None or response["status"] != DRAFT:
        return None
    return draft_id(key)


def begun(site: Site, pack: Pack, *, with_key: bool = False) -> Response:
    """The way to the first step of a new draft; `with_key` for browsers that keep no cookies.

    Ends the request where people are let in by launches and invitations alone.
    """
    if not site.is_open:
        _refuse("closed", 403, pack.name)
    key = site.new_key()
    first = form_steps(pack.questionnaire)[0]
    values: dict[str, Any] = {"key": key} if with_key else {}
    if (patient := named_patient(site, told_patient())) is not None:
        values["patient"] = patient
    values |= carried()
    address = url_for("form.step", page=pack.name, draft=draft_id(key), number=first.number, **values)
    return with_cookie(redirect(address, 303), pack.name, key)


def told_patient() -> str:
    """Whose record the request says the form is for, as it came."""
    return request.values.get("patient", request.values.get("subject", ""))


def named_patient(site: Site, named: str) -> str | None:
    """Whose record the form is for ("Patient/1"), where that is said in a way that can be used."""
    reference = named.strip() if "/" in named or not named.strip() else f"Patient/{named.strip()}"
    for base in site.own_bases(request):
        reference = reference.removeprefix(f"{base}/")
    return reference if reference and not subject_issues({"subject": {"reference": reference}}) else None


def opened_visit(site: Site, page: str, id_: str) -> Visit:
    """The visit of a GET, by cookie or link. Ends the request where these do not open the draft."""
    key = given_key(id_)
    response = site.drafts.read(id_)
    if key is None and response is None:
        # Nothing is kept under this id: whoever comes without its key begins anew, if need be without cookies.
        if COOKIE in request.cookies:
            abort(redirect(url_for("form.begin", page=page, patient=request.args.get("patient"), **carried()), 303))
        abort(begun(site, published(site, page), with_key=True))
    if key is None:
        _refuse("session_ended", 403, page)
    visit = _visit(site, page, id_, key, response)
    if visit.kept:
        changed = datetime.fromisoformat(visit.response["meta"]["lastUpdated"])
        if site.clock() - changed > site.draft_lifetime:
            _refuse("expired", 410, page)
    return visit


def posted_visit(
    site: Site, page: str, id_: str, when_sent: Callable[[str, str], ResponseReturnValue] | None = None
) -> Visit:
    """The visit of a POST, by the key in its body alone. Ends the request where that does not open the draft.

    `when_sent` answers for a response that is no draft any more, whose id and key it takes.
    """
    key = request.form.get("key", "")
    if draft_id(key) != id_:
        _refuse("forged", 403, page)
    response = site.drafts.read(id_)
    if response is not None and response["status"] != DRAFT:
        abort(make_response((when_sent or already_sent)(id_, key)))
    return _visit(site, page, id_, key, response)


def _visit(site: Site, page: str, id_: str, key: str, response: Json | None) -> Visit:
    pack = published(site, page)
    shown = speak(pack)
    launch = site.launch_store.launch(id_)
    invitation = site.invitation_of(id_)
    if invitation is not None and invitation.page != page:
        abort(404)
    if invitation is not None and not _stands(site.clock(), invitation, kept=response is not None):
        _refuse("uninvited", 410, page)
    if response is None:
        if site.store.was_purged("QuestionnaireResponse", id_):
            raise gone()
        blank = _blank(site, pack, id_, launch, invitation)
        return Visit(site, pack, shown, id_, key, blank, kept=False, launch=launch)
    if response["status"] != DRAFT:
        abort(to_result(id_, key))
    pinned = site.population.pages.resolve(response["questionnaire"])
    if pinned is None or pinned.url != pack.url:
        abort(404)
    return Visit(site, pinned, speak(pinned), id_, key, response, kept=True, launch=launch)


def _stands(now: datetime, invitation: Invitation, *, kept: bool) -> bool:
    """Whether an invitation may be followed: not taken back, and begun before it ended.

    What was answered on a page that was opened in time is taken a while longer.
    """
    ends_at = invitation.expires_at + (_TIME_TO_ANSWER if request.method == "POST" else timedelta())
    return invitation.revoked_at is None and (kept or now < ends_at)


def _blank(site: Site, pack: Pack, id_: str, launch: Launch | None, invitation: Invitation | None) -> Json:
    head: Json = {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": pack.canonical,
        "status": DRAFT,
        "authored": instant(site.clock()),
    }
    if launch is not None:
        return {**head, **_who(launch)}
    if invitation is not None:
        return {**head, "subject": {"reference": invitation.patient}}
    if not site.is_open:
        _refuse("closed", 403, pack.name)
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        _refuse("forged", 403, pack.name)
    patient = named_patient(site, told_patient())
    if patient is None and site.fhir_server_url is not None:
        abort(redirect(url_for("form.begin", page=pack.name, **carried()), 303))
    return {**head, "subject": unknown_person(id_) if patient is None else {"reference": patient}}


def _who(launch: Launch) -> Json:
    """Whose answers these are, and who was there, as references that mean the EHR of the launch and no other."""

    def there(reference: str) -> Json:
        return {"reference": reference if "://" in reference else f"{launch.issuer}/{reference}"}

    patient = there(f"Patient/{launch.patient}")
    found: Json = {"subject": patient}
    if launch.encounter is not None:
        found["encounter"] = there(launch.encounter)
    if launch.user is not None:
        found["author"] = there(launch.user)
        # A clinician writes down what the patient says; a relative answers in the patient's place.
        found["source"] = there(launch.user) if reference_type(launch.user) == "RelatedPerson" else patient
    return found


def already_sent(response_id: str, key: str) -> ResponseReturnValue:
    """What a POST to a form is told whose answers were sent already."""
    page = render_template("form/already_sent.html", result=_result_address(response_id, key))
    return _opening_result((page, 409), response_id, key)


def to_result(response_id: str, key: str) -> Response:
    """The way to the result of answers that were sent, be it now or before."""
    return _opening_result(redirect(_result_address(response_id, key), 303), response_id, key)


def _result_address(response_id: str, key: str) -> str:
    values: dict[str, Any] = {} if request.cookies.get(COOKIE) == key else {"key": key}
    return url_for("result.result", response_id=response_id, **values, **carried())


def _opening_result(answer: ResponseReturnValue, response_id: str, key: str) -> Response:
    """The answer, with the key of the form as that of its result, for the rest of the browser session."""
    made = make_response(answer)
    set_session_cookie(made, COOKIE, key, f"/responses/{response_id}")
    return made


def given_key(id_: str) -> str | None:
    """The key to the form of this response, in the link that was followed or the cookie; None without."""
    candidates = (request.args.get("key"), request.cookies.get(COOKIE))
    return next((one for one in candidates if one is not None and draft_id(one) == id_), None)


def person_zone(site: Site) -> tzinfo:
    """The person's time zone: as their browser tells it (minutes ahead of UTC), else that of the settings."""
    told = request.form.get("offset", "")
    digits = told.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 4 and abs(int(told)) <= _MOST_OFFSET_MINUTES:
        return timezone(timedelta(minutes=int(told)))
    return site.zone


def with_cookie(answer: ResponseReturnValue, page: str, key: str) -> Response:
    """The answer, with the key for the rest of the browser session."""
    made = make_response(answer)
    if request.cookies.get(COOKIE) != key:
        set_session_cookie(made, COOKIE, key, f"/forms/{page}")
    return made


def _refuse(why: str, status: int, page: str) -> NoReturn:
    abort(make_response(render_template("form/refused.html", why=why, page=page), status))
