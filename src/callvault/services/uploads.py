"""Resumable uploads: a file comes in by parts, each durable before it counts, on whichever node; a job takes it in."""

import asyncio
import hashlib
import hmac
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace

from callvault.domain.access import Action, Caller, Principal
from callvault.domain.errors import (
    UNDONE,
    DigestMismatch,
    Malformed,
    Missing,
    PassingFault,
    RecordingEnded,
    StaleWrite,
    TooLarge,
    UploadMisplaced,
)
from callvault.domain.ids import Json, token
from callvault.domain.job import ENDED, Job
from callvault.domain.query import Query
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from callvault.domain.upload import Upload
from callvault.ports.blobs import Blobs
from callvault.ports.jobs import Duty
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access
from callvault.services.recordings import Recordings
from callvault.services.stale import again_when_stale
from callvault.services.timelines import Unlock
from callvault.services.uploadparts import UploadParts

log = logging.getLogger(__name__)
PART_BYTES = 4 << 20
MOST_BYTES = 64 << 30
KEPT_MS = 24 * 3_600_000
"""So long after the last part an upload that is not complete is kept."""
ASSEMBLE = "assemble"
ALGORITHMS = ("sha1", "sha256", "md5")
SWEEP = 100
SWEEP_EVERY_SECONDS = 600.0
TOUCH_SECONDS = 3.0
TOUCHED_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the client says of the bytes that it sends now."""

    algorithm: str
    digest: bytes

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise Malformed(what="Upload-Checksum", why=f"the algorithm is one of {', '.join(ALGORITHMS)}")


class Uploads:
    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        *,
        clock: Clock,
        ids: Ids,
        access: Access,
        recordings: Recordings,
        unlock: Unlock,
    ) -> None:
        self._store, self._clock, self._ids = store, clock, ids
        self._access, self._recordings = access, recordings
        self.parts = UploadParts(store, blobs, clock=clock, ids=ids, unlock=unlock)
        self._touched: OrderedDict[str, float] = OrderedDict()

    async def begin(
        self,
        caller: Caller,
        recording_id: str,
        length: int,
        *,
        channels: tuple[str, ...] = (),
        media_type: str = "",
        metadata: str = "",
        complete: bool = False,
    ) -> Upload:
        """`complete`: the recording shall be completed when the file has been taken in."""
        principal = self._access.permit(caller, Action.WRITE_SOUND)
        await self._recordings.enabled(principal)
        recording = await self._recordings.retrieve(caller, recording_id, Action.WRITE_SOUND)
        if not recording.in_progress:
            raise RecordingEnded
        if length <= 0:
            raise Malformed(what="Upload-Length", why="there is no sound in a file without a byte")
        if length > MOST_BYTES:
            raise TooLarge(what="the upload", limit=f"{MOST_BYTES} bytes")
        await self.parts.check_room(length)
        now = self._clock.now_ms()
        upload = Upload(
            id=token(self._ids.secret(16)),
            workspace_id=recording.workspace_id,
            recording_id=recording.id,
            key_id=principal.key_id,
            length=length,
            channels=channels,
            media_type=media_type,
            metadata=metadata,
            complete=complete,
            created_ms=now,
            expires_ms=now + KEPT_MS,
        )
        unit = Unit()
        unit.add(upload)
        await self._store.commit(unit)
        return upload

    async def get(self, caller: Caller, upload_id: str) -> Upload:
        """`Missing` for anybody but the key that began it, and when its time has passed."""
        principal = self._access.permit(caller, Action.WRITE_SOUND)
        upload = await self._store.get(Upload, upload_id)
        if upload is None or not _owns(principal, upload) or self._clock.now_ms() >= upload.expires_ms:
            raise Missing(what="upload")
        return upload

    async def append(
        self,
        caller: Caller,
        upload_id: str,
        offset: int,
        chunks: AsyncIterator[bytes],
        checksum: Checksum | None = None,
    ) -> Upload:
        """What comes is durable in parts as it comes: who is cut off goes on from the last one. With a checksum all
        of it counts, or nothing when it is cut off or `DigestMismatch`. `UploadMisplaced` for another offset."""
        upload = await self.get(caller, upload_id)
        await self._recordings.enabled(self._access.permit(caller, Action.WRITE_SOUND))
        if not (await self._recordings.retrieve(caller, upload.recording_id, Action.WRITE_SOUND)).in_progress:
            raise RecordingEnded
        if offset != upload.offset:
            raise UploadMisplaced(offset=upload.offset)
        await self.parts.check_room(upload.length - offset)
        return await (self._checked(upload, chunks, checksum) if checksum else self._streamed(upload, chunks))

    async def terminate(self, caller: Caller, upload_id: str) -> None:
        """Parts and all; not while its file is being taken in."""
        upload = await self.get(caller, upload_id)
        if upload.completed_ms is not None and upload.taken_ms is None:
            raise RecordingEnded
        await self.discard(upload)

    @again_when_stale
    async def complete_later(self, recording_id: str) -> bool:
        """Whether a file of the recording has come and waits to be taken in: then the recording is completed when it
        was."""
        awaited = await self._awaited(recording_id)
        query = Query(Upload).where("recording_id", "=", recording_id).where("completed_ms", "is not null")
        whole = await self._store.find(query.where("taken_ms", "is null").by("id"))
        waiting = [upload for upload in whole if upload.id in awaited]
        unit = Unit()
        unit.change(*(replace(u, complete=True, version=u.version + 1) for u in waiting if not u.complete))
        if unit.writes:
            await self._store.commit(unit)
        return bool(waiting)

    async def taken_in(self, upload: Upload) -> None:
        """Its file is in the recording. Where it stands is told until it expires, for a client that was cut off before
        the last answer. `StaleWrite` when somebody has asked something of it meanwhile."""
        unit = Unit()
        unit.change(replace(upload, taken_ms=self._clock.now_ms(), version=upload.version + 1))
        await self._store.commit(unit)
        await self.parts.destroy(await self.parts.of(upload))

    async def discard(self, upload: Upload) -> None:
        """The row goes first: an append that is under way then fails, and leaves nothing behind."""
        await self._discard(upload, Unit())

    def duties(self) -> list[Duty]:
        return [Duty("discard uploads left behind", self.sweep, SWEEP_EVERY_SECONDS)]

    async def sweep(self) -> bool:
        """Discards what was left behind, and files that could not be taken in: not those that a job has yet to take
        in, however late it comes to that."""
        old = Query(Upload).where("expires_ms", "<=", self._clock.now_ms()).by("expires_ms", "id")
        page = await self._store.find(old.page(SWEEP))
        while page:
            for upload in page:
                try:
                    if upload.id not in await self._awaited(upload.recording_id):
                        await self._expire(upload)
                except PassingFault as fault:
                    log.warning("an upload is not swept yet: %s", fault, extra={"recording": upload.recording_id})
            page = await self._store.find(old.page(SWEEP, old.cursor(page[-1])))
        return False

    async def _expire(self, upload: Upload) -> None:
        """Not when somebody has gone on with it in the meantime."""
        unit = Unit()
        unit.change(replace(upload, version=upload.version + 1))
        with suppress(StaleWrite):
            await self._discard(upload, unit)

    async def _discard(self, upload: Upload, unit: Unit) -> None:
        unit.remove(upload)
        await self._store.commit(unit)
        await self.parts.destroy(await self.parts.of(upload))

    async def _awaited(self, recording_id: str) -> set[Json]:
        """The uploads of the recording whose files a job has yet to take in."""
        jobs = await self._store.find(assemblies(recording_id))
        return {job.arguments["upload"] for job in jobs if job.state not in ENDED}

    async def _streamed(self, upload: Upload, chunks: AsyncIterator[bytes]) -> Upload:
        rest = bytearray()
        try:
            async for chunk in chunks:
                self._fits(upload, len(rest) + len(chunk))
                rest += chunk
                await self._touch(upload)
                if len(rest) >= PART_BYTES:
                    upload = await self._grown(upload, [await self.parts.put(upload, upload.offset, bytes(rest))])
                    rest.clear()
        finally:
            # Whatever came before the connection was lost is kept, for who resumes.
            if rest:
                upload = await asyncio.shield(self._last(upload, bytes(rest)))
        return upload

    async def _last(self, upload: Upload, rest: bytes) -> Upload:
        return await self._grown(upload, [await self.parts.put(upload, upload.offset, rest)])

    async def _checked(self, upload: Upload, chunks: AsyncIterator[bytes], checksum: Checksum) -> Upload:
        digest, rest, parts = hashlib.new(checksum.algorithm, usedforsecurity=False), bytearray(), list[StoredObject]()
        is_whole = False
        try:
            async for chunk in chunks:
                digest.update(chunk)
                received = sum(part.size for part in parts)
                self._fits(upload, received + len(rest) + len(chunk))
                rest += chunk
                await self._touch(upload)
                if len(rest) >= PART_BYTES:
                    parts.append(await self.parts.put(upload, upload.offset + received, bytes(rest)))
                    rest.clear()
            if not hmac.compare_digest(digest.digest(), checksum.digest):
                raise DigestMismatch
            if rest:
                parts.append(await self.parts.put(upload, upload.offset + sum(p.size for p in parts), bytes(rest)))
            is_whole = True
        finally:
            if not is_whole:
                await asyncio.shield(self.parts.destroy(parts))
        return await self._grown(upload, parts)

    async def _touch(self, upload: Upload) -> None:
        """A recording is not idle while its file comes in."""
        now = self._clock.monotonic()
        if now - self._touched.get(upload.recording_id, -TOUCH_SECONDS) >= TOUCH_SECONDS:
            self._touched[upload.recording_id] = now
            self._touched.move_to_end(upload.recording_id)
            while len(self._touched) > TOUCHED_MOST:
                self._touched.popitem(last=False)
            await self._recordings.touch(upload.recording_id)

    def _fits(self, upload: Upload, received: int) -> None:
        if upload.offset + received > upload.length:
            raise TooLarge(what="the upload", limit=f"announced {upload.length} bytes")

    async def _grown(self, upload: Upload, parts: list[StoredObject]) -> Upload:
        now = self._clock.now_ms()
        offset = upload.offset + sum(part.size for part in parts)
        grown = replace(upload, offset=offset, expires_ms=now + KEPT_MS, version=upload.version + 1)
        unit = Unit()
        if offset == upload.length:
            grown = replace(grown, completed_ms=now)
            unit.enqueue(self._assembly(grown))
        unit.change(grown)
        unit.add(*parts)
        try:
            await self._store.commit(unit)
        except UNDONE as fault:
            await self.parts.destroy(parts)
            if not isinstance(fault, StaleWrite):
                raise
            there = await self._store.get(Upload, upload.id)
            raise (UploadMisplaced(offset=there.offset) if there else Missing(what="upload")) from None
        return grown

    def _assembly(self, upload: Upload) -> Job:
        now = self._clock.now_ms()
        arguments: dict[str, Json] = {"upload": upload.id}
        return Job(
            id=self._ids.uuid(),
            workspace_id=upload.workspace_id,
            kind=ASSEMBLE,
            created_ms=now,
            due_ms=now,
            recording_id=upload.recording_id,
            arguments=arguments,
        )


def assemblies(recording_id: str) -> Query[Job]:
    """The jobs that take in, or took in, files of a recording."""
    return Query(Job).where("recording_id", "=", recording_id).where("kind", "=", ASSEMBLE).by("created_ms", "id")


def _owns(principal: Principal, upload: Upload) -> bool:
    return principal.workspace_id == upload.workspace_id and principal.key_id == upload.key_id
