"""A test EHR (the Node project in ehr/): oidc-provider and a guarded FHIR base in front of a real FHIR server."""

from __future__ import annotations

import html
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from requests import Session

from tests.hapi.client import Json
from tests.hapi.service import eventually

PROJECT = Path(__file__).parent / "ehr"
TIMEOUT_SECONDS = 60


class EhrFailed(RuntimeError):
    """The EHR did not start, or refused what a test asked of it; the text holds its reason."""


class Ehr:
    """One EHR on the loopback interface, in a process group of its own.

    `folder` takes its log. `fhir_server_url` is the base of the FHIR server behind it; with None it is an authorization
    server alone. The process lives as long as its standard input is open, so it ends with the process that started it,
    even one that was killed.
    """

    def __init__(self, folder: Path, fhir_server_url: str | None) -> None:
        self.log = folder / "ehr.log"
        self._fhir_server_url = fhir_server_url
        self._http = Session()
        self._process: subprocess.Popen[bytes] | None = None
        self._issuer: str | None = None

    @property
    def issuer(self) -> str:
        """Address of the authorization server without a slash at its end. Raises EhrFailed before the start."""
        if self._issuer is None:
            raise EhrFailed("The EHR was not started yet: its port is not known")
        return self._issuer

    @property
    def fhir_base(self) -> str:
        """FHIR base without a slash at its end: the `iss` of a launch, and the `aud` of an authorization request."""
        return f"{self.issuer}/fhir"

    def start(self) -> None:
        """Return when it listens. Raises EhrFailed when it ends instead, TimeoutError when it is silent."""
        if self._process is not None:
            raise EhrFailed("The EHR runs already")
        if not (PROJECT / "node_modules").is_dir():
            raise EhrFailed("Its npm packages are not installed: tests/run does that")
        behind = [] if self._fhir_server_url is None else ["--fhir", self._fhir_server_url]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["node", "server.mjs", *behind],
                cwd=PROJECT, stdin=subprocess.PIPE, stdout=log, stderr=log, process_group=0,
            )  # fmt: skip
        self._issuer = eventually(self._announced)

    def stop(self) -> None:
        """Kill it and whatever it started. Does nothing when it does not run."""
        self._http.close()
        process, self._process = self._process, None
        if process is None:
            return
        with process:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

    def register_client(self, **metadata: object) -> Json:
        """Register an app by its OpenID Connect metadata; all of it, with what was left out.

        Left out are by default: client_id and client_secret (random), token_endpoint_auth_method (client_secret_basic),
        grant_types (authorization_code and refresh_token). A `scope` limits what the app is ever granted. Raises
        EhrFailed when the metadata is not valid.
        """
        client: Json = self._control("POST", "clients", metadata)
        return client

    def register_api(self, base: str, token_format: str) -> None:
        """Let apps ask for access tokens for another API than its own: `jwt`, or `opaque` (checked by asking)."""
        self._control("POST", "apis", {"base": base, "token_format": token_format})

    def launch(self, **context: object) -> str:
        """A launch id. `context` (patient, encounter, intent, fhirContext, ...) goes into the token response as it is.

        `fhirUser` is the URL of who launches (without: a Practitioner that is not stored). `scope_limit` lists the
        scopes that are granted; others are dropped without a word.
        """
        launch: str = self._control("POST", "launches", context)["launch"]
        return launch

    def offer_patients(self, names: Mapping[str, str]) -> None:
        """Let the user of a standalone launch choose among these patients, named by their ids."""
        self._control("POST", "patients", [{"id": each, "name": name} for each, name in names.items()])

    def set(self, **settings: bool | int | None) -> None:
        """Change how it behaves until the next reset: SETTINGS of server.mjs. Raises EhrFailed on another name."""
        self._control("POST", "settings", settings)

    def expire_access_tokens(self) -> None:
        """Let the FHIR base treat all access tokens issued so far as expired."""
        self._control("POST", "expire")

    def reset(self) -> None:
        """Forget settings, launches, patients to choose from, and the requests seen; clients and tokens stay."""
        self._control("POST", "reset")

    def requests(self, *endpoints: str) -> list[Json]:
        """What was asked since the last reset, in order of the answers: of `endpoints`, or of authorize and token.

        Each has `endpoint` (authorize, token, fhir), `method` and `status`. The first two have `parameters` as sent and
        `error` (absent: none); token also `client_auth` (none, client_secret_basic, client_secret_post,
        private_key_jwt), `client_id` and, decoded, `assertion` (`header`, `claims`); fhir has `path` with its query.
        """
        wanted = endpoints or ("authorize", "token")
        return [one for one in self._control("GET", "requests") if one["endpoint"] in wanted]

    def _control(self, method: str, name: str, body: object = None) -> Any:
        answer = self._http.request(method, f"{self.issuer}/test/{name}", json=body, timeout=TIMEOUT_SECONDS)
        told = answer.json()
        if answer.status_code != 200:
            raise EhrFailed(f"{name}: {told['error']}")
        return told

    def _announced(self) -> str | None:
        """Where it says it listens."""
        written = self.log.read_text()
        found = re.search(r"^EHR at (\S+)$", written, re.MULTILINE)
        if found is None and self._process is not None and self._process.poll() is not None:
            raise EhrFailed(f"The EHR did not start:\n{written}")
        return None if found is None else found[1]


def sign_in(
    address: str,
    redirect_uri: str,
    *,
    patient: str | None = None,
    answer: str = "allow",
    browser: Session | None = None,
) -> str:
    """Follow an authorization request as a user without scripts would; where the app is sent back to.

    `patient` is the id chosen of those offered; `answer` is allow or refuse; `browser` keeps cookies (without: a new
    one). Raises EhrFailed when the EHR shows an error instead.
    """
    if browser is None:
        with Session() as fresh:
            return sign_in(address, redirect_uri, patient=patient, answer=answer, browser=fresh)
    filled = {"answer": answer} | ({} if patient is None else {"patient": patient})
    shown = browser.get(address, allow_redirects=False, timeout=TIMEOUT_SECONDS)
    while True:
        form = re.search(r'<form method="post" action="([^"]+)"', shown.text)
        if shown.is_redirect:
            address = urljoin(address, shown.headers["Location"])
            if address.startswith(redirect_uri):
                return address
            shown = browser.get(address, allow_redirects=False, timeout=TIMEOUT_SECONDS)
        elif shown.status_code == 200 and form is not None:
            address = urljoin(address, html.unescape(form[1]))
            shown = browser.post(address, data=filled, allow_redirects=False, timeout=TIMEOUT_SECONDS)
        else:
            raise EhrFailed(f"{shown.status_code}: {shown.text}")
