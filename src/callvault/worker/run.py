"""One run of a job: what it is told by its handler goes into the store only while the job is its own."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from callvault.domain.errors import StaleWrite
from callvault.domain.ids import Json
from callvault.domain.job import Job, succeeded
from callvault.domain.unit import Unit
from callvault.ports.store import Store
from callvault.ports.system import Clock

Change = Callable[[Job], Job]
Result = dict[str, Json] | None
REPORT_SECONDS = 1.0


class TakenOver(Exception):
    """Another run holds the job, or nobody does any more."""


class Run:
    """Is the `Progress` that the job's handler is given."""

    def __init__(self, job: Job, store: Store, clock: Clock) -> None:
        self.job, self.holder = job, job.holder
        self.finished = False
        self.interrupted: str | None = None
        """Why it shall stop: `cancelled`, `lost` or `stopping`."""
        self._store, self._clock = store, clock
        self._work: asyncio.Future[Result] | None = None
        self._reported = clock.monotonic()

    async def perform(self, work: Awaitable[Result]) -> Result:
        self._work = asyncio.ensure_future(work)
        if self.interrupted:
            self._work.cancel()
        return await self._work

    def interrupt(self, why: str) -> None:
        self.interrupted = self.interrupted or why
        if self._work:
            self._work.cancel()

    async def report(self, fraction: float) -> None:
        self._must_go_on()
        now, progress = self._clock.monotonic(), min(max(fraction, 0.0), 1.0)
        if now - self._reported >= REPORT_SECONDS:
            self._reported = now
            await self._step(Unit(), lambda job: replace(job, progress=progress, version=job.version + 1))

    async def commit(self, unit: Unit) -> None:
        self._must_go_on()
        await self._step(unit, lambda job: replace(job, version=job.version + 1))

    async def finish(self, unit: Unit, result: Result = None) -> None:
        self._must_go_on()
        await self._step(unit, lambda job: succeeded(job, result or {}, self._clock.now_ms()))
        self.finished = True

    async def amend(self, change: Change, unit: Unit | None = None) -> None:
        """Commits the change of the job, as it stands by now, with the unit; `TakenOver` when it is not ours."""
        given = unit or Unit()
        while True:
            changed = change(self.job)
            whole = replace(given, writes=list(given.writes))
            whole.change(changed)
            try:
                await self._store.commit(whole)
            except StaleWrite:
                if not await self._reread():
                    raise
            else:
                self.job = changed
                return

    async def _reread(self) -> bool:
        """Whether it was the job that was stale."""
        stored, known = await self._store.get(Job, self.job.id), self.job.version
        if stored is None or stored.holder != self.holder:
            raise TakenOver
        self.job = stored
        return stored.version != known

    async def _step(self, unit: Unit, change: Change) -> None:
        try:
            await self.amend(change, unit)
        except TakenOver:
            self.interrupted = self.interrupted or "lost"
        self._must_go_on()

    def _must_go_on(self) -> None:
        if self.interrupted:
            raise asyncio.CancelledError
