"""Who may call: an EHR that signs its requests, from over HTTP to the record that it may be told of."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from service.bootstrap import Services
from service.config import Auth
from service.fhir.models import model_issues
from service.records.search import Query
from service.web.app import create_app
from tests.browser.files import served_folder
from tests.integration.cds_hooks.conftest import CHART, EHR, SERVICE, Caller, hook
from tests.unit.records.samples import Clock

KEY = ECKey.generate_key("P-384", {"kid": "k1"})
ISSUER = "https://ehr.example/cds"


@pytest.fixture
def jwks_url(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "jwks.json").write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}), encoding="utf-8")
    with served_folder(folder) as port:
        yield f"http://127.0.0.1:{port}/jwks.json"


@pytest.fixture
def ehr_entry(jwks_url: str) -> str:
    return f'cds_issuer = "{ISSUER}"\ncds_jwks_url = "{jwks_url}"\n'


@pytest.fixture
def signed(clock: Clock) -> Callable[..., dict[str, str]]:
    """The Authorization header of a call to a path, each with a token of its own."""
    numbers = iter(range(100))

    def sign(path: str = SERVICE, **claims: Any) -> dict[str, str]:
        now = int(clock().timestamp())
        told = {
            "iss": ISSUER,
            "aud": f"http://localhost{path}",
            "exp": now + 300,
            "iat": now,
            "jti": str(next(numbers)),
        }
        header = {"alg": "ES384", "kid": "k1", "typ": "JWT"}
        return {"Authorization": f"Bearer {jwt.encode(header, {**told, **claims}, KEY, algorithms=['ES384'])}"}

    return sign


Signed = Callable[..., dict[str, str]]


def test_a_call_that_is_signed_is_answered(caller: Caller, signed: Signed) -> None:
    assert len(caller.cards(hook(CHART), **signed())) == 1
    answer = caller.post({"feedback": [{"card": "c"}]}, f"{SERVICE}/feedback", **signed(f"{SERVICE}/feedback"))
    assert answer.status_code == 400


def test_discovery_tells_of_no_patient_and_asks_for_nothing(caller: Caller) -> None:
    assert caller.discover()["id"] == "symptom-intake"


@pytest.mark.parametrize("path", [SERVICE, f"{SERVICE}/feedback"])
def test_others_are_refused_before_anything_is_read(caller: Caller, signed: Signed, path: str) -> None:
    refused = caller.post(b"{", path)
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Bearer realm="http://localhost"')
    assert caller.errors(hook(CHART), 401, path, **signed("/cds-services/other"))
    assert caller.errors(hook(CHART), 401, path, **signed(path, iss="https://evil.example"))


@pytest.mark.parametrize("payload", [b"[" * 6000, b"[]", b"\xff", b""])
def test_a_token_that_cannot_be_read_is_refused(caller: Caller, payload: bytes) -> None:
    parts = (b'{"alg": "ES256", "kid": "k", "typ": "JWT"}', payload, b"x")
    token = ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    (error,) = caller.errors(hook(CHART), 401, Authorization=f"Bearer {token}")
    assert "cannot be read" in error["message"]


def test_a_token_is_good_for_one_call(caller: Caller, signed: Signed) -> None:
    headers = signed()
    caller.cards(hook(CHART), **headers)
    assert "used before" in caller.errors(hook(CHART), 401, **headers)[0]["message"]


def test_its_charts_alone_are_told_of(caller: Caller, signed: Signed, answered: Callable[..., str]) -> None:
    answered("case-07")
    answered("case-05", subject={"reference": "https://other.example/fhir/Patient/1"})
    answered("case-05", subject={"reference": "Patient/1"})
    for server in (EHR, f"{EHR}/", None):
        (card,) = caller.cards(hook(CHART, fhirServer=server), **signed())
        assert card["indicator"] == "critical"
    (error,) = caller.errors(hook(CHART, fhirServer="https://other.example/fhir"), 403, **signed())
    assert error["expression"] == "fhirServer"


def test_the_address_that_is_called_is_the_public_one(services: Services, signed: Signed) -> None:
    site = replace(services.site(), public_url="https://intake.example")
    caller = Caller(create_app(site).test_client())
    caller.errors(hook(CHART), 401, **signed())
    assert caller.cards(hook(CHART), **signed(aud=f"https://intake.example{SERVICE}"))


class TestUnderSmart:
    """Where the API asks for access tokens."""

    @pytest.fixture
    def smart(self, services: Services) -> Services:
        # No access token is checked in these tests, so nobody is asked how.
        settings = {"auth": Auth.SMART, "auth_issuer": "https://login.example"}
        return replace(services, settings=services.settings.model_copy(update=settings))

    def test_a_service_that_knows_no_client_answers_nobody(self, smart: Services, signed: Signed) -> None:
        unnamed = {issuer: replace(ehr, cds_issuer=None) for issuer, ehr in smart.launches.ehrs.items()}
        closed = replace(smart, launches=replace(smart.launches, ehrs=unnamed))
        caller = Caller(create_app(closed.site()).test_client())
        caller.errors(hook(CHART), 401)
        caller.errors(hook(CHART), 401, **signed())

    def test_that_a_result_was_told_is_kept_with_who_and_whose(
        self, smart: Services, signed: Signed, answered: Callable[..., str]
    ) -> None:
        caller = Caller(create_app(smart.site()).test_client())
        assert len(caller.cards(hook(CHART), **signed())) == 1
        assert smart.store.search(Query("AuditEvent", ())).total == 0
        id_ = answered("case-07")
        assert len(caller.cards(hook(CHART), **signed())) == 1
        (event,) = smart.store.search(Query("AuditEvent", ())).matches
        assert model_issues(event) == []
        user, app = (agent["who"] for agent in event["agent"])
        assert user == {"reference": f"{EHR}/Practitioner/9"}
        assert app == {"identifier": {"value": ISSUER}}
        references = [entity["what"].get("reference") for entity in event["entity"]]
        assert references[:2] == [f"{EHR}/Patient/1", f"QuestionnaireResponse/{id_}"]
