"""Segments on their way into storage: put, read back, and known to nobody before the database is told."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

from callvault.domain.errors import BlobCorrupt, Fault
from callvault.domain.lane import Segment
from callvault.domain.recording import Recording
from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Blobs
from callvault.ports.system import Clock, Ids
from callvault.services.ingest.packing import Packed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """In storage; a `Segment` once it has its number."""

    lane: str
    packed: Packed
    """Without the body."""
    stored: StoredObject

    def numbered(self, seq: int) -> Segment:
        return Segment(
            recording_id=self.stored.recording_id or "",
            lane=self.lane,
            seq=seq,
            workspace_id=self.stored.workspace_id,
            object_key=self.stored.key,
            first_sample=self.packed.first_sample,
            end_sample=self.packed.end_sample,
            runs=self.packed.runs,
            takes=self.packed.takes,
            peaks_offset=self.packed.peaks_offset,
        )


class Segments:
    """All blocking."""

    def __init__(self, blobs: Blobs, clock: Clock, ids: Ids) -> None:
        self._blobs, self._clock, self._ids = blobs, clock, ids

    def put(self, recording: Recording, lane: str, packed: Packed) -> StoredSegment:
        """Durable and seen to be whole when it returns."""
        stored = self.keep(recording, lane, [packed.body])
        if bytes(self._blobs.read(stored)) != packed.body:  # a view would be compared byte by byte
            raise BlobCorrupt(key=stored.key, why="storage does not give back what it was given")
        return StoredSegment(lane, replace(packed, body=b""), stored)

    def keep(self, recording: Recording, name: str, chunks: Iterable[bytes]) -> StoredObject:
        """Any other object of the recording."""
        workspace_id = recording.workspace_id
        key = f"{workspace_id}/{recording.id}/{name}/{self._ids.uuid()}"
        stored = self._blobs.put(key, chunks, workspace_id=workspace_id)
        now = self._clock.now_ms()
        return replace(stored, workspace_id=workspace_id, recording_id=recording.id, created_ms=now)

    def delete(self, objects: Iterable[StoredObject]) -> None:
        """What came to nothing; what cannot be deleted now is found by `callvault verify`."""
        for stored in objects:
            try:
                self._blobs.delete(stored.key)
            except Fault as fault:
                log.warning("an object that nothing refers to stays in storage: %s", fault)
