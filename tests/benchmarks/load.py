"""Durable accepts under load, on both databases, beside their floor: a bare endpoint that inserts one row.

    python -m tests.benchmarks.load [--rounds 5] [--requests 480]

Sixteen clients, each on a connection of its own, post the shipped page's worked case 5 to `serve`, and the same bytes
to the bare endpoint; in every round all take turns, with fdatasync alone of one file. Everything is synced: PostgreSQL
runs with its own defaults.
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
from dataclasses import dataclass, field
from http.client import HTTPConnection
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import perf_counter
from urllib.parse import urlsplit

import psycopg

from service.fhir.json import dumps
from service.packs import load_pack, shipped_pages
from service.packs.vignettes import load_vignettes, vignette_response
from tests.benchmarks.measuring import verdict
from tests.databases import PostgresqlServer
from tests.hapi.service import serving

PAGE = "muscle-fasciculation"
CASE = "case-05"
CLIENTS = 16
GOAL_RATIO, GOAL_P99_SECONDS = 0.8, 0.05
SYNC = "fdatasync alone"
PACKAGES = ("flask", "waitress", "sqlalchemy", "psycopg")


@dataclass(slots=True)
class Loaded:
    """What is put under load: `run(n)` does n pieces of work and gives the seconds each took, and all of them.

    `floor` is the name of what it is measured against.
    """

    name: str
    run: Callable[[int], tuple[list[float], float]]
    floor: str | None = None
    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)

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
        contenders = [Loaded(SYNC, lambda count: _synced(folder / "synced", count))]
        urls = {name: (f"sqlite:///{folder / name}.db", server.url(server.create())) for name in ("bare", "serve")}
        for index, engine in enumerate(("SQLite", "PostgreSQL")):
            bare = f"bare endpoint, {engine}"
            address = stack.enter_context(_bare(urls["bare"][index]))
            contenders.append(Loaded(bare, _posting(address)))
            logs = folder / engine
            logs.mkdir()
            service = stack.enter_context(serving(logs, None, DATABASE_URL=urls["serve"][index]))
            address = f"{service.address}/fhir/QuestionnaireResponse"
            contenders.append(Loaded(f"serve, {engine}", _posting(address), floor=bare))
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
    return parser.parse_args(arguments)


def _report(contenders: Sequence[Loaded]) -> None:
    rates = {one.name: median(one.rates) for one in contenders}
    for one in contenders:
        ratio = "" if one.floor is None else f"{rates[one.name] / rates[one.floor]:6.2f} of its floor"
        p50, p99 = median(one.p50) * 1000, median(one.p99) * 1000
        print(f"{one.name:26} {rates[one.name]:8,.0f} /s   p50 {p50:7.1f} ms   p99 {p99:7.1f} ms {ratio}")
    for one in contenders:
        if one.floor is not None:
            ratio, p99 = rates[one.name] / rates[one.floor], median(one.p99)
            print(verdict(f"{one.name}: {GOAL_RATIO} of the bare endpoint: {ratio:.2f}", met=ratio >= GOAL_RATIO))
            goal = f"{one.name}: p99 under {GOAL_P99_SECONDS * 1000:.0f} ms: {p99 * 1000:.0f}"
            print(verdict(goal, met=p99 < GOAL_P99_SECONDS))


def _versions(server: PostgresqlServer) -> str:
    with closing(psycopg.connect(server.url("postgres"))) as connection:
        number = connection.info.parameter_status("server_version")
    return f"PostgreSQL {number}; " + ", ".join(f"{name} {version(name)}" for name in PACKAGES)


def _synced(file: Path, count: int) -> tuple[list[float], float]:
    """One writer that appends a page to a file and syncs it, `count` times."""
    each = []
    with file.open("ab", buffering=0) as writing:
        for _ in range(count):
            start = perf_counter()
            writing.write(bytes(4096))
            os.fdatasync(writing.fileno())
            each.append(perf_counter() - start)
    return each, sum(each)


def _posting(address: str) -> Callable[[int], tuple[list[float], float]]:
    """Posts the worked case to `address` from all clients at once."""
    parts, body = urlsplit(address), _body()
    headers = {"Content-Type": "application/fhir+json", "Prefer": "return=minimal"}

    def client(count: int) -> list[float]:
        each = []
        with closing(HTTPConnection(parts.netloc, timeout=60)) as connection:
            for _ in range(count):
                start = perf_counter()
                connection.request("POST", parts.path or "/", body, headers)
                answer = connection.getresponse()
                answer.read()
                each.append(perf_counter() - start)
                assert answer.status == 201, answer.status
        return each

    def run(requests: int) -> tuple[list[float], float]:
        start = perf_counter()
        with ThreadPoolExecutor(CLIENTS) as threads:
            each = [one for times in threads.map(client, [requests // CLIENTS] * CLIENTS) for one in times]
        return each, perf_counter() - start

    return run


def _body() -> bytes:
    pack = load_pack(shipped_pages() / PAGE)
    vignette = next(one for one in load_vignettes(shipped_pages() / PAGE) if one.name.startswith(CASE))
    return dumps({**vignette_response(pack, vignette), "subject": {"reference": "Patient/1"}}).encode()


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
