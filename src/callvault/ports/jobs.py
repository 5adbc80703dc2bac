"""The job engine: finds due jobs, runs them somewhere, gives them back when a worker dies."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from callvault.domain.job import Job


@dataclass(frozen=True, slots=True)
class JobKind:
    """How jobs of one kind are run."""

    name: str
    run: "Handler"
    at_once: int = 1
    """How many of the kind may run at the same time in one worker."""
    attempts: int = 12
    """How often a passing fault is tried again before the job fails."""


class Progress(Protocol):
    """Handed to a running job."""

    async def report(self, fraction: float) -> None:
        """Tells how far the job is; raises `asyncio.CancelledError` when its cancellation was asked for."""
        ...


Handler = Callable[[Job, Progress], Awaitable[dict[str, object] | None]]
"""Runs a job at least once; must be idempotent by the job's id. What it returns is the job's result."""


class JobEngine(Protocol):
    """Runs what `Unit.enqueue` made durable: each job at least once, until it ends.

    A job that a dead worker held is run again by a living one. A `PassingFault` is tried again with growing
    pauses; any other error fails the job at once, with its code. A job whose worker stopped in an orderly way
    goes back to the queue and does not count as tried. The `Job` entity in the store always tells the truth about
    its state.
    """

    async def run(self, kinds: Mapping[str, JobKind]) -> None:
        """Works until `stop`."""
        ...

    async def stop(self, within_seconds: float) -> None:
        """Takes no new job, waits for the running ones, hands back those that are not ready in time."""
        ...

    async def cancel(self, job_id: str) -> None:
        """A queued job ends as cancelled; a running one is asked to."""
        ...
