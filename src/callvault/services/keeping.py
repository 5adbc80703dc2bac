"""Keeping: artifacts come in, a video or call logs, also when the recording has ended; each kind once."""

import asyncio
import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from callvault.domain.access import Action, Caller
from callvault.domain.call import Call
from callvault.domain.errors import UNDONE, AlreadyThere, ArtifactUnkept, Fault, Malformed, Refused
from callvault.domain.ids import Json
from callvault.domain.lane import Span
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.stored import Artifact, StoredObject
from callvault.domain.unit import Unit
from callvault.ports.blobs import Blobs
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access
from callvault.services.ingest.cutting import Paused
from callvault.services.recordings import Recordings
from callvault.services.stale import again_when_stale
from callvault.services.timelines import Unlock
from callvault.services.witness import Witness
from callvault.wire import calllogs

log = logging.getLogger(__name__)
VIDEO, CALL_LOGS = "video", "call-logs"
KINDS = (VIDEO, CALL_LOGS)
CHUNK = 1 << 20
GZIP = "application/gzip"
LOGS_MOST = 64 << 20
"""Of call logs, unfolded: each line of them is proven."""
VIDEOS = {"video/mp4": (4, b"ftyp"), "video/quicktime": (4, b"ftyp"), "video/webm": (0, b"\x1a\x45\xdf\xa3")}
"""Where in a file of the type which bytes are."""


@dataclass(frozen=True, slots=True)
class Kept:
    artifact: Artifact
    created: bool
    """False when the very same was there already."""


class Keeping:
    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        *,
        clock: Clock,
        ids: Ids,
        access: Access,
        witness: Witness,
        recordings: Recordings,
        unlock: Unlock,
    ) -> None:
        self._store, self._blobs, self._clock, self._ids = store, blobs, clock, ids
        self._access, self._witness, self._recordings, self._unlock = access, witness, recordings, unlock

    async def admitted(self, caller: Caller, recording_id: str, kind: str) -> Recording:
        """Whether one of the kind may come in: asked before it comes."""
        await self._recordings.enabled(self._access.permit(caller, Action.WRITE_SOUND))
        recording = await self._recordings.retrieve(caller, recording_id, Action.WRITE_SOUND)
        call = await self._store.get(Call, recording.call_id)
        if call and not call.keeps(kind):
            raise ArtifactUnkept(kind=kind)
        return recording

    async def put(
        self,
        caller: Caller,
        recording_id: str,
        kind: str,
        source: BinaryIO,
        media_type: str,
        *,
        facts: Mapping[str, Json] | None = None,
    ) -> Kept:
        """Logs are kept as gzipped JSON lines whichever way they come. What was said during a pause is in neither: its
        lines are left out, and a video of it is refused. `AlreadyThere` when there is another one of the kind; the
        very same may tell other facts of itself."""
        recording = await self.admitted(caller, recording_id, kind)
        pauses = await self._pauses(recording)
        await self._unlock(recording.workspace_id, ())
        if kind == VIDEO:
            media_type = await asyncio.to_thread(_proven_video, source, media_type, pauses)
            stored = await self._stored(recording, kind, _chunks(source))
        else:
            media_type = GZIP
            stored = await self._stored(recording, kind, _folded(source, recording, pauses))
        artifact = Artifact(
            recording_id=recording.id,
            kind=kind,
            workspace_id=recording.workspace_id,
            object_key=stored.key,
            media_type=media_type,
            size=stored.size,
            created_ms=self._clock.now_ms(),
            metadata=dict(facts or {}),
        )
        return await self._known(caller, artifact, stored)

    async def _stored(self, recording: Recording, kind: str, chunks: Iterable[bytes]) -> StoredObject:
        key = f"{recording.workspace_id}/{recording.id}/{kind}/{self._ids.uuid()}"
        stored = await asyncio.to_thread(self._blobs.put, key, chunks, workspace_id=recording.workspace_id)
        return replace(
            stored,
            workspace_id=recording.workspace_id,
            recording_id=recording.id,
            created_ms=self._clock.now_ms(),
        )

    async def _known(self, caller: Caller, artifact: Artifact, stored: StoredObject) -> Kept:
        try:
            kept = await self._commit(caller, artifact, stored)
        except UNDONE:
            await self._take_back(stored)
            raise
        if not kept.created:
            await self._take_back(stored)
        return kept

    async def _take_back(self, stored: StoredObject) -> None:
        """What cannot be deleted now is found by `callvault verify`."""
        try:
            await asyncio.to_thread(self._blobs.delete, stored.key)
        except Fault as fault:
            log.warning("an object that nothing refers to stays in storage: %s", fault)

    @again_when_stale
    async def _commit(self, caller: Caller, artifact: Artifact, stored: StoredObject) -> Kept:
        """The recording changes with it, so that none comes to one that was deleted meanwhile."""
        recording = await self._recordings.retrieve(caller, artifact.recording_id, Action.WRITE_SOUND)
        if there := await self._store.get(Artifact, recording.id, artifact.kind):
            before = await self._store.get(StoredObject, there.object_key)
            if before is None or before.sha256 != stored.sha256:
                raise AlreadyThere(what=f"{artifact.kind} of this recording")
            told = replace(there, metadata={**there.metadata, **artifact.metadata})
            if told != there:
                await self._write(caller, recording, told)
            return Kept(told, created=False)
        await self._write(caller, recording, artifact, stored)
        return Kept(artifact, created=True)

    async def _write(
        self, caller: Caller, recording: Recording, artifact: Artifact, stored: StoredObject | None = None
    ) -> None:
        now = self._clock.now_ms()
        changed = replace(recording, updated_ms=now, version=recording.version + 1)
        unit = Unit()
        unit.change(changed)
        if stored:
            unit.add(artifact, stored)
        else:
            unit.put(artifact)
        self._witness.of_recording(
            unit, caller, Action.WRITE_SOUND, changed, "recording.updated", artifact=artifact.kind
        )
        await self._store.commit(unit)

    async def _pauses(self, recording: Recording) -> Sequence[Span]:
        spans = await self._store.find(Query(Span).where("recording_id", "=", recording.id).by("start_us", "id"))
        return [span for span in spans if span.kind == "pause"]


def _proven_video(source: BinaryIO, media_type: str, pauses: Sequence[Span]) -> str:
    if pauses:
        raise Refused(why="the recording was paused, and what was said then is in the video: it is not stored")
    essence = media_type.partition(";")[0].strip().lower()
    where = VIDEOS.get(essence)
    if where is None:
        raise Malformed(what="the video", why=f"its type is one of {', '.join(VIDEOS)}")
    source.seek(0)
    if source.read(16)[where[0] :][: len(where[1])] != where[1]:
        raise Malformed(what="the video", why=f"it is no {essence}")
    return essence


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    source.seek(0)
    while chunk := source.read(CHUNK):
        yield chunk


def _folded(source: BinaryIO, recording: Recording, pauses: Sequence[Span]) -> Iterator[bytes]:
    if not pauses:
        return calllogs.folded(_chunks(source), LOGS_MOST)
    began_us = 1000 * (recording.created_ms if recording.started_ms is None else recording.started_ms)
    paused = Paused(pauses)
    kept = (line + b"\n" for line in calllogs.lines(_chunks(source), LOGS_MOST) if not _within(line, paused, began_us))
    return calllogs.folded(kept)


def _within(line: bytes, paused: Paused, began_us: int) -> bool:
    """Lines tell their time in nanoseconds; of one that does not, nobody knows when it was written."""
    told = json.loads(line)
    time = told.get("time") if isinstance(told, dict) else None
    if isinstance(time, bool) or not isinstance(time, int | float) or time in (math.inf, -math.inf):
        return True
    return paused.at(int(time // 1000) - began_us)
