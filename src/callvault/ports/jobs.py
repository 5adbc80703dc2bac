"""The job engine: finds due jobs, has them performed somewhere, and again when a worker dies."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from callvault.domain.ids import Json
from callvault.domain.job import Job
from callvault.domain.unit import Unit


class Progress(Protocol):
    """Handed to a running job: how it tells what it did, and the proof that it still holds the job.

    When the job was cancelled, or was given to another worker because this one was not heard of, every method raises
    `asyncio.CancelledError`, and so does whatever the job is waiting for at that moment.
    """

    async def report(self, fraction: float) -> None:
        """Tells how far the job is, 0 to 1. May be called often: it is written down about once a second."""
        ...

    async def commit(self, unit: Unit) -> None:
        """The unit as a step of this job: it commits only if the job is still this run's.

        The job may be run again from its start after this, so that a step must know whether it is done. Raises what
        `Store.commit` raises.
        """
        ...

    async def finish(self, unit: Unit, result: dict[str, Json] | None = None) -> None:
        """The unit and the job's success in one: what is in it happens exactly once."""
        ...


Handler = Callable[[Job, Progress], Awaitable[dict[str, Json] | None]]
"""Runs a job at least once; must be idempotent by the job's id. What it returns is the job's result."""


@dataclass(frozen=True, slots=True)
class JobKind:
    """How jobs of one kind are run."""

    name: str
    run: Handler
    at_once: int = 1
    """How many of the kind may run at the same time in one worker."""
    attempts: int = 12
    """How often it is started, after passing faults and lost workers, before the job fails."""


@dataclass(frozen=True, slots=True)
class Again:
    """The job is queued again and due then."""

    due_ms: int


class Settled(Enum):
    ENDED = "ended"
    TAKEN_OVER = "taken over"
    """Another run holds the job now: this one may touch nothing of it any more."""


Outcome = Again | Settled
Perform = Callable[[Job], Awaitable[Outcome]]
"""Runs a job that the engine has taken (`domain.job.taken`) and writes its end, or that it is queued again, into the
store. Never raises, except `asyncio.CancelledError` in a loop that is being torn down."""


class JobEngine(Protocol):
    """Runs what `Unit.enqueue` made durable: each job at least once, until it ends.

    A job that a dead worker held is taken by a living one, under a new `holder`, so that the dead one, should it only
    have slept, can commit nothing more. The `Job` in the store always tells the truth about its state; an engine that
    has a queue of its own takes a job from it only together with the `Job`, and drops what that says is over.
    Jobs of kinds that a worker does not know stay queued for those that do.
    """

    async def run(self, kinds: Mapping[str, JobKind], perform: Perform) -> None:
        """Works until `stop`, and returns when the last job that was started has been performed."""
        ...

    def stop(self) -> None:
        """Takes no new job from now on."""
        ...

    def wake(self) -> None:
        """A job may have fallen due: looks now instead of a moment later."""
        ...


@dataclass(frozen=True, slots=True)
class Duty:
    """What every worker does besides jobs, over and over; it is safe on any number of nodes at once."""

    name: str
    run: Callable[[], Awaitable[bool]]
    """Whether it is worth doing it again at once."""
    every_seconds: float = 1.0
