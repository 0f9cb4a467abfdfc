"""Delivery workers in threads of this process."""

from __future__ import annotations

import logging
import threading
from time import monotonic

from service.bootstrap import Services
from service.errors import Unavailable
from service.records.worker import Worker
from service.web.errors import describe

RESTART_SECONDS = 10.0

log = logging.getLogger(__name__)


class DeliveryThreads:
    """Deliver in the background from `start` to `stop`, one for each target, so that none waits for another.

    A worker that fails is replaced after a pause.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stop = threading.Event()
        self._failed: set[str] = set()
        self._deliveries: dict[str, Worker] = {}
        # Daemons: a server that holds its answer back must not keep the process from ending.
        self._threads = [
            threading.Thread(target=self._run, args=(target,), name=f"delivery-{number}", daemon=True)
            for number, target in enumerate(services.targets)
        ]

    def start(self) -> None:
        """Begins, where there is anything to deliver to."""
        for thread in self._threads:
            thread.start()

    def begin_stop(self) -> None:
        """Lets no delivery begin any more."""
        self._stop.set()

    def stop(self, timeout_seconds: float) -> None:
        """Ends after the deliveries that are under way. What takes longer than `timeout_seconds` others may take up."""
        self.begin_stop()
        deadline = monotonic() + timeout_seconds
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - monotonic()))
        for delivery in self._deliveries.values():
            try:
                delivery.release()
            except Unavailable:
                log.warning("a delivery could not be given back: it waits until its lease runs out")

    def alive(self) -> bool | None:
        """Whether deliveries are being made to every target; None when there is none."""
        if not self._threads:
            return None
        return not self._failed and all(thread.is_alive() for thread in self._threads)

    def _run(self, target: str) -> None:
        idle_seconds = self._services.settings.delivery_poll_seconds
        while not self._stop.is_set():
            delivery = self._deliveries[target] = self._services.worker(target)
            try:
                self._failed.discard(target)
                delivery.run(self._stop, idle_seconds, self._services.metrics.count_delivery)
            except Exception as fault:  # noqa: BLE001 - a thread has nobody to raise to: it logs, and begins anew
                self._failed.add(target)
                # Not `exception`: its message may quote what a patient answered.
                log.error("delivery worker failed: %s", describe(fault))  # noqa: TRY400
                self._stop.wait(RESTART_SECONDS)
