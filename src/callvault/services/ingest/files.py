"""Whole files: decoded in constant memory, each channel a lane, the file itself kept as it was received."""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from callvault.audio.pcm import Samples
from callvault.domain.access import Caller
from callvault.domain.errors import AlreadyThere, Malformed
from callvault.domain.ids import Json
from callvault.domain.lane import Lane
from callvault.domain.stored import Artifact, StoredObject
from callvault.ports.codecs import Codecs, Decoding, SoundFormat, SoundLimits
from callvault.ports.spool import Piece
from callvault.ports.store import Store
from callvault.ports.system import Clock
from callvault.services.ingest.admission import Admission
from callvault.services.ingest.filing import FILED_TAKE, Filed, Filing, fresh_lanes
from callvault.services.ingest.openrecordings import RATES, OpenRecording, OpenRecordings
from callvault.services.ingest.packing import SEGMENT_SECONDS

MIXED = "mixed"
SOURCE = "source"
CHUNK = 1 << 20
LIMITS = SoundLimits(rate=RATES[-1])


@dataclass(frozen=True, slots=True)
class FiledSound:
    lanes: tuple[str, ...]
    rate: int
    samples: int
    created: bool
    """False when the very same file was there already."""
    damage: str | None = None


class Files:
    def __init__(
        self,
        store: Store,
        filing: Filing,
        open_recordings: OpenRecordings,
        codecs: Codecs,
        *,
        admission: Admission,
        clock: Clock,
    ) -> None:
        self._store, self._filing, self._open, self._codecs = store, filing, open_recordings, codecs
        self._admission, self._clock = admission, clock

    async def put(
        self,
        caller: Caller,
        recording_id: str,
        source: BinaryIO,
        *,
        channels: Sequence[str] = (MIXED,),
        media_type: str = "application/octet-stream",
        damaged_too: bool = False,
    ) -> FiledSound:
        """All of it or nothing. `channels` names a lane for each channel of the file, or is `mixed` alone, which is
        one lane of all of them. The same file again is no change; `AlreadyThere` when one of the lanes has sound.
        A file that does not decode to its end is `Malformed`, unless `damaged_too`: then what decodes is taken."""
        known = await self._admission.admitted(caller, recording_id)
        known.users += 1
        try:
            await self._open.hold(known)
            found = await asyncio.to_thread(self._codecs.probe, source)
            if again := await self._again(known, source, channels, found):
                return again
            lanes = await fresh_lanes(self._open, known, _named(channels, found.channels), found.rate)
            return await self._file(known, source, lanes, found, media_type=media_type, damaged_too=damaged_too)
        finally:
            known.users -= 1

    async def _file(
        self,
        known: OpenRecording,
        source: BinaryIO,
        lanes: Sequence[Lane],
        found: SoundFormat,
        *,
        media_type: str,
        damaged_too: bool,
    ) -> FiledSound:
        sound = _Channels(self._codecs.decode(source, LIMITS), lanes, found)

        def fill(filed: Filed) -> None:
            filed.lanes.extend(lanes)
            for lane, piece in sound.pieces():
                self._filing.put(known, lane, [piece], filed)
            if sound.damage and not damaged_too:
                raise Malformed(what="the sound file", why=sound.damage)
            facts: dict[str, Json] = {
                "container": found.container,
                "codec": found.codec,
                "rate": found.rate,
                "channels": [lane.name for lane in lanes],
                "damage": sound.damage,
            }
            self._filing.keep(known, self._artifact(known, media_type, facts), _chunks(source), filed)

        await self._filing.make_known(known, fill)
        names = tuple(lane.name for lane in lanes)
        return FiledSound(names, found.rate, sound.at, created=True, damage=sound.damage)

    async def _again(
        self, known: OpenRecording, source: BinaryIO, channels: Sequence[str], found: SoundFormat
    ) -> FiledSound | None:
        there = await self._store.get(Artifact, known.id, SOURCE)
        stored = await self._store.get(StoredObject, there.object_key) if there else None
        if there is None or stored is None:
            return None
        names = [*channels] if channels else [MIXED]
        if there.metadata.get("channels") == names and await asyncio.to_thread(_digest, source) == stored.sha256:
            return FiledSound(tuple(names), found.rate, 0, created=False)
        raise AlreadyThere(what="file of this recording")

    def _artifact(self, known: OpenRecording, media_type: str, facts: dict[str, Json]) -> Artifact:
        return Artifact(
            recording_id=known.id,
            kind=SOURCE,
            workspace_id=known.recording.workspace_id,
            object_key="",
            media_type=media_type,
            size=0,
            created_ms=self._clock.now_ms(),
            metadata=facts,
        )


class _Channels:
    """A decoding's blocks as pieces of lanes, about as long as a segment."""

    def __init__(self, decoding: Decoding, lanes: Sequence[Lane], found: SoundFormat) -> None:
        self._decoding, self._lanes = decoding, lanes
        self._many = SEGMENT_SECONDS * found.rate
        self.at = 0
        """Samples that came out."""
        self.damage: str | None = None

    def pieces(self) -> Iterator[tuple[Lane, Piece]]:
        held: list[Samples] = []
        for block in self._decoding:
            held.append(block.reshape(len(block), -1))
            if sum(map(len, held)) >= self._many:
                yield from self._cut(held)
                held = []
        yield from self._cut(held)
        self.damage = self._decoding.damage

    def _cut(self, held: Sequence[Samples]) -> Iterator[tuple[Lane, Piece]]:
        if not held:
            return
        sound = np.concatenate(held)
        for n, lane in enumerate(self._lanes):
            samples = sound[:, n] if len(self._lanes) == sound.shape[1] else sound.mean(axis=1).round()
            payload = samples.astype("<i2").tobytes()
            yield lane, Piece(lane.name, FILED_TAKE, "s16le", lane.rate, self.at, len(sound), payload)
        self.at += len(sound)


def _named(channels: Sequence[str], count: int) -> list[str]:
    names = [*channels] if channels else [MIXED]
    if len(set(names)) < len(names):
        raise Malformed(what="channels", why="each is named once")
    if names != [MIXED] and len(names) != count:
        raise Malformed(what="channels", why=f"the file has {count} and {len(names)} are named")
    return names


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    source.seek(0)
    while chunk := source.read(CHUNK):
        yield chunk


def _digest(source: BinaryIO) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(source):
        digest.update(chunk)
    return digest.hexdigest()
