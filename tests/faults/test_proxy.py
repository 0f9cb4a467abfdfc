"""The proxy that the tests of failures rest on."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
import requests

from tests.faults.proxy import Answer, FaultProxy, transactions


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked, and counts."""

    protocol_version = "HTTP/1.1"
    server: "EchoServer"

    def do_GET(self) -> None:
        self._tell(200, f"{self.command} {self.path} {self.headers['Host']}".encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted += 1
        self._tell(201, body)

    def do_DELETE(self) -> None:
        self._tell(204, b"")

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def _tell(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("ETag", 'W/"1"')
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Quiet."""


class EchoServer(ThreadingHTTPServer):
    posted = 0


@pytest.fixture
def upstream() -> Iterator[EchoServer]:
    with EchoServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(upstream: EchoServer) -> Iterator[FaultProxy]:
    with FaultProxy(f"http://127.0.0.1:{upstream.server_port}/fhir/") as proxy:
        yield proxy


@pytest.fixture
def client() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def test_without_a_fault_all_passes_through(proxy: FaultProxy, client: requests.Session) -> None:
    read = client.get(f"{proxy.base_url}/Patient?name=a%20b")
    created = client.post(f"{proxy.base_url}/Patient", data=b"body")
    deleted = client.delete(f"{proxy.base_url}/Patient/1")
    head = client.head(f"{proxy.base_url}/Patient/1")

    assert read.text == f"GET /fhir/Patient?name=a%20b {urlsplit(proxy.base_url).netloc}"
    assert read.headers["ETag"] == 'W/"1"'
    assert (created.status_code, created.content) == (201, b"body")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert head.status_code == 200
    assert [(seen.request.method, seen.status) for seen in proxy.exchanges] == [
        ("GET", 200),
        ("POST", 201),
        ("DELETE", 204),
        ("HEAD", 200),
    ]


def test_an_answer_stands_in_for_the_server_as_often_as_told(
    proxy: FaultProxy, upstream: EchoServer, client: requests.Session
) -> None:
    proxy.answer(Answer.of_json(503, {"resourceType": "OperationOutcome"}, Retry_After="7"), times=2)

    answers = [client.post(f"{proxy.base_url}/Patient", data=b"body") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503, 503, 201]
    assert answers[0].json() == {"resourceType": "OperationOutcome"}
    assert answers[0].headers["Retry-After"] == "7"
    assert upstream.posted == 1


def test_a_replaced_answer_hides_what_the_server_did(
    proxy: FaultProxy, upstream: EchoServer, client: requests.Session
) -> None:
    proxy.replace(Answer(500, b"oops"))

    answer = client.post(f"{proxy.base_url}/Patient", data=b"body")

    assert (answer.status_code, answer.content) == (500, b"oops")
    assert upstream.posted == 1


def test_a_fault_waits_for_the_request_it_matches(proxy: FaultProxy, client: requests.Session) -> None:
    proxy.answer(Answer(400), transactions)

    assert client.get(f"{proxy.base_url}/metadata").status_code == 200
    assert client.post(proxy.base_url, json={"resourceType": "Patient"}).status_code == 201
    assert client.post(proxy.base_url, json={"resourceType": "Bundle"}).status_code == 400
    assert client.post(proxy.base_url, json={"resourceType": "Bundle"}).status_code == 201


def test_cleared_faults_do_not_happen(proxy: FaultProxy, client: requests.Session) -> None:
    proxy.answer(Answer(401), times=1000)
    assert client.get(proxy.base_url).status_code == 401

    proxy.clear()

    assert client.get(proxy.base_url).status_code == 200


def test_a_held_answer_comes_when_released_and_the_server_has_done_its_work_before(
    proxy: FaultProxy, upstream: EchoServer, client: requests.Session
) -> None:
    held = proxy.hold()
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(client.post, f"{proxy.base_url}/Patient", data=b"body")
        held.await_arrival()

        assert upstream.posted == 1
        assert not answer.done()

        held.release()
        assert answer.result().content == b"body"


def test_a_client_that_is_gone_when_its_answer_is_released_does_no_harm(
    proxy: FaultProxy, client: requests.Session
) -> None:
    held = proxy.hold()
    address = urlsplit(proxy.base_url)
    with socket.create_connection((address.hostname, address.port)) as doomed:
        doomed.sendall(b"GET /fhir/metadata HTTP/1.1\r\nHost: any\r\n\r\n")
        held.await_arrival()

    held.release()

    assert client.get(proxy.base_url).status_code == 200


def read_all(connection: socket.socket, into: bytearray) -> None:
    while part := connection.recv(1000):
        into += part


def test_a_cut_answer_is_a_part_of_the_body_and_a_reset(proxy: FaultProxy, upstream: EchoServer) -> None:
    proxy.cut(after_bytes=3)
    address = urlsplit(proxy.base_url)
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(b"POST /fhir/Patient HTTP/1.1\r\nHost: any\r\nContent-Length: 4\r\n\r\nbody")
        received = bytearray()
        with pytest.raises(ConnectionResetError):
            read_all(client, received)

    assert upstream.posted == 1
    assert b"Content-Length: 4\r\n" in received
    assert received.endswith(b"\r\n\r\nbod")


def test_a_client_library_sees_a_cut_answer_as_a_connection_error(proxy: FaultProxy, client: requests.Session) -> None:
    proxy.cut(after_bytes=3)

    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        client.get(f"{proxy.base_url}/metadata")

    assert [seen.status for seen in proxy.exchanges] == [None]


def test_it_goes_away_and_comes_back_at_the_same_address(proxy: FaultProxy, client: requests.Session) -> None:
    base_url = proxy.base_url
    assert client.get(base_url).status_code == 200

    proxy.stop()
    with pytest.raises(requests.ConnectionError):
        client.get(base_url)

    proxy.start()
    assert proxy.base_url == base_url
    assert client.get(base_url).status_code == 200


def test_going_away_drops_a_held_answer(proxy: FaultProxy, upstream: EchoServer, client: requests.Session) -> None:
    held = proxy.hold()
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(client.post, f"{proxy.base_url}/Patient", data=b"body")
        held.await_arrival()

        proxy.stop()

        with pytest.raises(requests.ConnectionError):
            answer.result()
    assert upstream.posted == 1


def test_a_server_that_cannot_be_reached_is_a_bad_gateway(client: requests.Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with FaultProxy(f"http://127.0.0.1:{port}/fhir") as proxy:
        assert client.get(f"{proxy.base_url}/metadata").status_code == 502


@pytest.mark.parametrize("address", ["https://127.0.0.1/fhir", "127.0.0.1:8080"])
def test_it_stands_in_front_of_plain_http_only(address: str) -> None:
    with pytest.raises(ValueError, match="Not a http:// address"):
        FaultProxy(address)
