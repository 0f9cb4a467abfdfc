"""The rate of deliveries to a real HAPI FHIR server, beside a bare loop that posts ready-made Bundles like them.

    python -m tests.benchmarks.delivery [--rounds 5] [--responses 40] [--workers 1] [--kept 1000000]

In every round take turns, now one first and now the other: as many workers as one delivery process has for a server
(one), or as told, that deliver what was accepted before; and as many threads that post with `requests` what such
responses come to, made beforehand. With --kept the workers' database has kept so many delivered responses.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import requests

from service.bootstrap import Services, start
from service.cli.serving import settle_memory
from service.config import load_settings
from service.fhir.json import Json, dumps
from service.packs import load_pack, shipped_pages
from service.packs.vignettes import load_vignettes, vignette_response
from service.records.bundle import transaction_bundle
from service.records.outbox import State
from service.records.parcel import parcel_of
from service.records.submission import Sender
from tests.benchmarks.kept import keep
from tests.benchmarks.measuring import verdict
from tests.hapi.client import FhirClient, synthetic_patient
from tests.hapi.hapi import Hapi

PAGE = "muscle-fasciculation"
CASE = "case-05"
GOAL = 0.9


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; always 0."""
    options = _options(arguments)
    with TemporaryDirectory() as name:
        folder = Path(name)
        hapi = Hapi(folder)
        try:
            hapi.start()
            with closing(FhirClient(hapi.base_url)) as client, synthetic_patient(client) as patient:
                ours, bare = _measured(folder, hapi.base_url, _response(patient.reference), options)
        finally:
            hapi.stop()
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; {PAGE}, {CASE}")
    print(f"requests {version('requests')}; {options.responses} responses a round, {options.rounds} rounds")
    print(f"workers, {options.kept:,} kept {median(ours):8.1f} /s; {options.workers} of them")
    print(f"bare loops {' ' * 10} {median(bare):8.1f} /s; as many")
    ratio = median(ours) / median(bare)
    print(verdict(f"deliveries at {GOAL} of the bare loop: {ratio:.2f}", met=ratio >= GOAL))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Deliveries to HAPI, beside a bare loop.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--responses", type=int, default=40)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kept", type=int, default=0)
    return parser.parse_args(arguments)


def _response(subject: str) -> Json:
    pack = load_pack(shipped_pages() / PAGE)
    vignette = next(one for one in load_vignettes(shipped_pages() / PAGE) if one.name.startswith(CASE))
    return {**vignette_response(pack, vignette), "subject": {"reference": subject}}


def _measured(
    folder: Path, server: str, response: Json, options: argparse.Namespace
) -> tuple[list[float], list[float]]:
    """Deliveries and bare posts a second, of each round but the first, which warms up."""
    delivering, preparing = (_services(folder / f"{name}.db", server) for name in ("delivering", "preparing"))
    if options.kept:
        delivering.intake.submit(response, Sender("benchmark", idempotency_key="first"))
        keep(delivering.store.url, options.kept)
    ours: list[float] = []
    bare: list[float] = []
    for number in range(options.rounds + 1):
        _accept(delivering, response, options.responses)
        bundles = _bundles(preparing, server, response, options.responses)
        settle_memory()
        contenders = [
            (ours, lambda: _delivered(delivering, server, options.workers)),
            (bare, lambda bundles=bundles: _posted(bundles, server, options.workers)),
        ]
        for rates, run in contenders if number % 2 else reversed(contenders):
            rate = options.responses / run()
            if number:
                rates.append(rate)
    delivering.store.close()
    preparing.store.close()
    return ours, bare


def _services(file: Path, server: str) -> Services:
    return start(load_settings(database_url=f"sqlite:///{file}", packs=(shipped_pages(),), fhir_server_url=server))


def _accept(services: Services, response: Json, number: int) -> list[str]:
    """The ids of so many responses, accepted now."""
    return [services.intake.submit(response, Sender("benchmark")).id for _ in range(number)]


def _bundles(services: Services, server: str, response: Json, number: int) -> list[bytes]:
    """The transactions of responses that nobody delivers."""
    store = services.store
    letters = [store.letters_of(one)[0] for one in _accept(services, response, number)]
    parcels = [parcel_of(store.outstanding(letter), ()) for letter in letters]
    return [dumps(transaction_bundle(parcel)).encode() for parcel in parcels]


def _delivered(services: Services, server: str, workers: int) -> float:
    """Seconds until so many workers have delivered all that waits."""

    def work() -> None:
        delivery = services.delivery(server)
        while (report := delivery.run_once()) is not None:
            assert report.letter.state is State.DELIVERED, report.letter.problem

    return _together([work] * workers)


def _posted(bundles: Sequence[bytes], server: str, threads: int) -> float:
    """Seconds until so many threads have posted all `bundles`."""

    def work(mine: Sequence[bytes]) -> None:
        headers = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
        with requests.Session() as session:
            for bundle in mine:
                answer = session.post(server, data=bundle, headers=headers, timeout=60)
                assert answer.status_code == 200, answer.text

    return _together([lambda part=bundles[index::threads]: work(part) for index in range(threads)])


def _together(works: Sequence[Callable[[], None]]) -> float:
    threads = [threading.Thread(target=work) for work in works]
    begin = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main())
