"""The mover: takes sound from the spool to storage in segments, and lets the spool forget it when storage has it."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from callvault.domain.access import SYSTEM
from callvault.domain.errors import UNDONE, AlreadyThere, Fault, Misconfigured, Missing, StaleWrite
from callvault.domain.lane import Lane, OpenSpool, Segment
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.ports.spool import EVERYTHING, Piece, Spool, Spooled
from callvault.ports.store import Store
from callvault.ports.system import Clock
from callvault.services.ingest.cutting import PauseCutter, Pauses
from callvault.services.ingest.known import KnownTakes
from callvault.services.ingest.openrecordings import OpenLane, OpenRecording, OpenRecordings
from callvault.services.ingest.packing import grouped, pack
from callvault.services.ingest.segments import Segments, StoredSegment
from callvault.services.ingest.sound import Decode

READ_BYTES = 8 << 20
COMMIT_ATTEMPTS = 20


class Gone(Exception):
    """The recording was deleted while its sound was on its way."""


class PausedMeanwhile(Exception):
    """A pause was asked for while the sound was on its way: some of it may have to be cut out."""


class Mover:
    def __init__(
        self,
        store: Store,
        spool: Spool,
        segments: Segments,
        open_recordings: OpenRecordings,
        *,
        decode: Decode,
        clock: Clock,
    ) -> None:
        self._store, self._spool, self._segments, self._open = store, spool, segments, open_recordings
        self._decode, self._clock = decode, clock

    async def drain(self, recording_id: str) -> None:
        """Nothing of the recording is in the spool when it returns; what storage raises when it cannot take it."""
        while await self.move(recording_id):
            pass

    async def move(self, recording_id: str) -> bool:
        """One step: what fits into memory. Whether there was anything."""
        try:
            known = await self._open.get(recording_id, max_age=0)
            async with known.moving:
                return await self._step(known)
        except PausedMeanwhile:
            return True
        except (Missing, Gone):
            await self._forget(recording_id)
            return False

    async def _step(self, known: OpenRecording) -> bool:
        spooled = await asyncio.to_thread(self._spool.read, known.id, READ_BYTES)
        if not spooled:
            await self._drop_again(known.id)
            return False
        row = await self._store.get(OpenSpool, known.id, self._spool.id)
        row = row or self._open.open_spool(known)
        fresh = [one for one in spooled if one.serial > int(row.detail["moved"])]
        if fresh:
            await self._store_away(known, fresh, replace(row, detail={**row.detail, "moved": str(spooled[-1].serial)}))
        await asyncio.to_thread(self._spool.drop, known.id, spooled[-1].serial)
        return True

    async def _drop_again(self, recording_id: str) -> None:
        """A drop that could not be written when the disk was full."""
        if any(held.recording_id == recording_id for held in self._spool.holdings()):
            await asyncio.to_thread(self._spool.drop, recording_id, 0)

    async def _store_away(self, known: OpenRecording, fresh: Sequence[Spooled], moved: OpenSpool) -> None:
        by_lane: dict[str, list[Piece]] = defaultdict(list)
        for spooled in fresh:
            for piece in spooled.pieces:
                by_lane[piece.lane].append(piece)
        stored: list[StoredSegment] = []
        pauses, is_put = known.pauses, False
        try:
            for name, pieces in by_lane.items():
                lane = await self._open.lane(known, name, pieces[0].rate, SYSTEM)
                new = await self._new(known, lane, pieces)
                lane.drift.heard(new)
                cut = PauseCutter(pauses, lane.lane, self._decode)
                await asyncio.to_thread(self._put, known.recording, cut, new, stored)
            is_put = True
            await self._commit(known, stored, moved, pauses)
        except Fault as fault:
            if not is_put or isinstance(fault, UNDONE):
                await self._take_back(stored)
            raise
        except (Gone, PausedMeanwhile):
            await self._take_back(stored)
            raise

    async def _take_back(self, stored: Sequence[StoredSegment]) -> None:
        await asyncio.to_thread(self._segments.delete, [one.stored for one in stored])

    async def _new(self, known: OpenRecording, lane: OpenLane, pieces: Sequence[Piece]) -> list[Piece]:
        """Without what another node, to which the same was sent, has moved already."""
        query = Query(Segment).where("recording_id", "=", known.id).where("lane", "=", lane.lane.name)
        others = await self._store.find(query.where("seq", ">=", lane.next_seq).by("seq"))
        if not others:
            return list(pieces)
        takes = [segment.takes for segment in others]
        lane.known.learn(*takes)
        lane.next_seq = others[-1].seq + 1
        theirs = KnownTakes()
        theirs.learn(*takes)
        return [piece for piece in pieces if not _same(theirs, piece)]

    def _put(
        self, recording: Recording, cut: PauseCutter, pieces: Sequence[Piece], stored: list[StoredSegment]
    ) -> None:
        for group in grouped(part for piece in pieces for part in cut(piece)):
            stored.append(self._segments.put(recording, group[0].lane, pack(group, self._decode)))

    async def _commit(
        self, known: OpenRecording, stored: Sequence[StoredSegment], moved: OpenSpool, pauses: Pauses
    ) -> None:
        for _ in range(COMMIT_ATTEMPTS):
            unit, recording = await self._unit(known, stored, moved, pauses)
            try:
                await self._store.commit(unit)
            except StaleWrite:
                continue
            except AlreadyThere:
                await self._renumber(known, {one.lane for one in stored})
                continue
            self._open.is_held(known)
            self._remember(known, recording, unit)
            return
        raise StaleWrite(what="the recording")

    async def _unit(
        self, known: OpenRecording, stored: Sequence[StoredSegment], moved: OpenSpool, pauses: Pauses
    ) -> tuple[Unit, Recording]:
        recording = await self._store.get(Recording, known.id)
        if recording is None or recording.deleted_ms is not None:
            raise Gone
        if recording.version != known.recording.version:
            await self._open.refresh(known)
        if known.pauses != pauses or recording.version != known.recording.version:
            raise PausedMeanwhile
        unit, changed = Unit(), self._changed(recording, known)
        unit.change(changed)
        unit.put(moved)
        unit.change(*await self._fitted(known, stored))
        seqs = {name: lane.next_seq for name, lane in known.lanes.items()}
        for one in stored:
            unit.add(one.stored, one.numbered(seqs[one.lane]))
            seqs[one.lane] += 1
        return unit, changed

    async def _fitted(self, known: OpenRecording, stored: Iterable[StoredSegment]) -> list[Lane]:
        lanes = [await self._store.get(Lane, known.id, name) for name in {one.lane for one in stored}]
        fitted = [known.lanes[lane.name].drift.fitted(lane) for lane in lanes if lane]
        return [lane for lane in fitted if lane]

    def _changed(self, recording: Recording, known: OpenRecording) -> Recording:
        return replace(
            recording,
            sound_version=recording.sound_version + 1,
            last_heard_ms=max(recording.last_heard_ms, known.heard_ms),
            updated_ms=self._clock.now_ms(),
            version=recording.version + 1,
        )

    async def _renumber(self, known: OpenRecording, lanes: Iterable[str]) -> None:
        for name in lanes:
            query = Query(Segment).where("recording_id", "=", known.id).where("lane", "=", name)
            last = await self._store.find(query.by("-seq").page(1))
            known.lanes[name].next_seq = last[0].seq + 1 if last else 0

    def _remember(self, known: OpenRecording, recording: Recording, unit: Unit) -> None:
        if recording.version > known.recording.version:
            known.recording = recording
        for write in unit.writes:
            if isinstance(write.entity, Segment):
                known.lanes[write.entity.lane].next_seq = write.entity.seq + 1
            elif isinstance(write.entity, Lane):
                known.lanes[write.entity.name].lane = write.entity

    async def _forget(self, recording_id: str) -> None:
        """Nobody may hear it any more: it leaves the disk. A recording that the database has never heard of is another
        matter: a deleted one leaves a tombstone."""
        if await self._store.get(Recording, recording_id) is None:
            lost = f"the spool holds sound of recording {recording_id}, which the database does not know"
            raise Misconfigured(problems=f"{lost}: if it was restored from an old copy, restore a newer one")
        await asyncio.to_thread(self._spool.drop, recording_id, EVERYTHING)


def _same(theirs: KnownTakes, piece: Piece) -> bool:
    mark = theirs.get(piece.take) if piece.take >= 0 else None
    return mark is not None and (not piece.digest or mark.digest == piece.digest)
