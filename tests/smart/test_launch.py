"""The form launched by an EHR that nobody here wrote: oidc-provider, and a real FHIR server behind it, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import PageOf
from tests.browser.files import served_folder
from tests.browser.filling import choose, fill, go_on
from tests.browser.screens import PHONE
from tests.browser.tls import TlsFront
from tests.hapi.client import FhirClient, Json, SyntheticPatient
from tests.hapi.record import Record
from tests.hapi.service import eventually
from tests.smart.ehr import Ehr
from tests.smart.launching import App, allow, arrived, practitioner, registered_app

WRITTEN = {f"patient/{one}.crus" for one in ("QuestionnaireResponse", "Observation", "Condition", "Provenance")}


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for pages of the EHR."""
    return tmp_path_factory.mktemp("charts")


@pytest.fixture(scope="module")
def chart_origin(charts: Path) -> Iterator[str]:
    """Where they are served: at another site than the app."""
    with served_folder(charts) as port:
        yield f"http://localhost:{port}"


@pytest.fixture(scope="module")
def app(ehr: Ehr, chart_origin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A public client that writes by the right of the launch, and that the EHR's pages may embed."""
    with registered_app(tmp_path_factory.mktemp("public"), ehr, "none", frame_origins=[chart_origin]) as app:
        yield app


@pytest.fixture
def clinician(fhir: FhirClient) -> Iterator[str]:
    made = practitioner(fhir)
    yield f"Practitioner/{made['id']}"
    fhir.request("DELETE", f"Practitioner/{made['id']}")


@pytest.fixture
def born(fhir: FhirClient, patient: SyntheticPatient) -> SyntheticPatient:
    """The patient, with a name and a date of birth."""
    named = {**fhir.read(patient.reference), "birthDate": "1980-05-17", "name": [{"text": "Ada Synthetic"}]}
    fhir.request("PUT", patient.reference, named).raise_for_status()
    return patient


def id_of(patient: SyntheticPatient) -> str:
    return patient.reference.partition("/")[2]


def test_an_ehr_launch_from_the_chart_to_the_record(
    app: App, page_of: PageOf, fhir: FhirClient, born: SyntheticPatient, clinician: str
) -> None:
    page = page_of(size=PHONE)
    page.goto(app.launch_address(patient=id_of(born), fhirUser=clinician, need_patient_banner=True))
    allow(page)
    expect(page.get_by_text("Patient: Ada Synthetic, 1980-05-17")).to_be_visible()
    fill(page)
    eventually(lambda: arrived(page))
    record = Record.of(fhir, born.reference)
    [response] = record.responses
    assert response["author"] == {"reference": clinician}
    assert response["source"] == {"reference": born.reference}
    assert {one["asserter"]["reference"] for one in record.conditions} == {born.reference}
    assert record.versions == {"1"}
    assert len(record.conditions) == 1
    sources = [one for group in response["item"] for one in group["item"] if one["linkId"] == "age-16-or-over"]
    assert sources[0]["extension"][0]["valueReference"]["reference"] == born.reference


def test_from_a_card_in_the_chart_to_the_form_and_back_into_the_chart(
    app: App, page_of: PageOf, fhir: FhirClient, born: SyntheticPatient, clinician: str
) -> None:
    def cards() -> list[Json]:
        conditions = fhir.search("Condition", patient=id_of(born))
        found = {"resourceType": "Bundle", "entry": [{"resource": one} for one in conditions]}
        call = {
            "hook": "patient-view",
            "hookInstance": str(uuid4()),
            "fhirServer": app.ehr.fhir_base,
            "context": {"userId": clinician, "patientId": id_of(born)},
            "prefetch": {"conditions": found},
        }
        answer = requests.post(f"{app.service.address}/cds-services/symptom-intake", json=call, timeout=30)
        return list(answer.json()["cards"])

    assert cards() == []
    code = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "R25.3"}]}
    active = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}
    subject = {"reference": born.reference}
    fhir.create({"resourceType": "Condition", "clinicalStatus": active, "code": code, "subject": subject})
    [card] = cards()
    [link] = card["links"]
    launch = app.ehr.launch(patient=id_of(born), fhirUser=clinician, appContext=link["appContext"])
    page = page_of()
    page.goto(f"{link['url']}?iss={app.ehr.fhir_base}&launch={launch}")
    allow(page)
    fill(page)
    eventually(lambda: arrived(page))
    [result] = cards()
    assert result["indicator"] == "warning"
    [link] = result["links"]
    launch = app.ehr.launch(patient=id_of(born), fhirUser=clinician, appContext=link["appContext"])
    page.goto(f"{link['url']}?iss={app.ehr.fhir_base}&launch={launch}")
    allow(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Be seen within days")
    expect(page.get_by_text(f"{app.ehr.fhir_base}: delivered")).to_be_visible()
    assert page.url.endswith("/summary")


def test_what_was_asked_line_by_line(app: App, page_of: PageOf, born: SyntheticPatient) -> None:
    page = page_of()
    page.goto(app.launch_address(patient=id_of(born)))
    allow(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Step 1 of 6")
    authorize, token = app.ehr.requests()
    asked: Json = authorize["parameters"]
    assert asked.keys() == {
        "response_type", "client_id", "redirect_uri", "scope", "state", "aud", "launch", "nonce",
        "code_challenge", "code_challenge_method",
    }  # fmt: skip
    assert (asked["response_type"], asked["client_id"]) == ("code", app.client_id)
    assert asked["redirect_uri"] == f"{app.service.address}/callback"
    assert asked["aud"] == app.ehr.fhir_base
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) >= 43
    assert {"openid", "fhirUser", "launch", "offline_access", "patient/Patient.rs"} | WRITTEN <= set(
        asked["scope"].split()
    )
    told: Json = token["parameters"]
    assert told.keys() == {"grant_type", "code", "redirect_uri", "client_id", "code_verifier"}
    assert told["redirect_uri"] == asked["redirect_uri"]
    assert 43 <= len(told["code_verifier"]) <= 128
    assert (token["client_auth"], token["status"]) == ("none", 200)


def test_a_standalone_launch_with_a_client_secret(
    ehr: Ehr, page_of: PageOf, tmp_path: Path, fhir: FhirClient, born: SyntheticPatient, clinician: str
) -> None:
    with registered_app(tmp_path, ehr, "client-secret") as app:
        ehr.offer_patients({id_of(born): "Ada Synthetic"})
        page = page_of()
        page.goto(f"{app.service.address}/launch")
        page.get_by_label("Ada Synthetic").check()
        allow(page)
        expect(page.get_by_role("heading", level=1)).to_contain_text("Step 1 of 6")
        authorize, token = ehr.requests()
        assert "launch" not in authorize["parameters"]
        assert "launch/patient" in authorize["parameters"]["scope"].split()
        assert token["client_auth"] == "client_secret_basic"
        page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_backend_services_write_back_with_signed_assertions(
    ehr: Ehr,
    page_of: PageOf,
    tmp_path: Path,
    fhir: FhirClient,
    born: SyntheticPatient,
    clinician: str,
    algorithm: str,
) -> None:
    backend = f"backend-{algorithm}-{tmp_path.name}"
    entry = {"write_back": "backend", "backend_client_id": backend, "algorithm": algorithm}
    with registered_app(tmp_path, ehr, "private-key-jwt", **entry) as app:
        page = page_of()
        page.goto(app.launch_address(patient=id_of(born), fhirUser=clinician))
        allow(page)
        fill(page)
        eventually(lambda: arrived(page))
        assert len(Record.of(fhir, born.reference).responses) == 1
        launched, own = ehr.requests("token")
        assert launched["parameters"]["grant_type"] == "authorization_code"
        assert own["parameters"]["grant_type"] == "client_credentials"
        assert "system/Observation.crus" in own["parameters"]["scope"].split()
        now = datetime.now(UTC).timestamp()
        for request, client_id in ((launched, app.client_id), (own, backend)):
            header, claims = request["assertion"]["header"], request["assertion"]["claims"]
            assert (header["alg"], header["typ"]) == (algorithm, "JWT")
            assert claims["iss"] == claims["sub"] == client_id
            assert claims["aud"] == f"{ehr.issuer}/token"
            assert now - 60 < claims["exp"] - 240 <= now
        assert launched["assertion"]["claims"]["jti"] != own["assertion"]["claims"]["jti"]
        examined = app.service.command("doctor", ehr.fhir_base)
        assert "This server takes deliveries." in examined


class TestWhatBreaksInPractice:
    def opened(self, app: App, page: Page, patient: SyntheticPatient, **context: object) -> None:
        page.goto(app.launch_address(patient=id_of(patient), **context))
        allow(page)

    def test_launch_context_missing_from_the_token_response(
        self, app: App, page_of: PageOf, born: SyntheticPatient
    ) -> None:
        app.ehr.set(omit_context=True)
        page = page_of(complaints=("status of 502",))
        self.opened(app, page, born)
        expect(page.get_by_text("did not say whose record is open")).to_be_visible()

    def test_pkce_supported_but_not_advertised(self, app: App, page_of: PageOf, born: SyntheticPatient) -> None:
        app.ehr.set(advertise_pkce=False)
        page = page_of()
        self.opened(app, page, born)
        expect(page.get_by_role("heading", level=1)).to_contain_text("Step 1 of 6")
        assert app.ehr.requests("authorize")[0]["parameters"]["code_challenge_method"] == "S256"

    def test_a_server_that_knows_v1_scopes_alone(self, app: App, page_of: PageOf, born: SyntheticPatient) -> None:
        app.ehr.set(only_v1_scopes=True)
        page = page_of()
        self.opened(app, page, born)
        expect(page.get_by_role("heading", level=1)).to_contain_text("Step 1 of 6")
        scopes = app.ehr.requests("authorize")[0]["parameters"]["scope"].split()
        assert {"patient/Patient.read", "patient/Observation.*"} <= set(scopes)
        assert not any(scope.endswith((".rs", ".crus")) for scope in scopes)

    def test_scopes_dropped_silently(self, app: App, page_of: PageOf, born: SyntheticPatient) -> None:
        limit = ["openid", "fhirUser", "launch", "patient/Patient.rs", "patient/Observation.rs"]
        page = page_of(complaints=("status of 403",))
        self.opened(app, page, born, scope_limit=limit)
        expect(page.get_by_text("patient/QuestionnaireResponse.crus")).to_be_visible()

    def test_no_smart_configuration_but_oauth_uris(self, app: App, page_of: PageOf, born: SyntheticPatient) -> None:
        app.ehr.set(no_smart_configuration=True)
        page = page_of()
        self.opened(app, page, born)
        expect(page.get_by_role("heading", level=1)).to_contain_text("Step 1 of 6")
        scopes = app.ehr.requests("authorize")[0]["parameters"]["scope"].split()
        # The older document does not tell by which keys an identity could be verified.
        assert "openid" not in scopes
        assert "patient/Patient.read" in scopes

    def test_relative_urls(self, app: App, page_of: PageOf, born: SyntheticPatient) -> None:
        app.ehr.set(relative_urls=True)
        page = page_of()
        self.opened(app, page, born)
        expect(page.get_by_role("heading", level=1)).to_contain_text("Step 1 of 6")

    def test_a_refusal_by_the_user(self, app: App, page_of: PageOf, born: SyntheticPatient) -> None:
        page = page_of(complaints=("status of 403",))
        page.goto(app.launch_address(patient=id_of(born)))
        page.get_by_role("button", name="Refuse").click()
        expect(page.get_by_text("did not authorize this form (access_denied)")).to_be_visible()

    def expired(self, app: App, page: Page, patient: SyntheticPatient, user: str) -> Page:
        """A form whose access token ended after the first step."""
        self.opened(app, page, patient, fhirUser=user)
        choose(page, "danger signs", "None of these")
        go_on(page)
        app.ehr.expire_access_tokens()
        return page

    def test_an_access_token_that_expires_is_refreshed(
        self, app: App, page_of: PageOf, fhir: FhirClient, born: SyntheticPatient, clinician: str
    ) -> None:
        page = self.expired(app, page_of(), born, clinician)
        fill(page, start=1)
        eventually(lambda: arrived(page))
        grants = [one["parameters"]["grant_type"] for one in app.ehr.requests("token")]
        assert "refresh_token" in grants
        assert len(Record.of(fhir, born.reference).responses) == 1

    def test_expiry_in_the_middle_of_a_form_loses_no_answer(
        self, app: App, page_of: PageOf, fhir: FhirClient, born: SyntheticPatient, clinician: str
    ) -> None:
        page = self.expired(app, page_of(), born, clinician)
        app.ehr.set(refuse_refresh=True)
        fill(page, start=1)
        eventually(lambda: "next launch" in app.service.reasons())
        assert Record.of(fhir, born.reference).responses == []
        expect(page.get_by_text("we keep trying")).to_be_visible()
        app.ehr.set(refuse_refresh=False)
        again = page_of()
        self.opened(app, again, born, fhirUser=clinician)
        expect(again.get_by_role("heading", level=1)).to_contain_text("Step 1 of 6")
        eventually(lambda: arrived(page))
        assert len(Record.of(fhir, born.reference).responses) == 1

    def test_session_cookies_lost_in_the_ehrs_frame(
        self, app: App, charts: Path, chart_origin: str, page_of: PageOf, born: SyntheticPatient
    ) -> None:
        address = app.launch_address(patient=id_of(born))
        frame = f'<!doctype html><title>Chart</title><iframe title="App" src="{address}"></iframe>'
        (charts / "chart.html").write_text(frame, encoding="utf-8")
        page = page_of()
        # The chart is another site than the app: by http, its frame keeps no cookie of ours.
        page.goto(f"{chart_origin}/chart.html")
        with page.expect_popup() as opened:
            page.frame_locator("iframe").get_by_role("link", name="Open the form in a new window").click()
        window = opened.value
        allow(window)
        expect(window.get_by_role("heading", level=1)).to_contain_text("Step 1 of 6")

    def test_session_cookies_kept_in_the_ehrs_frame_by_https(
        self, ehr: Ehr, browser: Browser, tmp_path: Path, charts: Path, born: SyntheticPatient
    ) -> None:
        # A browser that blocks third parties' cookies keeps those that are partitioned; they need https.
        app_front, chart_front = TlsFront(tmp_path), TlsFront(tmp_path)
        public_url, chart_origin = f"https://127.0.0.1:{app_front.port}", f"https://localhost:{chart_front.port}"
        with (
            served_folder(charts) as chart_front.backend,
            registered_app(tmp_path, ehr, "none", public_url, frame_origins=[chart_origin]) as app,
            app_front.running(),
            chart_front.running(),
        ):
            app_front.backend = int(app.service.address.rpartition(":")[2])
            address = f"{public_url}/launch?iss={ehr.fhir_base}&launch={ehr.launch(patient=id_of(born))}"
            frame = f'<!doctype html><title>Chart</title><iframe title="App" src="{address}"></iframe>'
            (charts / "secure.html").write_text(frame, encoding="utf-8")
            context = browser.new_context(ignore_https_errors=True)
            page = context.new_page()
            with page.expect_response(lambda answer: "tried=1" in answer.url) as second:
                page.goto(f"{chart_origin}/secure.html")
            # The cookie came back with the second request, so that it goes on to the EHR.
            assert second.value.status == 303
            assert second.value.headers["location"].startswith(f"{ehr.issuer}/authorize")
            cookies = {cookie["name"]: cookie for cookie in context.cookies(public_url)}
            assert cookies["launch"]["sameSite"] == "None"
            assert cookies["launch"]["secure"]
            assert "localhost" in cookies["launch"]["partitionKey"]
            context.close()

    def test_a_page_that_is_not_listed_cannot_embed_the_form(
        self, app: App, page_of: PageOf, tmp_path: Path, born: SyntheticPatient
    ) -> None:
        address = app.launch_address(patient=id_of(born))
        (tmp_path / "chart.html").write_text(f'<!doctype html><iframe src="{address}"></iframe>', encoding="utf-8")
        with served_folder(tmp_path) as port:
            page = page_of(complaints=("frame-ancestors",))
            page.goto(f"http://localhost:{port}/chart.html")
            page.wait_for_load_state("networkidle")
