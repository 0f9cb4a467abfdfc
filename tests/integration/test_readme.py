"""Every command of README runs as it stands there, from first to last, or is named below with the reason why not."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.databases import PostgresqlServer
from tests.hapi.service import eventually

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent

NOT_RUN = {
    "python3 -m venv .venv && .venv/bin/pip install": "needs a package registry; .ci/run does it from the lock file",
    "tests/run": "runs this test; tests/hapi --fhir-server is how tests/run runs them, with its own server",
    "POSTGRES_PASSWORD=choose-one docker compose": "needs a container engine; tests/test_compose.py reads the file",
    ".venv/bin/pip install": "needs a package registry",
}
"""How commands begin that no test runs, and why."""


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that stand together and share a shell: its exports hold to its end."""

    exports: dict[str, str]
    commands: tuple[str, ...]


def _blocks() -> Iterator[Block]:
    """What README shows as commands: indented by four spaces, continued by a backslash."""
    without_fences = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    for text in re.findall(r"(?:^ {4}\S.*\n)(?:^ {4,}\S.*\n)*", without_fences, re.MULTILINE):
        lines = [line.strip() for line in text.replace("\\\n", " ").splitlines()]
        exports = dict(shlex.split(line)[1].split("=", 1) for line in lines if line.startswith("export "))
        yield Block(exports, tuple(line for line in lines if not line.startswith("export ")))


def _is_run(command: str) -> bool:
    return not any(command.startswith(beginning) for beginning in NOT_RUN)


def test_every_command_that_is_not_run_stands_in_readme() -> None:
    commands = [command for block in _blocks() for command in block.commands]
    for beginning in NOT_RUN:
        assert any(command.startswith(beginning) for command in commands), beginning


@dataclass(slots=True)
class Shell:
    """Runs the commands of README one after another. What serves goes on beside the others, until the next one does."""

    places: dict[str, str]
    environment: dict[str, str]
    log: Path
    address: str = ""

    def run(self, command: str, exports: dict[str, str]) -> None:
        """Run `command` to its end."""
        done = subprocess.run(
            ["bash", "-c", self._placed(command)],
            cwd=ROOT, env=self._environment(exports), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    @contextmanager
    def serve(self, command: str, exports: dict[str, str]) -> Iterator[None]:
        """Run `command`, which goes on until it is told to stop."""
        port = " --port 0" if re.search(r"\bserve\b", command) else ""
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                ["bash", "-c", f"exec env {self._placed(command)}{port}"],
                cwd=ROOT, env=self._environment(exports), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            eventually(lambda: self._has_begun(process, command))
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, self.log.read_text()

    def _has_begun(self, process: "subprocess.Popen[bytes]", command: str) -> bool:
        told = self.log.read_text()
        assert process.poll() is None, f"{command}\n{told}"
        if found := re.search(r"serves (http://\S+?)/ ", told):
            self.address = found[1]
        return re.search(r"^(Delivering|Responses wait|No FHIR server)", told, re.MULTILINE) is not None

    def _placed(self, text: str) -> str:
        for told, real in {**self.places, "http://localhost:8000": self.address}.items():
            text = text.replace(told, real)
        return text

    def _environment(self, exports: dict[str, str]) -> dict[str, str]:
        return {**self.environment, **{name: self._placed(value) for name, value in exports.items()}}


def test_every_other_command_runs(tmp_path: Path, postgresql: PostgresqlServer, fhir_server: str) -> None:
    (tmp_path / ".curlrc").write_text("fail-with-body\nsilent\n")
    empty = "restored_from_readme"
    postgresql.execute(f"CREATE DATABASE {empty} TEMPLATE template0")
    places = {
        ".venv/bin/": f"{BIN}/",
        "http://localhost:8080/fhir": fhir_server,
        "postgresql://intake@db.example.org/restored?sslmode=verify-full": postgresql.url(empty),
        "~/.local/share/": f"{tmp_path}/",
        "/var/backups/": f"{tmp_path}/",
        "my-pages": str(tmp_path / "my-pages"),
        "postgresql://intake@db.example.org/intake?sslmode=verify-full": postgresql.url(postgresql.create()),
    }
    home = {"HOME": str(tmp_path), "CURL_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    shell = Shell(places, {"PATH": os.environ["PATH"], **home}, tmp_path / "log")
    ran = 0
    with ExitStack() as going_on:
        for block in _blocks():
            for command in filter(_is_run, block.commands):
                if re.search(r"symptom-intake (serve|deliver)\b", command):
                    going_on.close()
                    going_on.enter_context(shell.serve(command, block.exports))
                else:
                    shell.run(command, block.exports)
                ran += 1
    assert ran > 10
