"""The web form: a page of questions step by step, danger signs first; every step is kept as a draft."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.errors import Invalid, PreconditionFailed
from service.fhir.json import Json
from service.fhir.primitives import instant
from service.packs import Pack
from service.sdc.context import ResponseContext
from service.sdc.drafting import Asked, asked, settle
from service.sdc.form import Step, is_answerable
from service.sdc.questionnaire import Item
from service.web.answer_words import answer_words, day_words
from service.web.check_answers import Problem, check_page, general_problem, missing_text, send_answers
from service.web.fields import field_name, html_id
from service.web.form_reading import ROWS, StepReading, read_step
from service.web.form_view import View, item_label, shown_ids
from service.web.interface import asked_language, speak, spoken
from service.web.site import Site
from service.web.visits import (
    Visit,
    already_sent,
    begun,
    named_patient,
    opened_visit,
    person_zone,
    posted_visit,
    published,
    to_result,
    told_patient,
    unfinished,
    with_cookie,
)


def form_routes(site: Site) -> Blueprint:
    """The routes of the web form."""
    routes = Blueprint("form", __name__, url_prefix="/forms/<page>")

    @routes.get("")
    def begin(page: str) -> ResponseReturnValue:
        pack = published(site, page)
        shown = speak(pack)
        draft = unfinished(site)
        if draft is not None and "new" not in request.args:
            return render_template("form/unfinished.html", pack=shown, draft=draft)
        told = told_patient()
        if site.is_open and named_patient(site, told) is None and (told or site.fhir_server_url is not None):
            return render_template("form/whose.html", pack=shown, told=told), 422 if told else 200
        return begun(site, pack)

    @routes.get("/<uuid:draft>")
    def resume(page: str, draft: object) -> ResponseReturnValue:
        visit = opened_visit(site, page, str(draft))
        return with_cookie(redirect(_first_open(visit, visit.context()), 303), page, visit.key)

    @routes.get("/<uuid:draft>/<int:number>")
    def step(page: str, draft: object, number: int) -> ResponseReturnValue:
        visit = opened_visit(site, page, str(draft))
        context = visit.context()
        view = View(context, visit.proposals(context), {}, added=request.args.get("add", ""))
        return with_cookie(_step_page(visit, view, visit.step(context, number), []), page, visit.key)

    @routes.post("/<uuid:draft>/<int:number>")
    def answer(page: str, draft: object, number: int) -> ResponseReturnValue:
        visit = posted_visit(site, page, str(draft))
        answered = _answer if asked_language() is None else _in_other_language
        return with_cookie(answered(visit, number), page, visit.key)

    @routes.post("/<uuid:draft>/<int:number>/shown")
    def shown(page: str, draft: object, number: int) -> ResponseReturnValue:
        return _shown(posted_visit(site, page, str(draft)), number)

    @routes.get("/<uuid:draft>/urgent")
    def urgent(page: str, draft: object) -> ResponseReturnValue:
        return _urgent_page(opened_visit(site, page, str(draft)))

    @routes.get("/<uuid:draft>/later")
    def later(page: str, draft: object) -> ResponseReturnValue:
        visit = opened_visit(site, page, str(draft))
        # Another device may ask for another language.
        path = url_for("form.resume", page=page, draft=visit.id, key=visit.key, language=spoken())
        until = day_words((site.clock() + site.draft_lifetime).date().isoformat())
        onward = _first_open(visit, visit.context())
        link = site.address(request, path)
        return render_template("form/later.html", pack=visit.shown, link=link, until=until, onward=onward)

    @routes.get("/<uuid:draft>/check")
    def check(page: str, draft: object) -> ResponseReturnValue:
        visit = opened_visit(site, page, str(draft))
        return check_page(visit, visit.context(), [])

    @routes.post("/<uuid:draft>/check")
    def send(page: str, draft: object) -> ResponseReturnValue:
        return send_answers(posted_visit(site, page, str(draft), when_sent=to_result))

    return routes


def _read(visit: Visit, pack: Pack, response: Json, number: int) -> tuple[StepReading, Step]:
    """The draft `response` with the step that was posted, in the texts of `pack`: to be kept, or to be shown."""
    zone = person_zone(visit.site)
    now = visit.site.clock()
    context = settle(pack.questionnaire, {**response, "authored": instant(now.astimezone(zone))}, now)
    step = visit.step(context, number)
    return read_step(context, step, _inputs(), visit.proposals(context), zone, request.form.get("action", "")), step


def _answer(visit: Visit, number: int) -> ResponseReturnValue:
    drafts: list[Json] = []

    def change(response: Json) -> Json:
        drafts.append(response)
        return _read(visit, visit.pack, response, number)[0].context.response

    try:
        receipt = visit.site.drafts.revise(visit.id, visit.response, change)
    except PreconditionFailed:
        return already_sent(visit.id, visit.key)
    except Invalid as refusal:
        shown = _read(visit, visit.shown, drafts[-1], number)
        return _step_again(visit, *shown, [general_problem(issue) for issue in refusal.issues])
    reading, step = _read(visit, visit.shown, drafts[-1], number)
    kept = replace(visit, response=receipt.response, kept=True)
    if kept.urgent_rules() - visit.urgent_rules():
        # Before anything else, also before what is wrong with the other answers.
        return redirect(kept.address("urgent", after=step.number), 303)
    visit.site.drafts.keep_proposal(visit.id, visit.pack, receipt.response)
    return _onward(kept, reading, step)


def _in_other_language(visit: Visit, number: int) -> ResponseReturnValue:
    """The step in the language that was chosen on it, with what is typed so far; nothing is kept."""
    reading, step = _read(visit, visit.shown, visit.response, number)
    view = View(reading.context, visit.proposals(reading.context), {}, _inputs())
    return _step_page(visit, view, step, [])


def _onward(visit: Visit, reading: StepReading, step: Step) -> ResponseReturnValue:
    """What comes after a step was kept: the step again, where something is wrong or new on it; else the next."""
    verb, _, name = request.form.get("action", "").partition(":")
    if reading.faults:
        return _step_again(visit, reading, step, [])
    if verb in ("add", "remove"):
        return redirect(_changed_part(visit, step, verb, name), 303)
    if verb == "later":
        return redirect(visit.address("later"), 303)
    if reading.missing:
        return _step_again(visit, reading, step, [])
    if reading.new:
        return redirect(visit.step_address(step, anchor=_id(reading.new[0]), more=1, **_came_from()), 303)
    if _came_from():
        return redirect(_first_open(visit, reading.context), 303)
    following = next((one for one in visit.steps(reading.context) if one.number > step.number), None)
    return redirect(visit.address("check") if following is None else visit.step_address(following), 303)


def _changed_part(visit: Visit, step: Step, verb: str, name: str) -> str:
    """The address of what was added to the step, or of that from which something was removed."""
    rows = request.form.get(name + ROWS, "")
    if verb == "add" and rows.isdigit():
        return visit.step_address(step, anchor=f"{html_id(name)}-{int(rows) + 1}", **_came_from())
    if verb == "add":
        # The new input takes the focus by itself, unless the address names another place.
        return visit.step_address(step, add=name, **_came_from())
    return visit.step_address(step, anchor=html_id(name.rpartition(":")[0]), **_came_from())


def _first_open(visit: Visit, context: ResponseContext) -> str:
    """The address of the first step that lacks an answer; of the check page, where none does."""
    for step in visit.steps(context):
        if any(one.is_missing for one in asked(context, step.items)):
            return visit.step_address(step)
    return visit.address("check")


def _step_again(visit: Visit, reading: StepReading, step: Step, others: list[Problem]) -> ResponseReturnValue:
    """The step as it was typed, with what is wrong."""
    errors = {_name(one): missing_text(one) for one in reading.missing} | {**reading.faults}
    shown = [one for one in asked(reading.context, step.items) if _name(one) in errors]
    problems = [*others, *(Problem(item_label(one.item), errors[_name(one)], f"#{_id(one)}") for one in shown)]
    view = View(reading.context, visit.proposals(reading.context), errors, _inputs())
    return _step_page(visit, view, step, problems), 422


def _step_page(visit: Visit, view: View, step: Step, problems: list[Problem]) -> str:
    steps = visit.steps(view.context)
    position = [one.number for one in steps].index(step.number)
    came_from = _came_from()
    before = visit.step_address(steps[position - 1]) if position else None
    return render_template(
        "form/step.html",
        visit=visit,
        pack=visit.shown,
        step=step,
        position=position + 1,
        total=len(steps),
        blocks=view.blocks(step.items),
        problems=problems,
        back=visit.address("check") if came_from else before,
        came_from=came_from,
        more="more" in request.args,
        patient="" if visit.kept else visit.response["subject"].get("reference", ""),
        is_conditional=any(_depends(item) for item in step.items),
        is_urgent=bool(visit.urgent_rules()),
    )


def _shown(visit: Visit, number: int) -> ResponseReturnValue:
    """Which blocks the answers on the page show, and what they calculate; nothing is kept."""
    reading, step = _read(visit, visit.shown, visit.response, number)
    fixed = {
        _id(one): "; ".join(answer_words(one.item, given) for given in one.answers)
        for one in asked(reading.context, step.items)
        if not is_answerable(one.item)
    }
    return {"shown": list(shown_ids(View(reading.context, {}, {}, _inputs()).blocks(step.items))), "fixed": fixed}


def _urgent_page(visit: Visit) -> ResponseReturnValue:
    judged = visit.site.evaluation.assess(visit.response, visit.shown.language)
    fired = [outcome for outcome in judged.assessment.fired if outcome.rule.level == judged.plan.highest]
    context = visit.context()
    told = request.args.get("after", "")
    after = int(told) if told.isascii() and told.isdigit() and len(told) < 4 else 0
    following = next((step for step in visit.steps(context) if step.number > after), None)
    onward = visit.address("check") if following is None else visit.step_address(following)
    if not fired:
        return redirect(onward, 303)
    return render_template("form/urgent.html", visit=visit, pack=visit.shown, fired=fired, onward=onward)


def _inputs() -> dict[str, list[str]]:
    return {name: request.form.getlist(name) for name in request.form}


def _came_from() -> dict[str, Any]:
    """`from=check` of a request that changes one answer and then returns to the check page."""
    return {"from": "check"} if request.values.get("from") == "check" else {}


def _name(one: Asked) -> str:
    return field_name(one.item, one.rows)


def _id(one: Asked) -> str:
    return html_id(_name(one))


def _depends(item: Item) -> bool:
    """True when other answers show or calculate the item, or one in it."""
    return item.may_hide or item.calculated is not None or any(map(_depends, item.items))
