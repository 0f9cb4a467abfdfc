"""The check page of a form: every answer with a way to change it, and the button that sends them."""

from __future__ import annotations

from dataclasses import dataclass

from flask import render_template
from flask.typing import ResponseReturnValue

from service.errors import Detail, Invalid, Issue, PreconditionFailed
from service.fhir.json import Json
from service.fhir.primitives import instant
from service.sdc.context import ResponseContext
from service.sdc.drafting import Asked, asked, completed, settle
from service.sdc.form import Step
from service.sdc.questionnaire import ItemType
from service.sdc.validation import context_issues
from service.web.answer_words import answer_words
from service.web.fields import field_name, html_id
from service.web.form_reading import advice, question_path
from service.web.form_view import item_label
from service.web.interface import gettext as _
from service.web.visits import Visit, person_zone, to_result

_ABSENCE = (Detail.REQUIRED_MISSING, Detail.TOO_FEW_ANSWERS)


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of an error summary: the question, what is wrong, and the address of the question.

    `language` is that of the text, where it is another than the page is shown in.
    """

    label: str
    text: str
    address: str | None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One question of the check page, its answers, and where to change them."""

    id: str
    label: str
    answers: tuple[str, ...]
    address: str
    error: str | None


def check_page(visit: Visit, context: ResponseContext, problems: list[Problem]) -> str:
    """The check page, with what keeps the answers from being sent."""
    wrong = {problem.address: problem.text for problem in problems}
    sections = []
    for step in visit.steps(context):
        lines = []
        for one in asked(context, step.items):
            address = _address(visit, one, step)
            answers = tuple(answer_words(one.item, given) for given in one.answers)
            lines.append(Line(_id(one), item_label(one.item), answers, address, wrong.get(address)))
        sections.append((step, lines))
    return render_template("form/check.html", visit=visit, pack=visit.shown, sections=sections, problems=problems)


def send_answers(visit: Visit) -> ResponseReturnValue:
    """Completes the draft and leads to its result; or the check page, with what keeps it from being complete."""
    now = visit.site.clock()
    zone = person_zone(visit.site)

    def change(response: Json) -> Json:
        finished = completed(settle(visit.pack.questionnaire, response, now).response)
        return {**finished, "status": "completed", "authored": instant(now.astimezone(zone))}

    problems = _problems(visit, change(visit.response))
    if problems:
        return check_page(visit, visit.context(), problems), 422
    try:
        visit.site.drafts.revise(visit.id, visit.response, change)
    except PreconditionFailed:
        # Sent twice at once: both see what came of it.
        return to_result(visit.id, visit.key)
    except Invalid as refusal:
        # Another tab changed an answer between the check and the sending.
        return check_page(visit, visit.context(), [general_problem(issue) for issue in refusal.issues]), 422
    return to_result(visit.id, visit.key)


def missing_text(one: Asked) -> str:
    """What to do about a question without the answers it needs."""
    if one.item.min_occurs > 1:
        return _("Give at least %(number)s answers.", number=one.item.min_occurs)
    is_choice = bool(one.item.options) or one.item.type is ItemType.BOOLEAN
    return _("Choose an answer.") if is_choice else _("Write an answer.")


def general_problem(issue: Issue) -> Problem:
    """What is wrong with the answers as a whole: in the page's words, or, where it has none, in the engine's."""
    is_of_page = issue.detail is Detail.CONSTRAINT_VIOLATED
    return Problem("", issue.text, None, language=None if is_of_page else "en")


def _problems(visit: Visit, response: Json) -> list[Problem]:
    """What keeps the response from being sent, question by question."""
    context = settle(visit.shown.questionnaire, response, visit.site.clock())
    places: dict[str, tuple[Asked, Step]] = {}
    problems = []
    for step in visit.steps(context):
        for one in asked(context, step.items):
            if one.entry is not None:
                places[one.entry.path] = (one, step)
            if one.is_missing:
                problems.append(Problem(item_label(one.item), missing_text(one), _address(visit, one, step)))
    for issue in context_issues(context):
        if not issue.is_error or (problems and issue.detail in _ABSENCE):
            continue
        found = places.get(question_path(issue, places))
        if found is None:
            problems.append(general_problem(issue))
        else:
            one, step = found
            problems.append(Problem(item_label(one.item), advice(one.item, issue), _address(visit, one, step)))
    return problems


def _address(visit: Visit, one: Asked, step: Step) -> str:
    return visit.step_address(step, anchor=_id(one), **{"from": "check"})


def _id(one: Asked) -> str:
    return html_id(field_name(one.item, one.rows))
