"""Processes of our service that start within milliseconds, so that they can be killed and started over and over.

One process loads the code and the pages, and forks for each command: `python -m tests.faults.forks` reads commands as
JSON arrays, one a line, and writes the process id of each. A fork runs the command as `symptom-intake` does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.hapi.service import eventually


class Forks:
    """A context manager: what it started and nobody killed is killed at the end. `log` takes what they write."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log
        self._running: set[int] = set()

    def __enter__(self) -> Forks:
        with self._log.open("ab") as log:
            self._parent = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.forks"],
                env={**self._environment, "PYTHONPATH": str(Path(__file__).parents[2])},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in list(self._running):
            self.kill(pid)
        self._parent.communicate()

    def start(self, *command: str) -> int:
        """Begin a command; its process id."""
        stdin, stdout = self._parent.stdin, self._parent.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(command) + "\n")
        stdin.flush()
        pid = int(stdout.readline())
        self._running.add(pid)
        return pid

    def kill(self, pid: int) -> None:
        """End it as kill -9 does; return when it is gone."""
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{pid}").exists())
        self._running.discard(pid)


def _serve_commands() -> None:
    from service import cli
    from service.bootstrap import published_packs, services
    from service.config import load_settings

    packs = published_packs(load_settings())
    services.published_packs = lambda settings: packs
    # Nobody waits for the forks: the system forgets them when they end.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(2, 1)
            cli.main(json.loads(line))
        print(pid, flush=True)


if __name__ == "__main__":
    _serve_commands()
