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


EMPTY = """
    SET session_replication_role = replica;
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
            EXECUTE format('DELETE FROM %I', name);
        END LOOP;
    END $$
"""
"""Much quicker than TRUNCATE where there is little to delete."""


@pytest.fixture
def postgres_database(postgres_of_this_worker: str) -> str:
    with psycopg.connect(postgres_of_this_worker) as connection:
        connection.execute(EMPTY)
    return postgres_of_this_worker
