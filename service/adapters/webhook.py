"""The operator's webhook over HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from service.adapters.exchange import Exchange
from service.records.ports import Answer


class RequestsWebhook:
    """Implements service.records.ports.Webhook. Not shared between threads."""

    def __init__(self, url: str, exchange: Exchange) -> None:
        self._url = url
        self._exchange = exchange

    def post(self, content: bytes, headers: Mapping[str, str]) -> Answer:
        """One request. Raises Unreachable or AnswerLost."""
        return self._exchange.send("POST", self._url, content, headers)
