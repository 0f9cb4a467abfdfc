"""How many requests one client may send in a time, counted in the memory of this process."""

from __future__ import annotations

import math
import time
from hashlib import sha256
from http import HTTPStatus

from flask import Flask, Response, request
from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from service.errors import IssueType, TooManyRequests, error
from service.records.access import ANYONE, NOBODY
from service.web.auth import caller

_EXEMPT = ("static", "monitoring.live", "monitoring.ready")


def register_rate_limit(app: Flask, rates: str) -> None:
    """Refuses requests of a client beyond `rates` ("600 per minute; 20 per second"), and says when to come back.

    A client is told by its access token, without one by its address. A token that nobody found to be valid counts
    against the address too, so that nobody has more by inventing tokens.
    """
    limiter = MovingWindowRateLimiter(MemoryStorage())
    allowed = parse_many(rates)

    @app.before_request
    def count() -> None:
        if request.endpoint in _EXEMPT:
            return
        for rate in allowed:
            for is_admitted, client in ((limiter.test, _address()), (limiter.hit, _client())):
                if not is_admitted(rate, client):
                    raise _too_many(limiter, rate, client)

    @app.after_request
    def count_unproven(answer: Response) -> Response:
        # Who asks too much is told so before their token is looked at.
        is_judged = answer.status_code != HTTPStatus.TOO_MANY_REQUESTS
        if is_judged and caller() in (ANYONE, NOBODY) and _client() != _address():
            for rate in allowed:
                limiter.hit(rate, _address())
        return answer


def _too_many(limiter: MovingWindowRateLimiter, rate: RateLimitItem, client: str) -> TooManyRequests:
    seconds = max(1, math.ceil(limiter.get_window_stats(rate, client).reset_time - time.time()))
    text = f"Too many requests: {rate} are taken. Come back in {seconds} seconds."
    return TooManyRequests([error(IssueType.THROTTLED, text)], seconds)


def _address() -> str:
    return request.remote_addr or ""


def _client() -> str:
    token = request.headers.get("Authorization")
    return _address() if token is None else sha256(token.encode()).hexdigest()
