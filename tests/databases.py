"""The databases that tests run on: a file of SQLite, or a database of a PostgreSQL server that a run starts once."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

from service.adapters.database import open_database

_TEMPLATE = "intake"
_UNSYNCED = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off"


class PostgresqlServer:
    """A server of Debian's binaries on a Unix socket, its files thrown away at the end.

    Unless it is `durable` it syncs nothing, for speed: no test cuts the power. It refuses to run as root; then it runs
    as `postgres`, whom Debian's package brings.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="intake-pg-"))
        self._user = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        self._numbers = count(1)
        self._durable = durable

    def start(self) -> None:
        """Return when it takes connections. Raises CalledProcessError."""
        self._run("initdb", "--auth=trust", "--username=tests", "--encoding=UTF8", "--locale=C", "--no-sync")
        options = f"-h '' -k {self._folder} -c max_connections=200 {'' if self._durable else _UNSYNCED}"
        self._run("pg_ctl", "start", "-w", "-s", "-o", options, "-l", str(self._folder / "log"))
        self.execute(f"CREATE DATABASE {_TEMPLATE}")
        open_database(self.url(_TEMPLATE)).close()

    def stop(self) -> None:
        """End it and remove its files."""
        if (self._folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-s", "-m", "immediate")
        shutil.rmtree(self._folder)

    def url(self, name: str) -> str:
        """The address of a database."""
        return f"postgresql://tests@/{name}?host={self._folder}"

    def execute(self, statement: str) -> None:
        """Carry out a statement about databases."""
        with closing(psycopg.connect(self.url("postgres"), autocommit=True)) as connection:
            connection.execute(statement.encode())

    def create(self) -> str:
        """The name of a new database with the tables of this release."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def end_connections(self, url: str) -> None:
        """Throw out whoever is connected to the database at `url`."""
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database_name(url)}'")

    @contextmanager
    def closed(self, url: str) -> Iterator[None]:
        """Nobody is connected to the database at `url`, or comes in, while the block runs."""
        self.execute(f"ALTER DATABASE {database_name(url)} ALLOW_CONNECTIONS false")
        self.end_connections(url)
        yield
        self.execute(f"ALTER DATABASE {database_name(url)} ALLOW_CONNECTIONS true")

    def _run(self, program: str, *arguments: str) -> None:
        installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda path: int(path.parts[4]))
        subprocess.run(
            [installed[-1] if installed else program, "-D", self._folder / "data", *arguments],
            user=self._user.pw_uid, group=self._user.pw_gid, extra_groups=[] if os.geteuid() == 0 else None,
            cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip


def database_name(url: str) -> str:
    """The name of the database at a `url` of `PostgresqlServer`."""
    return url.partition("?")[0].rpartition("/")[2]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """One PostgreSQL for the whole run."""
    server = PostgresqlServer()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def postgresql_url(postgresql: PostgresqlServer) -> Iterator[str]:
    """A PostgreSQL database for this test alone."""
    name = postgresql.create()
    yield postgresql.url(name)
    postgresql.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database for this test alone, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'intake.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url
