"""The statuses of a response, and which version of it may follow which.

    in-progress ──► in-progress ──► completed ──► amended ──► amended ──► entered-in-error

Each may be skipped, but there is no way back: a draft is completed once, and a retraction is final, so that updates
that arrive late or twice end where they would have ended in order.
"""

from __future__ import annotations

from typing import Final

from service.errors import Detail, Invalid, Issue, IssueType, Malformed, Severity, error
from service.fhir.elements import ENTERED_IN_ERROR, split_canonical
from service.fhir.json import Json
from service.records.narrative import without_generated_narrative
from service.records.searchable import subject_key

DRAFT: Final = "in-progress"
COMPLETED: Final = "completed"
AMENDED: Final = "amended"
RETRACTED: Final = ENTERED_IN_ERROR
STATUSES: Final = (DRAFT, COMPLETED, AMENDED, RETRACTED)


def as_following(response: Json, before: Json) -> tuple[Json, list[Issue]]:
    """`response` as what follows `before`, with a warning where that is not as it was sent."""
    if response.get("text") == before.get("text") and "text" not in without_generated_narrative(before):
        # It was read here and changed: the text tells of the answers before.
        response = {name: value for name, value in response.items() if name != "text"}
    if before["status"] == DRAFT or response.get("status") != COMPLETED:
        return response, []
    text = "It replaces a response that was complete, so it is kept as amended."
    place = "QuestionnaireResponse.status"
    note = Issue(Severity.WARNING, IssueType.BUSINESS_RULE, text, place, Detail.KEPT_AS_AMENDED)
    return {**response, "status": AMENDED}, [note]


def check_following(sent: Json, response: Json, before: Json) -> None:
    """Raises what keeps `response` (`sent`, with references as this service keeps them) from following `before`.

    Malformed (its id is another), or Invalid (it would become another's, a draft again, or take a retraction back).
    """
    if sent.get("id") not in (None, before["id"]):
        text = f"The body has the id '{sent['id']}', but the address is that of '{before['id']}'."
        raise Malformed([error(IssueType.INVALID, text, "QuestionnaireResponse.id", Detail.INVALID_VALUE)])
    if before["status"] == RETRACTED and response.get("status") != RETRACTED:
        text = "This response was retracted as entered in error, and stays so. Send what is right as a new response."
        raise _inadmissible(text, "status", Detail.INVALID_STATUS)
    if before["status"] != DRAFT and response.get("status") == DRAFT:
        text = f"This response is {before['status']}: it cannot become a draft again. Send the change as {AMENDED}."
        raise _inadmissible(text, "status", Detail.INVALID_STATUS)
    canonical = response.get("questionnaire")
    if isinstance(canonical, str) and split_canonical(canonical)[0] != split_canonical(before["questionnaire"])[0]:
        text = "The questionnaire differs from the one before. Send answers to another one as a new response."
        raise _inadmissible(text, "questionnaire", Detail.INVALID_VALUE)
    if "subject" in response and subject_key(response["subject"]) != subject_key(before["subject"]):
        text = "The subject differs from the one before. Answers do not move to another's record: send a new response."
        raise _inadmissible(text, "subject", Detail.INVALID_VALUE)


def _inadmissible(text: str, element: str, detail: Detail) -> Invalid:
    return Invalid([error(IssueType.BUSINESS_RULE, text, f"QuestionnaireResponse.{element}", detail)])
