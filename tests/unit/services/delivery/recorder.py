"""Writes recordings as they lie in storage: takes packed into segments, with their fine waveforms behind them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.adapters.store.memory import MemoryStore
from callvault.audio.pcm import DECODERS, Samples
from callvault.audio.peaks import fine
from callvault.domain.lane import Anchor, Lane, Segment
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.ports.blobs import Blobs
from callvault.wire.g711 import encode_alaw, encode_ulaw
from callvault.wire.runs import CODECS, RUN

ENCODERS = {
    "s16le": lambda s: s.astype("<i2").tobytes(),
    "l16": lambda s: s.astype(">i2").tobytes(),
    "pcmu": encode_ulaw,
    "pcma": encode_alaw,
}


@dataclass(frozen=True)
class Take:
    start: int
    sound: Samples
    number: int = 0
    codec: str = "s16le"
    payload: bytes | None = None
    """For a codec of which the sound is not coded here."""

    def coded(self) -> bytes:
        return self.payload if self.payload is not None else ENCODERS[self.codec](self.sound)

    def heard(self) -> Samples:
        return DECODERS[self.codec](self.coded()) if self.codec in DECODERS else self.sound


@dataclass
class Recorder:
    store: MemoryStore = field(default_factory=MemoryStore)
    blobs: Blobs = field(default_factory=MemoryBlobs)
    count: int = 0

    async def recording(self, **facts: Any) -> Recording:
        self.count += 1
        defaults = {"status": "completed", "in_progress": False, "sound_version": 1}
        recording = Recording(
            **{"id": f"r{self.count}", "workspace_id": "w", "call_id": f"c{self.count}"}
            | {"created_ms": 1, "updated_ms": 1, "last_heard_ms": 1}
            | defaults
            | facts
        )
        await self.add(recording)
        return recording

    async def lane(
        self,
        recording: Recording,
        name: str,
        segments: Sequence[Sequence[Take]],
        rate: int = 8000,
        role: str | None = None,
        anchors: tuple[Anchor, ...] = (),
    ) -> Lane:
        """Each list of takes becomes one segment."""
        lane = Lane(
            recording_id=recording.id,
            name=name,
            workspace_id=recording.workspace_id,
            role=role or (name if name in ("customer", "assistant") else "other"),
            rate=rate,
            anchors=anchors,
        )
        await self.add(lane)
        for seq, takes in enumerate(segments):
            await self.segment(recording, name, seq, takes)
        return lane

    async def segment(self, recording: Recording, name: str, seq: int, takes: Sequence[Take]) -> None:
        runs, payload, offset = [], [], 0
        for take in takes:
            coded = take.coded()
            place = (take.start, len(take.sound), offset, len(coded), take.number, CODECS.index(take.codec))
            runs.append(place)
            payload.append(coded)
            offset += len(coded)
        first, end = min(t.start for t in takes), max(t.start + len(t.sound) for t in takes)
        heard = np.zeros(end - first, np.int16)
        for take in sorted(takes, key=lambda take: take.number):
            heard[take.start - first : take.start - first + len(take.sound)] = take.heard()
        key = f"{recording.workspace_id}/{recording.id}/{name}/{seq}"
        stored = self.blobs.put(key, [*payload, fine(heard, first).astype("<i2").tobytes()], workspace_id="w")
        row = Segment(
            recording_id=recording.id,
            lane=name,
            seq=seq,
            workspace_id=recording.workspace_id,
            object_key=key,
            first_sample=first,
            end_sample=end,
            runs=np.array(runs, RUN).tobytes(),
            takes=b"",
            peaks_offset=offset,
        )
        await self.add(row, replace(stored, workspace_id="w", recording_id=recording.id, created_ms=1))

    async def add(self, *entities: object) -> None:
        unit = Unit()
        unit.add(*entities)
        await self.store.commit(unit)


def cut(sound: Samples, size: int, codec: str = "s16le", start: int = 0) -> list[Take]:
    """The sound as takes of a size, one behind the other."""
    pieces: Iterable[int] = range(0, len(sound), size)
    return [Take(start + at, sound[at : at + size], n, codec) for n, at in enumerate(pieces)]


def noise(samples: int, seed: int = 0, height: int = 9000) -> Samples:
    return np.random.default_rng(seed).integers(-height, height, samples).astype(np.int16)


def speechlike(samples: int, rate: int, seed: int = 0) -> Samples:
    """Tones under a slowly moving envelope: band-limited, so that it can be compared at other rates."""
    t = np.arange(samples) / rate
    rng = np.random.default_rng(seed)
    tones = sum(np.sin(2 * np.pi * (f * t + p)) for f, p in zip(rng.uniform(150, 2500, 6), rng.random(6), strict=True))
    return np.rint(2500 * tones * (0.55 + 0.45 * np.sin(2 * np.pi * 0.7 * t))).astype(np.int16)
