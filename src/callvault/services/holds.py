"""Legal holds: placed on a recording and released again; while one stands, nothing of the recording is deleted."""

from collections.abc import Sequence
from dataclasses import replace

from callvault.domain.access import Action, Caller
from callvault.domain.errors import Missing
from callvault.domain.hold import Hold
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.recordings import Recordings
from callvault.services.stale import again_when_stale
from callvault.services.witness import Witness


class Holds:
    def __init__(self, store: Store, *, clock: Clock, ids: Ids, witness: Witness, recordings: Recordings) -> None:
        self._store, self._clock, self._ids = store, clock, ids
        self._witness, self._recordings = witness, recordings

    @again_when_stale
    async def place(self, caller: Caller, recording_id: str, reason: str = "") -> Hold:
        recording = await self._recordings.retrieve(caller, recording_id, Action.HOLD)
        hold = Hold(
            id=self._ids.uuid(),
            workspace_id=recording.workspace_id,
            recording_id=recording.id,
            created_ms=self._clock.now_ms(),
            actor=caller.actor,
            reason=reason,
        )
        unit = Unit()
        unit.add(hold)
        self._mark(unit, caller, recording, held=True, hold=hold.id)
        await self._store.commit(unit)
        return hold

    @again_when_stale
    async def release(self, caller: Caller, recording_id: str, hold_id: str) -> Hold:
        """Releasing it again changes nothing."""
        recording = await self._recordings.retrieve(caller, recording_id, Action.HOLD)
        hold = await self._store.get(Hold, hold_id)
        if hold is None or hold.recording_id != recording.id:
            raise Missing(what="hold")
        if hold.released_ms is not None:
            return hold
        standing = [other for other in await self._of(recording) if other.released_ms is None and other.id != hold.id]
        now = self._clock.now_ms()
        released = replace(hold, released_ms=now, released_by=caller.actor, version=hold.version + 1)
        unit = Unit()
        unit.change(released)
        self._mark(unit, caller, recording, held=bool(standing), released=hold.id)
        await self._store.commit(unit)
        return released

    async def of_recording(self, caller: Caller, recording_id: str) -> Sequence[Hold]:
        """All there ever were, released ones too."""
        return await self._of(await self._recordings.retrieve(caller, recording_id, Action.HOLD))

    async def _of(self, recording: Recording) -> Sequence[Hold]:
        return await self._store.find(Query(Hold).where("recording_id", "=", recording.id).by("id"))

    def _mark(self, unit: Unit, caller: Caller, recording: Recording, *, held: bool, **detail: str) -> None:
        """The recording changes with its holds, so that a hold and a deletion cannot pass each other unseen."""
        marked = replace(recording, held=held, updated_ms=self._clock.now_ms(), version=recording.version + 1)
        unit.change(marked)
        self._witness.of_recording(unit, caller, Action.HOLD, marked, "recording.updated", **detail)
