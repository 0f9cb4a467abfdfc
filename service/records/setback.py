"""What stood in the way of a delivery, and the course to take: the one table of retry classes.

| what happened                                   | course   |                                                        |
|-------------------------------------------------|----------|--------------------------------------------------------|
| no connection; 429, 502, 503, 504               | HOLD     | the target rests, by Retry-After if it says so         |
| 401, 403; a redirect; no FHIR server at the URL | HOLD     | the target rests until it, or the setting, is mended   |
| nobody who takes notices at the webhook's URL   | HOLD     | the same                                               |
| sent, and no whole answer                       | POSTPONE | the same Bundle again later; counts nothing            |
| no right to write for this patient (any more)   | WAIT     | until the patient's next launch brings one             |
| 408, other 5xx; 2xx that confirms not all       | RETRY    | later, counted                                         |
| 409, 412                                        | AT_ONCE  | the loser of a race; a few times at once, then RETRY   |
| what was brought is another's by now, or gone   | BURY     | a dead letter that names the resource                  |
| any other 4xx; a resource the model refuses     | BURY     | a dead letter with the server's OperationOutcome       |
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from urllib.parse import unquote

from service.errors import Issue
from service.fhir.json import Json
from service.fhir.outcome import operation_outcome, outcome_texts
from service.records.outbox import Problem, Reason
from service.records.ports import Answer


class Course(StrEnum):
    """What to do with the letter and its target."""

    HOLD = "hold"
    POSTPONE = "postpone"
    WAIT = "wait"
    RETRY = "retry"
    AT_ONCE = "at-once"
    BURY = "bury"


class Setback(Exception):
    """A delivery that did not come about. `retry_after` is the server's own header, unread."""

    def __init__(self, course: Course, problem: Problem, retry_after: str | None = None) -> None:
        super().__init__(problem.reason)
        self.course = course
        self.problem = problem
        self.retry_after = retry_after

    @property
    def is_contested(self) -> bool:
        """Whether what was to be updated is not as it was expected, or is gone."""
        return self.problem.reason is Reason.CONFLICT or self.problem.status in (404, 410)


_HELD = {
    401: Reason.UNAUTHORISED,
    403: Reason.UNAUTHORISED,
    429: Reason.BUSY,
    502: Reason.BUSY,
    503: Reason.BUSY,
    504: Reason.BUSY,
}


def refusal(answer: Answer, outside: Sequence[str] = ()) -> Setback:
    """The setback of an answer that is no 2xx. `outside` are the references that the target must know."""
    status = answer.status
    if status in _HELD:
        return _setback(Course.HOLD, _HELD[status], answer)
    if status == 408 or status >= 500:
        return _setback(Course.RETRY, Reason.SERVER_ERROR, answer)
    if 300 <= status < 400:
        return not_fhir(answer, "It redirects, and redirects are not followed: set the final URL.")
    missing = _missing(answer, outside) if status != 409 else None
    if missing is not None:
        return _setback(Course.BURY, Reason.MISSING_REFERENCE, answer, f"The server lacks {missing}. ")
    if status in (409, 412):
        return _setback(Course.AT_ONCE, Reason.CONFLICT, answer)
    return _setback(Course.BURY, Reason.REFUSED, answer)


def odd_answer(answer: Answer, text: str) -> Setback:
    """The setback of a 2xx that does not confirm what was sent."""
    return Setback(Course.RETRY, Problem(Reason.ODD_ANSWER, text, answer.status, answer_outcome(answer)))


def not_fhir(answer: Answer, text: str) -> Setback:
    """The setback of a URL behind which no FHIR server answers."""
    return Setback(Course.HOLD, Problem(Reason.NOT_FHIR, f"No FHIR server answers here. {text}", answer.status))


def unreachable(fault: Exception) -> Setback:
    """The setback of a connection that did not come about."""
    return Setback(Course.HOLD, Problem(Reason.UNREACHABLE, f"No connection: {fault}."))


def not_granted(status: int | None = None) -> Setback:
    """The setback of a record that no token at hand may be written to."""
    text = (
        "The EHR's grant for this patient has ended, or was never given. It waits for the patient's next launch; "
        "offline access or backend credentials would spare that."
    )
    return Setback(Course.WAIT, Problem(Reason.NOT_GRANTED, text, status))


def answer_lost(fault: Exception) -> Setback:
    """The setback of a request that may have been carried out or not."""
    return Setback(Course.POSTPONE, Problem(Reason.NO_ANSWER, f"No whole answer: {fault}."))


def refused_by_model(issues: Sequence[Issue]) -> Setback:
    """The setback of a Bundle that is no valid FHIR, and is not sent."""
    text = "Not sent, because it is no valid FHIR: " + "; ".join(_place_and_text(issue) for issue in issues)
    return Setback(Course.BURY, Problem(Reason.INVALID_RESOURCE, text, None, operation_outcome(issues)))


def answer_outcome(answer: Answer) -> Json | None:
    """The OperationOutcome that was answered, if one was."""
    body = answer.body
    return body if body is not None and body.get("resourceType") == "OperationOutcome" else None


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """How long a Retry-After header (seconds or HTTP-date, RFC 9110) asks to wait; None when it cannot be read."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), 10**8))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    # A date without a zone is of no use here; HTTP-dates are always GMT.
    return None if moment.tzinfo is None else max(moment - now, timedelta())


def _setback(course: Course, reason: Reason, answer: Answer, prefix: str = "") -> Setback:
    outcome = answer_outcome(answer)
    said = "without an OperationOutcome"
    if outcome is not None:
        said = "; ".join(outcome_texts(outcome)) or "an OperationOutcome without a reason"
    problem = Problem(reason, f"{prefix}The server answered {answer.status}: {said}.", answer.status, outcome)
    return Setback(course, problem, answer.headers.get("retry-after"))


def _missing(answer: Answer, outside: Sequence[str]) -> str | None:
    """The outside reference that the server's OperationOutcome speaks of."""
    outcome = answer_outcome(answer)
    if outcome is None:
        return None
    said = unquote(" ".join(outcome_texts(outcome)))
    return next((reference for reference in outside if unquote(reference) in said), None)


def _place_and_text(issue: Issue) -> str:
    return issue.text if issue.expression is None else f"{issue.expression}: {issue.text}"
