"""Retention on both databases: swept by several at once, and by workers that are killed in the middle of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from callvault.domain.event import Event
from callvault.domain.job import Job
from callvault.domain.query import Query
from callvault.domain.recording import Derivation, Recording
from callvault.domain.unit import Unit
from callvault.ports.store import Store
from callvault.services.retention import SWEEP
from tests.audits import audited
from tests.integration import mortal_keepers
from tests.integration.mortal_keepers import retention
from tests.integration.mortal_workers import CLOCK, IDS, open_store
from tests.integration.processes import Workers
from tests.workhouse import until

EXPIRED, DELETED = "recording.expired", "recording.autoDeleted"
FAMILIES = 60


class Step:
    """A `Progress` that commits at once."""

    def __init__(self, store: Store) -> None:
        self.commit = store.commit


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_database"))


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = open_store(url)
    yield store
    await store.close()


@pytest.fixture
def workers(url: str) -> Iterator[Workers]:
    workers = Workers(mortal_keepers.__name__, url)
    yield workers
    workers.end()


async def families(store: Store) -> tuple[set[str], set[str], set[str]]:
    """Recordings whose times have passed, each with a version; of every third the version is held, and of every other
    third the time is still to come. The ids of all that shall expire, of all that shall be deleted, and of the rest."""
    now = CLOCK.now_ms()
    expiring, doomed, kept = set[str](), set[str](), set[str]()
    for n in range(FAMILIES):
        held, later = n % 3 == 1, n % 3 == 2
        of = {"workspace_id": "w", "call_id": f"c{n}", "created_ms": now, "updated_ms": now, "last_heard_ms": now}
        due = now + 3_600_000 if later else now - n
        original = Recording(id=IDS.uuid(), **of, expires_ms=due, auto_delete_ms=due)
        version = Recording(id=IDS.uuid(), **of, derived_from=(original.id,), operation="trim", held=held)
        unit = Unit()
        unit.add(original, version, Derivation(parent_id=original.id, child_id=version.id, workspace_id="w"))
        await store.commit(unit)
        (kept if held or later else doomed).update((original.id, version.id))
        expiring.update(() if later else (original.id,))
    return expiring, doomed, kept


async def told(store: Store, kind: str) -> Counter[str | None]:
    return Counter(event.recording_id for event in await store.find(Query(Event).where("type", "=", kind).by("id")))


async def check(store: Store, expiring: set[str], doomed: set[str], kept: set[str]) -> None:
    """Each was told once, with its audit entry and its state; each family that went has one purge."""
    assert await told(store, EXPIRED) == Counter(expiring)
    assert await told(store, DELETED) == Counter(doomed)
    things = [entry.thing for entry in await audited(store)]
    assert Counter(things) == Counter(f"recording:{name}" for name in [*expiring, *doomed])
    gone = await store.find(Query(Recording).where("deleted_ms", "is not null").by("id"))
    assert {recording.id for recording in gone} == doomed
    living = await store.find(Query(Recording).where("deleted_ms", "is null").by("id"))
    assert {recording.id for recording in living} == kept
    purges = await store.find(Query(Job).where("kind", "=", "purge").by("id"))
    purged = [name for job in purges for name in job.arguments["recordings"]]  # type: ignore[union-attr]
    assert Counter(purged) == Counter(doomed)


async def test_several_that_sweep_at_once_tell_everything_once(url: str, store: Store) -> None:
    wanted = await families(store)
    stores = [open_store(url) for _ in range(3)]
    job = Job(id=IDS.uuid(), workspace_id="", kind=SWEEP, created_ms=CLOCK.now_ms())
    done = await asyncio.gather(*(retention(each).sweep(job, Step(each)) for each in stores))  # type: ignore[arg-type]
    for each in stores:
        await each.close()
    assert sum(result["expired"] for result in done) == len(wanted[0])  # type: ignore[misc]
    await check(store, *wanted)


async def test_workers_that_are_killed_lose_nothing_and_tell_nothing_twice(store: Store, workers: Workers) -> None:
    wanted = await families(store)
    so_far = 0
    for _ in range(6):
        pid = workers.start()
        await until(partial(further, store, so_far))
        workers.kill(pid)
        so_far = await count(store)
    workers.start()
    await until(lambda: ended(store, len(wanted[0]) + len(wanted[1])))
    await check(store, *wanted)


async def count(store: Store) -> int:
    return await store.count(Query(Event).where("type", "in", (EXPIRED, DELETED)))


async def further(store: Store, than: int) -> bool:
    """Something was told, or nothing is left to be told."""
    return await count(store) > than or await store.count(Query(Job).where("state", "=", "succeeded")) > 0


async def ended(store: Store, events: int) -> bool:
    return await count(store) >= events
