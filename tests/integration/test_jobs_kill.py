"""A worker process is killed in the middle of its jobs, twenty times, and no job is lost and no effect doubled."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import Iterator, Sequence
from functools import partial

import psycopg
import pytest

from callvault.domain.job import Job
from callvault.domain.query import Query
from callvault.domain.schedule import Firing
from callvault.domain.unit import Unit
from callvault.ports.store import Store
from tests.integration import mortal_workers
from tests.integration.mortal_workers import CLOCK, IDS, ONCE, STEPS, open_store
from tests.integration.processes import Workers
from tests.workhouse import until


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_database"))


@pytest.fixture
def workers(url: str) -> Iterator[Workers]:
    workers = Workers(mortal_workers.__name__, url)
    yield workers
    workers.end()


async def test_no_job_is_lost_and_no_effect_doubled_when_workers_are_killed(url: str, workers: Workers) -> None:
    store, jobs = open_store(url), dict[str, int]()
    killed_at_work, dead = 0, set[str]()
    while killed_at_work < 20:
        pid = workers.start()
        at_work = await until(partial(at_some_work, store, jobs, dead))
        workers.kill(pid)
        interrupted = at_work & await holders(store, dead)
        dead |= at_work | interrupted
        killed_at_work += bool(interrupted)
    workers.start()
    ended, effects = await all_effects(store)
    await store.close()
    assert {job.state for job in ended} == {"succeeded"}
    assert effects == jobs
    assert sum(job.attempts - 1 for job in ended) >= 20


async def test_a_worker_that_slept_through_its_leases_doubles_nothing_when_it_awakes(
    url: str, workers: Workers
) -> None:
    store, jobs = open_store(url), dict[str, int]()
    sleeper = workers.start()
    while True:
        before = await until(partial(at_some_work, store, jobs, set()))
        os.kill(sleeper, signal.SIGSTOP)
        await asyncio.sleep(0.05)
        if before & await holders(store, set()) and not sleeps_in_a_transaction(url):
            break
        os.kill(sleeper, signal.SIGCONT)
    workers.start()
    await until(lambda: none_left(store))
    os.kill(sleeper, signal.SIGCONT)
    await asyncio.sleep(0.5)
    more = await enqueue(store, 20)
    ended, effects = await all_effects(store)
    await store.close()
    assert {job.state for job in ended} == {"succeeded"}
    assert effects == jobs | more


def sleeps_in_a_transaction(url: str) -> bool:
    """Then nobody could work until the database ends it."""
    if url.startswith("postgresql:"):
        with psycopg.connect(url) as connection:
            asleep = "state LIKE 'idle in transaction%' AND datname = current_database()"
            found = connection.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {asleep}".encode())
            return bool(found.fetchall()[0][0])
    try:
        with sqlite3.connect(url, timeout=0.2) as database:
            database.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    return False


async def enqueue(store: Store, count: int) -> dict[str, int]:
    """How often each job's effect shall have happened at the end, by the jobs' ids."""
    now = CLOCK.now_ms()
    jobs = [Job(id=IDS.uuid(), workspace_id="w", kind=(ONCE, STEPS)[n % 2], created_ms=now) for n in range(count)]
    unit = Unit(jobs=jobs)
    unit.add(*(Firing(name=job.id, slot_ms=0, job_id="") for job in jobs))
    await store.commit(unit)
    return {job.id: 1 if job.kind == ONCE else 3 for job in jobs}


async def holders(store: Store, but: set[str]) -> set[str]:
    running = await store.find(Query(Job).where("state", "=", "running").by("id"))
    return {str(job.holder) for job in running} - but


async def at_some_work(store: Store, jobs: dict[str, int], but: set[str]) -> set[str]:
    """The holders of what runs now; there is always more to do, however quick the workers are."""
    if await none_left(store):
        jobs |= await enqueue(store, 60)
    return await holders(store, but)


async def none_left(store: Store) -> bool:
    return await store.count(Query(Job).where("state", "in", ("queued", "running"))) == 0


async def all_effects(store: Store) -> tuple[Sequence[Job], dict[str, int]]:
    await until(lambda: none_left(store))
    firings = await store.find(Query(Firing).by("name"))
    return await store.find(Query(Job).by("id")), {firing.name: firing.slot_ms for firing in firings}
