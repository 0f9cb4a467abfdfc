"""Apps built on libraries that nobody here wrote: they get a token, read the Questionnaire, submit, and read back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.ordering import PAGE_SIZE, order, run
from tests.clients.protected import protected_api, system_token
from tests.hapi import hapi
from tests.hapi.client import FhirClient, Json
from tests.smart.ehr import Ehr

RIGHTS = ("QuestionnaireResponse.crus", "Observation.rs", "Condition.rs", "Provenance.rs")
REDIRECT_URI = "http://127.0.0.1:1/callback"
PATIENT_APP = {"redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none"}
BACKEND_APP = {"grant_types": ["client_credentials"]}


@dataclass(frozen=True, slots=True)
class Client:
    """One library. `level` is that of its scopes; `errors` are its own error types for 401, 403 and 412."""

    name: str
    command: tuple[str, ...]
    folder: Path
    app: Mapping[str, object]
    level: str
    token_format: str
    errors: Mapping[int, str]

    def __str__(self) -> str:
        return self.name


KIT = Client(
    name="fhir-kit-client",
    command=("node", "client.mjs"),
    folder=Path(__file__).parent / "npm",
    app=BACKEND_APP,
    level="system",
    token_format="jwt",
    errors={401: "Error", 403: "Error", 412: "Error"},
)
FHIRCLIENT = Client(
    name="fhirclient",
    command=(sys.executable, "-m", "tests.clients.fhirclient_app"),
    folder=Path(__file__).parent.parent.parent,
    app=PATIENT_APP,
    level="patient",
    token_format="jwt",
    errors={401: "FHIRUnauthorizedException", 403: "FHIRPermissionDeniedException"},
)
HAPI = Client(
    name="HAPI",
    command=tuple(hapi.command("ApiClient")),
    folder=hapi.PROJECT,
    app=BACKEND_APP,
    level="system",
    token_format="opaque",
    errors={
        401: "AuthenticationException",
        403: "ForbiddenOperationException",
        412: "PreconditionFailedException",
    },
)
CLIENTS = (KIT, FHIRCLIENT, HAPI)
every_client = pytest.mark.parametrize("client", CLIENTS, ids=str)
# fhirclient has no operations, no conditions and no If-Match.
who_can_do_more = pytest.mark.parametrize("client", [KIT, HAPI], ids=str)


@dataclass(frozen=True, slots=True)
class Visit:
    """What a client was told and saw, what we read ourselves at its end, and its requests for authorization."""

    told: Json
    seen: Json
    record: Mapping[str, list[str]]
    authorization: list[Json]


Visits = Callable[[Client], Visit]


@pytest.fixture(scope="module")
def visits(authorization_server: Ehr, tmp_path_factory: pytest.TempPathFactory) -> Visits:
    """The visit of a client, which is made once, to a service of its own."""
    made: dict[str, Visit] = {}

    def visit(client: Client) -> Visit:
        if client.name not in made:
            made[client.name] = _visit(client, authorization_server, tmp_path_factory.mktemp(client.name))
        return made[client.name]

    return visit


@pytest.fixture
def visit(client: Client, visits: Visits) -> Visit:
    return visits(client)


def _visit(client: Client, authorization_server: Ehr, folder: Path) -> Visit:
    if client is HAPI:
        hapi.build()
    app = authorization_server.register_client(**client.app)
    scope = " ".join(f"{client.level}/{right}" for right in RIGHTS)
    with protected_api(folder, authorization_server, client.token_format) as base:
        before = len(authorization_server.requests())
        told = order(base, app, scope)
        seen = run(client.command, told, client.folder)
        authorization = authorization_server.requests()[before:]
        return Visit(told, seen, _record(base, authorization_server), authorization)


def _record(base: str, authorization_server: Ehr) -> dict[str, list[str]]:
    """The ids of all resources in the record, by type."""
    fhir = FhirClient(base)
    fhir.session.headers["Authorization"] = f"Bearer {system_token(authorization_server, base, 'system/*.rs')}"
    found = {right.partition(".")[0] for right in RIGHTS}
    record = {kind: [one["id"] for one in fhir.search(kind)] for kind in found}
    fhir.close()
    return record


def _refusal(client: Client, told: Json) -> tuple[int, str]:
    """The status and text of a refusal, which must have come as the client's own error."""
    assert told["type"] == client.errors[told["status"]]
    return told["status"], told["text"]


@every_client
def test_the_token_is_asked_for_as_such_an_app_does(client: Client, visit: Visit) -> None:
    base = visit.told["base"]
    if client.level == "system":
        [token] = visit.authorization
        assert token["parameters"]["grant_type"] == "client_credentials"
        assert token["parameters"]["resource"] == base
    else:
        authorize, token = visit.authorization
        assert authorize["parameters"]["aud"] == base
        assert authorize["parameters"]["code_challenge_method"] == "S256"
        assert "launch/patient" in authorize["parameters"]["scope"].split()
    assert token["status"] == 200


@every_client
def test_the_questionnaire_is_found_by_canonical_and_by_version(visit: Visit) -> None:
    canonical = visit.told["canonical"]
    assert visit.seen["questionnaires"] == {"canonical": [canonical], "version": [canonical]}


@who_can_do_more
def test_a_response_is_judged_before_it_is_sent(visit: Visit) -> None:
    assert visit.seen["severities"] == ["information"]


@every_client
def test_a_draft_is_completed(visit: Visit) -> None:
    draft, completed = visit.seen["draft"], visit.seen["completed"]
    assert (draft["status"], completed["status"]) == ("in-progress", "completed")
    assert draft["id"] == completed["id"]
    assert int(draft["version"]) < int(completed["version"])


@who_can_do_more
def test_an_update_of_an_older_version_is_refused(client: Client, visit: Visit) -> None:
    status, text = _refusal(client, visit.seen["stale"])
    assert status == 412
    assert "Read it again first." in text


@who_can_do_more
def test_a_draft_is_saved_by_its_identifier_and_once(visit: Visit) -> None:
    first, second = visit.seen["saved"]
    assert first["id"] == second["id"]
    assert (first["version"], second["version"]) == ("1", "1")


@every_client
def test_a_response_sent_twice_is_kept_once(visit: Visit) -> None:
    first, second = visit.seen["submitted"]
    assert first == second
    drafts = {one["id"] for one in (visit.seen["draft"], *visit.seen.get("saved", []))}
    assert sorted(visit.record["QuestionnaireResponse"]) == sorted([first, *drafts])


@every_client
def test_what_is_read_back_is_what_was_posted(visit: Visit) -> None:
    read, posted = visit.seen["read"], visit.told["response"]
    assert {name: read[name] for name in posted} == posted
    assert (read["id"], read["meta"]["versionId"]) == (visit.seen["submitted"][0], "1")


@every_client
def test_the_record_is_found_by_patient_page_by_page(visit: Visit) -> None:
    seen, record = visit.seen, visit.record
    assert sorted(seen["responses"]) == sorted(record["QuestionnaireResponse"])
    assert sorted(seen["conditions"]) == sorted(record["Condition"])
    assert sorted(seen["observations"]["ids"]) == sorted(record["Observation"])
    assert seen["observations"]["pages"] == -(-len(record["Observation"]) // PAGE_SIZE) > 1
    assert set(seen["observations"]["provenances"]) == set(record["Provenance"])
    assert len(record["Provenance"]) == 2


@every_client
def test_refusals_reach_the_app_with_their_text(client: Client, visit: Visit) -> None:
    status, text = _refusal(client, visit.seen["anonymous"])
    assert status == 401
    assert "This needs an access token" in text
    status, text = _refusal(client, visit.seen["forbidden"])
    assert status == 403
    assert ("another patient's record" if client.level == "patient" else "system/AuditEvent.s would") in text
