"""An intake over everything in memory, with sound to bring to it and an ear to hear what came of it."""

import asyncio
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import av
import numpy as np
from tests.callhouse import CallHouse, caller

from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.adapters.codecs.pyav import PyAvCodecs
from callvault.adapters.spool.memory import MemorySpool
from callvault.domain.call import Participant
from callvault.domain.errors import BlobsUnavailable
from callvault.domain.event import Event
from callvault.domain.job import Job
from callvault.domain.lane import Segment
from callvault.domain.recording import Recording
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from callvault.services.delivery.takes import CodedTakes
from callvault.services.delivery.views import Views
from callvault.services.ingest.intake import Intake
from callvault.services.ingest.takes import Start, Taken
from callvault.services.recentworkspaces import RecentWorkspaces
from callvault.services.timelines import Timelines
from callvault.wire.mediatypes import MediaType, parse
from callvault.wire.runs import TakeMark, parse_takes

CALLER = caller()
PCMU = parse("audio/PCMU;rate=8000")


class FlakyBlobs(MemoryBlobs):
    """A storage that can be away."""

    away = False

    def put(self, key: str, chunks: Iterable[bytes], **more: Any) -> StoredObject:
        if self.away:
            raise BlobsUnavailable(why="the test took it away")
        return super().put(key, chunks, **more)


class CommittingProgress:
    """A job that nobody else wants."""

    def __init__(self, store: Any) -> None:
        self._store = store

    async def report(self, fraction: float) -> None:
        pass

    async def commit(self, unit: Unit) -> None:
        await self._store.commit(unit)

    async def finish(self, unit: Unit, result: Any = None) -> None:
        await self._store.commit(unit)


class IntakeHouse(CallHouse):
    def __init__(self, spool: Any = None, blobs: Any = None) -> None:
        super().__init__()
        self.spool, self.blobs, self.codecs = spool or MemorySpool(), blobs or FlakyBlobs(), PyAvCodecs()
        self.unlocked: list[str] = []
        self.begin()

    def begin(self, store: Any = None) -> None:
        """The program starts: nothing is in memory but what the store, the storage and the spool have."""
        self.timelines = Timelines(self.store, self.spool, self.clock)
        self.views = Views(self.timelines, self.blobs, CodedTakes(self.codecs))
        self.intake = Intake(
            store or self.store,
            self.blobs,
            self.spool,
            self.codecs,
            emptying=self.blobs,
            clock=self.clock,
            ids=self.ids,
            access=self.access,
            witness=self.witness,
            timelines=self.timelines,
            views=self.views,
            unlock=self.unlock,
            workspaces=RecentWorkspaces(store or self.store, self.clock),
        )

    async def unlock(self, workspace_id: str, objects: object) -> None:
        self.unlocked.append(workspace_id)

    async def recording(self, *participants: Participant, **facts: Any) -> str:
        if not await self.all(Recording):
            await self.workspace("w")
        made = await self.recordings.create(CALLER, {"participants": participants, **facts})
        return made.recording.id

    async def put(
        self, recording_id: str, take: int, body: bytes, *, ms: Any = None, form: MediaType = PCMU, **more: Any
    ) -> Taken:
        start = Start(ms=Decimal(ms)) if ms is not None else Start(sample=more.pop("sample", 0))
        lane = more.pop("lane", "customer")
        by = more.pop("by", CALLER)
        return await self.intake.takes.put(by, recording_id, lane, take, body, start=start, form=form, **more)

    async def found(self, recording_id: str) -> Recording:
        recording = await self.store.get(Recording, recording_id)
        assert recording
        return recording

    async def heard(self, recording_id: str, view: str = "lane:customer") -> np.ndarray:
        """The sound of a view, from what is stored and what is spooled."""
        opened = await self.views.open(await self.found(recording_id), view, live=True)
        pcm = await asyncio.to_thread(opened.pcm, 0, opened.frames)
        return pcm[:, 0] if opened.channels == 1 else pcm

    async def marks(self, recording_id: str) -> list[TakeMark]:
        segments = await self.all(Segment, recording_id=recording_id)
        return [mark for segment in segments for mark in parse_takes(segment.takes)]

    async def events(self, recording_id: str) -> list[str]:
        return [event.type for event in await self.all(Event, recording_id=recording_id)]

    async def work(self, store: Any = None) -> list[str]:
        """Runs the jobs that are due."""
        kinds = {kind.name: kind for kind in self.intake.kinds()}
        due = [job for job in await self.all(Job) if job.kind in kinds and job.due_ms <= self.clock.now_ms()]
        for job in due:
            await kinds[job.kind].run(job, CommittingProgress(store or self.store))
            unit = Unit()
            unit.remove(job)
            await self.store.commit(unit)
        return [job.kind for job in due]


def speech(samples: int, seed: int = 1) -> bytes:
    """µ-law bytes that are nobody else's."""
    return np.random.default_rng(seed).integers(0, 256, samples, np.uint8).tobytes()


def g722(samples: np.ndarray) -> list[bytes]:
    """One stream of it, at 16 kHz, in frames of 20 ms."""
    encoder = av.CodecContext.create("g722", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 16_000, "mono", "s16"
    frames = []
    for at in range(0, len(samples), 320):
        audio = av.AudioFrame.from_ndarray(samples[None, at : at + 320], format="s16", layout="mono")
        audio.sample_rate = 16_000
        frames += [bytes(packet) for packet in encoder.encode(audio)]
    return frames
