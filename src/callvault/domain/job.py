"""A job: durable work, whose state everybody may see, and the ways in which that state may change."""

from dataclasses import dataclass, field, replace

from callvault.domain.ids import Json

STATES = ("queued", "running", "succeeded", "failed", "cancelled")
ENDED = ("succeeded", "failed", "cancelled")
LONGEST_PAUSE_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: str
    workspace_id: str
    """Empty for the house's own."""
    kind: str
    created_ms: int
    recording_id: str | None = None
    arguments: dict[str, Json] = field(default_factory=dict)
    state: str = "queued"
    progress: float = 0.0
    priority: int = 0
    """The higher goes first, among jobs of its kind."""
    due_ms: int = 0
    """When it may be started; of a running one, when somebody else may take it unless its worker is heard of."""
    attempts: int = 0
    holder: str | None = None
    """Names the one run that may change the job while it is running: a fresh name for every time it is taken."""
    error_code: str | None = None
    error: str | None = None
    """Of the last attempt that failed."""
    result: dict[str, Json] = field(default_factory=dict)
    started_ms: int | None = None
    ended_ms: int | None = None
    cancel_requested: bool = False
    version: int = 1


def taken(job: Job, holder: str, now_ms: int, until_ms: int) -> Job:
    """Started, or started again after its worker was lost."""
    return replace(
        job,
        state="running",
        holder=holder,
        attempts=job.attempts + 1,
        started_ms=now_ms,
        due_ms=until_ms,
        version=job.version + 1,
    )


def succeeded(job: Job, result: dict[str, Json], now_ms: int) -> Job:
    done = replace(job, result=result, progress=1.0, error_code=None, error=None)
    return _ended(done, "succeeded", now_ms)


def failed(job: Job, code: str, error: str, now_ms: int) -> Job:
    return _ended(replace(job, error_code=code, error=error), "failed", now_ms)


def cancelled(job: Job, now_ms: int) -> Job:
    return _ended(replace(job, cancel_requested=True), "cancelled", now_ms)


def postponed(job: Job, code: str, error: str, now_ms: int, due_ms: int) -> Job:
    """To be tried again; unless its cancellation was asked for in the meantime."""
    return _queued(replace(job, error_code=code, error=error), now_ms, due_ms)


def handed_back(job: Job, now_ms: int) -> Job:
    """Its worker stops in good order: this start does not count."""
    return _queued(replace(job, attempts=job.attempts - 1), now_ms, now_ms)


def pause_ms(attempts: int, jitter: float) -> int:
    """How long to wait after the attempt of this number has failed; `jitter` is 0 to 1, drawn anew each time."""
    longest = min(LONGEST_PAUSE_MS, 1000 * 2 ** min(attempts - 1, 20))
    return int(longest * (0.5 + 0.5 * jitter))


def _ended(job: Job, state: str, now_ms: int) -> Job:
    return replace(job, state=state, holder=None, ended_ms=now_ms, version=job.version + 1)


def _queued(job: Job, now_ms: int, due_ms: int) -> Job:
    if job.cancel_requested:
        return cancelled(job, now_ms)
    return replace(job, state="queued", holder=None, due_ms=due_ms, version=job.version + 1)
