"""What accepting a QuestionnaireResponse writes: validated, assessed, extracted, composed, and nothing written yet."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.errors import Detail, Invalid, Issue, IssueType, Severity, error
from service.fhir.json import Json
from service.fhir.primitives import instant
from service.packs import Pack
from service.records.amendment import record_changes
from service.records.audit import no_audit
from service.records.composition import compose
from service.records.identity import identified
from service.records.latest_answers import earlier_answers
from service.records.narrative import with_narrative
from service.records.outbox import WEBHOOK
from service.records.ports import Acceptance, Audit, Clock, Key, NewId, Pages, Store, Stored
from service.records.references import subject_issues
from service.records.succession import DRAFT, RETRACTED, STATUSES
from service.sdc.assessment import Assessment, assess
from service.sdc.context import ResponseContext, read_response
from service.sdc.explanation import triage_observation
from service.sdc.extraction import extract
from service.sdc.triage import Priority
from service.sdc.validation import validate

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a response is to be written: as which version of which, over what record, for which FHIR server, and why.

    `is_told` says that the webhook is told of it already; `audit` gives the AuditEvents of who writes it.
    """

    response_id: str
    target: str | None
    version: int = 1
    is_told: bool = False
    standing: tuple[Json, ...] = ()
    reasons: tuple[Json, ...] = ()
    audit: Audit = no_audit


@dataclass(frozen=True, slots=True)
class Preparation:
    """Prepares what an Intake accepts. `tells_urgent` says that the operator's webhook is told of urgent results."""

    pages: Pages
    store: Store
    clock: Clock
    new_id: NewId
    tells_urgent: bool

    def acceptance(
        self, response: Json, keys: tuple[Key, ...], digest: str, place: Place, noted: Iterable[Issue] = ()
    ) -> Acceptance:
        """What accepting `response` at `place` writes, found under `keys` from then on.

        `digest` identifies the body that was sent; `noted` are warnings that are known already. Raises Invalid with all
        errors found.
        """
        now = self.clock()
        faults = [*subject_issues(response), *_status_issues(response)]
        pack = self._page(response, faults)
        issues = [*faults, *validate(pack.questionnaire, response, now)]
        errors = [issue for issue in issues if issue.is_error]
        if errors:
            raise Invalid(errors)
        accepted, notes = _completed(response, pack, now)
        known = {issue.detail for issue in issues}
        warnings = (*issues, *noted, *(note for note in notes if note.detail not in known))
        stored_response = _identified(accepted, place, now)
        context = read_response(pack.questionnaire, stored_response, now)
        context = context.looking_back(earlier_answers(self.store, pack, stored_response))
        assessment = assess(pack.plan, context)
        _log_faults(assessment, pack)
        triage = triage_observation(pack.plan, assessment, context)
        return Acceptance(
            stored=Stored(stored_response, triage, warnings, digest),
            record=self._record(context, triage, pack, place),
            keys=keys,
            pack=pack,
            accepted_at=now,
            targets=self._targets(stored_response, assessment, place),
            audit=place.audit(stored_response),
        )

    def _page(self, response: Json, faults: Iterable[Issue]) -> Pack:
        canonical = response.get("questionnaire")
        pack = self.pages.resolve(canonical) if isinstance(canonical, str) else None
        if pack is not None:
            return pack
        place = "QuestionnaireResponse.questionnaire"
        if canonical is None:
            text = "The response must name its questionnaire by canonical URL."
            raise Invalid([*faults, error(IssueType.REQUIRED, text, place, Detail.REQUIRED_MISSING)])
        text = f"No questionnaire '{canonical}' is published here. GET Questionnaire lists those that are."
        raise Invalid([*faults, error(IssueType.NOT_FOUND, text, place, Detail.UNKNOWN_QUESTIONNAIRE)])

    def _targets(self, response: Json, assessment: Assessment, place: Place) -> tuple[str, ...]:
        """Whereto letters go: a draft's nowhere; of the first version with an urgent result, one to the webhook too."""
        status = response["status"]
        if status == DRAFT:
            return ()
        is_urgent = assessment.priority is Priority.STAT and status != RETRACTED
        told = [WEBHOOK] if self.tells_urgent and is_urgent and not place.is_told else []
        return (*told, *([] if place.target is None else [place.target]))

    def _record(self, context: ResponseContext, triage: Json, pack: Pack, place: Place) -> tuple[Json, ...]:
        """What is written beside the response: of a draft nothing; a retracted one says nothing any more."""
        response, now = context.response, context.now
        if response["status"] == DRAFT:
            return ()
        said: tuple[Json, ...] = ()
        if response["status"] != RETRACTED:
            said = compose(response, extract(pack.extraction, context, self.new_id), triage, now)
        return record_changes(response, place.standing, said, now, place.reasons)


def _identified(response: Json, place: Place, now: datetime) -> Json:
    meta = {name: value for name, value in response.get("meta", {}).items() if name not in _SERVER_META}
    meta = {"versionId": str(place.version), "lastUpdated": instant(now), **meta}
    return with_narrative(identified({**response, "meta": meta}, place.response_id))


_SERVER_META: Final = frozenset({"versionId", "lastUpdated"})


def _status_issues(response: Json) -> list[Issue]:
    # A missing status, or one that FHIR does not know, is for the validation to report.
    if response.get("status") != "stopped":
        return []
    text = f"Responses are taken as {', '.join(STATUSES)}. Send one that will not be finished as in-progress."
    return [error(IssueType.BUSINESS_RULE, text, "QuestionnaireResponse.status", Detail.INVALID_VALUE)]


def _completed(response: Json, pack: Pack, now: datetime) -> tuple[Json, list[Issue]]:
    """`response` with its page's version and time of authoring, and a warning for each that was added."""
    notes = []
    if "|" not in response["questionnaire"]:
        response = {**response, "questionnaire": f"{response['questionnaire']}|{pack.version}"}
        text = f"The questionnaire has no version; {pack.version}, the newest active one, was taken."
        notes.append(_warning(text, "QuestionnaireResponse.questionnaire", Detail.NO_VERSION))
    if "authored" not in response:
        response = {**response, "authored": instant(now)}
        text = "The response does not say when it was authored; the time of its acceptance was taken."
        notes.append(_warning(text, "QuestionnaireResponse.authored", Detail.NO_AUTHORED))
    return response, notes


def _log_faults(assessment: Assessment, pack: Pack) -> None:
    # The rule counts as not assessed, which its page makes visible; whoever keeps the page must hear of it too.
    for outcome in assessment.outcomes:
        if outcome.fault is not None:
            log.error("rule %s of %s could not be evaluated on a response", outcome.rule.id, pack.canonical)
    for advice in assessment.undecided_advice:
        log.error("the condition of %s of %s could not be evaluated on a response", advice, pack.canonical)


def _warning(text: str, expression: str, detail: Detail) -> Issue:
    return Issue(Severity.WARNING, IssueType.BUSINESS_RULE, text, expression, detail)
