"""The services of delivery over everything in memory."""

import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
from tests.audits import audited
from tests.callhouse import CallHouse
from tests.unit.services.delivery.recorder import Recorder, Take, noise

from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.adapters.spool.memory import MemorySpool
from callvault.audio.pcm import Samples
from callvault.domain.audit import AuditEntry
from callvault.domain.recording import Recording
from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Blobs
from callvault.ports.codecs import FileForm, SoundFormat, SoundLimits
from callvault.services.delivery.artifacts import Artifacts
from callvault.services.delivery.desk import Desk
from callvault.services.delivery.downloads import Downloads
from callvault.services.delivery.expiry import Expiry
from callvault.services.delivery.links import Links
from callvault.services.delivery.renditions import Renditions
from callvault.services.delivery.takes import CodedTakes
from callvault.services.delivery.views import View, Views
from callvault.services.recentworkspaces import RecentWorkspaces
from callvault.services.timelines import Timelines


class RawCodecs:
    """Files are raw 16-bit samples; what it encodes is the format's name and then the samples."""

    def __init__(self) -> None:
        self.decodings = 0
        self.encodings = 0
        self.go_on = threading.Event()
        """An encoder waits for it behind its first chunk."""
        self.go_on.set()

    def probe(self, source: BinaryIO) -> SoundFormat:
        raise NotImplementedError

    def decode(self, source: BinaryIO, limits: SoundLimits) -> Iterator[Samples]:
        self.decodings += 1
        sound = np.frombuffer(source.read(), "<i2")
        return (sound[at : at + 1000, None] for at in range(0, len(sound), 1000))

    def decode_frames(self, codec: str, frames: Iterable[bytes], rate: int) -> Iterator[Samples]:
        self.decodings += 1
        return (np.frombuffer(frame, "<i2") for frame in frames)

    def form(self, format: str, rate: int, channels: int) -> FileForm:
        return FileForm(format, rate, 16 * rate * channels)

    def encode(
        self, blocks: Iterable[Samples], *, format: str, rate: int, channels: int, bits: int = 0
    ) -> Iterator[bytes]:
        self.encodings += 1
        yield f"{format} {rate} {channels}\n".encode()
        assert self.go_on.wait(10)
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


class Bucket:
    """Signs nothing, and says what it was asked to sign."""

    def presign(
        self, obj: StoredObject, *, seconds: int, media_type: str, disposition: str, now_ms: int, method: str = "GET"
    ) -> str:
        return f"https://bucket/{obj.key}?{method} {seconds} {media_type} {disposition}"


class House(CallHouse):
    def __init__(self, blobs: Blobs | None = None) -> None:
        super().__init__()
        self.recorder = Recorder(self.store, blobs or MemoryBlobs())
        self.spool, self.codecs, self.bucket = MemorySpool(), RawCodecs(), Bucket()
        self.blobs = CountingBlobs(self.recorder.blobs)
        self.timelines = Timelines(self.store, self.spool, self.clock)
        self.views = Views(self.timelines, self.blobs, CodedTakes(self.codecs))  # type: ignore[arg-type]
        tools = {"clock": self.clock, "ids": self.ids}
        self.renditions = Renditions(self.store, self.views, self.codecs, **tools)  # type: ignore[arg-type]
        self.artifacts = Artifacts(self.store, self.blobs)  # type: ignore[arg-type]
        self.expiry = Expiry(self.store, self.clock)
        self.desk = Desk(self.store, self.views, self.renditions, self.artifacts, self.expiry)
        self.downloads = Downloads(self.store, self.clock, self.ids, self.audit)
        self.secrets = {"k1": b"1" * 32, "k0": b"0" * 32}
        self.links = self.linked()

    def linked(self, **settings: Any) -> Links:
        tools = {"clock": self.clock, "ids": self.ids, "access": self.access, "audit": self.audit}
        recent = RecentWorkspaces(self.store, self.clock)
        facts = {"secrets": self.secrets, "witness": self.witness, "workspaces": recent} | tools | settings
        return Links(self.store, self.desk, **facts)

    async def view(self, recording: Recording, view: str = "mono", rate: int = 0, live: bool = False) -> View:
        return await self.views.open(recording, view, rate, live=live)

    async def sound(self, recording: Recording, view: str = "mono", rate: int = 0) -> Samples:
        made = await self.view(recording, view, rate)
        return made.pcm(0, made.frames)

    async def spoken(self, samples: int = 8000, **facts: Any) -> Recording:
        """A recording of one customer."""
        recording = await self.recorder.recording(**facts)
        await self.recorder.lane(recording, "customer", [[Take(0, noise(samples))]])
        return recording

    async def audited(self) -> list[AuditEntry]:
        await self.audit.flush()
        return await audited(self.store)


async def content(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in stream])
