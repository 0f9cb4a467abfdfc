"""Our service as an app of the test EHR, and people who open it from there in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

from tests.hapi.client import FhirClient, Json
from tests.hapi.service import Service, serving
from tests.smart.ehr import Ehr

SECRET = "a secret that the EHR gave us, long enough to be one"


@dataclass(frozen=True, slots=True)
class App:
    """Our service, registered with the EHR as one client."""

    service: Service
    ehr: Ehr
    client_id: str

    def launch_address(self, **context: object) -> str:
        """Where the EHR sends a browser that opens the app."""
        launch = self.ehr.launch(**context)
        return f"{self.service.address}/launch?iss={self.ehr.fhir_base}&launch={launch}"


@contextmanager
def registered_app(
    folder: Path, ehr: Ehr, authentication: str, public_url: str = "", **entry: str | list[str]
) -> Iterator[App]:
    """Our service, started, and registered as a client that authenticates so; `entry` adds to its [[ehr]].

    `public_url` is where browsers reach it, when that is not where it listens.
    """
    client_id = f"app-{authentication}-{folder.name}"
    secret = {"client_secret": SECRET} if authentication == "client-secret" else {}
    told = {"issuer": ehr.fhir_base, "client_id": client_id, "name": "Test EHR", "authentication": authentication}
    file = folder / "ehrs.toml"
    lines = [f"{name} = {value!r}".replace("'", '"') for name, value in (told | secret | entry).items()]
    file.write_text("\n".join(["[[ehr]]", *lines]), encoding="utf-8")
    with serving(folder, fhir_server_url=None, EHRS=file, COUNTRY="US", PUBLIC_URL=public_url) as service:
        methods = {"none": "none", "client-secret": "client_secret_basic", "private-key-jwt": "private_key_jwt"}
        keys = {"jwks_uri": f"{service.address}/.well-known/jwks.json"}
        ehr.register_client(
            client_id=client_id,
            redirect_uris=[f"{public_url or service.address}/callback"],
            token_endpoint_auth_method=methods[authentication],
            **(keys if authentication == "private-key-jwt" else {}),
            **secret,
        )
        backend = entry.get("backend_client_id")
        if backend is not None:
            ehr.register_client(
                client_id=backend,
                token_endpoint_auth_method="private_key_jwt",
                grant_types=["client_credentials"],
                redirect_uris=[],
                response_types=[],
                **keys,
            )
        yield App(service, ehr, client_id)


def practitioner(fhir: FhirClient) -> Json:
    """A made-up clinician on the FHIR server."""
    return fhir.create({"resourceType": "Practitioner", "name": [{"text": "Synthetic test clinician"}]})


def allow(page: Page) -> None:
    """Sign in at the EHR, and allow what the app asks for."""
    page.get_by_role("button", name="Sign in and allow").click()


def arrived(page: Page) -> bool:
    """Whether the result page, loaded again, says that the answers are in the record."""
    page.reload()
    return page.get_by_text("Delivered to your medical record on").is_visible()
