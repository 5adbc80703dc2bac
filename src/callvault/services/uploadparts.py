"""The parts of uploads: stored objects under the upload's own prefix, put one behind the other."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO

from callvault.domain.ids import token
from callvault.domain.query import Query
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from callvault.domain.upload import Upload
from callvault.ports.blobs import Blobs, Sparing
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.partsfile import PartsFile
from callvault.services.timelines import Unlock


class UploadParts:
    def __init__(self, store: Store, blobs: Blobs, *, clock: Clock, ids: Ids, unlock: Unlock) -> None:
        self._store, self._blobs, self._clock, self._ids, self._unlock = store, blobs, clock, ids, unlock

    async def check_room(self, coming: int) -> None:
        """`DiskFull` when the storage says beforehand that so many bytes have no room."""
        if isinstance(self._blobs, Sparing):
            await asyncio.to_thread(self._blobs.check_room, coming)

    async def put(self, upload: Upload, offset: int, data: bytes) -> StoredObject:
        """In storage when it returns; it counts when the unit that adds it commits. No two have the same name, so
        that of two who send the same bytes at once neither writes over the other."""
        await self._unlock(upload.workspace_id, ())
        key = f"{upload.prefix}{offset:014d}-{token(self._ids.secret(6))}"
        stored = await asyncio.to_thread(self._blobs.put, key, [data], workspace_id=upload.workspace_id)
        return replace(
            stored,
            workspace_id=upload.workspace_id,
            recording_id=upload.recording_id,
            created_ms=self._clock.now_ms(),
        )

    async def of(self, upload: Upload) -> list[StoredObject]:
        """In order."""
        query = Query(StoredObject).where("workspace_id", "=", upload.workspace_id)
        query = query.where("key", ">", upload.prefix).where("key", "<", upload.prefix + "\x7f")
        return list(await self._store.find(query.by("key")))

    async def open(self, upload: Upload) -> BinaryIO:
        """The file, for threads: reading it blocks."""
        parts = await self.of(upload)
        await self._unlock(upload.workspace_id, parts)
        return PartsFile(self._blobs, parts).buffered()

    async def destroy(self, parts: Sequence[StoredObject]) -> None:
        for part in parts:
            await asyncio.to_thread(self._blobs.delete, part.key)
        unit = Unit()
        unit.remove(*parts)
        if parts:
            await self._store.commit(unit)
