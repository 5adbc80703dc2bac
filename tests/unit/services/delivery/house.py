"""The services of delivery over everything in memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from tests.fakes import FakeClock
from tests.unit.services.delivery.recorder import Recorder

from callvault.adapters.spool.memory import MemorySpool
from callvault.audio.pcm import Samples
from callvault.domain.recording import Recording
from callvault.domain.stored import StoredObject
from callvault.ports.codecs import SoundFormat, SoundLimits
from callvault.services.delivery.takes import CodedTakes
from callvault.services.delivery.views import View, Views
from callvault.services.timelines import Timelines


class RawCodecs:
    """Files are raw 16-bit samples; what it encodes is the format's name and then the samples."""

    def __init__(self) -> None:
        self.decodings = 0
        self.encodings = 0

    def probe(self, source: BinaryIO) -> SoundFormat:
        raise NotImplementedError

    def decode(self, source: BinaryIO, limits: SoundLimits) -> Iterator[Samples]:
        self.decodings += 1
        sound = np.frombuffer(source.read(), "<i2")
        return (sound[at : at + 1000, None] for at in range(0, len(sound), 1000))

    def decode_frames(self, codec: str, frames: Iterable[bytes], rate: int) -> Iterator[Samples]:
        self.decodings += 1
        return (np.frombuffer(frame, "<i2") for frame in frames)

    def encode(self, blocks: Iterable[Samples], *, format: str, rate: int, channels: int) -> Iterator[bytes]:
        self.encodings += 1
        yield f"{format} {rate} {channels}\n".encode()
        for block in blocks:
            assert block.shape[1] == channels
            yield block.tobytes()


class CountingBlobs:
    """Knows what was read of it."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.reads: list[tuple[str, int, int | None]] = []

    def read(self, obj: StoredObject, start: int = 0, length: int | None = None) -> bytes:
        self.reads.append((obj.key, start, length))
        return self._inner.read(obj, start, length)  # type: ignore[attr-defined, no-any-return]

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


@dataclass
class House:
    recorder: Recorder = field(default_factory=Recorder)
    clock: FakeClock = field(default_factory=FakeClock)
    spool: MemorySpool = field(default_factory=MemorySpool)
    codecs: RawCodecs = field(default_factory=RawCodecs)

    def __post_init__(self) -> None:
        self.blobs = CountingBlobs(self.recorder.blobs)
        self.timelines = Timelines(self.recorder.store, self.spool, self.clock)
        takes = CodedTakes(self.codecs)  # type: ignore[arg-type]
        self.views = Views(self.timelines, self.blobs, takes)  # type: ignore[arg-type]

    async def view(self, recording: Recording, view: str = "mono", rate: int = 0, live: bool = False) -> View:
        return await self.views.open(recording, view, rate, live=live)

    async def sound(self, recording: Recording, view: str = "mono", rate: int = 0) -> Samples:
        made = await self.view(recording, view, rate)
        return made.pcm(0, made.frames)
