"""Accepting a QuestionnaireResponse: known by its keys, following its versions, written in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from service.errors import (
    Conflict,
    Detail,
    Invalid,
    Issue,
    IssueType,
    Malformed,
    NotFound,
    PreconditionFailed,
    Unavailable,
    error,
)
from service.fhir.json import Json
from service.records.access import expect_subject, expect_within
from service.records.audit import no_audit
from service.records.idempotency import (
    body_digest,
    condition_key,
    header_key,
    identifier_key,
    selected_identifier,
)
from service.records.matching import is_within
from service.records.outbox import deliveries
from service.records.ports import (
    Acceptance,
    Audit,
    Channel,
    Clock,
    Key,
    KeyTaken,
    NewId,
    Pages,
    Purged,
    Store,
    Stored,
    Superseded,
)
from service.records.preparation import Place, Preparation
from service.records.references import localised, subject_issues
from service.records.retention import gone, gone_under_key
from service.records.search import EVERYTHING, Bounds, PatientCriterion, Query, TermCriterion, TermTest
from service.records.searchable import subject_key
from service.records.succession import DRAFT, RETRACTED, as_following, check_following

_MOST_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Sender:
    """Who submits, and with which idempotency headers; `if_none_exist` is the header's value as sent.

    `client` names the app, `user` who uses it ("" when anonymous); what they submit must lie `within` these bounds.
    `audit` gives the AuditEvents of it, which are kept before they are told, with what they write in one transaction.
    """

    client: str
    user: str = ""
    idempotency_key: str | None = None
    if_none_exist: str | None = None
    within: Bounds = EVERYTHING
    audit: Audit = no_audit


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the sender is told, after the commit.

    `created` is False when an earlier submission with the same key is answered again; `response` is as stored, with
    id and meta; `triage` is the Observation of the assessment, as $assess would have answered it then.
    """

    id: str
    version_id: str
    created: bool
    response: Json
    warnings: tuple[Issue, ...]
    triage: Json


@dataclass(frozen=True, slots=True)
class Intake:
    """The one way in for every channel. `target_base_url` is the FHIR server of the record; None: embedded alone.

    `tells_urgent` says that the operator's webhook is told of urgent results; `on_accepted` hears of each version that
    was written, after its commit.
    """

    pages: Pages
    store: Store
    clock: Clock
    new_id: NewId
    target_base_url: str | None
    tells_urgent: bool = False
    on_accepted: Callable[[Acceptance, Channel], None] = lambda acceptance, channel: None

    def submit(self, response: Json, sender: Sender) -> Receipt:
        """Accept `response` and give its receipt, or the first receipt when one of its keys was accepted before.

        Raises Malformed (no QuestionnaireResponse), Invalid (all errors found; nothing is stored), Conflict (a key
        stands for another body), PreconditionFailed (an If-None-Exist that is not `identifier=system|value`),
        Forbidden (the sender may not submit this), Gone (what a key stands for was purged), Unavailable (nothing is
        stored; try again).
        """
        _expect_response(response)
        digest = body_digest(response)
        response = localised(response, self.target_base_url)
        expect_subject(response, sender.within)
        condition = condition_key(sender.if_none_exist, response, sender.client)
        named = [
            identifier_key(response, sender.client),
            header_key(sender.idempotency_key, sender.client, sender.user),
        ]
        keys = _Keys(condition, tuple(key for key in named if key is not None), digest, sender.within)
        first = self._first_receipt(keys)
        if first is None:
            acceptance = self._prepared(response, keys, Place(self.new_id(), self._target, audit=sender.audit))
            expect_within(acceptance.stored.resource, sender.within)
            try:
                # Committed, and synced, before anybody is answered: should the power go in between, the sender asks
                # again and its key finds this receipt. An answer before the commit could acknowledge what is lost.
                self._accept(acceptance, Channel.API)
            except KeyTaken:
                first = self._receipt_of_winner(keys)
            else:
                return _receipt(acceptance.stored, created=True)
        expect_within(first.response, sender.within)
        return self._told(first, sender.audit)

    def save(
        self,
        response: Json,
        response_id: str,
        version: int,
        target: str | None = None,
        within: Bounds = EVERYTHING,
        channel: Channel = Channel.FORM,
    ) -> Receipt:
        """Keep `response` as what follows `version` of the draft `response_id`; 0 when there is no version yet.

        `target` is the FHIR server that a complete one is delivered to, where that is not the usual one.

        Raises as `submit`, and PreconditionFailed when that version is not the newest any more, or is no draft.
        """
        _expect_response(response)
        if version > 0:
            self._expect_draft(response_id, version)
        elif self.store.was_purged("QuestionnaireResponse", response_id):
            raise gone()
        keys = _Keys(None, (), body_digest(response))
        response = localised(response, self.target_base_url)
        acceptance = self._prepared(response, keys, Place(response_id, target or self._target, version + 1))
        expect_within(acceptance.stored.resource, within)
        try:
            self._accept(acceptance, channel)
        except Superseded:
            raise _not_newest(response_id) from None
        return _receipt(acceptance.stored, created=version == 0)

    def update(
        self,
        response: Json,
        response_id: str,
        if_match: int | None,
        target: str | None = None,
        within: Bounds = EVERYTHING,
        reasons: tuple[Json, ...] = (),
        audit: Audit = no_audit,
    ) -> Receipt:
        """Replace `response_id` by `response`: a draft grows or is completed, a complete response amended or retracted.

        `if_match` is the version that the sender saw, None where they do not say; `target` is where a draft goes once
        complete, if not to the usual FHIR server; `reasons` (CodeableConcepts) say why; `audit` is as a Sender's. Both
        versions must lie `within` what the sender may update. The same body again, and what is retracted already, are
        answered with what stands.

        Raises as `save`, and NotFound, Invalid (it would become another's, a draft again, or take a retraction back).
        """
        _expect_response(response)
        digest = body_digest(response)
        for _ in range(_MOST_TRIES):
            before = self.store.stored(response_id)
            if before is None and self.store.was_purged("QuestionnaireResponse", response_id, within):
                raise gone()
            if before is None or not is_within(before.resource, within):
                raise NotFound([error(IssueType.NOT_FOUND, "There is no such QuestionnaireResponse here.")])
            local = localised(response, self.target_base_url)
            expect_subject(local, within)
            # Before If-Match, as RFC 9110 section 13.1.1 allows: a sender who never heard that it was done asks again.
            if before.digest == digest or before.resource["status"] == response.get("status") == RETRACTED:
                return self._told(_receipt(before, created=False), audit)
            if if_match is not None and if_match != before.version:
                raise _not_newest(response_id)
            check_following(response, local, before.resource)
            try:
                return self._replace(before, local, digest, target, within, reasons, audit)
            except Superseded:
                if if_match is not None:
                    raise _not_newest(response_id) from None
        raise _not_newest(response_id)

    def _replace(
        self,
        before: Stored,
        response: Json,
        digest: str,
        target: str | None,
        within: Bounds,
        reasons: tuple[Json, ...],
        audit: Audit,
    ) -> Receipt:
        """Write `response` as the version after `before`. Raises Superseded when that is not the newest any more."""
        letters = self.store.letters_of(before.id)
        sent_before = deliveries(letters)
        place = Place(
            response_id=before.id,
            # A record is corrected where it stands, also when other deliveries go elsewhere by now.
            target=sent_before[-1].target if sent_before else target or self._target,
            version=before.version + 1,
            is_told=len(letters) > len(sent_before),
            standing=self.store.record(before.id, before.version)[1:],
            reasons=reasons,
            audit=audit,
        )
        response, notes = as_following(response, before.resource)
        acceptance = self._prepared(response, _Keys(None, (), digest), place, notes)
        expect_within(acceptance.stored.resource, within)
        self._accept(acceptance, Channel.API)
        return _receipt(acceptance.stored, created=False)

    def selected(self, response: Json, search: Sequence[tuple[str, str]], within: Bounds) -> str | None:
        """The id of the one response that a conditional update by `search` is about; None where there is none yet.

        It is looked for among those of the same subject, `within` what the sender may update. Raises Malformed, Invalid
        (`response` does not have that identifier, or names no subject), Forbidden (another's), PreconditionFailed (the
        search is no identifier, or matches several).
        """
        _expect_response(response)
        system, value = selected_identifier(search)
        response = localised(response, self.target_base_url)
        expect_subject(response, within)
        faults = subject_issues(response)
        key = identifier_key(response, "")
        if not faults and (key is None or (key.system, key.value) != (system, value)):
            text = "The response must have the identifier that the address names."
            place = "QuestionnaireResponse.identifier"
            faults = [error(IssueType.BUSINESS_RULE, text, place, Detail.INVALID_VALUE)]
        if faults:
            raise Invalid(faults)
        named = TermCriterion("identifier", (TermTest(value, system),))
        whose = PatientCriterion((str(subject_key(response["subject"])),))
        found = self.store.search(Query("QuestionnaireResponse", (whose, named), count=1, within=within))
        if found.total > 1:
            text = f"{found.total} responses have this identifier. Update one of them by its id."
            raise PreconditionFailed([error(IssueType.MULTIPLE_MATCHES, text)])
        return str(found.matches[0]["id"]) if found.matches else None

    def _accept(self, acceptance: Acceptance, channel: Channel) -> None:
        self.store.accept(acceptance)
        self.on_accepted(acceptance, channel)

    def _expect_draft(self, response_id: str, version: int) -> None:
        before = self.store.read("QuestionnaireResponse", response_id, version)
        if before is None or before["status"] != DRAFT:
            raise _not_newest(response_id)

    @property
    def _target(self) -> str | None:
        return None if self.target_base_url is None else self.target_base_url.rstrip("/")

    def _first_receipt(self, keys: _Keys) -> Receipt | None:
        try:
            return self._kept_receipt(keys)
        except Purged as gone_since:
            raise gone_under_key(gone_since.id) from None

    def _kept_receipt(self, keys: _Keys) -> Receipt | None:
        if keys.condition is not None:
            stored = self.store.find([keys.condition])
            if stored is not None:
                return _receipt(stored, created=False)
        for key in keys.named:
            stored = self.store.find([key])
            if stored is None:
                continue
            if stored.digest != keys.digest:
                raise _conflict(key, stored if is_within(stored.resource, keys.within) else None)
            return _receipt(stored, created=False)
        return None

    def _told(self, receipt: Receipt, audit: Audit) -> Receipt:
        """A receipt of what was written before, once it is kept to whom it is told."""
        events = audit(receipt.response)
        if events:
            self.store.keep_audit(events)
        return receipt

    def _receipt_of_winner(self, keys: _Keys) -> Receipt:
        first = self._first_receipt(keys)
        if first is None:
            text = "A simultaneous submission with the same key is not readable yet. Send this one again."
            raise Unavailable([error(IssueType.TRANSIENT, text)], retry_after_seconds=1)
        return first

    def _prepared(self, response: Json, keys: _Keys, place: Place, noted: Iterable[Issue] = ()) -> Acceptance:
        preparation = Preparation(self.pages, self.store, self.clock, self.new_id, self.tells_urgent)
        return preparation.acceptance(response, keys.all, keys.digest, place, noted)


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keys of one submission: `condition` asks for whatever matches, `named` for the same body.

    What they stand for may be told of `within` these bounds.
    """

    condition: Key | None
    named: tuple[Key, ...]
    digest: str
    within: Bounds = EVERYTHING

    @property
    def all(self) -> tuple[Key, ...]:
        """Each key once."""
        condition = () if self.condition is None else (self.condition,)
        return tuple(dict.fromkeys((*condition, *self.named)))


def _expect_response(response: Json) -> None:
    kind = response.get("resourceType")
    if kind != "QuestionnaireResponse":
        text = f"A QuestionnaireResponse is expected here, not {kind!r}."
        raise Malformed([error(IssueType.STRUCTURE, text, "resourceType", Detail.MALFORMED)])


def _conflict(key: Key, stored: Stored | None) -> Conflict:
    """What is said of a key that stands for another body; `stored` is that one, where the sender may know of it."""
    text = f"This {key.kind} already stands for another response. Send this one under a key of its own."
    if stored is not None:
        text = (
            f"This {key.kind} already stands for QuestionnaireResponse/{stored.id}, whose content is another. "
            "Update that response, or send this one under a key of its own."
        )
    return Conflict([error(IssueType.DUPLICATE, text)])


def _not_newest(response_id: str) -> PreconditionFailed:
    text = f"QuestionnaireResponse/{response_id} was changed or completed meanwhile. Read it again first."
    return PreconditionFailed([error(IssueType.CONFLICT, text)])


def _receipt(stored: Stored, *, created: bool) -> Receipt:
    return Receipt(
        id=stored.id,
        version_id=str(stored.version),
        created=created,
        response=stored.resource,
        warnings=stored.warnings,
        triage=stored.triage,
    )
