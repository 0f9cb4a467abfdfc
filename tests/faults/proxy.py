"""A reverse proxy that misbehaves on demand: what stands between a client and a server in the tests of failures.

Without a fault it passes everything through. A fault applies to the next exchange it matches, in the order in which
faults were planned, and is used up by it:

- `hold`: the server has answered, the client does not see it until the test says so;
- `answer`: the server is not asked, the client gets what the test says;
- `replace`: the server has answered, and so has done its work, the client gets what the test says;
- `cut`: the server has answered, the client gets a part of the body and a reset connection.

`stop` and `start` make the whole server go away and come back at the same address.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "te", "trailer", "upgrade"})
UPSTREAM_SECONDS = 120
HELD_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked: `path` with its query, header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client is told. Content-Length is added when the answer is sent."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(cls, status: int, body: Mapping[str, Any], **headers: str) -> Answer:
        """An answer with a FHIR JSON body; header names are written with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, json.dumps(body).encode(), {"Content-Type": "application/fhir+json", **named})


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request the proxy took, and the status it had for the client (None: the answer was cut)."""

    request: Request
    status: int | None


Match = Callable[[Request], bool]


def any_request(request: Request) -> bool:
    """Matches whatever comes."""
    return True


def transactions(request: Request) -> bool:
    """Matches a FHIR Bundle posted to a base: the path has no resource type."""
    return request.method == "POST" and b'"Bundle"' in request.body


class Held:
    """An answer of the server kept from the client."""

    def __init__(self) -> None:
        self._arrived = threading.Event()
        self._released = threading.Event()

    def await_arrival(self, seconds: float = UPSTREAM_SECONDS) -> None:
        """Return when the server has answered, and so has done its work. Raises TimeoutError when it does not."""
        if not self._arrived.wait(seconds):
            raise TimeoutError(f"No answer of the server to hold within {seconds} s")

    def release(self) -> None:
        """Let the client have the answer; one that is gone by then does no harm."""
        self._released.set()

    def keep(self) -> None:
        """Called by the proxy: note the arrival, return when released."""
        self._arrived.set()
        self._released.wait(HELD_SECONDS)

    def give_up(self) -> None:
        """Called by the proxy when its connections are closed: nobody is left to have the answer."""
        if self._arrived.is_set():
            self._released.set()


@dataclass(frozen=True, slots=True)
class _Canned:
    answer: Answer


@dataclass(frozen=True, slots=True)
class _Replaced:
    answer: Answer


@dataclass(frozen=True, slots=True)
class _Cut:
    after_bytes: int


_Fault = Held | _Canned | _Replaced | _Cut


class FaultProxy:
    """Stands at `base_url` (same path as `upstream`, on the loopback interface) in front of the server `upstream`.

    A context manager: started on entry, stopped at the end. The client's Host header is passed on, so that links in
    the server's answers lead through the proxy too. A server that cannot be reached is a 502.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"Not a http:// address: {upstream}")
        self._upstream = (parts.hostname, parts.port or 80)
        self._path = parts.path.rstrip("/")
        self._port = 0
        self._lock = threading.Lock()
        self._planned: list[tuple[Match, _Fault]] = []
        self._holds: list[Held] = []
        self._exchanges: list[Exchange] = []
        self._listener: _Listener | None = None

    def __enter__(self) -> FaultProxy:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """Address for clients, without a slash at its end; known from the first start on."""
        return f"http://127.0.0.1:{self._port}{self._path}"

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """What went through, in the order in which it was answered."""
        with self._lock:
            return tuple(self._exchanges)

    def start(self) -> None:
        """Listen: at any free port the first time, at the same one later. Raises RuntimeError when it listens."""
        if self._listener is not None:
            raise RuntimeError("The proxy listens already")
        self._listener = _Listener(self, self._port)
        self._port = self._listener.server_port
        threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Close the port and every connection, held answers included. Does nothing when it does not listen."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        listener.close()
        for held in self._holds:
            held.give_up()

    def hold(self, match: Match = any_request) -> Held:
        """Hold the server's answer to the next request that matches."""
        held = Held()
        self._holds.append(held)
        self._plan(match, held)
        return held

    def answer(self, answer: Answer, match: Match = any_request, *, times: int = 1) -> None:
        """Answer the next `times` requests that match in the server's place."""
        for _ in range(times):
            self._plan(match, _Canned(answer))

    def replace(self, answer: Answer, match: Match = any_request) -> None:
        """Have the server carry out the next request that matches, and give the client another answer."""
        self._plan(match, _Replaced(answer))

    def cut(self, match: Match = any_request, *, after_bytes: int = 0) -> None:
        """Pass on `after_bytes` of the body of the server's answer to the next request that matches, then reset."""
        self._plan(match, _Cut(after_bytes))

    def clear(self) -> None:
        """Forget the faults planned and not used up."""
        with self._lock:
            self._planned.clear()

    def _plan(self, match: Match, fault: _Fault) -> None:
        with self._lock:
            self._planned.append((match, fault))

    def take_fault(self, request: Request) -> _Fault | None:
        """Called for each request: the first planned fault that matches it, which is thereby used up."""
        with self._lock:
            for index, (match, fault) in enumerate(self._planned):
                if match(request):
                    del self._planned[index]
                    return fault
        return None

    def note(self, exchange: Exchange) -> None:
        """Called for each exchange before its answer is sent."""
        with self._lock:
            self._exchanges.append(exchange)

    def ask_upstream(self, request: Request) -> Answer:
        """What the server answers; 502 when it cannot be reached."""
        connection = http.client.HTTPConnection(*self._upstream, timeout=UPSTREAM_SECONDS)
        headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
        try:
            connection.request(request.method, request.path, request.body or None, headers)
            response = connection.getresponse()
            kept = {name: value for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP}
            return Answer(response.status, response.read(), kept)
        except (OSError, http.client.HTTPException) as problem:
            return Answer(502, str(problem).encode(), {"Content-Type": "text/plain"})
        finally:
            connection.close()


class _Listener(ThreadingHTTPServer):
    """The port, the threads behind it and the connections they hold."""

    def __init__(self, proxy: FaultProxy, port: int) -> None:
        self.proxy = proxy
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._connections_lock:
            self._connections.discard(request)
        # Without the orderly shutdown of the base class, which would tell the client that the body is complete.
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away: the tests make them do that."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """Close the port, then the connections: those still open are all known by then."""
        self.shutdown()
        self.server_close()
        with self._connections_lock:
            for connection in self._connections:
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def exchange(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        self._reply(Request(self.command, self.path, headers, body))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = exchange  # noqa: N815

    def _reply(self, request: Request) -> None:
        """Play the fault planned for the request, if any."""
        proxy = self.server.proxy
        match proxy.take_fault(request):
            case _Canned(answer):
                self._send(request, answer)
            case _Replaced(answer):
                proxy.ask_upstream(request)
                self._send(request, answer)
            case _Cut(after_bytes):
                answer = proxy.ask_upstream(request)
                proxy.note(Exchange(request, None))
                self._write(answer, after_bytes)
                self._reset()
            case Held() as held:
                answer = proxy.ask_upstream(request)
                held.keep()
                self._send(request, answer)
            case None:
                self._send(request, proxy.ask_upstream(request))

    def _send(self, request: Request, answer: Answer) -> None:
        # Noted first, so that whoever has the answer finds the exchange noted.
        self.server.proxy.note(Exchange(request, answer.status))
        self._write(answer, len(answer.body))

    def _write(self, answer: Answer, body_bytes: int) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.command != "HEAD" and answer.status not in {204, 304}:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[:body_bytes])

    def _reset(self) -> None:
        """Have the connection closed as a crashed peer does: by an RST, not by an orderly end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Keep quiet: tests read `exchanges`."""
