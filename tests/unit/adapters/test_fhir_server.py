"""One HTTP request and what it can come to, against a small server on this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from service.adapters import exchange
from service.adapters.exchange import Timeouts
from service.adapters.fhir_server import RequestsFhirServer, checked_base_url
from service.records.ports import AnswerLost, Unreachable

QUICK = Timeouts(connect_seconds=1.0, read_seconds=0.2, answer_seconds=5.0)
Reply = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """A server on loopback that answers each request by the next of `replies`, and keeps what it received."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.received: list[tuple[str, str, dict[str, str], bytes]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                site.received.append((self.command, self.path, headers, body))
                site.replies.pop(0)(self)

            do_GET = do_POST = handle_one  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Keep the tests quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/fhir"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def reply(status: int, body: bytes = b"", **headers: str) -> Reply:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return send


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def stop_midway(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"resourceType":')
    handler.close_connection = True


def never_finish(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.flush()
    handler.connection.settimeout(5)
    handler.connection.recv(1)
    handler.close_connection = True


@pytest.fixture
def site() -> Iterator[Site]:
    with closing(Site()) as running:
        yield running


@pytest.fixture
def server(site: Site) -> Iterator[RequestsFhirServer]:
    with closing(RequestsFhirServer(site.base_url + "/", timeouts=QUICK)) as client:
        yield client


def test_what_is_sent(site: Site, server: RequestsFhirServer) -> None:
    site.replies.append(reply(200, b'{"resourceType":"Bundle","total":1.50}', ETag='W/"1"'))
    answer = server.send("POST", "", {"resourceType": "Bundle"}, {"If-None-Exist": "_tag=a%7Cb"})
    [(method, path, headers, body)] = site.received
    assert (method, path, body) == ("POST", "/fhir", b'{"resourceType":"Bundle"}')
    assert headers["content-type"] == headers["accept"] == "application/fhir+json"
    assert (headers["prefer"], headers["if-none-exist"]) == ("return=minimal", "_tag=a%7Cb")
    assert "authorization" not in headers
    assert (answer.status, answer.headers["etag"]) == (200, 'W/"1"')
    assert answer.body is not None
    assert str(answer.body["total"]) == "1.50"


def test_a_path_keeps_its_encoding(site: Site, server: RequestsFhirServer) -> None:
    site.replies.append(reply(200))
    server.send("GET", r"Patient?identifier=urn%3Amrn%7Ca%5C%2Cb%26c%2B")
    assert site.received[0][1] == r"/fhir/Patient?identifier=urn%3Amrn%7Ca%5C%2Cb%26c%2B"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"a":1,"a":2}', b"\xff"])
def test_what_is_no_json_object_is_no_body(site: Site, server: RequestsFhirServer, body: bytes) -> None:
    site.replies.append(reply(500, body))
    answer = server.send("GET", "metadata")
    assert (answer.status, answer.body) == (500, None)


def test_redirects_are_not_followed(site: Site, server: RequestsFhirServer) -> None:
    site.replies.append(reply(307, b"", Location="/elsewhere"))
    assert server.send("GET", "metadata").status == 307
    assert len(site.received) == 1


def test_a_refused_token_is_replaced_once(site: Site) -> None:
    asked: list[str | None] = []

    def token(refused: str | None = None) -> str:
        asked.append(refused)
        return "old" if refused is None else "new"

    site.replies.extend([reply(401), reply(401)])
    with closing(RequestsFhirServer(site.base_url, token, QUICK)) as server:
        assert server.send("GET", "metadata").status == 401
    assert asked == [None, "old"]
    assert [headers["authorization"] for _, _, headers, _ in site.received] == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize("fresh", [None, "old"])
def test_without_another_token_the_401_stands(site: Site, fresh: str | None) -> None:
    site.replies.append(reply(401))
    with closing(
        RequestsFhirServer(site.base_url, lambda refused=None: "old" if refused is None else fresh, QUICK)
    ) as server:
        assert server.send("GET", "metadata").status == 401
    assert len(site.received) == 1


@pytest.mark.parametrize("scene", [hang_up, stop_midway, never_finish])
def test_an_answer_that_does_not_come_whole_is_lost(site: Site, server: RequestsFhirServer, scene: Reply) -> None:
    site.replies.append(scene)
    with pytest.raises(AnswerLost):
        server.send("POST", "", {})
    server.close()


def test_an_endless_answer_is_cut_off(site: Site, server: RequestsFhirServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_ANSWER_BYTES", 100)
    site.replies.extend([reply(200, b" " * 100), reply(200, b" " * 101)])
    assert server.send("GET", "metadata").status == 200
    with pytest.raises(AnswerLost, match="100 bytes"):
        server.send("GET", "metadata")


def test_a_trickling_answer_is_cut_off(site: Site) -> None:
    ticks = iter([0.0, 6.0])
    site.replies.append(reply(200, b"{}"))
    with (
        closing(RequestsFhirServer(site.base_url, timeouts=QUICK, elapsed=lambda: next(ticks))) as server,
        pytest.raises(AnswerLost, match="5 seconds"),
    ):
        server.send("GET", "metadata")


def test_a_closed_port_is_unreachable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (
        closing(RequestsFhirServer(f"http://127.0.0.1:{port}", timeouts=QUICK)) as server,
        pytest.raises(Unreachable, match="refused"),
    ):
        server.send("GET", "metadata")


def test_an_unknown_host_is_unreachable() -> None:
    with (
        closing(RequestsFhirServer("https://no-such-host.invalid/fhir", timeouts=QUICK)) as server,
        pytest.raises(Unreachable),
    ):
        server.send("GET", "metadata")


def test_a_server_that_speaks_no_tls_is_unreachable(site: Site) -> None:
    url = site.base_url.replace("http://", "https://")
    with closing(RequestsFhirServer(url, timeouts=QUICK)) as server, pytest.raises(Unreachable):
        server.send("GET", "metadata")


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("https://ehr.example/fhir//", "https://ehr.example/fhir"),
        ("http://localhost:8080/fhir", "http://localhost:8080/fhir"),
        ("http://hapi.localhost:8080/fhir", "http://hapi.localhost:8080/fhir"),
        ("http://127.0.0.9/fhir", "http://127.0.0.9/fhir"),
        ("http://[::1]:8080/fhir", "http://[::1]:8080/fhir"),
    ],
)
def test_urls_that_are_taken(url: str, checked: str) -> None:
    assert checked_base_url(url) == checked


@pytest.mark.parametrize(
    "url",
    [
        "http://ehr.example/fhir",
        "http://10.0.0.1/fhir",
        "http://localhost.ehr.example/fhir",
        "ftp://localhost/fhir",
        "http://localhost:port/fhir",
        "http://localhost/fhir?",
        "ehr.example/fhir",
        "https://user:word@ehr.example/fhir",
        "https://ehr.example/fhir?a=b",
        "https://ehr.example/fhir#a",
        "",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="FHIR server"):
        checked_base_url(url)
