"""Artifacts on their way out: video, call logs, pcap and the source, as they were put in."""

from collections.abc import Sequence

from callvault.domain.errors import Missing
from callvault.domain.query import Query
from callvault.domain.recording import Recording, Version
from callvault.domain.stored import Artifact, StoredObject
from callvault.ports.blobs import Blobs
from callvault.ports.store import Store
from callvault.services.delivery.content import StoredContent
from callvault.services.timelines import Unlock, nothing_is_sealed


class Artifacts:
    def __init__(self, store: Store, blobs: Blobs, unlock: Unlock = nothing_is_sealed) -> None:
        self._store, self._blobs, self._unlock = store, blobs, unlock

    async def of(self, recording: Version, kind: str) -> Artifact:
        """`Missing` when the recording has none of the kind."""
        artifact = await self._store.get(Artifact, recording.id, kind)
        if artifact is None or recording.deleted_ms is not None:
            raise Missing(what="artifact")
        return artifact

    async def of_each(self, recordings: Sequence[Recording]) -> Sequence[Artifact]:
        """All that these recordings have, whatever it is."""
        names = tuple(recording.id for recording in recordings)
        query = Query(Artifact).where("recording_id", "in", names).by("recording_id", "kind")
        return await self._store.find(query) if names else ()

    async def open(self, recording: Recording, kind: str) -> StoredContent:
        artifact = await self.of(recording, kind)
        stored = await self._store.get(StoredObject, artifact.object_key)
        if stored is None:
            raise Missing(what="artifact")
        await self._unlock(stored.workspace_id, [stored])
        return StoredContent(stored, artifact.media_type, self._blobs)
