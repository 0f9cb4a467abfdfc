"""Delivering the outbox to one FHIR server: model gate, send, verify every answer.

The same Bundle sent again creates nothing twice: a create asks whether it is there already, an update names the version
that it replaces. Where that is refused the target is read back, so that our own work is told from what others made of
it, which is never overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from service.fhir.elements import objects_in
from service.fhir.json import Json
from service.fhir.models import model_issues
from service.records import outbox
from service.records.bundle import transaction_bundle, transaction_placements
from service.records.outbox import Letter, Reason
from service.records.parcel import Parcel, parcel_of
from service.records.ports import Answer, AnswerLost, Clock, FhirServer, Jitter, Placement, Store, Unreachable
from service.records.read_back import read_back
from service.records.references import localised
from service.records.setback import (
    Course,
    Setback,
    answer_lost,
    not_fhir,
    not_granted,
    refusal,
    refused_by_model,
    unreachable,
)
from service.records.singles import deliver_singly
from service.records.worker import LeaseLost, Worker

_NO_TRANSACTIONS = frozenset({404, 405, 501})


class Delivery(Worker):
    """A worker for the FHIR server `server`.

    `servers` gives the server with the right to write one letter, where that differs by letter; None where nobody
    granted it.
    """

    def __init__(
        self,
        store: Store,
        server: FhirServer,
        clock: Clock,
        jitter: Jitter,
        owner: str,
        *,
        lease: timedelta = timedelta(minutes=5),
        at_most: int | None = None,
        servers: Callable[[Letter], FhirServer | None] | None = None,
    ) -> None:
        super().__init__(store, server.base_url, clock, jitter, owner, lease=lease, at_most=at_most)
        self._server = server
        self._servers = servers
        self._takes_transactions: bool | None = None

    def _bring(self, letter: Letter) -> tuple[Placement, ...]:
        try:
            self._server = self._server_for(letter)
            return self._deliver(letter)
        except Setback as setback:
            # What the server is must be asked anew: it may be another after a fault.
            self._takes_transactions = None
            raise self._as_meant(setback) from setback

    def _server_for(self, letter: Letter) -> FhirServer:
        if self._servers is None:
            return self._server
        server = self._servers(letter)
        if server is None:
            raise not_granted()
        return server

    def _as_meant(self, setback: Setback) -> Setback:
        """Where each letter has a right of its own, a refusal of credentials says nothing about the others."""
        if self._servers is None or setback.problem.reason is not Reason.UNAUTHORISED:
            return setback
        return not_granted(setback.problem.status)

    def _deliver(self, letter: Letter) -> tuple[Placement, ...]:
        record = tuple(localised(one, self._target) for one in self._store.outstanding(letter))
        whole = parcel_of(record, self._store.placements(letter.target, letter.response_id))
        bundle = transaction_bundle(whole)
        issues = model_issues(bundle)
        if issues:
            raise refused_by_model(issues)

        def send(method: str, path: str, body: Json | None, headers: dict[str, str]) -> Answer:
            # One lease is meant for one request, and here there are as many as resources.
            if not self._store.change(letter, outbox.renewed(letter, self._clock(), self._lease)):
                raise LeaseLost
            return self._accepted(self._send(method, path, body, headers), whole)

        if self._takes_transactions is None:
            self._takes_transactions = self._read_capability()
        parcel = whole
        if self._is_unsure(letter, whole):
            parcel = read_back(whole, self._earlier, send)
            bundle = transaction_bundle(parcel)
        if self._takes_transactions:
            try:
                placements = self._transact(parcel, bundle, whole)
            except Setback as setback:
                if not (setback.is_contested and any(write.placement is not None for write in parcel.writes)):
                    raise
                # It may be our own work that we meet, its answer lost: then only what is missing is written.
                parcel = read_back(parcel, self._earlier, send)
                placements = self._transact(parcel, transaction_bundle(parcel), whole)
            if placements is not None:
                return placements
            # Either the server has no transactions, or it is gone from this URL: then this raises.
            self._read_capability()
            self._takes_transactions = False
        return deliver_singly(parcel, self._earlier, send)

    def _transact(self, parcel: Parcel, bundle: Json, whole: Parcel) -> tuple[Placement, ...] | None:
        """Where all of `parcel` stands after its transaction; None when the server takes none. Raises Setback."""
        if not parcel.writes:
            return parcel.there
        answer = self._send("POST", "", bundle)
        if _denies_transactions(answer, whole):
            return None
        return (*parcel.there, *transaction_placements(parcel, self._accepted(answer, whole)))

    def _is_unsure(self, letter: Letter, parcel: Parcel) -> bool:
        """Whether it must be seen first what stands on the target.

        Where a version is not known as ours, and where an earlier letter was given up that may have arrived after all.
        """
        if any(write.placement is not None and write.placement.etag is None for write in parcel.writes):
            return True
        if all(write.placement is not None or write.is_first for write in parcel.writes):
            return False
        letters = self._store.letters_of(letter.response_id)
        return any(one.id < letter.id and one.target == letter.target for one in letters)

    def _earlier(self, resource: Json) -> Sequence[Json]:
        """Our versions of `resource` before that one, the newest first."""
        versions = self._store.history(resource["resourceType"], resource["id"])
        before = int(resource["meta"]["versionId"])
        return [localised(one, self._target) for one in versions if int(one["meta"]["versionId"]) < before]

    def _accepted(self, answer: Answer, whole: Parcel) -> Answer:
        """`answer` when it is a 2xx of a FHIR server. Raises Setback."""
        setback = None if answer.status // 100 == 2 else refusal(answer, whole.outside)
        blames_letter = setback is not None and setback.course is Course.BURY
        if not _is_fhir(answer) and (blames_letter or _is_page(answer)):
            # A proxy or a portal may answer every letter so; one is blamed only where a FHIR server stands.
            self._read_capability()
        if setback is not None:
            raise setback
        return answer

    def _read_capability(self) -> bool:
        """Whether the server takes transactions: False only if it lists its interactions, and not that one.

        Raises Setback when no FHIR server answers.
        """
        answer = self._send("GET", "metadata", None)
        body = answer.body
        if answer.status == 200 and body is not None and body.get("resourceType") == "CapabilityStatement":
            codes = _system_interactions(body)
            return not codes or "transaction" in codes
        setback = refusal(answer)
        if setback.course in (Course.HOLD, Course.RETRY):
            raise setback
        raise not_fhir(answer, f"GET metadata was answered with {answer.status} and no CapabilityStatement.")

    def _send(self, method: str, path: str, body: Json | None, headers: dict[str, str] | None = None) -> Answer:
        try:
            return self._server.send(method, path, body, headers)
        except Unreachable as fault:
            raise unreachable(fault) from fault
        except AnswerLost as fault:
            raise answer_lost(fault) from fault


def _denies_transactions(answer: Answer, whole: Parcel) -> bool:
    if answer.status not in _NO_TRANSACTIONS:
        return False
    # HAPI answers 404 as well where a conditional reference finds nobody.
    return refusal(answer, whole.outside).problem.reason is not Reason.MISSING_REFERENCE


def _is_fhir(answer: Answer) -> bool:
    return answer.body is not None and "resourceType" in answer.body


def _is_page(answer: Answer) -> bool:
    return "html" in answer.headers.get("content-type", "")


def _system_interactions(capability: Json) -> set[str]:
    return {
        interaction["code"]
        for server in objects_in(capability.get("rest"))
        for interaction in objects_in(server.get("interaction"))
        if isinstance(interaction.get("code"), str)
    }
