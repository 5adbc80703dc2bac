"""Filing: whole lanes go straight to storage and become known all at once, or not at all."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from callvault.domain.errors import AlreadyThere, Missing, RecordingEnded, StaleWrite
from callvault.domain.lane import Lane
from callvault.domain.recording import Recording
from callvault.domain.stored import Artifact, StoredObject
from callvault.domain.unit import Unit
from callvault.ports.spool import Piece
from callvault.ports.store import Store
from callvault.ports.system import Clock
from callvault.services.ingest.cutting import PauseCutter
from callvault.services.ingest.openrecordings import OpenRecording, OpenRecordings
from callvault.services.ingest.packing import grouped, pack
from callvault.services.ingest.segments import Segments, StoredSegment
from callvault.services.ingest.sound import Decode

FILED_TAKE = -(1 << 41)
"""Under this number lies what was filed: it has none of its own, and takes that have one lie over it."""
ATTEMPTS = 20


@dataclass(slots=True)
class Filed:
    """What was put into storage and is not known yet."""

    lanes: list[Lane] = field(default_factory=list)
    segments: list[StoredSegment] = field(default_factory=list)
    artifact: Artifact | None = None
    others: list[StoredObject] = field(default_factory=list)

    @property
    def objects(self) -> list[StoredObject]:
        return [*(segment.stored for segment in self.segments), *self.others]


class Filing:
    def __init__(
        self, store: Store, segments: Segments, open_recordings: OpenRecordings, *, decode: Decode, clock: Clock
    ) -> None:
        self._store, self._segments, self._open = store, segments, open_recordings
        self._decode, self._clock = decode, clock

    def put(self, known: OpenRecording, lane: Lane, pieces: Iterable[Piece], filed: Filed) -> None:
        """Blocks; the pieces are of bounded size, in order of place."""
        cut = PauseCutter(known.pauses, lane, self._decode)
        for group in grouped(part for piece in pieces for part in cut(piece)):
            filed.segments.append(self._segments.put(known.recording, lane.name, pack(group, self._decode)))

    def keep(self, known: OpenRecording, artifact: Artifact, chunks: Iterable[bytes], filed: Filed) -> None:
        """Blocks: the artifact's bytes into storage. What was said during a pause is in them: then it is not kept."""
        if known.pauses:
            return
        stored = self._segments.keep(known.recording, artifact.kind, chunks)
        filed.others.append(stored)
        filed.artifact = replace(artifact, object_key=stored.key, size=stored.size)

    async def make_known(self, known: OpenRecording, fill: Callable[[Filed], None]) -> Filed:
        """`fill` puts things into storage, in a thread; what it put is taken away again when it fails."""
        filed = Filed()
        try:
            await asyncio.to_thread(fill, filed)
            await self._commit(known, filed)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(self._segments.delete, filed.objects))
            raise
        await self._open.learn_lanes(known)
        return filed

    async def _commit(self, known: OpenRecording, filed: Filed) -> None:
        for _ in range(ATTEMPTS):
            try:
                await self._store.commit(self._unit(await self._recording(known), filed))
            except StaleWrite:
                continue
            except AlreadyThere:
                raise AlreadyThere(what="sound in these lanes") from None
            known.heard_ms = self._clock.now_ms()
            return await self._open.refresh(known)
        raise StaleWrite(what="the recording")

    async def _recording(self, known: OpenRecording) -> Recording:
        recording = await self._store.get(Recording, known.id)
        if recording is None or recording.deleted_ms is not None:
            raise Missing(what="recording")
        if not recording.in_progress:
            raise RecordingEnded
        return recording

    def _unit(self, recording: Recording, filed: Filed) -> Unit:
        now = self._clock.now_ms()
        unit = Unit()
        unit.change(
            replace(
                recording,
                sound_version=recording.sound_version + 1,
                last_heard_ms=now,
                updated_ms=now,
                version=recording.version + 1,
            )
        )
        unit.add(*filed.lanes, *filed.objects)
        numbers = dict.fromkeys((lane.name for lane in filed.lanes), 0)
        for segment in filed.segments:
            unit.add(segment.numbered(numbers[segment.lane]))
            numbers[segment.lane] += 1
        if filed.artifact:
            unit.put(filed.artifact)
        return unit


async def fresh_lanes(
    open_recordings: OpenRecordings, known: OpenRecording, names: Sequence[str], rate: int
) -> list[Lane]:
    """Lanes that are not there yet, in this order; `AlreadyThere` when one is."""
    if taken := sorted(set(names) & known.lanes.keys()):
        raise AlreadyThere(what=f"lane {taken[0]}")
    lanes = [await open_recordings.new_lane(known, name, rate) for name in names]
    return [replace(lane, position=lane.position + n) for n, lane in enumerate(lanes)]
