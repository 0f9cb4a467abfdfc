"""Waitress, run in a thread until it is told to stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

from flask import Flask
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server

from service.web.errors import describe

THREADS = 8
# Beyond what any setting admits as a body, so that Flask refuses it with an OperationOutcome.
MAX_RECEIVED_BYTES = 128 * 1024 * 1024

MAX_CONNECTIONS = 800
SILENCE_SECONDS = 30
_LOOK_SECONDS = 0.02
_THREADS_END_SECONDS = 1

log = logging.getLogger(__name__)


class Listener:
    """A server of `app` that listens on `host` and `port` (0: a free one) from the start."""

    def __init__(self, app: Flask, host: str, port: int, trusted_proxy: str | None = None) -> None:
        """Raises OSError when the address cannot be had, ValueError when `host` is none.

        `trusted_proxy` (an IP address) is believed who calls.
        """
        self._host = host
        self._sockets: dict[int, Any] = {}
        self._server: Any = create_server(
            app,
            map=self._sockets,
            host=host,
            port=port,
            threads=THREADS,
            ident="",
            max_request_body_size=MAX_RECEIVED_BYTES,
            # Connections that send slowly hold no thread, but count: there must be room for others beside them.
            connection_limit=MAX_CONNECTIONS,
            asyncore_use_poll=True,
            channel_timeout=SILENCE_SECONDS,
            trusted_proxy=trusted_proxy,
            trusted_proxy_headers={"x-forwarded-for", "x-forwarded-proto"} if trusted_proxy else set(),
            clear_untrusted_proxy_headers=True,
        )
        # What wakes the server's loop: each of its listening sockets has one, and its worker threads pull it too.
        self._triggers = [entry for entry in self._sockets.values() if hasattr(entry, "pull_trigger")]
        self.has_failed = False
        self._on_failure: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    @property
    def address(self) -> str:
        """The address it serves, without a trailing slash."""
        # A host name with several addresses makes waitress listen on each; they share the port that was asked for.
        several = getattr(self._server, "effective_listen", None)
        port = several[0][1] if several else self._server.effective_port
        host = self._host.strip("[]")
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self, on_failure: Callable[[], None] = lambda: None) -> None:
        """Serve in a thread until `stop`; `on_failure` hears it should the server fail, and `has_failed` tells so."""
        self._on_failure = on_failure
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Take no connection any more, finish the answers that are under way within `timeout_seconds`, and end."""
        self._in_loop(self._close_doors)
        deadline = monotonic() + timeout_seconds
        while self._is_answering() and monotonic() < deadline:
            sleep(_LOOK_SECONDS)
        self._in_loop(self._close_connections)
        self._thread.join()
        threads = self._server.task_dispatcher
        threads.shutdown(timeout=_THREADS_END_SECONDS)
        # One that is pulled after its end would write to whatever file has got its number by then.
        if not threads.threads:
            for trigger in self._triggers:
                trigger.close()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve in a thread while the block runs."""
        self.start()
        try:
            yield
        finally:
            self.stop(0)

    def _run(self) -> None:
        try:
            self._server.run()
        except Exception as fault:  # noqa: BLE001 - a thread has nobody to raise to
            log.error("the HTTP server failed: %s", describe(fault))  # noqa: TRY400
            self._close_connections()
            self.has_failed = True
            self._on_failure()

    def _in_loop(self, act: Callable[[], None]) -> None:
        self._triggers[0].pull_trigger(act)

    def _close_doors(self) -> None:
        for entry in list(self._sockets.values()):
            if getattr(entry, "accepting", False):
                # Not the server's own `close`, which ends what wakes its loop too.
                wasyncore.dispatcher.close(entry)

    def _close_connections(self) -> None:
        """Close all but the triggers, and leave the loop nothing to wait for, so that it ends by itself."""
        self._close_doors()
        for trigger in self._triggers:
            trigger.del_channel()
        wasyncore.close_all(self._sockets, ignore_all=True)

    def _is_answering(self) -> bool:
        channels = [entry for entry in list(self._sockets.values()) if isinstance(entry, HTTPChannel)]
        return any(one.requests or one.request is not None or one.total_outbufs_len for one in channels)
