"""Procrastinate's hand-out of jobs, made fair: it waits for a kind that has room, and lets go of what others hold."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from procrastinate import exceptions, jobs, manager
from procrastinate.connector import BaseConnector
from psycopg.errors import ForeignKeyViolation

from callvault.ports.jobs import JobKind

log = logging.getLogger(__name__)


class Deliveries(manager.JobManager):
    """A queue for each kind; none is asked of which as many jobs run as may.

    Whoever has lost a job to another worker must not end or requeue it in procrastinate's table, which does not ask
    who does that.
    """

    def __init__(self, connector: BaseConnector, kinds: Mapping[str, JobKind], poll_seconds: float) -> None:
        super().__init__(connector)
        self._kinds, self._poll_seconds = kinds, poll_seconds
        self._running: Counter[str] = Counter()
        self._taken_over: set[int] = set()
        self._woken = asyncio.Event()
        self._stopping = False
        self.at_hand: set[int] = set()
        """What this worker was given and has not yet been settled in procrastinate's table."""

    def stop(self) -> None:
        self._stopping = True
        self._woken.set()

    def wake(self) -> None:
        self._woken.set()

    def performed(self, job: jobs.Job, *, taken_over: bool = False) -> None:
        self._running[job.queue] -= 1
        if taken_over and job.id is not None:
            self._taken_over.add(job.id)
        self._woken.set()

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> jobs.Job | None:
        """Waits for one; None only when it is time to stop."""
        while not self._stopping:
            self._woken.clear()
            job = await self._fetch(worker_id)
            if job and job.id is not None:
                self._running[job.queue] += 1
                self.at_hand.add(job.id)
                return job
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._poll_seconds)
        return None

    async def _fetch(self, worker_id: int) -> jobs.Job | None:
        room = [name for name, kind in self._kinds.items() if self._running[name] < kind.at_once]
        if not room:
            return None
        try:
            return await super().fetch_job(room, worker_id)
        except exceptions.ConnectorException as error:
            if isinstance(error.__cause__, ForeignKeyViolation):
                raise  # this worker was taken for dead: a new one must be registered
            log.warning("no job can be taken: %s", type(error.__cause__).__name__)
            return None

    async def finish_job(self, job: jobs.Job, status: jobs.Status, delete_job: bool) -> None:
        with self._settling(job) as ours:
            if ours:
                await super().finish_job(job, status, delete_job)

    async def retry_job(
        self,
        job: jobs.Job,
        retry_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        with self._settling(job) as ours:
            if ours:
                await super().retry_job(job, retry_at, priority, queue, lock)

    async def requeue(self, job_id: int) -> None:
        """No error when somebody else was quicker."""
        with suppress(exceptions.ConnectorException):
            await self.retry_job_by_id_async(job_id, datetime.now(UTC))

    @contextmanager
    def _settling(self, job: jobs.Job) -> Iterator[bool]:
        """What cannot be settled now is seen to be forgotten, and done again."""
        known = job.id or 0
        try:
            yield known not in self._taken_over
        except exceptions.ConnectorException as error:
            log.warning("job %s of procrastinate is not settled: %s", known, type(error.__cause__).__name__)
        finally:
            self.at_hand.discard(known)
            self._taken_over.discard(known)
