"""A store with an engine over it and a worker on that, for the tests of jobs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from callvault.adapters.system import SystemClock, SystemIds
from callvault.domain.job import ENDED, Job
from callvault.domain.unit import Unit
from callvault.ports.jobs import JobEngine, JobKind
from callvault.ports.store import Store
from callvault.worker import Worker

PATIENCE_SECONDS = 60
CLOCK, IDS = SystemClock(), SystemIds()


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (found := await condition()):
            await asyncio.sleep(0.01)
        return found


@dataclass
class WorkHouse:
    store: Store
    engine: Callable[[], JobEngine]
    clock: Any = CLOCK
    ids: Any = IDS

    def job(self, kind: str, **fields: Any) -> Job:
        now = self.clock.now_ms()
        return Job(**{"id": self.ids.uuid(), "workspace_id": "w", "kind": kind, "created_ms": now, **fields})

    async def enqueue(self, *jobs: Job) -> None:
        await self.store.commit(Unit(jobs=list(jobs)))

    async def stored(self, job: Job) -> Job:
        found = await self.store.get(Job, job.id)
        assert found
        return found

    async def ended(self, *jobs: Job) -> list[Job]:
        async def all_ended() -> list[Job]:
            found = [await self.stored(job) for job in jobs]
            return found if all(job.state in ENDED for job in found) else []

        return await until(all_ended)

    def worker(self, kinds: Iterable[JobKind], **more: Any) -> Worker:
        return Worker(self.engine(), self.store, kinds, clock=self.clock, ids=self.ids, **more)

    @asynccontextmanager
    async def working(self, *kinds: JobKind, **more: Any):
        worker = self.worker(kinds, **more)
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            await worker.stop(2)
            await asyncio.wait_for(running, PATIENCE_SECONDS)
