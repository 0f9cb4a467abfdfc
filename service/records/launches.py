"""SMART launches: asking an EHR for authorization, what comes back of it, and the tokens for later writing.

http://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html. Nothing secret is given to the browser: it carries a state
and a cookie that belong together, and the rest waits here, encrypted, for the one return that names them.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from service.packs import Pack
from service.records.ehr import Ehr, Ehrs, Grant, LaunchStore, SealBroken, SecretBox, SmartServer
from service.records.ports import Clock, NewId, Pages
from service.records.smart import (
    Failure,
    LaunchContext,
    LaunchFailed,
    challenge,
    expiry,
    fhir_user,
    granted_scopes,
    is_writing,
    missing_scopes,
    read_context,
    wanted_scopes,
)

log = logging.getLogger(__name__)

REQUEST_LIFETIME: Final = timedelta(minutes=15)
_ERROR_CODE: Final = re.compile(r"[a-z_]{1,40}")
_EARLY: Final = timedelta(seconds=30)
"""A token that ends within this time is not used any more: it could end on the way."""


@dataclass(frozen=True, slots=True)
class Departure:
    """Where a browser is sent to be authorized, and the secret that its return must bring (in a cookie)."""

    address: str
    binding: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came of a launch: the EHR, the page to show, the context, who is there, and what was not granted."""

    ehr: Ehr
    pack: Pack
    context: LaunchContext
    user: str | None
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Launches:
    """Begins launches, finishes them, and finds tokens for what is written later.

    `server` gives the authorization server of an EHR; `new_secret` makes texts of at least 122 random bits.
    """

    ehrs: Ehrs
    store: LaunchStore
    box: SecretBox
    server: Callable[[Ehr], SmartServer]
    pages: Pages
    published: tuple[Pack, ...]
    clock: Clock
    new_id: NewId
    new_secret: Callable[[], str]

    def ehr(self, issuer: str) -> Ehr:
        """The EHR of an `iss` parameter. Raises LaunchFailed for one that is not on the list."""
        found = self.ehrs.get(issuer.rstrip("/"))
        if found is None:
            text = "This EHR is not known here. Its operator, or ours, must register it first."
            raise LaunchFailed(Failure.UNKNOWN_ISSUER, text)
        return found

    def begin(self, issuer: str, launch: str | None, page: str | None, redirect_uri: str) -> Departure:
        """Ask for authorization: from the EHR (`launch` is its parameter), or standalone. Raises LaunchFailed."""
        ehr = self.ehr(issuer)
        server = self.server(ehr)
        configuration = server.discover()
        types = frozenset[str]().union(*(pack.population.resource_types for pack in self.published))
        scopes = wanted_scopes(ehr, types, configuration, from_ehr=launch is not None)
        state, verifier, nonce, binding = (self.new_secret() for _ in range(4))
        waiting = {
            "issuer": ehr.issuer,
            "verifier": verifier,
            "nonce": nonce,
            "binding": _hash(binding),
            "scopes": scopes,
            "page": page,
            "redirect_uri": redirect_uri,
        }
        self.store.keep_launch_request(_hash(state), self.box.seal(json.dumps(waiting)), self.clock())
        parameters = {
            "redirect_uri": redirect_uri,
            "scope": " ".join(scopes),
            "state": state,
            # As the EHR wrote it, be it with a slash at the end.
            "aud": issuer,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        if launch is not None:
            parameters["launch"] = launch
        if "openid" in scopes:
            parameters["nonce"] = nonce
        return Departure(server.authorization_url(configuration, parameters), binding)

    def finish(self, state: str, binding: str | None, code: str | None, refusal: str | None) -> Arrival:
        """Turn a return from the EHR into tokens and context. Raises LaunchFailed; a state is good for one return."""
        waiting = self._taken(state, binding)
        ehr = self.ehr(waiting["issuer"])
        try:
            return self._arrived(ehr, waiting, code, refusal)
        except LaunchFailed as fault:
            fault.ehr = ehr
            raise

    def _arrived(self, ehr: Ehr, waiting: dict[str, Any], code: str | None, refusal: str | None) -> Arrival:
        if code is None:
            text = f"{ehr.name} did not authorize this form ({_plain(refusal)}). Open it again from there."
            raise LaunchFailed(Failure.REFUSED, text)
        server = self.server(ehr)
        configuration = server.discover()
        answer = server.exchange(configuration, code, waiting["verifier"], waiting["redirect_uri"])
        context = read_context(answer)
        missing = missing_scopes(waiting["scopes"], granted_scopes(answer, waiting["scopes"]))
        unwritable = tuple(scope for scope in missing if is_writing(scope))
        if unwritable and context.summary is None:
            text = f"{ehr.name} does not let this form write answers into the record. Not granted: "
            raise LaunchFailed(Failure.SCOPES_MISSING, f"{text}{', '.join(unwritable)}.")
        user = None
        if "openid" in waiting["scopes"] and isinstance(answer.get("id_token"), str):
            claims = server.identity(configuration, answer["id_token"], waiting["nonce"])
            user = fhir_user(claims, ehr.issuer)
        pack = self._page(context, waiting["page"])
        if context.summary is None:
            self._keep(self._grant(ehr, context.patient, answer))
        return Arrival(ehr, pack, context, user, missing)

    def token(self, issuer: str, patient: str, refused: str | None = None) -> str | None:
        """An access token for one patient's record in an EHR, refreshed where need be; None when no grant is usable.

        `refused` is a token that the EHR just answered with 401.
        """
        for id_, sealed in self.store.grants(issuer, patient):
            grant = self._opened(id_, issuer, patient, sealed)
            if grant is None:
                continue
            if grant.access_token != refused and self.clock() + _EARLY < grant.expires_at:
                return grant.access_token
            fresh = self._refreshed(grant)
            if fresh is not None:
                return fresh
            if grant.refresh_token is None and self.clock() >= grant.expires_at:
                # What is good for nothing any more is not kept.
                self.store.drop_grant(grant.id)
        return None

    def _refreshed(self, grant: Grant) -> str | None:
        if grant.refresh_token is None:
            return None
        ehr = self.ehrs.get(grant.issuer)
        if ehr is None:
            return None
        server = self.server(ehr)
        try:
            answer = server.refresh(server.discover(), grant.refresh_token)
        except LaunchFailed as fault:
            # Another worker may have used the refresh token first; what it got is newer than what is held here.
            newer = self._newer(grant)
            if newer is None:
                log.warning("a grant of %s cannot be refreshed: %s", grant.issuer, fault.kind)
                if fault.kind is Failure.REFUSED and self.clock() >= grant.expires_at:
                    self.store.drop_grant(grant.id)
            return newer
        kept = {"refresh_token": grant.refresh_token, **answer}
        fresh = replace(self._grant(ehr, grant.patient, kept), id=grant.id, created_at=grant.created_at)
        self._keep(fresh)
        return fresh.access_token

    def _newer(self, grant: Grant) -> str | None:
        for id_, sealed in self.store.grants(grant.issuer, grant.patient):
            found = self._opened(id_, grant.issuer, grant.patient, sealed)
            if found is not None and id_ == grant.id and found.access_token != grant.access_token:
                return found.access_token
        return None

    def _taken(self, state: str, binding: str | None) -> dict[str, Any]:
        kept = self.store.take_launch_request(_hash(state))
        text = "This return from the EHR belongs to no launch of this browser, or came too late. Open the form again."
        if kept is None or self.clock() - kept[1] > REQUEST_LIFETIME:
            raise LaunchFailed(Failure.NOT_OURS, text)
        waiting: dict[str, Any] = json.loads(self.box.open(kept[0]))
        if binding is None or _hash(binding) != waiting["binding"]:
            raise LaunchFailed(Failure.NOT_OURS, text)
        return waiting

    def _page(self, context: LaunchContext, asked: str | None) -> Pack:
        """The page that the EHR names by `fhirContext`, `appContext` or `intent`, or that the launch was for; else the
        first."""
        if context.questionnaire is not None:
            named = self.pages.resolve(context.questionnaire)
            if named is None or named.name not in [pack.name for pack in self.published]:
                text = f"The EHR asks for a form that is not published here: {context.questionnaire}."
                raise LaunchFailed(Failure.NO_PAGE, text)
            return named
        wanted = [context.app_context, context.intent, asked]
        return next((pack for name in wanted for pack in self.published if pack.name == name), self.published[0])

    def _grant(self, ehr: Ehr, patient: str, answer: dict[str, Any]) -> Grant:
        now = self.clock()
        refresh_token = answer.get("refresh_token")
        return Grant(
            id=self.new_id(),
            issuer=ehr.issuer,
            patient=patient,
            access_token=answer["access_token"],
            refresh_token=refresh_token if isinstance(refresh_token, str) else None,
            expires_at=expiry(answer, now),
            created_at=now,
        )

    def _keep(self, grant: Grant) -> None:
        secrets = {
            "access_token": grant.access_token,
            "refresh_token": grant.refresh_token,
            "expires_at": grant.expires_at.isoformat(),
            "created_at": grant.created_at.isoformat(),
        }
        sealed = self.box.seal(json.dumps(secrets))
        self.store.keep_grant(grant.id, grant.issuer, grant.patient, sealed, self.clock())

    def _opened(self, id_: str, issuer: str, patient: str, sealed: str) -> Grant | None:
        try:
            held = json.loads(self.box.open(sealed))
        except SealBroken:
            log.warning("a grant of %s was sealed with a key that is not at hand", issuer)
            return None
        return Grant(
            id=id_,
            issuer=issuer,
            patient=patient,
            access_token=held["access_token"],
            refresh_token=held["refresh_token"],
            expires_at=datetime.fromisoformat(held["expires_at"]),
            created_at=datetime.fromisoformat(held["created_at"]),
        )


@dataclass(slots=True)
class BackendTokens:
    """Access tokens of this service's own (SMART Backend Services) for one EHR, each used until shortly before its end.

    Not shared between threads.
    """

    server: SmartServer
    scopes: Sequence[str]
    clock: Clock
    _token: str | None = None
    _expires_at: datetime | None = None

    def __call__(self, refused: str | None = None) -> str | None:
        """The token to send; `refused` is one just answered with 401. None when none is to be had."""
        now = self.clock()
        lasts = self._expires_at is not None and now + _EARLY < self._expires_at
        if self._token is not None and lasts and self._token != refused:
            return self._token
        try:
            answer = self.server.backend_token(self.server.discover(), self.scopes)
        except LaunchFailed as fault:
            log.warning("no backend token: %s", fault.kind)
            return None
        self._token, self._expires_at = answer["access_token"], expiry(answer, now)
        return self._token


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _plain(code: str | None) -> str:
    """An OAuth error code, which is all that is repeated of what came by the address."""
    return code if code is not None and _ERROR_CODE.fullmatch(code) else "no code"
