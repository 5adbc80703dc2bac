"""The worker: performs what the engine hands it, watches over what runs, and does its duties, until it is stopped."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

from callvault.domain.errors import Fault, PassingFault
from callvault.domain.job import Job, cancelled, failed, handed_back, pause_ms, postponed, succeeded
from callvault.domain.query import Query
from callvault.domain.schedule import Schedule
from callvault.ports.jobs import Again, Duty, JobEngine, JobKind, Outcome, Settled
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.worker.run import Change, Run, TakenOver
from callvault.worker.schedules import Schedules

log = logging.getLogger(__name__)
WATCH_SECONDS = 1.0
PAUSE_SECONDS = 5.0
"""After what nobody expected."""
UNSETTLED_MS = 30_000
TO_HAND_BACK_SECONDS = 1.5
UNEXPECTED = ("internal_error", "an error of the program: the log has more")


class Worker:
    """`kinds` are the jobs that it can run; those of other kinds are left to others."""

    def __init__(
        self,
        engine: JobEngine,
        store: Store,
        kinds: Iterable[JobKind],
        *,
        clock: Clock,
        ids: Ids,
        schedules: Sequence[Schedule] = (),
        duties: Sequence[Duty] = (),
    ) -> None:
        self._engine, self._store, self._clock, self._ids = engine, store, clock, ids
        self._kinds = {kind.name: kind for kind in kinds}
        firing = Duty("schedules", Schedules(schedules, store, clock, ids).fire_due)
        watching = Duty("cancellations", self._watch, WATCH_SECONDS)
        self._duties = (watching, *([firing] if schedules else []), *duties)
        self._runs: dict[str, Run] = {}
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """Works until `stop`."""
        duties = [asyncio.create_task(self._do(duty)) for duty in self._duties]
        try:
            while not self._stopping:
                await self._survive("the engine", lambda: self._engine.run(self._kinds, self._perform))
        finally:
            for task in duties:
                task.cancel()
            await asyncio.gather(*duties, return_exceptions=True)

    async def stop(self, within_seconds: float = 8.0) -> None:
        """Takes no new job, waits for the running ones, hands back those that are not ready in time."""
        self._stopping = True
        self._engine.stop()
        try:
            await asyncio.wait_for(self._idle.wait(), within_seconds)
        except TimeoutError:
            for run in list(self._runs.values()):
                run.interrupt("stopping")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), TO_HAND_BACK_SECONDS)

    async def _perform(self, job: Job) -> Outcome:
        run = Run(job, self._store, self._clock)
        key = run.holder or job.id
        self._runs[key] = run
        self._idle.clear()
        if self._stopping:
            run.interrupt("stopping")
        try:
            change = await self._outcome(run, self._kinds[job.kind])
            return await self._settle(run, change)
        finally:
            del self._runs[key]
            if not self._runs:
                self._idle.set()

    async def _outcome(self, run: Run, kind: JobKind) -> Change:
        """How the job changes by what became of the run."""
        job, now = run.job, self._clock.now_ms
        if job.cancel_requested:
            return lambda job: cancelled(job, now())
        if job.attempts > kind.attempts:
            return lambda job: failed(job, "worker_lost", "its worker was lost too often while running it", now())
        try:
            result = await run.perform(kind.run(job, run))
        except asyncio.CancelledError as error:
            if run.interrupted or _is_cancelled():
                return partial(cancelled if run.interrupted == "cancelled" else handed_back, now_ms=now())
            return self._after(error, job, kind)
        except Exception as error:  # noqa: BLE001
            return self._after(error, job, kind)
        return lambda job: succeeded(job, result or {}, now())

    def _after(self, error: BaseException, job: Job, kind: JobKind) -> Change:
        now = self._clock.now_ms()
        code, why = (error.code, str(error.outside())) if isinstance(error, Fault) else UNEXPECTED
        if isinstance(error, PassingFault) and job.attempts < kind.attempts:
            log.warning("job %s of kind %s waits: %s", job.id, job.kind, error)
            due_ms = now + pause_ms(job.attempts, int.from_bytes(self._ids.secret(2), "big") / 0xFFFF)
            return lambda job: postponed(job, code, why, now, due_ms)
        told = error if isinstance(error, Fault) else _where(error)
        log.error("job %s of kind %s failed: %s: %s", job.id, job.kind, code, told)
        return lambda job: failed(job, code, why, now)

    async def _settle(self, run: Run, change: Change) -> Outcome:
        """Writes what became of the run; when even that fails, the job is taken up again as one whose worker died."""
        if run.finished:
            return Settled.ENDED
        try:
            await run.amend(change)
        except TakenOver:
            return Settled.TAKEN_OVER
        except Exception as error:  # noqa: BLE001
            log.error("the end of job %s cannot be written: %s", run.job.id, _where(error))
            return Again(self._clock.now_ms() + UNSETTLED_MS)
        return Again(run.job.due_ms) if run.job.state == "queued" else Settled.ENDED

    async def _watch(self) -> bool:
        """Interrupts what was cancelled, and what is held by others by now."""
        runs = {run.job.id: run for run in self._runs.values()}
        for job in await self._store.find(Query(Job).where("id", "in", list(runs)).by("id")) if runs else ():
            run = runs[job.id]
            if job.holder != run.holder:
                run.interrupt("lost")
            elif job.cancel_requested:
                run.interrupt("cancelled")
        return False

    async def _do(self, duty: Duty) -> None:
        more = False
        while True:
            await asyncio.sleep(0 if more else duty.every_seconds)
            more = bool(await self._survive(f"the duty {duty.name!r}", duty.run))

    async def _survive(self, what: str, work: Callable[[], Awaitable[object]]) -> object:
        """What goes wrong here must not end the worker."""
        try:
            return await work()
        except PassingFault as fault:
            log.warning("%s waits: %s", what, fault)
        except Exception as error:  # noqa: BLE001
            log.error("%s failed: %s", what, _where(error))
        await asyncio.sleep(PAUSE_SECONDS)
        return None


def _is_cancelled() -> bool:
    """Whether the task that runs now is being cancelled from outside."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _where(error: BaseException) -> str:
    """The kind of error and its place; not its text, which may hold what no log may."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {frames[-1].filename}:{frames[-1].lineno}" if frames else type(error).__name__
