"""The job engine over any store: the jobs' table is the queue, and a worker holds a job for as long as its lease."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from callvault.domain.errors import Fault, StaleWrite
from callvault.domain.job import Job, taken
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.ports.jobs import JobKind, Perform
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids

log = logging.getLogger(__name__)


class LeasedJobs:
    """For the workers of one machine, which find each other's jobs by looking.

    A running job is due when its lease ends; whoever comes first takes it then, and the store's check of versions
    lets one alone have it. A process that was suspended for longer than its lease finds that its jobs are others'.
    """

    def __init__(
        self, store: Store, clock: Clock, ids: Ids, *, lease_seconds: float = 30.0, poll_seconds: float = 1.0
    ) -> None:
        self._store, self._clock, self._ids = store, clock, ids
        self._lease_ms, self._poll_seconds = int(lease_seconds * 1000), poll_seconds
        self._held: dict[str, tuple[Job, asyncio.Task[None]]] = {}
        self._woken = asyncio.Event()
        self._stopping = False

    async def run(self, kinds: Mapping[str, JobKind], perform: Perform) -> None:
        renewing = asyncio.create_task(self._renew())
        try:
            while not self._stopping:
                self._woken.clear()
                if not await self._start_due(kinds, perform):
                    await self._wait(self._poll_seconds)
            await self._performed()
        finally:
            for _, task in self._held.values():
                task.cancel()
            await self._performed()
            renewing.cancel()

    def stop(self) -> None:
        self._stopping = True
        self._woken.set()

    def wake(self) -> None:
        self._woken.set()

    async def _start_due(self, kinds: Mapping[str, JobKind], perform: Perform) -> bool:
        """Whether there may be more at once."""
        try:
            started = await self._take(await self._due(self._room(kinds)))
        except Fault as fault:
            log.warning("no job can be taken: %s", fault)
            return False
        for job in started:
            self._held[job.id] = job, asyncio.create_task(self._hold(job, perform))
        return bool(started)

    def _room(self, kinds: Mapping[str, JobKind]) -> dict[str, int]:
        running = Counter(job.kind for job, _ in self._held.values())
        return {name: kind.at_once - running[name] for name, kind in kinds.items() if kind.at_once > running[name]}

    async def _due(self, room: dict[str, int]) -> list[Job]:
        if not room:
            return []
        now = self._clock.now_ms()
        lost = Query(Job).where("kind", "in", list(room)).where("state", "=", "running").where("due_ms", "<=", now)
        candidates = await self._store.find(lost.by("due_ms", "id").page(sum(room.values())))
        found = [job for job in candidates if job.id not in self._held]
        for kind, most in room.items():
            queued = Query(Job).where("kind", "=", kind).where("state", "=", "queued").where("due_ms", "<=", now)
            found += await self._store.find(queued.by("-priority", "due_ms", "id").page(most))
        return _fitting(found, room)

    async def _take(self, due: Sequence[Job]) -> list[Job]:
        """Those that nobody else was quicker to take."""
        now = self._clock.now_ms()
        wanted = [taken(job, self._ids.uuid(), now, now + self._lease_ms) for job in due]
        if not wanted or await self._changed(*wanted):
            return wanted
        had = await asyncio.gather(*(self._changed(job) for job in wanted))
        return [job for job, was_had in zip(wanted, had, strict=True) if was_had]

    async def _changed(self, *jobs: Job) -> bool:
        unit = Unit()
        unit.change(*jobs)
        try:
            await self._store.commit(unit)
        except StaleWrite:
            return False
        return True

    async def _hold(self, job: Job, perform: Perform) -> None:
        try:
            await perform(job)
        finally:
            del self._held[job.id]
            self._woken.set()

    async def _performed(self) -> None:
        while self._held:
            await asyncio.wait([task for _, task in self._held.values()])

    async def _renew(self) -> None:
        told = False
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            try:
                await self._renew_once()
                told = False
            except Fault as fault:
                if not told:
                    log.warning("the leases of running jobs are not renewed: %s", fault)
                told = True

    async def _renew_once(self) -> None:
        holders = {job.id: job.holder for job, _ in self._held.values()}
        if not holders:
            return
        jobs = await self._store.find(Query(Job).where("id", "in", list(holders)).by("id"))
        until = self._clock.now_ms() + self._lease_ms
        ours = [job for job in jobs if job.holder == holders[job.id]]
        await asyncio.gather(*(self._changed(replace(job, due_ms=until, version=job.version + 1)) for job in ours))

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)


def _fitting(jobs: Sequence[Job], room: dict[str, int]) -> list[Job]:
    """As many of each kind as there is room for."""
    left, fitting = dict(room), []
    for job in jobs:
        if left.get(job.kind, 0) > 0:
            left[job.kind] -= 1
            fitting.append(job)
    return fitting
