"""Responses that people fill in here, step by step: each step is kept as a version of an in-progress response.

Whoever holds a draft's key may open it. The response's id is made from the key, so that nothing has to be remembered
of a form before its first answer, and an id that stands in records opens nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final
from uuid import UUID

from service.errors import DomainError, PreconditionFailed
from service.fhir.json import Json
from service.packs import Pack
from service.records.ehr import Launch
from service.records.identity import IDENTITY_SYSTEM
from service.records.population import Population
from service.records.population_request import PopulationRequest
from service.records.ports import Channel, Clock, FhirServer, Store
from service.records.submission import Intake, Receipt
from service.records.succession import DRAFT
from service.sdc.context import read_response
from service.sdc.drafting import with_given

log = logging.getLogger(__name__)

_MOST_TRIES: Final = 8
_OWN: Final = frozenset(
    {"resourceType", "questionnaire", "status", "subject", "encounter", "authored", "author", "source", "item"}
)
PERSON_SYSTEM: Final = f"{IDENTITY_SYSTEM}/person"
"""The system of the identifier of a person who fills in a form and is not known otherwise."""


@dataclass(frozen=True, slots=True)
class Drafts:
    """Keeps drafts and completes them. `population` proposes answers from the patient's record.

    `launch_of` tells the launch that a draft began with; `open_ehr` opens its EHR, with the right of that launch.
    """

    intake: Intake
    store: Store
    population: Population
    clock: Clock
    launch_of: Callable[[str], Launch | None] = lambda response_id: None
    open_ehr: Callable[[Launch], AbstractContextManager[FhirServer]] | None = None

    def read(self, draft_id: str) -> Json | None:
        """The response `draft_id` as it stands, draft or not; None before its first step was kept."""
        return self.store.read("QuestionnaireResponse", draft_id)

    def revise(self, draft_id: str, blank: Json, change: Callable[[Json], Json]) -> Receipt:
        """Keep what `change` makes of the draft (of `blank` when there is none), also against others who do the same.

        Raises Invalid (nothing is kept), Unavailable, and PreconditionFailed when the response is no draft any more.
        """
        launch = self.launch_of(draft_id)
        target, channel = (None, Channel.FORM) if launch is None else (launch.issuer, Channel.LAUNCH)
        for _ in range(_MOST_TRIES):
            now = self.read(draft_id)
            version = 0 if now is None else int(now["meta"]["versionId"])
            before = blank if now is None else {name: value for name, value in now.items() if name in _OWN}
            try:
                return self.intake.save(change(before), draft_id, version, target, channel=channel)
            except PreconditionFailed as refusal:
                newest = self.read(draft_id)
                if newest is not None and newest["status"] != DRAFT:
                    raise
                last = refusal
        raise last

    def propose(self, pack: Pack, response: Json, launch: Launch | None = None) -> Json | None:
        """A response with first answers from the record of the subject, and defaults; None when none can be had."""
        subject = response.get("subject", {})
        known = "reference" in subject
        request = PopulationRequest(subject=subject if known else None, local=known)
        try:
            answer = self._population(launch).populate(request, pack)
        except DomainError as fault:
            # The person answers without proposals. The texts are left out: they may quote the record.
            log.warning("no first answers for a form: %s", ", ".join(issue.code.value for issue in fault.issues))
            return None
        parameters = {one["name"]: one["resource"] for one in answer["parameter"]}
        for issue in parameters.get("issues", {}).get("issue", []) if known else ():
            place = ", ".join(issue.get("expression", []))
            log.warning("a first answer for a form is missing: %s %s", issue["code"], place)
        proposal: Json = parameters["response"]
        return proposal

    def keep_proposal(self, draft_id: str, pack: Pack, response: Json) -> None:
        """Ask for proposals once, and keep them for the steps to come; what no person answers goes into the draft."""
        if self.store.proposal(draft_id) is not None:
            return
        proposal = self.propose(pack, response, self.launch_of(draft_id))
        if proposal is None:
            return
        self.store.keep_proposal(draft_id, proposal, self.clock())
        context = read_response(pack.questionnaire, response, self.clock())
        if with_given(context, proposal) != response:
            self.revise(
                draft_id,
                response,
                lambda draft: with_given(read_response(pack.questionnaire, draft, self.clock()), proposal),
            )

    def _population(self, launch: Launch | None) -> Population:
        open_ehr = self.open_ehr
        if launch is None or open_ehr is None:
            return self.population
        return replace(self.population, open_server=lambda: open_ehr(launch))

    def proposal(self, draft_id: str) -> Json | None:
        """What was proposed for the draft."""
        return self.store.proposal(draft_id)


def draft_id(key: str) -> str:
    """The id of the response that `key` opens: a UUID of the key's SHA-256."""
    return str(UUID(bytes=sha256(key.encode()).digest()[:16], version=4))


def unknown_person(draft_id: str) -> Json:
    """The subject of a response whose person is not known: an identifier of their own for this one form."""
    return {
        "type": "Patient",
        "identifier": {"system": PERSON_SYSTEM, "value": draft_id},
        "display": "The person who filled in the form",
    }
