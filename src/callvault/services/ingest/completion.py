"""The end of a recording: nothing more is taken in, all of it is in storage, and what it came to is written down."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

from callvault.domain.access import SYSTEM, Action, Caller
from callvault.domain.call import Call
from callvault.domain.errors import Fault, Missing, PassingFault
from callvault.domain.job import ENDED, Job
from callvault.domain.lane import OpenSpool, Segment, Span
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.domain.upload import Upload
from callvault.domain.workspace import Workspace
from callvault.ports.spool import Spool
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.calls import OVER
from callvault.services.delivery.views import SoundFacts, Views, facts_of
from callvault.services.findings import found_by_its_end
from callvault.services.ingest.admission import Admission
from callvault.services.ingest.compaction import COMPACT, is_worth_it
from callvault.services.ingest.mover import Mover
from callvault.services.ingest.openrecordings import OpenRecording, OpenRecordings
from callvault.services.ingest.position import position_us, stands_at_us
from callvault.services.stale import again_when_stale
from callvault.services.uploads import assemblies
from callvault.services.witness import Witness

log = logging.getLogger(__name__)
NO_SOUND = "no_sound"
IDLE_LEAST_MS = 5_000
PAGE = 200
PATIENCE_SECONDS = 10.0


class Outcome(SoundFacts):
    status: str
    failure: str | None
    started_ms: int | None
    ended_ms: int | None


class Silent(TypedDict):
    status: str
    failure: str


class Completion:
    def __init__(
        self,
        store: Store,
        spool: Spool,
        mover: Mover,
        open_recordings: OpenRecordings,
        views: Views,
        *,
        admission: Admission,
        witness: Witness,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._store, self._spool, self._mover, self._open, self._views = store, spool, mover, open_recordings, views
        self._admission, self._witness, self._clock, self._ids = admission, witness, clock, ids
        self._bringing: dict[str, asyncio.Task[Recording]] = {}
        self.patience_seconds = PATIENCE_SECONDS
        """So long does who ends a recording wait for a storage that does not answer."""

    async def complete(self, caller: Caller, recording_id: str) -> Recording:
        """Ends it; to end it again changes nothing. It is `completed` when this returns, or still `processing` while
        storage is away or another node holds sound of it: then it completes by itself."""
        known = await self._admission.allowed(caller, recording_id, max_age=0)
        return await self.end(caller, known, "completed")

    async def complete_call(self, caller: Caller, call_id: str) -> None:
        """Ends all sound of a call that is over."""
        query = Query(Recording).where("call_id", "=", call_id).where("deleted_ms", "is null").by("created_ms", "id")
        for recording in await self._store.find(query):
            if recording.in_progress:
                await self.complete(caller, recording.id)

    async def end(self, caller: Caller, known: OpenRecording, ended_by: str) -> Recording:
        await self._stop(caller, known, ended_by)
        await self._open.refresh(known)
        bringing = self._bringing.get(known.id)
        if bringing is None:
            bringing = self._bringing[known.id] = asyncio.create_task(self._bring_in(known))
            bringing.add_done_callback(lambda task: self._brought_in(known.id, task))
        await asyncio.wait([bringing], timeout=self.patience_seconds)
        return bringing.result() if bringing.done() else known.recording

    def _brought_in(self, recording_id: str, bringing: "asyncio.Task[Recording]") -> None:
        """Who waited for it may be gone: then nobody else tells why it failed."""
        del self._bringing[recording_id]
        if not bringing.cancelled() and (failure := bringing.exception()):
            log.error("what a recording came to cannot be known", exc_info=failure, extra={"recording": recording_id})

    async def _bring_in(self, known: OpenRecording) -> Recording:
        try:
            await _flush(known)
            await self._mover.drain(known.id)
            return await self.finish(known.id)
        except PassingFault as fault:
            log.warning("a recording ended and waits for storage: %s", fault, extra={"recording": known.id})
            return known.recording

    @again_when_stale
    async def finish(self, recording_id: str) -> Recording:
        """Writes down what an ended recording came to, once no node holds sound of it any more."""
        known = await self._open.get(recording_id, max_age=0)
        if not known.recording.in_progress:
            await _flush(known)
        recording = known.recording
        # Written down it is until that is seen to be undone, whatever this node believes meanwhile.
        is_held = known.id in self._open.holding
        if recording.in_progress or (is_held and not await self._open.release(known)):
            return recording
        if await self._store.count(Query(OpenSpool).where("recording_id", "=", recording_id)):
            return recording
        if recording.status == "processing":
            recording = await self._end_pauses(known)
        changed = replace(recording, **await self._outcome(recording))
        return recording if changed == recording else await self._write(recording, changed)

    async def complete_idle(self) -> bool:
        """Ends recordings of which no word came for the time that their workspaces say, and no file is under way by
        parts. Safe on any number of nodes: what another node holds sound of is left to that one. Then it finishes what
        was ended and waits for no node any more."""
        query = Query(Recording).where("in_progress", "=", True)
        query = query.where("last_heard_ms", "<", self._clock.now_ms() - IDLE_LEAST_MS).by("last_heard_ms", "id")
        patience: dict[str, int] = {}
        page: Sequence[Recording] = await self._store.find(query.page(PAGE))
        while page:
            for recording in page:
                try:
                    await self._complete_if_idle(recording, patience)
                except Fault as fault:
                    log.warning("an idle recording is not ended yet: %s", fault, extra={"recording": recording.id})
            page = await self._store.find(query.page(PAGE, query.cursor(page[-1])))
        await self._finish_all()
        return False

    async def _finish_all(self) -> None:
        """Who ended a recording may have met a passing fault, or died, before it was written down what it came to."""
        workspaces = Query(Workspace).by("id")
        page: Sequence[Workspace] = await self._store.find(workspaces.page(PAGE))
        while page:
            await self._finish_of([workspace.id for workspace in page])
            page = await self._store.find(workspaces.page(PAGE, workspaces.cursor(page[-1])))

    async def _finish_of(self, workspaces: Sequence[str]) -> None:
        ended = Query(Recording).where("workspace_id", "in", tuple(workspaces)).where("status", "=", "processing")
        # Not "= False": by the index that this has, all that ever ended would be looked through.
        ended = ended.where("in_progress", "!=", True).where("operation", "is null").where("deleted_ms", "is null")
        ended = ended.by("workspace_id", "created_ms", "id")
        page: Sequence[Recording] = await self._store.find(ended.page(PAGE))
        while page:
            nodes = Query(OpenSpool).where("recording_id", "in", tuple(recording.id for recording in page))
            waiting = {node.recording_id for node in await self._store.find(nodes.by("recording_id", "node"))}
            for recording in page:
                if recording.id not in waiting:
                    await self._finish_if_it_can(recording.id)
            page = await self._store.find(ended.page(PAGE, ended.cursor(page[-1])))

    async def _finish_if_it_can(self, recording_id: str) -> None:
        try:
            await self.finish(recording_id)
        except Fault as fault:
            log.warning("what a recording came to is not known yet: %s", fault, extra={"recording": recording_id})

    async def _complete_if_idle(self, recording: Recording, patience: dict[str, int]) -> None:
        if recording.workspace_id not in patience:
            workspace = await self._store.get(Workspace, recording.workspace_id)
            patience[recording.workspace_id] = 1000 * workspace.idle_complete_seconds if workspace else 0
        quiet_since = self._clock.now_ms() - patience[recording.workspace_id]
        if recording.last_heard_ms > quiet_since or recording.deleted_ms is not None:
            return
        nodes = await self._store.find(Query(OpenSpool).where("recording_id", "=", recording.id).by("node"))
        try:
            known = await self._open.get(recording.id)
        except Missing:
            return
        if known.users or known.heard_ms > quiet_since or any(node.node != self._spool.id for node in nodes):
            return
        if await self._waits_for_a_file(recording.id):
            return
        cut_off = any("cut" in node.detail for node in nodes)
        await self.end(SYSTEM, known, "interrupted" if cut_off else "idle")

    async def _waits_for_a_file(self, recording_id: str) -> bool:
        """Whether an upload may go on, or has all its parts and is not taken in yet."""
        uploads = Query(Upload).where("recording_id", "=", recording_id).where("completed_ms", "is null")
        if await self._store.count(uploads.where("expires_ms", ">", self._clock.now_ms())):
            return True
        return any(job.state not in ENDED for job in await self._store.find(assemblies(recording_id)))

    @again_when_stale
    async def _stop(self, caller: Caller, known: OpenRecording, ended_by: str) -> None:
        recording = await self._store.get(Recording, known.id)
        if recording is None or not recording.in_progress:
            return
        now_ms = self._clock.now_ms()
        # Rounded up, so that a pause that has begun begins before it.
        ahead_ms = -((position_us(recording, now_ms) - stands_at_us(known, now_ms)) // 1000)
        stopped = replace(
            recording,
            in_progress=False,
            ended_by=ended_by,
            ended_ms=now_ms + ahead_ms,
            updated_ms=now_ms,
            version=recording.version + 1,
        )
        unit = Unit()
        unit.change(stopped)
        self._witness.of_recording(unit, caller, Action.WRITE_SOUND, stopped, ended_by=ended_by)
        await self._store.commit(unit)

    async def _end_pauses(self, known: OpenRecording) -> Recording:
        """Those that still ran when the recording was ended: till all that came is in storage they run on, so that
        nothing of what came in between is kept."""
        recording = known.recording
        at_us = position_us(recording, recording.ended_ms or recording.last_heard_ms)
        running = [span for span in known.pauses if _runs_on(span, recording, at_us)]
        if not running and recording.paused is None:
            return recording
        end_us = max(at_us, await self._sounds_until(recording))
        changed = replace(recording, paused=None, updated_ms=self._clock.now_ms(), version=recording.version + 1)
        unit = Unit()
        unit.change(changed)
        for span in running:
            end = end_us if span.end_us is None else min(span.end_us, end_us)
            unit.change(replace(span, end_us=end, version=span.version + 1))
        await self._store.commit(unit)
        await self._open.refresh(known)
        return changed

    async def _sounds_until(self, recording: Recording) -> int:
        """On the call's clock: sound that comes sooner than it was said ends later than the time of day tells."""
        timeline = await self._views.timelines.timeline(recording, live=True)
        return max((lane.end_us for lane in timeline.lanes), default=0)

    async def _outcome(self, recording: Recording) -> Outcome | Silent:
        view = await self._views.whole(recording, live=True)
        if view is None:
            return Silent(status="failed", failure=NO_SOUND)
        length_ms = max(stretch.timeline.length_us for stretch in view.sound.stretches) // 1000
        started_ms = recording.last_heard_ms - length_ms if recording.started_ms is None else recording.started_ms
        return Outcome(
            status="completed",
            failure=None,
            **facts_of(view),
            started_ms=started_ms,
            ended_ms=started_ms + length_ms,
        )

    async def _write(self, recording: Recording, changed: Recording) -> Recording:
        changed = replace(changed, updated_ms=self._clock.now_ms(), version=recording.version + 1)
        unit = Unit()
        unit.change(changed)
        events = ["recording.updated"]
        if recording.status == "processing":
            events = [f"recording.{changed.status}", *(await found_by_its_end(self._store, changed))]
            await self._end_call(unit, changed)
        self._witness.of_recording(unit, SYSTEM, Action.WRITE_SOUND, changed, *events)
        segments = await self._store.find(Query(Segment).where("recording_id", "=", changed.id).by("lane", "seq"))
        if is_worth_it(segments):
            unit.enqueue(self._compaction(changed))
        await self._store.commit(unit)
        return changed

    async def _end_call(self, unit: Unit, recording: Recording) -> None:
        """With the last of its sound a call is over, if nobody has said so before."""
        call = await self._store.get(Call, recording.call_id)
        others = Query(Recording).where("call_id", "=", recording.call_id).where("in_progress", "=", True)
        if call is None or call.status in OVER or await self._store.count(others):
            return
        ended = replace(
            call,
            status="ended",
            started_ms=recording.started_ms if call.started_ms is None else call.started_ms,
            ended_ms=call.ended_ms or recording.ended_ms or self._clock.now_ms(),
            updated_ms=self._clock.now_ms(),
            version=call.version + 1,
        )
        unit.change(ended)
        self._witness.of_call(unit, SYSTEM, Action.CHANGE_CALL, ended, "call.ended", status="ended")

    def _compaction(self, recording: Recording) -> Job:
        now = self._clock.now_ms()
        return Job(
            id=self._ids.uuid(),
            workspace_id=recording.workspace_id,
            kind=COMPACT,
            created_ms=now,
            due_ms=now,
            recording_id=recording.id,
            priority=-10,
        )


async def _flush(known: OpenRecording) -> None:
    """All that its streams here took in is in the spool."""
    for flush in list(known.live.values()):
        await flush()


def _runs_on(span: Span, recording: Recording, at_us: int) -> bool:
    """Whether it is a pause that nobody has ended yet."""
    begun = span.kind == "pause" and span.start_us <= at_us
    return begun and (span.end_us is None or (recording.paused is not None and span.end_us > at_us))
