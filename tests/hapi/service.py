"""Our own service as people run it: `symptom-intake` in processes of its own, with settings in the environment."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import requests
from sqlalchemy import NullPool, create_engine, make_url, text

from tests.hapi.client import FhirClient, Json

COMMAND = Path(sys.executable).with_name("symptom-intake")
PATIENCE_SECONDS = 90.0
POLL_SECONDS = 0.05

T = TypeVar("T")


class ServiceFailed(RuntimeError):
    """The service, or a command of it, did not do its work; the text holds what it wrote."""


def eventually(probe: Callable[[], T], holds: Callable[[T], bool] = bool, seconds: float = PATIENCE_SECONDS) -> T:
    """The first value of `probe` that `holds`. Raises TimeoutError with the last one when none did in time."""
    deadline = time.monotonic() + seconds
    while not holds(value := probe()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"Still {value!r} after {seconds} s")
        time.sleep(POLL_SECONDS)
    return value


@dataclass(frozen=True, slots=True)
class OutboxLine:
    """A line of `outbox list`."""

    id: int
    state: str
    attempts: int
    problem: str


class Service:
    """One database, and `symptom-intake serve` on it; keeps its port over kill and start.

    `folder` takes the database and the log. `settings` are settings by their name after SYMPTOM_INTAKE_; nothing of the
    environment of the tests reaches the service but PATH. `port` 0 means any free one, chosen at the first start. It
    runs in a process group of its own.
    """

    def __init__(self, folder: Path, fhir_server_url: str | None, *, port: int = 0, **settings: object) -> None:
        self.log = folder / "service.log"
        self.settings: dict[str, object] = {
            "DATABASE_URL": f"sqlite:///{folder / 'intake.db'}",
            "FHIR_SERVER_URL": fhir_server_url or "",
            "DELIVERY_POLL_SECONDS": POLL_SECONDS,
            **settings,
        }
        self._port = port
        self._http = requests.Session()
        self._process: subprocess.Popen[bytes] | None = None
        self._fhir: FhirClient | None = None

    @property
    def fhir(self) -> FhirClient:
        """A client of its FHIR API. Raises ServiceFailed before the first start."""
        if self._fhir is None:
            raise ServiceFailed("The service was not started yet: its port is not known")
        return self._fhir

    @property
    def address(self) -> str:
        """Where it listens, such as http://127.0.0.1:8000. Raises ServiceFailed before the first start."""
        return self.fhir.base_url.removesuffix("/fhir")

    @property
    def pid(self) -> int:
        """Process id, and id of the process group, while it runs. Raises ServiceFailed when it does not."""
        if self._process is None:
            raise ServiceFailed("The service does not run")
        return self._process.pid

    def start(self, *arguments: str) -> None:
        """Return when it listens. Raises ServiceFailed when it ends instead, TimeoutError when it is silent."""
        if self._process is not None:
            raise ServiceFailed("The service runs already")
        with self.log.open("ab") as log:
            begin = log.tell()
            self._process = subprocess.Popen(
                [COMMAND, "serve", "--port", str(self._port), *arguments],
                env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0,
            )  # fmt: skip
        address = eventually(lambda: self._announced(begin))
        self._port = int(address.rpartition(":")[2])
        if self._fhir is None:
            self._fhir = FhirClient(f"{address}/fhir")

    def kill(self) -> None:
        """End it as kill -9 does, and every process it started."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end, as SIGTERM does; its exit code."""
        return self._end(signal.SIGTERM)

    def close(self) -> None:
        """Kill it if it runs, and close the connections to it."""
        if self._process is not None:
            self.kill()
        if self._fhir is not None:
            self._fhir.close()
        self._http.close()

    def command(self, *arguments: str) -> str:
        """What a command on the same database writes. Raises ServiceFailed when its exit code is not 0."""
        done = subprocess.run(
            [COMMAND, *arguments], env=self.environment(), capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode != 0:
            raise ServiceFailed(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command on the same database that goes on; it writes to the log, and the caller ends it."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [COMMAND, *arguments], env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def environment(self) -> dict[str, str]:
        """The environment that its processes run in."""
        named = {f"SYMPTOM_INTAKE_{name}": str(value) for name, value in self.settings.items()}
        return {"PATH": os.environ["PATH"], **named}

    def ready(self) -> tuple[int, Json]:
        """Status and body of /health/ready."""
        answer = self._http.get(f"{self.address}/health/ready", timeout=30)
        return answer.status_code, answer.json()

    def reasons(self) -> str:
        """Why it is not ready, or only with a warning; "" when all is well."""
        return " ".join(check.get("reason", "") for check in self.ready()[1]["checks"]).strip()

    def metric(self, name: str) -> dict[str, float]:
        """Values of a metric by its labels as written (`state="dead",target="…"`)."""
        written = self._http.get(f"{self.address}/metrics", timeout=30).text
        samples = re.findall(rf"^symptom_intake_{name}(?:{{(.*)}})? (\S+)$", written, re.MULTILINE)
        return {labels: float(value) for labels, value in samples}

    def outbox(self) -> Counter[str]:
        """Number of deliveries by state, as the database has them."""
        url = make_url(str(self.settings["DATABASE_URL"]))
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        with create_engine(url, poolclass=NullPool).connect() as connection:
            rows = connection.execute(text("SELECT state, count(*) AS number FROM letter GROUP BY state"))
            return Counter({row.state: row.number for row in rows})

    def await_outbox(self, **counts: int) -> None:
        """Return when there are exactly these deliveries by state. Raises TimeoutError telling what there is."""
        eventually(self.outbox, lambda found: +found == Counter(counts))

    def await_settled(self) -> Counter[str]:
        """The deliveries by state, once none is pending or under way."""
        return eventually(self.outbox, lambda found: not found["pending"] + found["leased"])

    def outbox_line(self, response_id: str) -> OutboxLine:
        """What `outbox list` tells of the delivery of a response. Raises StopIteration when it tells nothing."""
        lines = self.command("outbox", "list", "--limit", "10000").splitlines()
        fields = next(line for line in lines if response_id in line).split(maxsplit=5)
        return OutboxLine(int(fields[0]), fields[1], int(fields[2]), fields[5] if len(fields) > 5 else "")

    def letter(self, letter_id: int) -> Json:
        """What `outbox show` tells."""
        shown: Json = json.loads(self.command("outbox", "show", str(letter_id)))
        return shown

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            raise ServiceFailed("The service does not run")
        os.killpg(process.pid, number)
        try:
            return process.wait(PATIENCE_SECONDS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _announced(self, begin: int) -> str | None:
        """Where it says it listens, in what it wrote from byte `begin` of the log on."""
        written = self.log.read_bytes()[begin:].decode()
        found = re.search(r"serves (http://\S+?)/ ", written)
        if found is None and self._process is not None and self._process.poll() is not None:
            self._process = None
            raise ServiceFailed(f"The service did not start:\n{written}")
        return None if found is None else found[1]


@contextmanager
def serving(folder: Path, fhir_server_url: str | None, *, port: int = 0, **settings: object) -> Iterator[Service]:
    """Our service, started; killed at the end."""
    service = Service(folder, fhir_server_url, port=port, **settings)
    try:
        service.start()
        yield service
    finally:
        service.close()
