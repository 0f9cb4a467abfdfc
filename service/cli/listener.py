"""Waitress, run in the main thread until a signal, or beside it in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from waitress import wasyncore
from waitress.server import create_server

THREADS = 8
# Beyond what any setting admits as a body, so that Flask refuses it with an OperationOutcome.
MAX_RECEIVED_BYTES = 128 * 1024 * 1024

MAX_CONNECTIONS = 800
SILENCE_SECONDS = 30


class Listener:
    """A server of `app` that listens on `host` and `port` (0: a free one) from the start."""

    def __init__(self, app: Flask, host: str, port: int, trusted_proxy: str | None = None) -> None:
        """Raises OSError when the address cannot be had. `trusted_proxy` (an IP address) is believed who calls."""
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

    @property
    def address(self) -> str:
        """The address it serves, without a trailing slash."""
        # A host name with several addresses makes waitress listen on each; they share the port that was asked for.
        several = getattr(self._server, "effective_listen", None)
        port = several[0][1] if several else self._server.effective_port
        return f"http://[{self._host}]:{port}" if ":" in self._host else f"http://{self._host}:{port}"

    def run(self) -> None:
        """Serve until SystemExit or KeyboardInterrupt is raised in this thread; answers under way are finished."""
        self._server.run()
        wasyncore.close_all(self._sockets, ignore_all=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve in a thread while the block runs."""
        thread = threading.Thread(target=self._server.run, name="server", daemon=True)
        thread.start()
        try:
            yield
        finally:
            # Closed in its own thread, the server's loop ends by itself.
            trigger = next(entry for entry in self._sockets.values() if hasattr(entry, "pull_trigger"))
            trigger.pull_trigger(lambda: wasyncore.close_all(self._sockets, ignore_all=True))
            thread.join()
            self._server.task_dispatcher.shutdown()
