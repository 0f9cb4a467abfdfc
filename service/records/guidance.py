"""What to tell a clinician who opens a patient's chart: CDS Hooks 2.0, the hook `patient-view`.

Of each page: the latest result, when it is pressing; and that the page could be asked now, when an entry in the chart
calls for it and nobody answered it recently.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from service.errors import Forbidden, Invalid, IssueType, PreconditionFailed, error
from service.fhir.json import Json
from service.fhir.spans import span
from service.packs import Pack
from service.records.cards import KeptResult, Result, ask_card, kept_result_card, result_card
from service.records.ehr import Ehr, Ehrs
from service.records.evaluation import Evaluation
from service.records.feedback import CardKind, HookStore, IssuedCard
from service.records.hook_request import HookRequest
from service.records.latest_answers import earlier_answers, latest_answers
from service.records.ports import Clock, NewId, Store
from service.records.prefetch import CONDITIONS, conditions_of, conditions_sent, query, templates
from service.records.smart import SUMMARY_CONTEXT
from service.records.succession import DRAFT
from service.sdc.chart_trigger import ChartTrigger
from service.sdc.queries import ClinicalData, DataUnavailable

log = logging.getLogger(__name__)

OpenChart = Callable[[str, str], AbstractContextManager[ClinicalData]]
"""Opens the FHIR server of a listed EHR, by its issuer, with a token that the EHR gave for one request."""


@dataclass(frozen=True, slots=True)
class Links:
    """Where cards lead: `launch` is this service's SMART launch, `summary` gives the address of a summary."""

    launch: str
    summary: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Card:
    """A card as it is sent, what is remembered of it, and the response whose result stands on it."""

    body: Json
    issued: IssuedCard
    response: Json | None = None


@dataclass(frozen=True, slots=True)
class Guidance:
    """Makes cards. `fhir_server_url` is the configured server, whose patients are referred to relatively."""

    packs: Sequence[Pack]
    store: Store
    hook_store: HookStore
    evaluation: Evaluation
    ehrs: Ehrs
    fhir_server_url: str | None
    open_chart: OpenChart
    clock: Clock
    new_id: NewId

    @property
    def prefetch(self) -> dict[str, str]:
        """The prefetch templates by key."""
        return templates(trigger for pack in self.packs for trigger in pack.plan.triggers)

    def cards(self, request: HookRequest, client: Ehr | None, links: Links) -> list[Card]:
        """The cards for a chart, results first. `client` is the EHR that proved to have sent the request.

        Raises Forbidden when the chart is another EHR's, and PreconditionFailed when it cannot be told whether the
        chart calls for a page and there is no result either.
        """
        if client is not None and request.server not in (None, client.issuer):
            text = "This fhirServer is not the one of the EHR that sent the request."
            raise Forbidden([error(IssueType.FORBIDDEN, text, "fhirServer")])
        issuer = request.server if client is None else client.issuer
        made: list[Card] = []
        open_triggers: list[tuple[Pack, ChartTrigger]] = []
        for pack in self.packs:
            responses = latest_answers(self.store, pack.url, self._subject(issuer, request.patient))
            made.extend(self._result(pack, responses, issuer, links))
            open_triggers.extend((pack, one) for one in pack.plan.triggers if not self._has_recent(responses, one))
        if open_triggers:
            called = self._called(open_triggers, request, issuer, has_results=bool(made))
            made.extend(self._ask(pack, trigger, links) for pack, trigger in called)
        if made:
            self.hook_store.keep_cards([card.issued for card in made])
        return made

    def _subject(self, issuer: str | None, patient: str) -> str:
        is_own = issuer is None or issuer == self.fhir_server_url
        return f"Patient/{patient}" if is_own else f"{issuer}/Patient/{patient}"

    def _result(self, pack: Pack, responses: Sequence[Json], issuer: str | None, links: Links) -> Iterator[Card]:
        """The card of the latest result, if it is pressing. A draft has a result only when a danger sign was given."""
        for response in responses:
            result = self._judged(pack, response)
            if result is None:
                continue
            indicator = result.indicator
            if indicator is not None:
                issued = self._issued(CardKind.RESULT, pack)
                if isinstance(result, KeptResult):
                    body = kept_result_card(issued.uuid, result, indicator)
                else:
                    link = self._summary_link(response["id"], issuer, links)
                    body = result_card(issued.uuid, result, indicator, link)
                yield Card(body, issued, response)
            return

    def _judged(self, pack: Pack, response: Json) -> Result | KeptResult | None:
        """What came of `response`; None where no level was reached."""
        try:
            judged = self.evaluation.assess(response, look_back=partial(earlier_answers, self.store))
        except Invalid:
            # Not `exception`: its message may quote what a patient answered.
            log.error("response %s cannot be judged anew; its result is told as it was kept", response["id"])  # noqa: TRY400
            kept = self.store.stored(response["id"])
            if kept is None or "valueCodeableConcept" not in kept.triage:
                return None
            level = kept.triage["valueCodeableConcept"]["coding"][0]["code"]
            priority = next((rule.priority for rule in pack.plan.rules if rule.level.code == level), None)
            return KeptResult(pack.title, response, kept.triage, priority)
        if judged.assessment.level is None:
            return None
        return Result(pack.title, response, judged.assessment, judged.plan.disclaimer)

    def _summary_link(self, response_id: str, issuer: str | None, links: Links) -> Json:
        """Where a summary is read: by a launch where the EHR can launch this service, so that it is known who reads."""
        if issuer in self.ehrs:
            return {"url": links.launch, "type": "smart", "appContext": f"{SUMMARY_CONTEXT}{response_id}"}
        return {"url": links.summary(response_id), "type": "absolute"}

    def _has_recent(self, responses: Sequence[Json], trigger: ChartTrigger) -> bool:
        """Whether a response is recent; a draft answers nothing yet."""
        since = trigger.recent_since(self.clock()).timestamp() * 1000
        return any(span(one["authored"])[1] > since for one in responses if one["status"] != DRAFT)

    def _called(
        self,
        triggers: Sequence[tuple[Pack, ChartTrigger]],
        request: HookRequest,
        issuer: str | None,
        *,
        has_results: bool,
    ) -> Iterable[tuple[Pack, ChartTrigger]]:
        """The pages that the chart calls for, each once."""
        sent, lacking = conditions_sent(request.prefetch)
        if lacking is not None:
            try:
                sent, lacking = self._fetched(request, issuer), None
            except DataUnavailable as fault:
                lacking = f"{lacking}; {fault}"
        conditions = list(conditions_of(sent, request.patient))
        called = {pack.name: (pack, trigger) for pack, trigger in triggers if trigger.is_met_by(conditions)}
        if lacking is not None and not called and not has_results:
            text = f"The data '{CONDITIONS}' ({self.prefetch[CONDITIONS]}) is not at hand: {lacking}."
            raise PreconditionFailed([error(IssueType.INCOMPLETE, text, f"prefetch.{CONDITIONS}")])
        if lacking is not None:
            log.warning("a chart could not be read whole: it may call for more pages than were told")
        return called.values()

    def _ask(self, pack: Pack, trigger: ChartTrigger, links: Links) -> Card:
        issued = self._issued(CardKind.ASK, pack)
        return Card(ask_card(issued.uuid, pack, trigger, links.launch), issued)

    def _fetched(self, request: HookRequest, issuer: str | None) -> tuple[Json, ...]:
        if request.token is None or issuer is None:
            raise DataUnavailable("the request gives no fhirServer with fhirAuthorization to read it from")
        if issuer not in self.ehrs:
            raise DataUnavailable("the fhirServer is no EHR that is registered here, and is not asked")
        with self.open_chart(issuer, request.token) as chart:
            return tuple(chart.search(query(self.prefetch[CONDITIONS], request.patient)))

    def _issued(self, kind: CardKind, pack: Pack) -> IssuedCard:
        return IssuedCard(self.new_id(), kind, pack.name, self.clock())
