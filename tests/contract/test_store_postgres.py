"""What PostgreSQL must hold besides the contract: many processes, lost connections, and the job engine's queue."""

import asyncio
import socket
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import psycopg
import pytest

from callvault.adapters.store.migration import migrate, revision
from callvault.adapters.store.postgres import PostgresStore
from callvault.domain.audit import GENESIS, AuditEntry, digest
from callvault.domain.call import Call
from callvault.domain.errors import AlreadyThere, Misconfigured, StoreTooNew, StoreUnavailable
from callvault.domain.event import Event
from callvault.domain.job import Job
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.domain.workspace import Workspace
from tests.audits import blocks
from tests.servers import PostgresServer
from tests.workhouse import until

pytestmark = pytest.mark.postgres


@pytest.fixture
async def stores(postgres_database: str) -> AsyncIterator[list[PostgresStore]]:
    """As in three processes."""
    opened = [PostgresStore(postgres_database, connections=4) for _ in range(3)]
    yield opened
    await asyncio.gather(*(store.close() for store in opened))


@pytest.fixture
def store(stores: list[PostgresStore]) -> PostgresStore:
    return stores[0]


def unit_of(*entities: object) -> Unit:
    unit = Unit()
    unit.add(*entities)
    return unit


def workspace(id: str, **given: Any) -> Workspace:
    return Workspace(**{"id": id, "name": id, "created_ms": 1} | given)


def call(id: str, **given: Any) -> Call:
    facts = {"id": id, "workspace_id": "w", "public_id": f"call_{id}", "created_ms": 1, "updated_ms": 1}
    return Call(**facts | given)


def ask(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


async def waits_for_a_lock(url: str) -> bool:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await asyncio.to_thread(ask, url, waiting))


async def test_processes_share_one_count_one_chain_and_one_order_of_events(stores: list[PostgresStore]) -> None:
    seen: list[str] = []
    ended = 0

    async def write(n: int) -> None:
        nonlocal ended
        for k in range(8):
            unit = unit_of(call(f"{n}-{k}"))
            unit.tell(Event(id=f"{n}-{k}", workspace_id="w", type="call.created", created_ms=1))
            unit.note(AuditEntry("w", f"c:{n}-{k}", at_ms=1, actor="a", action="b"))
            await stores[n % 3].commit(unit)
        ended += 1

    async def follow() -> None:
        position = 0
        while True:
            last_look = ended == 18
            query = Query(Event).where("position", ">", position).by("position").page(5)
            news = await stores[1].find(query)
            seen.extend(e.id for e in news)
            position = news[-1].position if news else position
            if last_look and not news:
                return

    await asyncio.gather(follow(), *map(write, range(18)))
    assert len(seen) == len(set(seen)) == 18 * 8
    assert [c.chat_id for c in await stores[2].find(Query(Call).by("chat_id"))] == list(range(1, 18 * 8 + 1))
    previous = GENESIS
    for block in await blocks(stores[0]):
        previous = digest(block, previous)
        assert block.digest == previous


async def test_an_event_is_not_seen_before_those_that_come_before_it(
    store: PostgresStore, postgres_database: str
) -> None:
    """While a unit with an event waits for its commit, no later event can be committed, let alone read."""
    with psycopg.connect(postgres_database) as slow:
        slow.execute("INSERT INTO counters VALUES ('events', 1) ON CONFLICT (name) DO UPDATE SET value = 1")
        unit = Unit()
        unit.tell(Event(id="later", workspace_id="w", type="call.created", created_ms=1))
        later = asyncio.create_task(store.commit(unit))
        await until(partial(waits_for_a_lock, postgres_database))
        assert not later.done()
        assert await store.count(Query(Event)) == 0
    await later
    assert [e.position for e in await store.find(Query(Event))] == [2]


async def test_a_queued_job_is_handed_to_procrastinate_in_the_same_transaction(
    store: PostgresStore, postgres_database: str
) -> None:
    due_ms = 1_900_000_000_500
    unit = Unit()
    unit.enqueue(
        Job(id="j1", workspace_id="w", kind="transcribe", created_ms=1, priority=7, due_ms=due_ms),
        Job(id="j2", workspace_id="w", kind="redact", created_ms=2000),
    )
    await store.commit(unit)
    failing = unit_of(workspace("w"), workspace("w"))
    failing.enqueue(Job(id="j3", workspace_id="w", kind="transcribe", created_ms=1))
    with pytest.raises(AlreadyThere):
        await store.commit(failing)
    query = "SELECT task_name, args, priority, extract(epoch FROM scheduled_at)::float, status FROM procrastinate_jobs"
    assert ask(postgres_database, f"{query} ORDER BY id") == [
        ("transcribe", {"job_id": "j1"}, 7, due_ms / 1000, "todo"),
        ("redact", {"job_id": "j2"}, 0, 2.0, "todo"),
    ]


async def test_a_unit_that_postgres_takes_back_to_end_a_deadlock_is_begun_again(
    store: PostgresStore, postgres_database: str
) -> None:
    await store.commit(unit_of(workspace("w"), call("c")))
    unit = Unit()
    unit.bump(workspace("w"), link_seconds_max=1)
    unit.bump(call("c"), created_ms=1)
    with psycopg.connect(postgres_database, options="-c deadlock_timeout=30s") as other:
        other.execute("UPDATE calls SET created_ms = created_ms + 10")
        commit = asyncio.create_task(store.commit(unit))
        await until(partial(waits_for_a_lock, postgres_database))
        await asyncio.to_thread(other.execute, "UPDATE workspaces SET link_seconds_max = link_seconds_max + 10")
        assert not commit.done()
    await commit
    ended = await store.get(Workspace, "w"), await store.get(Call, "c")
    assert [ended[0] and ended[0].link_seconds_max, ended[1] and ended[1].created_ms] == [86_411, 12]


async def test_a_connection_lost_in_a_unit_is_told_and_nothing_has_happened(
    store: PostgresStore, postgres_server: PostgresServer, postgres_database: str
) -> None:
    await store.commit(unit_of(workspace("w")))
    with psycopg.connect(postgres_database) as other:
        other.execute("UPDATE workspaces SET name = 'held'")
        unit = unit_of(call("c"))
        unit.put(workspace("w", name="new"))
        commit = asyncio.create_task(store.commit(unit))
        await until(partial(waits_for_a_lock, postgres_database))
        postgres_server.disconnect(postgres_database)
        with pytest.raises(StoreUnavailable):
            await commit
        other.rollback()
    assert await store.get(Workspace, "w") == workspace("w")
    assert await store.count(Query(Call)) == 0
    await store.commit(unit)
    assert await store.count(Query(Call)) == 1


async def test_a_server_that_is_away_is_told_by_every_method(own_postgres_server: PostgresServer) -> None:
    url = own_postgres_server.create()
    migrate(url)
    store = PostgresStore(url)
    await store.commit(unit_of(workspace("w")))
    own_postgres_server.kill()
    requests = (
        store.get(Workspace, "w"),
        store.find(Query(Workspace)),
        store.count(Query(Workspace)),
        store.commit(unit_of(workspace("v"))),
        store.check(),
    )
    for request in requests:
        with pytest.raises(StoreUnavailable):
            await request
    await store.close()
    with pytest.raises(StoreUnavailable):
        migrate(url)


def test_a_server_that_takes_connections_and_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(StoreUnavailable):
        migrate(f"postgresql://vault@127.0.0.1:{silent.getsockname()[1]}/vault?connect_timeout=2")


async def test_a_database_that_does_not_exist_is_told(postgres_server: PostgresServer) -> None:
    store = PostgresStore(postgres_server.url("nowhere"))
    with pytest.raises(StoreUnavailable, match="nowhere"):
        await store.check()


async def test_a_closed_store_says_so(postgres_database: str) -> None:
    for ask_first in (True, False):
        store = PostgresStore(postgres_database)
        if ask_first:
            await store.check()
        await store.close()
        with pytest.raises(StoreUnavailable, match="clos"):
            await store.get(Workspace, "w")


async def test_check_tells_a_database_without_schema_and_one_from_the_future(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    with pytest.raises(Misconfigured, match="callvault migrate"):
        await store.check()
    with pytest.raises(StoreUnavailable):
        await store.get(Workspace, "w")
    migrate(postgres_url)
    await store.check()
    ask(postgres_url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreTooNew, match="9999"):
        await store.check()
    with pytest.raises(StoreTooNew, match="9999"):
        migrate(postgres_url)
    await store.close()


async def test_two_processes_may_migrate_at_once(postgres_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(migrate, postgres_url) for _ in range(3)))
    store = PostgresStore(postgres_url)
    await store.check()
    await store.close()
    assert revision(postgres_url)
