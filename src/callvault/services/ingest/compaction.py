"""Compaction: a recording's many tiny segments become a few larger ones, with not a byte of its sound changed."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from callvault.audio.peaks import CELL, Envelope
from callvault.domain.errors import UNDONE
from callvault.domain.ids import Json
from callvault.domain.job import Job
from callvault.domain.lane import Segment
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from callvault.ports.blobs import Blobs, Chunk
from callvault.ports.jobs import JobKind, Progress
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.ingest.packing import SEGMENT_BYTES, Packed
from callvault.services.ingest.segments import Segments, StoredSegment
from callvault.services.timelines import KEPT_SECONDS, Timelines, Unlock
from callvault.wire.runs import parse_runs

COMPACT = "compact"
SWEEP = "sweep"
FEW = 8
TINY_BYTES = 128 << 10
"""Segments that are smaller than this on the average are too many."""
CELLS_MOST = 1 << 19
SWEEP_AFTER_MS = int(KEPT_SECONDS * 10_000)
"""Readers may still have the old segments in mind."""


Read = tuple[Segment, Chunk]
"""A segment and its object's bytes."""


def is_worth_it(segments: Sequence[Segment]) -> bool:
    return len(segments) > FEW and sum(s.peaks_offset for s in segments) < TINY_BYTES * len(segments)


class Compaction:
    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        segments: Segments,
        timelines: Timelines,
        unlock: Unlock,
        *,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._store, self._blobs, self._segments, self._timelines = store, blobs, segments, timelines
        self._unlock, self._clock, self._ids = unlock, clock, ids

    def kinds(self) -> list[JobKind]:
        return [JobKind(COMPACT, self.compact), JobKind(SWEEP, self.sweep)]

    async def compact(self, job: Job, progress: Progress) -> dict[str, Json] | None:
        """A step for every larger segment that is made; run again, it goes on with what is still small."""
        query = Query(Segment).where("recording_id", "=", job.recording_id).by("lane", "seq")
        segments = await self._store.find(query)
        groups = [group for _, lane in groupby(segments, lambda s: s.lane) for group in _groups(lane)]
        for n, group in enumerate(groups):
            await self._unite(group, progress)
            await progress.report((n + 1) / len(groups))
        if job.recording_id:
            self._timelines.forget(job.recording_id)
        return {"united": sum(map(len, groups)), "into": len(groups)}

    async def sweep(self, job: Job, progress: Progress) -> dict[str, Json] | None:
        """Objects to which no segment refers any more leave the storage."""
        keys = job.arguments["keys"]
        for key in keys if isinstance(keys, list) else ():
            stored = await self._store.get(StoredObject, key)
            if stored is None or await self._store.count(Query(Segment).where("object_key", "=", key)):
                continue
            await asyncio.to_thread(self._blobs.delete, stored.key)
            unit = Unit()
            unit.remove(stored)
            await progress.commit(unit)
        return None

    async def _unite(self, group: Sequence[Segment], progress: Progress) -> None:
        recording = await self._store.get(Recording, group[0].recording_id)
        objects = [await self._store.get(StoredObject, segment.object_key) for segment in group]
        found = [(segment, stored) for segment, stored in zip(group, objects, strict=True) if stored]
        if recording is None or recording.deleted_ms is not None or len(found) < len(group):
            return
        await self._unlock(recording.workspace_id, [stored for _, stored in found])
        united = await asyncio.to_thread(self._put, recording, found)
        unit = Unit()
        unit.change(replace(recording, version=recording.version + 1))
        unit.remove(*group[1:])
        unit.put(united.numbered(group[0].seq))
        unit.add(united.stored)
        unit.enqueue(self._sweeping(recording, [segment.object_key for segment in group]))
        try:
            await progress.commit(unit)
        except UNDONE:
            await asyncio.to_thread(self._segments.delete, [united.stored])
            raise

    def _put(self, recording: Recording, found: Sequence[tuple[Segment, StoredObject]]) -> StoredSegment:
        packed = _united([(segment, self._blobs.read(stored)) for segment, stored in found])
        return self._segments.put(recording, found[0][0].lane, packed)

    def _sweeping(self, recording: Recording, keys: list[str]) -> Job:
        now = self._clock.now_ms()
        arguments: dict[str, Json] = {"keys": [*keys]}
        return Job(
            id=self._ids.uuid(),
            workspace_id=recording.workspace_id,
            kind=SWEEP,
            created_ms=now,
            due_ms=now + SWEEP_AFTER_MS,
            recording_id=recording.id,
            arguments=arguments,
        )


def _groups(lane: Iterable[Segment]) -> list[list[Segment]]:
    """Neighbours in order of their numbers, so that what lies over what stays as it is."""
    groups: list[list[Segment]] = []
    for segment in lane:
        if not groups or not _fits([*groups[-1], segment]):
            groups.append([])
        groups[-1].append(segment)
    return [group for group in groups if len(group) > 1]


def _fits(group: Sequence[Segment]) -> bool:
    cells = (max(s.end_sample for s in group) - min(s.first_sample for s in group)) // CELL
    sound, index = sum(s.peaks_offset for s in group), sum(len(s.runs) + len(s.takes) for s in group)
    return sound <= SEGMENT_BYTES and index <= SEGMENT_BYTES and cells <= CELLS_MOST


def _united(reads: Sequence[Read]) -> Packed:
    sound, runs = b"", []
    for segment, body in reads:
        shifted = parse_runs(segment.runs).copy()
        shifted["offset"] += len(sound)
        runs.append(shifted)
        sound += body[: segment.peaks_offset]
    first, end = min(s.first_sample for s, _ in reads), max(s.end_sample for s, _ in reads)
    return Packed(
        first_sample=first,
        end_sample=end,
        runs=np.concatenate(runs).tobytes(),
        takes=b"".join(segment.takes for segment, _ in reads),
        peaks_offset=len(sound),
        body=sound + _waveform(reads, first // CELL, -(-end // CELL)),
    )


def _waveform(reads: Sequence[Read], first: int, end: int) -> bytes:
    picture = Envelope(end - first)
    for segment, body in reads:
        rows = np.frombuffer(body, "<i2", offset=segment.peaks_offset).reshape(-1, 2)
        picture.lay(segment.first_sample // CELL - first, rows.astype(np.int16))
    return picture.peaks().astype("<i2").tobytes()
