"""Builds, starts and stops a real HAPI FHIR server (the Maven project in server/) for the tests."""

import fcntl
import os
import queue
import subprocess
import threading
from pathlib import Path
from typing import IO

PROJECT = Path(__file__).parent / "server"
JAVA = (
    "java",
    # A test run is short: the second compiler and a parallel collector cost two shared cores more than they give.
    "-Xmx1g",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
)
START_SECONDS = 240
STOP_SECONDS = 60


class HapiFailed(RuntimeError):
    """HAPI was not built or did not start; the text holds the end of what it wrote."""


def build() -> None:
    """Compile the project and collect its jars under server/target, unless nothing changed since the last time.

    Raises HapiFailed with Maven's output.
    """
    target = PROJECT / "target"
    target.mkdir(exist_ok=True)
    stamp = target / "built"
    with (target / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sources = [PROJECT / "pom.xml", *(path for path in (PROJECT / "src").rglob("*") if path.is_file())]
        if stamp.exists() and all(path.stat().st_mtime < stamp.stat().st_mtime for path in sources):
            return
        maven = subprocess.run(
            ["mvn", "-q", "-B", "process-classes"], cwd=PROJECT, capture_output=True, text=True, check=False
        )
        if maven.returncode:
            raise HapiFailed(f"mvn process-classes failed:\n{maven.stdout[-4000:]}{maven.stderr[-4000:]}")
        stamp.touch()


def command(main_class: str, *properties: str) -> list[str]:
    """How a main class of the project is started, from its folder, once it is built."""
    classes = os.pathsep.join(("target/classes", "target/lib/*"))
    return [*JAVA, *properties, "-cp", classes, f"example.intake.{main_class}"]


class Hapi:
    """One HAPI server on the loopback interface; keeps its port, and with a file its data, over stop and start.

    `folder` takes the server's log. `database` is the path of an H2 file without suffix (None: in memory, gone with
    stop). `port` 0 means any free one, chosen at the first start. The process lives as long as its standard input is
    open, so it ends with the process that started it, even one that was killed.
    """

    def __init__(self, folder: Path, *, database: Path | None = None, port: int = 0) -> None:
        self.log = folder / "hapi.log"
        self._database = database
        self._port = port
        self._base_url: str | None = None
        self._process: subprocess.Popen[str] | None = None

    @property
    def base_url(self) -> str:
        """FHIR base without a slash at its end. Raises HapiFailed before the first start."""
        if self._base_url is None:
            raise HapiFailed("HAPI was not started yet: its port is not known")
        return self._base_url

    @property
    def pid(self) -> int:
        """Process id while it runs. Raises HapiFailed when it does not."""
        if self._process is None:
            raise HapiFailed("HAPI does not run")
        return self._process.pid

    def start(self) -> None:
        """Return when HAPI answers. Raises HapiFailed when it ends or is silent for START_SECONDS."""
        if self._process is not None:
            raise HapiFailed("HAPI runs already")
        build()
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                command("HapiServer", *self._properties()),
                cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        self._base_url = self._await_ready()
        self._port = int(self._base_url.rpartition(":")[2].partition("/")[0])

    def stop(self) -> None:
        """Let HAPI close its database and end; kill it when it does not. Does nothing when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        with process:
            _pipe(process.stdin).close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()

    def _properties(self) -> list[str]:
        database = [] if self._database is None else [f"-Ddatabase={self._database}"]
        return [f"-Dport={self._port}", *database]

    def _await_ready(self) -> str:
        process = self._process
        assert process is not None
        lines: queue.Queue[str] = queue.Queue()
        output = _pipe(process.stdout)
        threading.Thread(target=lambda: lines.put(output.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=START_SECONDS)
        except queue.Empty:
            line = ""
        if not line.startswith("READY "):
            self.stop()
            raise HapiFailed(f"HAPI did not start; its log ends:\n{self.log.read_text()[-4000:]}")
        return line.removeprefix("READY ").strip()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None, "the process was started with pipes"
    return stream
