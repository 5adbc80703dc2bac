"""Worker processes made to be killed: run as a program it forks one for each line on its standard input."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from callvault.adapters.jobs.leased import LeasedJobs
from callvault.adapters.jobs.procrastinated import ProcrastinateJobs
from callvault.adapters.store.postgres import PostgresStore
from callvault.adapters.store.sqlite import SqliteStore
from callvault.adapters.system import SystemClock, SystemIds
from callvault.domain.job import Job
from callvault.domain.schedule import Firing
from callvault.domain.unit import Unit
from callvault.ports.jobs import JobEngine, JobKind, Progress
from callvault.ports.store import Store
from callvault.worker import Worker

ONCE, STEPS = "once", "steps"
CLOCK, IDS = SystemClock(), SystemIds()


def open_store(url: str) -> Store:
    return PostgresStore(url) if url.startswith("postgresql:") else SqliteStore(Path(url))


def engine(url: str, store: Store) -> JobEngine:
    if url.startswith("postgresql:"):
        return ProcrastinateJobs(url, store, CLOCK, IDS, heartbeat_seconds=0.2, lost_seconds=0.7, poll_seconds=0.05)
    return LeasedJobs(store, CLOCK, IDS, lease_seconds=0.6, poll_seconds=0.05)


async def work(url: str) -> None:
    store = open_store(url)

    async def once(job: Job, progress: Progress) -> None:
        """An effect that must not happen twice, with the job's end."""
        await asyncio.sleep(0.03)
        unit = Unit()
        unit.bump(Firing(name=job.id, slot_ms=0, job_id=""), slot_ms=1)
        await progress.finish(unit)

    async def steps(job: Job, progress: Progress) -> None:
        """Three effects, each a step that knows whether it is done."""
        for step in range(3):
            await asyncio.sleep(0.01)
            done = await store.get(Firing, job.id)
            if done and done.slot_ms == step:
                unit = Unit()
                unit.change(Firing(name=job.id, slot_ms=step + 1, job_id="", version=done.version + 1))
                await progress.commit(unit)

    kinds = [JobKind(ONCE, once, at_once=3, attempts=100), JobKind(STEPS, steps, at_once=3, attempts=100)]
    await Worker(engine(url, store), store, kinds, clock=CLOCK, ids=IDS).run()


def forked(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            asyncio.run(work())
        print(pid, flush=True)


if __name__ == "__main__":
    forked(lambda: work(sys.argv[1]))
