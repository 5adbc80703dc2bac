"""Pauses: what is said during one is not stored at all; that there was one, why and by whom, is."""

from dataclasses import replace

from callvault.domain.access import SYSTEM, Action, Caller
from callvault.domain.errors import Malformed, RecordingEnded
from callvault.domain.ids import Json
from callvault.domain.job import Job
from callvault.domain.lane import Span
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.ports.jobs import JobKind, Progress
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.ingest.admission import Admission
from callvault.services.ingest.cutting import Paused
from callvault.services.ingest.openrecordings import OpenRecording, OpenRecordings
from callvault.services.ingest.position import stands_at_us
from callvault.services.stale import again_when_stale
from callvault.services.witness import Witness

RESUME = "resume"
MODES = ("skip", "silence")
REASON_MAX = 200
LONGEST_SECONDS = 24 * 3600


class Pauses:
    def __init__(
        self,
        store: Store,
        open_recordings: OpenRecordings,
        *,
        admission: Admission,
        witness: Witness,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._store, self._open = store, open_recordings
        self._admission, self._witness, self._clock, self._ids = admission, witness, clock, ids

    def kinds(self) -> list[JobKind]:
        return [JobKind(RESUME, self.resume_after)]

    @again_when_stale
    async def pause(
        self,
        caller: Caller,
        recording_id: str,
        *,
        mode: str = "silence",
        reason: str = "",
        resume_after: float | None = None,
        at_us: int | None = None,
    ) -> Recording:
        """From now on, or from a place on the call's clock on. It ends by `resume`, or by itself after so many seconds.
        A recording that is paused already stays so as it is."""
        _check(mode, reason, resume_after, at_us)
        known = await self._allowed(caller, recording_id)
        start_us = self._at(known, at_us)
        if Paused(known.pauses).at(start_us):
            return known.recording
        end_us = None if resume_after is None else start_us + round(resume_after * 1_000_000)
        span = Span(
            id=self._ids.uuid(),
            recording_id=recording_id,
            workspace_id=known.recording.workspace_id,
            kind="pause",
            start_us=start_us,
            end_us=end_us,
            mode=mode,
            reason=reason,
            actor=caller.actor,
            created_ms=self._clock.now_ms(),
        )
        unit = Unit()
        unit.add(span)
        if end_us is not None:
            unit.enqueue(self._resumption(span, self._clock.now_ms() + (end_us - start_us) // 1000))
        return await self._change(caller, known, unit, paused=mode)

    @again_when_stale
    async def resume(self, caller: Caller, recording_id: str, *, at_us: int | None = None) -> Recording:
        """What is said from now on is stored again; nothing changes when it was not paused."""
        _check("skip", "", None, at_us)
        known = await self._allowed(caller, recording_id)
        end_us = self._at(known, at_us)
        running = [span for span in known.pauses if span.end_us is None or span.end_us > end_us]
        if not running and not known.recording.paused:
            return known.recording
        unit = Unit()
        unit.change(*(replace(s, end_us=max(end_us, s.start_us), version=s.version + 1) for s in running))
        return await self._change(caller, known, unit, paused=None)

    @again_when_stale
    async def resume_after(self, job: Job, progress: Progress) -> dict[str, Json] | None:
        """The pause ended by itself, if nobody ended it before."""
        span = await self._store.get(Span, job.arguments["span"])
        recording = await self._store.get(Recording, job.recording_id)
        latest = span and recording and recording.paused and span.end_us == job.arguments["end_us"]
        if not latest or recording is None or not recording.in_progress:
            return None
        known = await self._open.get(recording.id, max_age=0)
        await self._change(SYSTEM, known, Unit(), paused=None)
        return None

    async def _allowed(self, caller: Caller, recording_id: str) -> OpenRecording:
        known = await self._admission.allowed(caller, recording_id, max_age=0)
        if not known.recording.in_progress:
            raise RecordingEnded
        return known

    def _at(self, known: OpenRecording, at_us: int | None) -> int:
        return stands_at_us(known, self._clock.now_ms()) if at_us is None else at_us

    async def _change(self, caller: Caller, known: OpenRecording, unit: Unit, *, paused: str | None) -> Recording:
        now = self._clock.now_ms()
        changed = replace(known.recording, paused=paused, updated_ms=now, version=known.recording.version + 1)
        unit.change(changed)
        self._witness.of_recording(unit, caller, Action.WRITE_SOUND, changed, "recording.updated", paused=paused)
        await self._store.commit(unit)
        await self._open.refresh(known)
        return changed

    def _resumption(self, span: Span, due_ms: int) -> Job:
        return Job(
            id=self._ids.uuid(),
            workspace_id=span.workspace_id,
            kind=RESUME,
            created_ms=self._clock.now_ms(),
            due_ms=due_ms,
            recording_id=span.recording_id,
            arguments={"span": span.id, "end_us": span.end_us},
            priority=10,
        )


def _check(mode: str, reason: str, resume_after: float | None, at_us: int | None) -> None:
    if mode not in MODES:
        raise Malformed(what="mode", why=f"it is {' or '.join(MODES)}")
    if len(reason) > REASON_MAX:
        raise Malformed(what="reason", why=f"it has at most {REASON_MAX} characters")
    if resume_after is not None and not 0 < resume_after <= LONGEST_SECONDS:
        raise Malformed(what="resumeAfter", why=f"it is more than 0 and at most {LONGEST_SECONDS} seconds")
    if at_us is not None and not 0 <= at_us <= LONGEST_SECONDS * 2_000_000:
        raise Malformed(what="at", why="it is a place on the call's clock, of at most 48 hours")
