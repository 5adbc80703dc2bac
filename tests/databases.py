"""Databases at the newest revision, empty: a SQLite file and a PostgreSQL database for each test that asks."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from callvault.adapters.store.migration import migrate
from tests.servers import PostgresServer


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "vault.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sqlite_template, tmp_path / "vault.db"))


@pytest.fixture(scope="session")
def postgres_of_this_worker(postgres_server: PostgresServer) -> Iterator[str]:
    url = postgres_server.create()
    migrate(url)
    yield url
    postgres_server.drop(url)


@pytest.fixture
def postgres_database(postgres_of_this_worker: str) -> str:
    with psycopg.connect(postgres_of_this_worker) as connection:
        named = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        tables = [name for (name,) in connection.execute(named) if name != "alembic_version"]
        connection.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE".encode())
    return postgres_of_this_worker
