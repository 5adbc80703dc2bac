"""Workers that send webhooks are killed while they do, and everything is told at least once, under one id each."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from callvault.adapters.store.sqlite import SqliteStore
from callvault.domain.event import Event
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.domain.webhook import Delivery, WebhookEndpoint
from tests.callhouse import caller
from tests.integration import mortal_webhooks
from tests.integration.mortal_webhooks import CLOCK, IDS, webhooks
from tests.integration.processes import Workers
from tests.receiver import Receiver, receiving
from tests.workhouse import until


@pytest.fixture
def workers(sqlite_database: Path) -> Iterator[Workers]:
    workers = Workers(mortal_webhooks.__name__, str(sqlite_database))
    yield workers
    workers.end()


async def test_everything_is_told_at_least_once_though_workers_are_killed(
    sqlite_database: Path, workers: Workers
) -> None:
    store = SqliteStore(sqlite_database)
    async with receiving() as receiver:
        hooks = webhooks(store, sqlite_database.parent)
        endpoint = (await hooks.endpoints.create(caller(), receiver.url())).endpoint
        events: list[Event] = []
        for _ in range(6):
            events += await tell(store, 12)
            pid, heard = workers.start(), len(receiver.received)
            await until(lambda heard=heard: some_more(receiver, heard))
            workers.kill(pid)
        workers.start()
        await until(lambda: all_told(store, len(events)))
    stored = await store.get(WebhookEndpoint, endpoint.id)
    await store.close()
    ids = {received.json["data"]["id"]: set() for received in receiver.received}
    for received in receiver.received:
        ids[received.json["data"]["id"]].add(received.headers["webhook-id"])
    assert ids.keys() == {event.id for event in events}
    assert {len(messages) for messages in ids.values()} == {1}
    assert stored
    assert stored.enabled


async def tell(store: SqliteStore, count: int) -> list[Event]:
    unit, now = Unit(), CLOCK.now_ms()
    unit.tell(*(Event(id=IDS.uuid(), workspace_id="w", type="a.b", created_ms=now) for _ in range(count)))
    await store.commit(unit)
    return unit.events


async def some_more(receiver: Receiver, heard: int) -> bool:
    await asyncio.sleep(0.002)
    return len(receiver.received) >= heard + 3


async def all_told(store: SqliteStore, events: int) -> bool:
    return await store.count(Query(Delivery).where("state", "=", "delivered")) == events
