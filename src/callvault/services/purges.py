"""Purges: the job that destroys what deleted recordings and calls held, in storage first, then in the database."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from callvault.domain.call import Call, Turn
from callvault.domain.errors import OnHold, Refused, StaleWrite
from callvault.domain.idempotency import IdempotentRequest
from callvault.domain.ids import Json
from callvault.domain.job import Job
from callvault.domain.lane import Lane, OpenSpool, Segment, Span
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.stored import Artifact, Rendition, StoredObject
from callvault.domain.unit import Unit
from callvault.domain.upload import Upload
from callvault.ports.blobs import Blobs
from callvault.ports.jobs import JobKind, Progress
from callvault.ports.store import Store

PURGE = "purge"
AT_ONCE = 200
ROWS = (
    (Segment, ("lane", "seq")),
    (Lane, ("name",)),
    (Span, ("id",)),
    (Artifact, ("kind",)),
    (Rendition, ("view", "format", "rate", "sound_version")),
    (Upload, ("id",)),
)
Commit = Callable[[Unit], Awaitable[None]]
T = TypeVar("T", Recording, Call)


class Purges:
    def __init__(self, store: Store, blobs: Blobs) -> None:
        self._store, self._blobs = store, blobs

    def kinds(self) -> list[JobKind]:
        return [JobKind(PURGE, self.run, at_once=2)]

    async def run(self, job: Job, progress: Progress) -> dict[str, Json]:
        """Done again from wherever it was cut off; done twice, the second time finds nothing."""
        names = [str(name) for name in _list(job.arguments.get("recordings"))]
        objects = 0
        for n, recording_id in enumerate(names):
            objects += await self.purge_recording(recording_id, progress.commit)
            await progress.report((n + 1) / (len(names) + 1))
        if call_id := job.arguments.get("call"):
            await self.purge_call(str(call_id), progress.commit)
        await self._nothing_is_coming(names)
        return {"objects": objects}

    async def purge_recording(self, recording_id: str, commit: Commit | None = None) -> int:
        """Of a deleted recording: how many objects were destroyed. `BlobsUnavailable` when the storage is away."""
        commit = commit or self._store.commit
        recording = await self._store.get(Recording, recording_id)
        if recording is not None and recording.held:
            raise OnHold
        recording, objects = _deleted(recording), 0
        while found := await self._objects(recording_id):
            await asyncio.to_thread(self._destroy, found)
            unit = Unit()
            unit.remove(*found)
            await commit(unit)
            objects += len(found)
        await self._forget(recording_id, commit)
        await self._forget_answers(recording_id, recording.workspace_id, commit)
        return objects

    async def purge_call(self, call_id: str, commit: Commit | None = None) -> None:
        """The words of a deleted call, and what was answered to who made it."""
        commit = commit or self._store.commit
        call = _deleted(await self._store.get(Call, call_id))
        while turns := await self._store.find(Query(Turn).where("call_id", "=", call_id).by("seq").page(AT_ONCE)):
            unit = Unit()
            unit.remove(*turns)
            await commit(unit)
        await self._forget_answers(call_id, call.workspace_id, commit)

    async def _objects(self, recording_id: str) -> Sequence[StoredObject]:
        query = Query(StoredObject).where("recording_id", "=", recording_id).by("key")
        return await self._store.find(query.page(AT_ONCE))

    def _destroy(self, objects: Sequence[StoredObject]) -> None:
        for stored in objects:
            self._blobs.delete(stored.key)

    async def _forget(self, recording_id: str, commit: Commit) -> None:
        unit = Unit()
        for kind, order in ROWS:
            query: Query[object] = Query(kind).where("recording_id", "=", recording_id).by(*order)
            unit.remove(*await self._store.find(query))
        await commit(unit)

    async def _forget_answers(self, made_id: str, workspace_id: str, commit: Commit) -> None:
        """What is kept for a day to be answered again, where it is of this recording or call."""
        query = Query(IdempotentRequest).where("workspace_id", "=", workspace_id).where("reserved_id", "=", made_id)
        unit = Unit()
        unit.remove(*await self._store.find(query.by("workspace_id", "key")))
        await commit(unit)

    async def _nothing_is_coming(self, recording_ids: Sequence[str]) -> None:
        """A node that still holds sound drops it when it learns of the deletion; what it moved before comes too late
        for this run and is found by the next one."""
        for recording_id in recording_ids:
            query = Query(OpenSpool).where("recording_id", "=", recording_id).by("node")
            if await self._store.find(query.page(1)) or await self._objects(recording_id):
                raise StaleWrite(what="sound of a deleted recording")


def _deleted(thing: T | None) -> T:
    if thing is None or thing.deleted_ms is None:
        raise Refused(why="only what is deleted is purged")
    return thing


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
