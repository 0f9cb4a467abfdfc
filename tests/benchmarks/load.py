"""Durable accepts under load, on both databases, beside their floors.

    python -m tests.benchmarks.load [--rounds 5] [--requests 480] [--kept 1000000]

Sixteen clients, each on a connection of its own, post the shipped page's worked case 5 to `serve`, which keeps it with
what follows from it, and leaves its delivery to others. In every round take turns with it: a bare endpoint that inserts
the same bytes as one row; the rows of such responses, made beforehand, written by one thread without HTTP, one response
a commit and sixteen; two `serve` on one database of PostgreSQL; and fdatasync alone. With --kept `serve` runs also on
databases that have kept so many responses. Everything is synced: PostgreSQL runs with its own defaults.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.client import HTTPConnection
from importlib.metadata import version
from itertools import count, cycle
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import psycopg

from service.adapters.accepting import write_acceptance
from service.adapters.database import Database
from service.bootstrap import start
from service.config import load_settings
from service.fhir.json import dumps, parse_object
from service.packs import load_pack, shipped_pages
from service.packs.vignettes import load_vignettes, vignette_response
from service.records.ports import Acceptance
from service.records.submission import Sender
from tests.benchmarks.kept import keep
from tests.benchmarks.measuring import verdict
from tests.databases import PostgresqlServer
from tests.hapi.service import Service

PAGE = "muscle-fasciculation"
CASE = "case-05"
CLIENTS = 16
PATIENT = b"Patient/example"
TARGET = "http://127.0.0.1:1/fhir"
GOAL_RATIO, GOAL_P99_SECONDS, GOAL_KEPT = 0.8, 0.05, 1.2
SYNC = "fdatasync alone"
PACKAGES = ("flask", "waitress", "sqlalchemy", "psycopg")


@dataclass(slots=True)
class Loaded:
    """What is put under load: `run(n)` does n pieces of work and gives the seconds each took, and all of them.

    `floor` is the name of what it is measured against; `goals` says how it did beside that.
    """

    name: str
    run: Callable[[int], tuple[list[float], float]]
    floor: str | None = None
    goals: Callable[[Loaded, Loaded], Iterator[str]] = lambda one, floor: iter(())
    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Pieces of work a second, the median of the rounds."""
        return median(self.rates)

    def measure(self, requests: int) -> None:
        """One round."""
        each, whole = self.run(requests)
        cuts = quantiles(each, n=100, method="inclusive")
        self.rates.append(len(each) / whole)
        self.p50.append(cuts[49])
        self.p99.append(cuts[98])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; always 0."""
    options = _options(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        server = PostgresqlServer(durable=True)
        stack.callback(server.stop)
        server.start()
        contenders = [Loaded(SYNC, partial(_synced, folder / "synced"))]
        for engine in ("SQLite", "PostgreSQL"):

            def url(name: str, engine: str = engine) -> str:
                return f"sqlite:///{folder / name}.db" if engine == "SQLite" else server.url(server.create())

            bare = f"bare endpoint, {engine}"
            contenders.append(Loaded(bare, _posting(stack.enter_context(_bare(url("bare"))))))
            for size in (1, CLIENTS):
                rows = stack.enter_context(_writing(url(f"rows-{size}"), size))
                contenders.append(Loaded(f"rows alone, {size} a commit, {engine}", rows))
            alone = f"serve, {engine}"
            contenders.append(Loaded(alone, _served(stack, url("serve")), bare, _beside_bare))
            if engine == "PostgreSQL":
                contenders.append(Loaded(f"two of serve, {engine}", _served(stack, url("two"), 2), alone))
            if options.kept:
                kept = _served(stack, _filled(url("kept"), options.kept))
                contenders.append(Loaded(f"serve, {engine}, {options.kept:,} kept", kept, alone, _beside_empty))
        print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; {PAGE}, {CASE}")
        print(f"{_versions(server)}; {CLIENTS} clients, {options.requests} requests a round, {options.rounds} rounds")
        # The first round warms up and does not count.
        for number in range(options.rounds + 1):
            for one in contenders:
                one.measure(options.requests)
                if number == 0:
                    one.rates, one.p50, one.p99 = [], [], []
    _report(contenders)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Durable accepts under load, beside their floor.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=480)
    parser.add_argument("--kept", type=int, default=0)
    return parser.parse_args(arguments)


def _report(contenders: Sequence[Loaded]) -> None:
    named = {one.name: one for one in contenders}
    for one in contenders:
        ratio = "" if one.floor is None else f"   {one.rate / named[one.floor].rate:5.2f} of {one.floor}"
        p50, p99 = median(one.p50) * 1000, median(one.p99) * 1000
        print(f"{one.name:36} {one.rate:8,.0f} /s   p50 {p50:7.1f} ms   p99 {p99:7.1f} ms{ratio}")
    for one in contenders:
        if one.floor is not None:
            for line in one.goals(one, named[one.floor]):
                print(line)


def _beside_bare(one: Loaded, bare: Loaded) -> Iterator[str]:
    ratio, p99 = one.rate / bare.rate, median(one.p99)
    yield verdict(f"{one.name}: {GOAL_RATIO} of the bare endpoint: {ratio:.2f}", met=ratio >= GOAL_RATIO)
    goal = f"{one.name}: p99 under {GOAL_P99_SECONDS * 1000:.0f} ms: {p99 * 1000:.0f}"
    yield verdict(goal, met=p99 < GOAL_P99_SECONDS)


def _beside_empty(one: Loaded, empty: Loaded) -> Iterator[str]:
    cost = empty.rate / one.rate
    yield verdict(f"{one.name}: {GOAL_KEPT} times the cost of an empty one: {cost:.2f}", met=cost <= GOAL_KEPT)


def _versions(server: PostgresqlServer) -> str:
    with closing(psycopg.connect(server.url("postgres"))) as connection:
        number = connection.info.parameter_status("server_version")
    return f"PostgreSQL {number}; " + ", ".join(f"{name} {version(name)}" for name in PACKAGES)


def _synced(file: Path, times: int) -> tuple[list[float], float]:
    """One writer that appends a page to a file and syncs it, so many times."""
    each = []
    with file.open("ab", buffering=0) as writing:
        for _ in range(times):
            start = perf_counter()
            writing.write(bytes(4096))
            os.fdatasync(writing.fileno())
            each.append(perf_counter() - start)
    return each, sum(each)


def _served(stack: ExitStack, url: str, processes: int = 1) -> Callable[[int], tuple[list[float], float]]:
    """Posts to so many `serve` on one database, which leave deliveries to others."""
    addresses = []
    for _ in range(processes):
        folder = Path(stack.enter_context(TemporaryDirectory()))
        service = Service(folder, TARGET, DATABASE_URL=url)
        stack.callback(service.close)
        service.start("--no-deliver")
        addresses.append(f"{service.address}/fhir/QuestionnaireResponse")
    return _posting(*addresses)


def _filled(url: str, responses: int) -> str:
    """`url`, once the database there has kept so many responses."""
    services = start(load_settings(database_url=url, packs=(shipped_pages(),), fhir_server_url=TARGET))
    services.intake.submit(parse_object(_body()), Sender("load", idempotency_key="first"))
    services.store.close()
    keep(url, responses)
    return url


@contextmanager
def _writing(url: str, size: int) -> Iterator[Callable[[int], tuple[list[float], float]]]:
    """Writes the rows of responses that were accepted beforehand, `size` of them a commit, in this thread."""
    services = start(load_settings(database_url=url, packs=(shipped_pages(),)))
    body = parse_object(_body())

    def run(responses: int) -> tuple[list[float], float]:
        accepted = _Accepted(services.store)
        intake = replace(services.intake, store=accepted)
        for _ in range(responses):
            intake.submit(body, Sender("load"))
        each: list[float] = []
        begin = perf_counter()
        for group in _batched(accepted.acceptances, size):
            begin_of_group = perf_counter()
            with services.store._write() as connection:
                for acceptance in group:
                    write_acceptance(connection, acceptance)
            # Each of a group is acknowledged when all of it is committed.
            each.extend([perf_counter() - begin_of_group] * len(group))
        return each, perf_counter() - begin

    yield run
    services.store.close()


class _Accepted:
    """A store that reads, but keeps what is accepted in memory."""

    def __init__(self, store: Database) -> None:
        self._store = store
        self.acceptances: list[Acceptance] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def accept(self, acceptance: Acceptance) -> None:
        self.acceptances.append(acceptance)


def _batched(items: Sequence[Acceptance], size: int) -> Iterator[Sequence[Acceptance]]:
    """`items` in groups of `size`."""
    return (items[index : index + size] for index in range(0, len(items), size))


def _posting(*addresses: str) -> Callable[[int], tuple[list[float], float]]:
    """Posts the worked case from all clients at once, to each address from as many."""
    body, patients = _body(), count(1)
    headers = {"Content-Type": "application/fhir+json", "Prefer": "return=minimal"}

    def client(requests: int, address: str) -> list[float]:
        parts, each = urlsplit(address), []
        with closing(HTTPConnection(parts.netloc, timeout=60)) as connection:
            for _ in range(requests):
                sent = body.replace(PATIENT, f"Patient/{next(patients)}".encode())
                start = perf_counter()
                connection.request("POST", parts.path or "/", sent, headers)
                answer = connection.getresponse()
                answer.read()
                each.append(perf_counter() - start)
                assert answer.status == 201, answer.status
        return each

    def run(requests: int) -> tuple[list[float], float]:
        start = perf_counter()
        with ThreadPoolExecutor(CLIENTS) as threads:
            shares = threads.map(client, [requests // CLIENTS] * CLIENTS, cycle(addresses))
            each = [one for times in shares for one in times]
        return each, perf_counter() - start

    return run


def _body() -> bytes:
    pack = load_pack(shipped_pages() / PAGE)
    vignette = next(one for one in load_vignettes(shipped_pages() / PAGE) if one.name.startswith(CASE))
    return dumps({**vignette_response(pack, vignette), "subject": {"reference": PATIENT.decode()}}).encode()


@contextmanager
def _bare(database_url: str) -> Iterator[str]:
    """The address of a bare endpoint in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.bare", database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


if __name__ == "__main__":
    sys.exit(main())
