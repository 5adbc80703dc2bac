"""The job engine on PostgreSQL: procrastinate's worker, run in this process."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import psycopg
from procrastinate import App, JobContext, PsycopgConnector, exceptions
from procrastinate.jobs import Job as Delivered
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from procrastinate.worker import Worker

from callvault.adapters.jobs.deliveries import Deliveries
from callvault.domain.errors import PassingFault, StaleWrite
from callvault.domain.job import ENDED, Job, taken
from callvault.domain.unit import Unit
from callvault.ports.jobs import Again, JobKind, Outcome, Perform, Settled
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids

log = logging.getLogger(__name__)
PAUSE_SECONDS = 2.0
OPENING_SECONDS = 3.0


class Postponed(Exception):
    def __init__(self, due_ms: int) -> None:
        self.due_ms = due_ms


class AsWeSay(BaseRetryStrategy):
    """Whether and when a job is due again was decided, and written into the `Job`, by whoever performed it."""

    def get_retry_decision(self, *, exception: BaseException, job: Delivered) -> RetryDecision | None:
        if isinstance(exception, Postponed):
            return RetryDecision(retry_at=datetime.fromtimestamp(exception.due_ms / 1000, UTC))
        return RetryDecision(retry_in={"seconds": int(PAUSE_SECONDS)})


class ProcrastinateJobs:
    """`PostgresStore` defers a job in the transaction that adds it; here it is fetched, and taken in the store."""

    def __init__(
        self,
        url: str,
        store: Store,
        clock: Clock,
        ids: Ids,
        *,
        heartbeat_seconds: float = 10.0,
        lost_seconds: float = 30.0,
        poll_seconds: float = 1.0,
    ) -> None:
        self._url, self._store, self._clock, self._ids = url, store, clock, ids
        self._heartbeat_seconds, self._lost_seconds = heartbeat_seconds, lost_seconds
        self._poll_seconds = poll_seconds
        self._deliveries: Deliveries | None = None
        self._worker: Worker | None = None
        self._stopped = asyncio.Event()

    async def run(self, kinds: Mapping[str, JobKind], perform: Perform) -> None:
        while not self._stopped.is_set():
            app = App(connector=PsycopgConnector(conninfo=self._url, min_size=1, max_size=4, timeout=10))
            try:
                async with asyncio.timeout(OPENING_SECONDS):
                    await app.open_async()
                await self._work(app, kinds, perform)
            except (exceptions.ConnectorException, psycopg.Error, TimeoutError) as error:
                log.warning("the job engine waits: %s", type(error.__cause__ or error).__name__)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), PAUSE_SECONDS)
            finally:
                await app.close_async()

    def stop(self) -> None:
        self._stopped.set()
        if self._deliveries and self._worker:
            self._deliveries.stop()
            self._worker.stop()  # type: ignore[no-untyped-call]

    def wake(self) -> None:
        if self._deliveries:
            self._deliveries.wake()

    async def _work(self, app: App, kinds: Mapping[str, JobKind], perform: Perform) -> None:
        deliveries = Deliveries(app.connector, kinds, self._poll_seconds)
        app.job_manager = deliveries
        for name in kinds:
            app.task(name=name, queue=name, pass_context=True, retry=AsWeSay())(self._task(deliveries, perform))
        worker = Worker(
            app=app,
            concurrency=sum(kind.at_once for kind in kinds.values()),
            listen_notify=False,
            delete_jobs="always",
            install_signal_handlers=False,
            update_heartbeat_interval=self._heartbeat_seconds,
            stalled_worker_timeout=self._lost_seconds,
        )
        self._deliveries, self._worker = deliveries, worker
        if self._stopped.is_set():
            return
        tasks = [asyncio.create_task(self._listen(deliveries)), asyncio.create_task(self._tend(deliveries, worker))]
        try:
            await worker.run()  # type: ignore[no-untyped-call]
        finally:
            for task in tasks:
                task.cancel()

    def _task(self, deliveries: Deliveries, perform: Perform) -> Callable[[JobContext, str], Awaitable[None]]:
        async def task(context: JobContext, job_id: str) -> None:
            outcome: Outcome = Again(self._clock.now_ms())
            try:
                outcome = await self._taken(job_id, perform)
            finally:
                deliveries.performed(context.job, taken_over=outcome is Settled.TAKEN_OVER)
            if isinstance(outcome, Again):
                raise Postponed(outcome.due_ms)

        return task

    async def _taken(self, job_id: str, perform: Perform) -> Outcome:
        while True:
            now = self._clock.now_ms()
            try:
                job = await self._store.get(Job, job_id)
                if job is None or job.state in ENDED:
                    return Settled.ENDED
                if job.state == "queued" and job.due_ms > now:
                    return Again(job.due_ms)
                ours = taken(job, self._ids.uuid(), now, job.due_ms)
                unit = Unit()
                unit.change(ours)
                await self._store.commit(unit)
            except StaleWrite:
                continue
            except PassingFault:
                return Again(now + int(PAUSE_SECONDS * 1000))
            return await perform(ours)

    async def _listen(self, deliveries: Deliveries) -> None:
        async def hear(*, channel: str, notification: object) -> None:
            deliveries.wake()

        while True:
            with suppress(exceptions.ConnectorException):
                await deliveries.listen_for_jobs(on_notification=hear)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _tend(self, deliveries: Deliveries, worker: Worker) -> None:
        """Procrastinate's own heart stops at its first failure; and it leaves the lost to be found by others."""
        forgotten: set[int] = set()
        while True:
            try:
                if worker.worker_id is not None:
                    await deliveries.update_heartbeat(worker.worker_id)
                    forgotten = await self._requeue_forgotten(deliveries, worker.worker_id, forgotten)
                await self._requeue_lost(deliveries)
            except exceptions.ConnectorException as error:
                log.warning("the job engine's heart misses a beat: %s", type(error.__cause__).__name__)
            await asyncio.sleep(self._heartbeat_seconds)

    async def _requeue_lost(self, deliveries: Deliveries) -> None:
        for job in await deliveries.get_stalled_jobs(seconds_since_heartbeat=self._lost_seconds):
            await deliveries.requeue(job.id or 0)

    async def _requeue_forgotten(self, deliveries: Deliveries, worker_id: int, before: set[int]) -> set[int]:
        """What is said to be with us and is not, twice in a row: its end could not be written when it was."""
        said = await deliveries.list_jobs_async(status="doing", worker_id=worker_id)
        forgotten = {job.id for job in said if job.id is not None} - deliveries.at_hand
        for job_id in forgotten & before:
            await deliveries.requeue(job_id)
        return forgotten - before
