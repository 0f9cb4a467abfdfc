"""A delivery worker in a thread of this process."""

from __future__ import annotations

import logging
import threading

from service.bootstrap import Services
from service.web.errors import describe

RESTART_SECONDS = 10.0

log = logging.getLogger(__name__)


class DeliveryThread:
    """Delivers in the background from `start` to `stop`. A worker that fails is replaced after a pause."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stop = threading.Event()
        self._works = services.settings.fhir_server_url is not None
        # A daemon: a server that holds its answer back must not keep the process from ending; leases run out.
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        """Begins, where a FHIR server is configured."""
        if self._services.settings.fhir_server_url is not None:
            self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Ends after the delivery that is under way, or after `timeout_seconds` without it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def alive(self) -> bool | None:
        """Whether deliveries are being made; None when there is nowhere to deliver to."""
        if self._services.settings.fhir_server_url is None:
            return None
        return self._works and self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            delivery = self._services.delivery()
            if delivery is None:
                return
            try:
                self._works = True
                delivery.run(self._stop, self._services.settings.delivery_poll_seconds)
            except Exception as fault:  # noqa: BLE001 - a thread has nobody to raise to: it logs, and begins anew
                self._works = False
                # Not `exception`: its message may quote what a patient answered.
                log.error("delivery worker failed: %s", describe(fault))  # noqa: TRY400
                self._stop.wait(RESTART_SECONDS)
