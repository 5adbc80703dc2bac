"""Brings a database's schema up to this program's: forward only, all of it or nothing, by one process at a time."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import DBAPIError

from callvault.adapters.store.revisions import known
from callvault.adapters.store.sqlite_faults import fault_of
from callvault.domain.errors import StoreTooNew, StoreUnavailable

CONNECT_SECONDS = 10
"""The driver itself would wait for ever for a server that takes the connection and says nothing."""
LOCK = 0x63616C6C7661756C
"""`callvaul`: the advisory lock that keeps two processes from migrating one PostgreSQL database at once."""


def migrate(url: str, to: str = "head") -> None:
    """Of `sqlite:///path` or `postgresql://…`; a SQLite file is made when it is not there."""
    with connected(url) as connection:
        stands = _revision(connection)
        if stands is not None and stands not in known():
            raise StoreTooNew(revision=stands)
        command.upgrade(config(connection), to)


def revision(url: str) -> str | None:
    """Where the database stands; None when it has no schema."""
    if url.startswith("sqlite:") and not _path(url).exists():
        return None
    with connected(url) as connection:
        return _revision(connection)


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A transaction in which nobody else migrates."""
    engine = _engine(url)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            yield connection
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise fault_of(error.orig, _path(url)) from error
        raise StoreUnavailable(why=str(error.orig).strip()) from error
    finally:
        engine.dispose()


def config(connection: Connection) -> Config:
    settings = Config(attributes={"connection": connection})
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return settings


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite:"):
        given = make_url(f"postgresql+psycopg://{url.partition('://')[2]}")
        return create_engine(given.set(query={"connect_timeout": str(CONNECT_SECONDS), **given.query}))
    engine = create_engine(URL.create("sqlite", database=str(_path(url))), connect_args={"timeout": 30})
    with suppress(OSError):
        _path(url).touch(0o600)
    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _path(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def _leave_transactions_to_us(connection: Any, _record: object) -> None:
    """The driver would begin none before a change of the schema, so that a broken migration stayed half done."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
