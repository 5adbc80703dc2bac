"""Jobs, as their workspace sees them: looked up, listed and cancelled; and the sweeping away of old ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from callvault.domain.access import Action, Caller, Thing, Verdict, decide
from callvault.domain.errors import Malformed, Missing
from callvault.domain.ids import Json
from callvault.domain.job import ENDED, STATES, Job, cancelled
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.schedule import DAY_SECONDS, Schedule
from callvault.domain.unit import Unit
from callvault.ports.jobs import JobKind, Progress
from callvault.ports.store import Store
from callvault.ports.system import Clock
from callvault.services.access import Access
from callvault.services.audit import Audit
from callvault.services.pages import Page, Place, page_of
from callvault.services.stale import again_when_stale

SWEEP = "jobs.sweep"
KEPT_DAYS = 30
SWEPT_TOGETHER = 200


@dataclass(frozen=True, slots=True)
class JobFilter:
    state: str | None = None
    kind: str | None = None
    recording_id: str | None = None


class Jobs:
    def __init__(self, store: Store, clock: Clock, audit: Audit, access: Access) -> None:
        self._store, self._clock = store, clock
        self._audit, self._access = audit, access

    async def get(self, caller: Caller, job_id: str) -> Job:
        self._access.permit(caller, Action.READ_RECORDING, Action.PROCESS)
        return await self._known(caller, Action.READ_RECORDING, job_id)

    async def find(self, caller: Caller, wanted: JobFilter, place: Place) -> Page[Job]:
        """The newest first. Jobs on what the caller may not know of are left out, so that a page may be short."""
        principal = self._access.permit(caller, Action.READ_RECORDING, Action.PROCESS)
        if wanted.state is not None and wanted.state not in STATES:
            raise Malformed(what="state", why=f"it is one of {', '.join(STATES)}")
        query = Query(Job).where("workspace_id", "=", principal.workspace_id).by("-created_ms", "-id")
        for name in ("state", "kind", "recording_id"):
            if (value := getattr(wanted, name)) is not None:
                query = query.where(name, "=", value)
        page = await page_of(self._store, query, place)
        things = await self._things(page.items)
        allowed = [decide(principal, Action.READ_RECORDING, thing) is Verdict.ALLOWED for thing in things]
        return replace(page, items=[job for job, may in zip(page.items, allowed, strict=True) if may])

    @again_when_stale
    async def cancel(self, caller: Caller, job_id: str) -> Job:
        """A queued job ends at once; a running one is asked to, and ends when it has noticed. An ended one stays."""
        self._access.permit(caller, Action.PROCESS)
        job = await self._known(caller, Action.PROCESS, job_id)
        if job.state in ENDED or job.cancel_requested:
            return job
        if job.state == "queued":
            changed = cancelled(job, self._clock.now_ms())
        else:
            changed = replace(job, cancel_requested=True, version=job.version + 1)
        unit = Unit()
        unit.change(changed)
        unit.note(self._audit.entry(caller, "jobs.cancel", job.workspace_id, f"job:{job.id}"))
        await self._store.commit(unit)
        return changed

    def kinds(self) -> list[JobKind]:
        return [JobKind(SWEEP, self._sweep)]

    def schedules(self) -> list[Schedule]:
        return [Schedule(name=SWEEP, kind=SWEEP, every_seconds=3600)]

    async def _known(self, caller: Caller, action: Action, job_id: str) -> Job:
        job = await self._store.get(Job, job_id)
        if job is None:
            raise Missing(what="job")
        self._access.require(caller, action, (await self._things([job]))[0], f"job:{job.id}")
        return job

    async def _things(self, jobs: Sequence[Job]) -> list[Thing]:
        """Whom each is for: the readers of its recording."""
        ids = list({job.recording_id for job in jobs if job.recording_id})
        found = await self._store.find(Query(Recording).where("id", "in", ids).by("id")) if ids else ()
        readers = {recording.id: recording.readers for recording in found}
        return [Thing(job.workspace_id, readers.get(job.recording_id or "")) for job in jobs]

    async def _sweep(self, job: Job, progress: Progress) -> dict[str, Json]:
        """Removes jobs that ended long ago, and the house's own that ended yesterday."""
        swept = 0
        for query in self._old():
            while doomed := await self._store.find(query.page(SWEPT_TOGETHER)):
                unit = Unit()
                unit.remove(*doomed)
                await progress.commit(unit)
                swept += len(doomed)
        return {"swept": swept}

    def _old(self) -> list[Query[Job]]:
        day_ms, now = DAY_SECONDS * 1000, self._clock.now_ms()
        of_the_house = Query(Job).where("workspace_id", "=", "").where("ended_ms", "<", now - day_ms)
        of_any = Query(Job).where("ended_ms", "<", now - KEPT_DAYS * day_ms)
        return [of_the_house.by("ended_ms", "id"), of_any.by("ended_ms", "id")]
