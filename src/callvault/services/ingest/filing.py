"""Filing: whole lanes go straight to storage and become known all at once, or not at all."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from callvault.domain.access import Action, Caller
from callvault.domain.errors import UNDONE, AlreadyThere, Missing, RecordingEnded, StaleWrite, TooLarge
from callvault.domain.ids import Json
from callvault.domain.lane import Lane
from callvault.domain.recording import Recording
from callvault.domain.stored import Artifact, StoredObject
from callvault.domain.unit import Unit
from callvault.ports.spool import Piece
from callvault.ports.store import Store
from callvault.ports.system import Clock
from callvault.services.ingest.cutting import PauseCutter, Pauses
from callvault.services.ingest.openrecordings import LANES_MOST, OpenRecording, OpenRecordings
from callvault.services.ingest.packing import grouped, pack
from callvault.services.ingest.segments import Segments, StoredSegment
from callvault.services.ingest.sound import Decode
from callvault.services.witness import Witness

FILED_TAKE = -(1 << 41)
"""Under this number lies what was filed: it has none of its own, and takes that have one lie over it."""
ATTEMPTS = 20
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """What sound was made of, as it was received."""

    kind: str
    """As of an `Artifact`."""
    bytes: BinaryIO
    media_type: str
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(slots=True)
class Filed:
    """What was put into storage and is not known yet."""

    lanes: list[Lane] = field(default_factory=list)
    segments: list[StoredSegment] = field(default_factory=list)
    artifact: Artifact | None = None
    rebuilt: Artifact | None = None
    """One that was known already, with what was made of it now."""
    others: list[StoredObject] = field(default_factory=list)
    started_ms: int | None = None
    """When the call started, if nobody has said so before."""

    @property
    def objects(self) -> list[StoredObject]:
        return [*(segment.stored for segment in self.segments), *self.others]


class Filing:
    def __init__(
        self,
        store: Store,
        segments: Segments,
        open_recordings: OpenRecordings,
        *,
        decode: Decode,
        clock: Clock,
        witness: Witness,
    ) -> None:
        self._store, self._segments, self._open = store, segments, open_recordings
        self._decode, self._clock, self._witness = decode, clock, witness

    def put(self, known: OpenRecording, lane: Lane, pieces: Iterable[Piece], filed: Filed) -> None:
        """Blocks; the pieces are of bounded size, in order of place, and nothing of a pause is in them."""
        for group in grouped(pieces):
            filed.segments.append(self._segments.put(known.recording, lane.name, pack(group, self._decode)))

    def cutter(self, known: OpenRecording, lane: Lane) -> PauseCutter:
        return PauseCutter(known.pauses, lane, self._decode)

    def keep(self, known: OpenRecording, source: Source, filed: Filed) -> None:
        """Blocks. What was said during a pause is in a source: then it is not kept."""
        if known.pauses:
            return
        stored = self._segments.keep(known.recording, source.kind, chunks_of(source.bytes))
        filed.others.append(stored)
        filed.artifact = Artifact(
            recording_id=known.id,
            kind=source.kind,
            workspace_id=known.recording.workspace_id,
            object_key=stored.key,
            media_type=source.media_type,
            size=stored.size,
            created_ms=self._clock.now_ms(),
            metadata=dict(source.facts),
        )

    async def kept(self, known: OpenRecording, source: Source) -> Artifact | None:
        """This very source, if it was kept already; `AlreadyThere` when another one was."""
        artifact = await self._store.get(Artifact, known.id, source.kind)
        stored = await self._store.get(StoredObject, artifact.object_key) if artifact else None
        if artifact is None or stored is None:
            return None
        same_lanes = artifact.metadata.get("channels") == source.facts.get("channels")
        if same_lanes and await asyncio.to_thread(_digest, source.bytes) == stored.sha256:
            return artifact
        raise AlreadyThere(what=f"{source.kind} of this recording")

    async def make_known(self, caller: Caller, known: OpenRecording, fill: Callable[[Filed], None]) -> Filed:
        """`fill` puts things into storage, in a thread; what it put is taken away again when it fails, and when they
        are known not to have become known. `StaleWrite` when a pause was asked for, or ended, meanwhile: then all of
        it is to be cut anew."""
        filed, may_be_known, pauses = Filed(), False, known.pauses
        try:
            await asyncio.to_thread(fill, filed)
            may_be_known = True
            await self._commit(caller, known, filed, pauses)
        except UNDONE:
            may_be_known = False
            raise
        finally:
            if not may_be_known:
                await asyncio.shield(asyncio.to_thread(self._segments.delete, filed.objects))
        await self._open.learn_lanes(known)
        return filed

    async def _commit(self, caller: Caller, known: OpenRecording, filed: Filed, pauses: Pauses) -> None:
        for _ in range(ATTEMPTS):
            recording = await self._recording(known)
            if recording.version != known.recording.version:
                await self._open.refresh(known)
            if known.pauses != pauses:
                break
            try:
                await self._store.commit(self._unit(caller, recording, filed))
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

    def _unit(self, caller: Caller, recording: Recording, filed: Filed) -> Unit:
        now = self._clock.now_ms()
        unit = Unit()
        unit.change(
            replace(
                recording,
                sound_version=recording.sound_version + 1,
                started_ms=filed.started_ms if recording.started_ms is None else recording.started_ms,
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
        unit.add(*filter(None, [filed.artifact]))
        unit.put(*filter(None, [filed.rebuilt]))
        lanes: list[Json] = [lane.name for lane in filed.lanes]
        artifact = filed.artifact or filed.rebuilt
        kept = artifact.kind if artifact else None
        self._witness.of_recording(unit, caller, Action.WRITE_SOUND, recording, lanes=lanes, kept=kept)
        return unit


async def fresh_lanes(
    open_recordings: OpenRecordings, known: OpenRecording, wanted: Sequence[tuple[str, int]]
) -> list[Lane]:
    """Lanes of these names and rates that are not there yet, in this order; `AlreadyThere` when one is."""
    if taken := sorted({name for name, _ in wanted} & known.lanes.keys()):
        raise AlreadyThere(what=f"lane {taken[0]}")
    if len(known.lanes) + len(wanted) > LANES_MOST:
        raise TooLarge(what="the recording", limit=f"{LANES_MOST} lanes")
    lanes = [await open_recordings.new_lane(known, name, rate) for name, rate in wanted]
    return [replace(lane, position=lane.position + n) for n, lane in enumerate(lanes)]


def chunks_of(source: BinaryIO) -> Iterator[bytes]:
    source.seek(0)
    while chunk := source.read(CHUNK):
        yield chunk


def _digest(source: BinaryIO) -> str:
    digest = hashlib.sha256()
    for chunk in chunks_of(source):
        digest.update(chunk)
    return digest.hexdigest()
