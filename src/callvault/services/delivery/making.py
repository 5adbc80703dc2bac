"""The making of renditions: each once, however many ask for it at the same time."""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from callvault.audio.pcm import Samples
from callvault.domain.errors import AlreadyThere, ShuttingDown, StaleWrite
from callvault.domain.recording import Recording
from callvault.domain.stored import Rendition, StoredObject
from callvault.domain.unit import Unit
from callvault.domain.workspace import Workspace
from callvault.ports.blobs import Blobs, Chunk
from callvault.ports.codecs import Codecs
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.delivery.content import StoredContent
from callvault.services.delivery.growing import Growing
from callvault.services.delivery.views import View
from callvault.services.stale import again_when_stale
from callvault.services.timelines import Unlock
from callvault.wire.mediatypes import OF_FORMAT

ENCODERS: Final = 2
"""That run at the same time in a process; who asks for more waits."""

Key = tuple[str, str, str, int, int]
"""As of the `Rendition`: recording, view, format, rate and version of the sound."""


class Making:
    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        codecs: Codecs,
        *,
        clock: Clock,
        ids: Ids,
        unlock: Unlock,
        clear: Blobs | None,
    ) -> None:
        self._store, self._blobs, self._codecs, self._clear = store, blobs, codecs, clear
        self._clock, self._ids, self._unlock = clock, ids, unlock
        self._at_work: dict[Key, Growing] = {}
        self._tasks: set[asyncio.Task[StoredContent]] = set()
        self._encoders = ThreadPoolExecutor(ENCODERS, "encoder")
        self._stopping = threading.Event()

    def at_work(self, key: Key) -> Growing | None:
        return self._at_work.get(key)

    async def kept(self, key: Key) -> StoredContent | None:
        """The rendition of this very version of the sound, if it was made."""
        rendition = await self._store.get(Rendition, *key)
        stored = await self._store.get(StoredObject, rendition.object_key) if rendition else None
        if rendition is None or stored is None:
            return None
        await self._unlock(stored.workspace_id, [stored])
        return StoredContent(stored, OF_FORMAT[rendition.format], self._blobs)

    def begin(self, key: Key, view: View, bits: int = 0) -> Growing:
        growing = self._at_work[key] = Growing(OF_FORMAT[key[2]])
        chunks = self.encoded(view, key[2], growing, bits)
        task = asyncio.create_task(self._make(key, view.sound.recording, growing, chunks))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._at_work.pop(key, None))
        task.add_done_callback(growing.settle)
        return growing

    def encoded(self, view: View, format: str, growing: Growing | None = None, bits: int = 0) -> Iterator[Chunk]:
        if format == "wav":
            return view.pieces()
        blocks = _counted(view, growing) if growing else view.blocks()
        return self._codecs.encode(blocks, format=format, rate=view.rate, channels=view.channels, bits=bits)

    async def close(self) -> None:
        """What is being made is given up; it is made anew for the next who asks."""
        self._stopping.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._encoders.shutdown(wait=False, cancel_futures=True)

    async def _make(self, key: Key, recording: Recording, growing: Growing, encoded: Iterator[Chunk]) -> StoredContent:
        blobs = await self._storage(recording.workspace_id)
        loop = asyncio.get_running_loop()
        chunks = self._told(encoded, growing, loop)
        stored = await loop.run_in_executor(self._encoders, self._put, blobs, key, recording.workspace_id, chunks)
        if not await self._keep(key, recording, stored):
            await asyncio.to_thread(blobs.delete, stored.key)
        content = await self.kept(key)
        if content is None:
            raise StaleWrite(what="the recording")
        return content

    async def _storage(self, workspace_id: str) -> Blobs:
        """Without our seals where the bucket itself delivers."""
        workspace = await self._store.get(Workspace, workspace_id)
        by_bucket = workspace is not None and workspace.delivery == "bucket"
        return self._clear if by_bucket and self._clear else self._blobs

    def _put(self, blobs: Blobs, key: Key, workspace_id: str, chunks: Iterable[Chunk]) -> StoredObject:
        name = f"{workspace_id}/{key[0]}/renditions/{self._ids.uuid()}"
        return blobs.put(name, chunks, workspace_id=workspace_id)

    def _told(self, chunks: Iterable[Chunk], growing: Growing, loop: asyncio.AbstractEventLoop) -> Iterator[Chunk]:
        for chunk in chunks:
            if self._stopping.is_set():
                raise ShuttingDown
            loop.call_soon_threadsafe(growing.append, chunk)
            yield chunk

    @again_when_stale
    async def _keep(self, key: Key, recording: Recording, stored: StoredObject) -> bool:
        """Whether this one is the rendition now; not, when the sound has changed or gone, or another was quicker."""
        now = await self._store.get(Recording, recording.id)
        if now is None or now.deleted_ms is not None or now.sound_version != recording.sound_version:
            return False
        unit = Unit()
        unit.change(replace(now, version=now.version + 1))
        unit.add(*self._rows(key, now, stored))
        try:
            await self._store.commit(unit)
        except AlreadyThere:
            return False
        return True

    def _rows(self, key: Key, recording: Recording, stored: StoredObject) -> tuple[Rendition, StoredObject]:
        _, view, format, rate, sound_version = key
        created_ms, workspace_id = self._clock.now_ms(), recording.workspace_id
        rendition = Rendition(
            recording_id=recording.id,
            view=view,
            format=format,
            rate=rate,
            sound_version=sound_version,
            workspace_id=workspace_id,
            object_key=stored.key,
            size=stored.size,
            created_ms=created_ms,
        )
        return rendition, replace(stored, recording_id=recording.id, workspace_id=workspace_id, created_ms=created_ms)


def _counted(view: View, growing: Growing) -> Iterator[Samples]:
    done = 0
    for block in view.blocks():
        yield block
        done += len(block)
        growing.fraction = done / view.frames
