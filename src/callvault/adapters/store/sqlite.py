"""The store in one SQLite file: readers on the event loop's thread, one writer that commits waiting units together."""

import asyncio
import sqlite3
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from callvault.adapters.store.kinds import Fields, kind_of
from callvault.adapters.store.queries import FEW, Queries
from callvault.adapters.store.revisions import verify
from callvault.adapters.store.rows import Row, mapper
from callvault.adapters.store.sqlite_faults import fault_of
from callvault.adapters.store.sqlite_reader import SqliteReader
from callvault.adapters.store.sqlite_writer import SqliteWriter
from callvault.adapters.store.statements import Dialect
from callvault.adapters.store.units import Step, Steps, Units
from callvault.domain.errors import Fault, StoreUnavailable
from callvault.domain.query import Query
from callvault.domain.unit import Unit

T = TypeVar("T")


class SqliteUnits(Units):
    """SQLite writes anew the indexes of every column that a statement sets, changed or not; so it sets what differs."""

    def _update(self, entity: type[Any], row: Row) -> Generator[Step, Any, Fields | None]:
        of = mapper(entity)
        key = [row[of.place[name]] for name in kind_of(entity).key]
        sql = self._statements("get", entity)
        stored = yield Step(sql.text, [sql.bind(key)], "row")
        if stored is None or ("version" in of.place and stored[of.place["version"]] != row[of.place["version"]] - 1):
            return None
        names = tuple(name for name, new, old in zip(of.names, row, stored, strict=True) if new != old)
        if names:
            yield self._step(self._statements("change", entity, names), [row], entity)
        return names


class SqliteStore:
    def __init__(self, path: Path | str, *, patience_seconds: float = 10) -> None:
        """The file must have been made by `migration.migrate`. `patience_seconds`: how long another process, such as
        a command beside the server, may hold the database before a commit gives up."""
        self._path = Path(path)
        self._patience = patience_seconds
        dialect = Dialect("sqlite")
        self._queries, self._units = Queries(dialect), SqliteUnits(dialect)
        self._closed = False
        try:
            self._reader = SqliteReader(self._connect_to_read, self._fault_of)
        except sqlite3.Error as error:
            raise self._fault_of(error) from error
        self._writer = SqliteWriter(self._connect, self._fault_of)

    async def get(self, kind: type[T], *key: Any) -> T | None:
        plan, values = self._queries.get(kind, key)
        rows = await self._rows(plan.text, values)
        return plan.entity_of(rows[0]) if rows else None

    async def find(self, query: Query[T], *given: Any) -> Sequence[T]:
        plan, values = self._queries.find(query, given)
        rows = await self._reader.soon(plan.text, values)  # asked all the time, so without one more coroutine
        if rows is None:
            rows = await self._reader.in_time(plan.text, values)
        return [plan.entity_of(row) for row in rows] if len(rows) <= FEW else await plan.entities(rows)

    async def count(self, query: Query[T]) -> int:
        plan, values = self._queries.count(query)
        return int((await self._rows(plan.text, values))[0][0])

    async def commit(self, unit: Unit) -> None:
        if self._closed:
            raise StoreUnavailable(why="it is closed")
        await self._writer.commit(lambda: self._units.steps(unit))

    async def check(self) -> None:
        tables = await self._rows("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'", ())
        revisions = await self._rows("SELECT version_num FROM alembic_version", ()) if tables else []
        verify(revisions[0][0] if revisions else None)
        if self._writer.failed:
            await self._writer.commit(_written_anew)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._writer.close)
            self._reader.close()

    async def _rows(self, text: str, values: Row) -> list[Any]:
        rows = await self._reader.soon(text, values)
        return await self._reader.in_time(text, values) if rows is None else rows

    def _fault_of(self, error: sqlite3.Error) -> Fault:
        return fault_of(error, self._path)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self._path.resolve().as_uri()}?mode=rw",
            uri=True,
            timeout=self._patience,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute("PRAGMA cache_size = -16384")
        # What a savepoint would take back is otherwise written to a file, page by page.
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.create_function("lowered", 1, _lowered, deterministic=True)
        return connection

    def _connect_to_read(self) -> sqlite3.Connection:
        connection = self._connect()
        connection.execute("PRAGMA query_only = 1")
        # Every commit empties a reader's cache; the system's holds the pages anyway.
        connection.execute("PRAGMA cache_size = -2048")
        return connection


def _written_anew() -> Steps:
    """Changes nothing, and shows whether the database can be written again."""
    yield Step("UPDATE alembic_version SET version_num = version_num", [()])


def _lowered(text: str | None) -> str | None:
    """SQLite's own `lower` knows ASCII only."""
    return None if text is None else text.lower()
