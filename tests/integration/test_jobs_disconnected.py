"""PostgreSQL lets go of every connection, again and again, and the job engine on it loses and doubles nothing."""

import asyncio
from pathlib import Path

import pytest

from callvault.adapters.store.postgres import PostgresStore
from callvault.domain.errors import StoreUnavailable
from callvault.domain.job import Job
from callvault.domain.query import Query
from callvault.domain.schedule import Firing
from callvault.domain.unit import Unit
from callvault.ports.jobs import JobKind, Progress
from tests.integration.mortal_workers import CLOCK, IDS, engine
from tests.servers import PostgresServer
from tests.workhouse import PATIENCE_SECONDS, WorkHouse, until


@pytest.mark.postgres
async def test_the_engine_outlives_its_connections(postgres_server: PostgresServer, postgres_database: str) -> None:
    store = PostgresStore(postgres_database)
    house = WorkHouse(store, lambda: engine(postgres_database, store), CLOCK, IDS)

    async def count(job: Job, progress: Progress) -> None:
        await asyncio.sleep(0.05)
        unit = Unit()
        unit.bump(Firing(name=job.id, slot_ms=0, job_id=""), slot_ms=1)
        await progress.finish(unit)

    jobs = [house.job("n", due_ms=CLOCK.now_ms()) for _ in range(80)]
    unit = Unit(jobs=jobs)
    unit.add(*(Firing(name=job.id, slot_ms=0, job_id="") for job in jobs))
    await store.commit(unit)
    async with house.working(JobKind("n", count, at_once=4, attempts=50)):
        for _ in range(4):
            await asyncio.sleep(0.2)
            postgres_server.disconnect(postgres_database)
        await until(lambda: all_ended(store))
    firings = await store.find(Query(Firing).by("name"))
    await store.close()
    assert [firing.slot_ms for firing in firings] == [1] * 80


async def test_an_engine_whose_server_is_away_waits_and_can_be_stopped(tmp_path: Path) -> None:
    nowhere = f"postgresql://postgres@/nothing?host={tmp_path}"
    store = PostgresStore(nowhere, patience_seconds=1)
    house = WorkHouse(store, lambda: engine(nowhere, store), CLOCK, IDS)
    async with asyncio.timeout(PATIENCE_SECONDS):
        async with house.working(JobKind("n", nothing)):
            await asyncio.sleep(0.2)
    await store.close()


async def nothing(job: Job, progress: Progress) -> None:
    return None


async def all_ended(store: PostgresStore) -> bool:
    try:
        return await store.count(Query(Job).where("state", "!=", "succeeded")) == 0
    except StoreUnavailable:
        return False
