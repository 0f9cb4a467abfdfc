"""The server in front of the application: slow clients, and whom it believes who calls."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from threading import Event
from time import sleep
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask, request
from waitress.server import BaseWSGIServer
from waitress.trigger import trigger

from service.cli.listener import Listener


@pytest.fixture
def app() -> Flask:
    app = Flask("sample")
    app.add_url_rule("/", view_func=lambda: f"{request.remote_addr} {request.scheme}")
    return app


def test_clients_that_send_slowly_do_not_keep_others_waiting(app: Flask) -> None:
    listener = Listener(app, "127.0.0.1", 0)
    port = urlsplit(listener.address).port
    with listener.running(), ExitStack() as stack:
        for _ in range(200):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            slow.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{")
        assert requests.get(listener.address, timeout=20).status_code == 200


def test_a_worker_that_wakes_the_loop_just_when_it_is_told_to_end_does_no_harm(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pull_late(one: trigger) -> None:
        pull(one)
        # Long enough for the loop, awake already, to do what it was told.
        sleep(0.2)
        pull(one)

    pull = trigger._physical_pull
    listener = Listener(app, "127.0.0.1", 0)
    with listener.running():
        assert requests.get(listener.address, timeout=20).status_code == 200
        monkeypatch.setattr(trigger, "_physical_pull", pull_late)
    with pytest.raises(requests.ConnectionError):
        requests.get(listener.address, timeout=20)


@pytest.mark.parametrize(
    ("trusted_proxy", "told"),
    [(None, "127.0.0.1 http"), ("10.0.0.1", "127.0.0.1 http"), ("127.0.0.1", "203.0.113.7 https")],
)
def test_who_calls_is_believed_of_the_trusted_proxy_alone(app: Flask, trusted_proxy: str | None, told: str) -> None:
    listener = Listener(app, "127.0.0.1", 0, trusted_proxy)
    forwarded = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    with listener.running():
        assert requests.get(listener.address, headers=forwarded, timeout=20).text == told


def test_a_server_that_fails_is_told_of(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(server: BaseWSGIServer) -> None:
        raise OSError("Too many open files")

    monkeypatch.setattr(BaseWSGIServer, "run", fail)
    failed = Event()
    listener = Listener(app, "127.0.0.1", 0)
    listener.start(failed.set)
    assert failed.wait(20)
    listener.stop(0)
    assert listener.has_failed
    assert "the HTTP server failed: OSError at" in caplog.text
