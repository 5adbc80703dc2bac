"""Retention: tells what has expired, and deletes what was to be kept no longer."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from callvault.domain.access import SYSTEM, Action
from callvault.domain.errors import OnHold
from callvault.domain.ids import Json
from callvault.domain.job import Job
from callvault.domain.query import Query
from callvault.domain.recording import Recording, has_expired
from callvault.domain.schedule import Schedule
from callvault.domain.unit import Unit
from callvault.ports.jobs import JobKind, Progress
from callvault.ports.store import Store
from callvault.ports.system import Clock
from callvault.services.removal import Removal
from callvault.services.stale import again_when_stale
from callvault.services.witness import Witness

SWEEP: Final = "retention.sweep"
EVERY_SECONDS: Final = 60
AT_ONCE: Final = 100

Act = Callable[[str, Progress], Awaitable[bool]]


def expired(now_ms: int) -> Query[Recording]:
    """Of which it was not told yet."""
    query = Query(Recording).where("expiry_told", "=", False).where("deleted_ms", "is null")
    return query.where("expires_ms", "<=", now_ms).by("expires_ms", "id")


def outlived(now_ms: int) -> Query[Recording]:
    """Kept for as long as they were to be; what a hold keeps is passed over, and found when it is released."""
    query = Query(Recording).where("held", "=", False).where("deleted_ms", "is null")
    return query.where("auto_delete_ms", "<=", now_ms).by("auto_delete_ms", "id")


class Retention:
    def __init__(self, store: Store, *, clock: Clock, witness: Witness, removal: Removal) -> None:
        self._store, self._clock = store, clock
        self._witness, self._removal = witness, removal

    def kinds(self) -> list[JobKind]:
        return [JobKind(SWEEP, self.sweep)]

    def schedules(self) -> list[Schedule]:
        return [Schedule(name=SWEEP, kind=SWEEP, every_seconds=EVERY_SECONDS)]

    async def sweep(self, job: Job, progress: Progress) -> dict[str, Json]:
        """Each recording is a unit of its own, that holds or fails with all that is told of it: cut off anywhere, the
        next run goes on from there."""
        now = self._clock.now_ms()
        return {
            "expired": await self._each(expired(now), self._expire, progress),
            "deleted": await self._each(outlived(now), self._delete, progress),
        }

    async def _each(self, query: Query[Recording], act: Act, progress: Progress) -> int:
        done, page = 0, await self._store.find(query.page(AT_ONCE))
        while page:
            for recording in page:
                done += await act(recording.id, progress)
            page = await self._store.find(query.page(AT_ONCE, query.cursor(page[-1])))
        return done

    @again_when_stale
    async def _expire(self, recording_id: str, progress: Progress) -> bool:
        recording, now = await self._store.get(Recording, recording_id), self._clock.now_ms()
        if recording is None or recording.deleted_ms is not None:
            return False
        if recording.expiry_told or not has_expired(recording, now):
            return False
        told = replace(recording, expiry_told=True, updated_ms=now, version=recording.version + 1)
        unit = Unit()
        unit.change(told)
        self._witness.of_recording(unit, SYSTEM, Action.CHANGE_RECORDING, told, "recording.expired", cause="expired")
        await progress.commit(unit)
        return True

    @again_when_stale
    async def _delete(self, recording_id: str, progress: Progress) -> bool:
        """With all that was made of it, unless a hold keeps any of that."""
        recording = await self._store.get(Recording, recording_id)
        if recording is None or recording.deleted_ms is not None or not self._is_outlived(recording):
            return False
        try:
            doomed = await self._removal.doomed([recording])
        except OnHold:
            return False
        unit = Unit()
        self._removal.remove(unit, SYSTEM, doomed, "autoDeleted")
        self._removal.enqueue_purge(unit, recording.workspace_id, doomed)
        await progress.commit(unit)
        return True

    def _is_outlived(self, recording: Recording) -> bool:
        return recording.auto_delete_ms is not None and self._clock.now_ms() >= recording.auto_delete_ms
