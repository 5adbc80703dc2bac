"""The store in PostgreSQL, for any number of processes: a pool of connections, one transaction a unit."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import asyncpg

from callvault.adapters.store.queries import Queries
from callvault.adapters.store.revisions import verify
from callvault.adapters.store.rows import Row
from callvault.adapters.store.statements import Dialect
from callvault.adapters.store.units import Step, Steps, Units
from callvault.domain.errors import AlreadyThere, Malformed, StoreUnavailable
from callvault.domain.job import Job
from callvault.domain.query import Query
from callvault.domain.unit import Unit

T = TypeVar("T")

DEFER = """
    SELECT procrastinate_defer_jobs_v1(ARRAY[ROW(
        $1::varchar, $1::varchar, $2::integer, NULL, NULL,
        jsonb_build_object('job_id', $3::text), to_timestamp($4::double precision / 1000)
    )::procrastinate_job_to_defer_v1])
"""
"""Procrastinate's queue and its task have the name of the job's kind; the task is told its `job_id`."""

ATTEMPTS = 8
"""How often a unit is begun again after PostgreSQL took it back for the sake of another, with nothing done."""

SETTINGS = {
    "application_name": "callvault",
    "idle_in_transaction_session_timeout": "20000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""A node that vanishes within a unit lets go of its locks in half a minute."""


class PostgresUnits(Units):
    """A queued job is handed to procrastinate as well, in the same transaction."""

    def _enqueue(self, jobs: Sequence[Job]) -> Steps:
        yield from super()._enqueue(jobs)
        if jobs:
            yield Step(DEFER, [(job.kind, job.priority, job.id, float(job.due_ms or job.created_ms)) for job in jobs])


class Unadorned(asyncpg.Connection):  # type: ignore[misc]
    """We leave nothing behind on a connection that would have to be reset, at the price of a round trip."""

    def get_reset_query(self) -> str:
        return ""


class PostgresStore:
    def __init__(self, url: str, *, connections: int = 10, patience_seconds: float = 10) -> None:
        """`patience_seconds`: how long to wait for a connection."""
        self._url = url
        self._connections = connections
        self._patience = patience_seconds
        dialect = Dialect("postgresql")
        self._queries, self._units = Queries(dialect), PostgresUnits(dialect)
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def get(self, kind: type[T], *key: Any) -> T | None:
        plan, values = self._queries.get(kind, key)
        rows = await self._rows(plan.text, values)
        return plan.entity_of(rows[0]) if rows else None

    async def find(self, query: Query[T], *given: Any) -> Sequence[T]:
        plan, values = self._queries.find(query, given)
        return await plan.entities(await self._rows(plan.text, values))

    async def count(self, query: Query[T]) -> int:
        plan, values = self._queries.count(query)
        return int((await self._rows(plan.text, values))[0][0])

    async def commit(self, unit: Unit) -> None:
        with _faults():
            for _ in range(ATTEMPTS):
                try:
                    async with self._connection() as connection, connection.transaction():
                        return await _run(connection, self._units.steps(unit))
                except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
                    continue
        raise StoreUnavailable(why="too many changes of the same things at once")

    async def check(self) -> None:
        tables = await self._rows("SELECT to_regclass('alembic_version')", ())
        revisions = await self._rows("SELECT version_num FROM alembic_version", ()) if tables[0][0] else []
        verify(revisions[0][0] if revisions else None)

    async def close(self) -> None:
        self._closed = True
        if self._pool:
            await self._pool.close()

    async def _rows(self, text: str, values: Row) -> list[Any]:
        with _faults():
            async with self._connection() as connection:
                with _values():
                    return list(await connection.fetch(text, *values))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        pool = self._pool or await self._open()
        async with pool.acquire(timeout=self._patience) as connection:
            yield connection

    async def _open(self) -> asyncpg.Pool:
        async with self._opening:
            if self._closed:
                raise StoreUnavailable(why="it is closed")
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=1,
                    max_size=self._connections,
                    timeout=self._patience,
                    command_timeout=60,
                    statement_cache_size=1024,
                    connection_class=Unadorned,
                    server_settings=SETTINGS,
                )
            return self._pool


async def _run(connection: Any, steps: Steps) -> None:
    step = None
    try:
        step = next(steps)
        while True:
            step = steps.send(await _answer(connection, step))
    except StopIteration:
        return
    except asyncpg.UniqueViolationError:
        raise AlreadyThere(what=step.noun if step else "entry") from None


async def _answer(connection: Any, step: Step) -> Any:
    with _values():
        if len(step.rows) > 1:
            return await connection.executemany(step.text, step.rows)
        if step.answer == "row":
            return await connection.fetchrow(step.text, *step.rows[0])
        status = await connection.execute(step.text, *step.rows[0])
        return int(status.rpartition(" ")[2]) if step.answer == "count" else None


@contextmanager
def _values() -> Iterator[None]:
    """Around nothing but calls of asyncpg, which says `ValueError` where a value does not fit its type."""
    try:
        yield
    except (asyncpg.DataError, ValueError):
        raise Malformed(what="value", why="the database cannot hold it") from None


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except UNAVAILABLE as error:
        raise StoreUnavailable(why=str(error) or type(error).__name__) from error


UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.CannotConnectNowError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.SyntaxOrAccessError,
)
