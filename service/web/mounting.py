"""Serving below a path of the public address, such as `https://host.example/intake`."""

from __future__ import annotations

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def mounted(app: WSGIApplication, path: str) -> WSGIApplication:
    """`app` below `path` ("/intake"), whether the proxy in front takes that off each request's path or leaves it on."""

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked = environ.get("PATH_INFO", "")
        environ["SCRIPT_NAME"] = path
        if asked == path or asked.startswith(f"{path}/"):
            environ["PATH_INFO"] = asked[len(path) :]
        return app(environ, start_response)

    return serve
