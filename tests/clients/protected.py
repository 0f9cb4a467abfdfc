"""Our API under AUTH=smart, its tokens from an authorization server that nobody here wrote."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.hapi.service import serving
from tests.smart.ehr import Ehr


@contextmanager
def protected_api(folder: Path, authorization_server: Ehr, token_format: str) -> Iterator[str]:
    """The FHIR base of our service, started; it checks `jwt` tokens by their signature, `opaque` ones by asking."""
    address = f"http://127.0.0.1:{_free_port()}"
    base = f"{address}/fhir"
    authorization_server.register_api(base, token_format)
    settings = {"AUTH": "smart", "AUTH_ISSUER": authorization_server.issuer, "PUBLIC_URL": address}
    if token_format == "opaque":
        own = authorization_server.register_client(grant_types=[])
        settings |= {"AUTH_CLIENT_ID": own["client_id"], "AUTH_CLIENT_SECRET": own["client_secret"]}
    with serving(folder, None, port=int(address.rpartition(":")[2]), **settings):
        yield base


def system_token(authorization_server: Ehr, base: str, scope: str) -> str:
    """An access token of a backend app for the API at `base`. Raises requests.HTTPError when there is none."""
    app = authorization_server.register_client(grant_types=["client_credentials"])
    answer = requests.post(
        f"{authorization_server.issuer}/token",
        data={"grant_type": "client_credentials", "scope": scope, "resource": base},
        auth=(app["client_id"], app["client_secret"]),
        timeout=30,
    )
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def _free_port() -> int:
    # Tokens are made for the address, so it must be known before the service listens.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
