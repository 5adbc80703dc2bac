"""Jobs: durable work, whose state everybody may see who may see its recording."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from callvault.domain.access import Action
from callvault.domain.job import Job
from callvault.services.jobs import JobFilter
from callvault.web.auth import Asking, House, needs
from callvault.web.native import cursors
from callvault.web.native.cursors import Cursor, Limit, Listed
from callvault.web.native.problems import PROBLEMS
from callvault.web.native.spelling import Metadata, Told, seconds

router = APIRouter(prefix="/api/v1", tags=["jobs"], responses=PROBLEMS)
State = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class JobError(Told):
    code: str
    detail: str | None


class JobOut(Told):
    id: str
    kind: str
    recording_id: str | None
    state: str
    progress: float
    """0 to 1."""
    attempts: int
    error: JobError | None
    """Of the last attempt that failed."""
    result: Metadata
    created: float
    started_at: float | None
    ended_at: float | None


@router.get("/jobs")
@needs(Action.READ_RECORDING, Action.PROCESS)
async def list_jobs(
    *,
    caller: Asking,
    services: House,
    limit: Limit = cursors.LIMIT,
    cursor: Cursor = None,
    state: State | None = None,
    kind: str | None = None,
    recording_id: Annotated[str | None, Query(alias="recordingId")] = None,
) -> Listed[JobOut]:
    """The newest first."""
    wanted = JobFilter(state, kind, recording_id)
    page = await services.jobs.find(caller, wanted, cursors.newest_first(limit, cursor))
    return Listed(data=[job_out(job) for job in page.items], next_cursor=cursors.serialize(page.cursor))


@router.get("/jobs/{id}")
@needs(Action.READ_RECORDING, Action.PROCESS)
async def get_job(id: str, caller: Asking, services: House) -> JobOut:
    return job_out(await services.jobs.get(caller, id))


@router.post("/jobs/{id}/cancel")
@needs(Action.PROCESS)
async def cancel_job(id: str, caller: Asking, services: House) -> JobOut:
    """A queued job ends at once, a running one as soon as it can."""
    return job_out(await services.jobs.cancel(caller, id))


def job_out(job: Job) -> JobOut:
    return JobOut(
        id=job.id,
        kind=job.kind,
        recording_id=job.recording_id,
        state=job.state,
        progress=job.progress,
        attempts=job.attempts,
        error=JobError(code=job.error_code, detail=job.error) if job.error_code else None,
        result=job.result,
        created=seconds(job.created_ms) or 0,
        started_at=seconds(job.started_ms),
        ended_at=seconds(job.ended_ms),
    )
