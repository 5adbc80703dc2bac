"""Whole files: decoded in constant memory, each channel a lane, the file itself kept as it was received."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from callvault.audio.pcm import Samples
from callvault.domain.access import Caller
from callvault.domain.errors import Malformed
from callvault.domain.ids import Json
from callvault.domain.lane import Lane
from callvault.ports.codecs import Codecs, Decoding, SoundFormat, SoundLimits
from callvault.ports.spool import Piece
from callvault.services.ingest.admission import Admission
from callvault.services.ingest.filing import FILED_TAKE, Filed, Filing, Source, fresh_lanes
from callvault.services.ingest.openrecordings import RATES, OpenRecording, OpenRecordings
from callvault.services.stale import again_when_stale

MIXED = "mixed"
SOURCE = "source"
SEGMENT_SECONDS = 60
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
    def __init__(self, filing: Filing, open_recordings: OpenRecordings, codecs: Codecs, admission: Admission) -> None:
        self._filing, self._open, self._codecs, self._admission = filing, open_recordings, codecs, admission

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
        async with self._admission.receiving(caller, recording_id) as known, known.filing:
            return await self._taken_in(caller, known, source, channels, media_type=media_type, damaged_too=damaged_too)

    @again_when_stale
    async def _taken_in(
        self,
        caller: Caller,
        known: OpenRecording,
        source: BinaryIO,
        channels: Sequence[str],
        *,
        media_type: str,
        damaged_too: bool,
    ) -> FiledSound:
        found = await asyncio.to_thread(self._codecs.probe, source)
        names = _named(channels, found.channels)
        if await self._filing.kept(known, Source(SOURCE, source, media_type, {"channels": [*names]})):
            return FiledSound(tuple(names), found.rate, 0, created=False)
        lanes = await fresh_lanes(self._open, known, [(name, found.rate) for name in names])
        return await self._file(caller, known, source, lanes, found, media_type=media_type, damaged_too=damaged_too)

    async def _file(
        self,
        caller: Caller,
        known: OpenRecording,
        source: BinaryIO,
        lanes: Sequence[Lane],
        found: SoundFormat,
        *,
        media_type: str,
        damaged_too: bool,
    ) -> FiledSound:
        sound = _Channels(self._codecs.decode(source, LIMITS), lanes, found)
        cutters = {lane.name: self._filing.cutter(known, lane) for lane in lanes}

        def fill(filed: Filed) -> None:
            filed.lanes.extend(lanes)
            for lane, piece in sound.pieces():
                self._filing.put(known, lane, cutters[lane.name](piece), filed)
            if sound.damage and not damaged_too:
                raise Malformed(what="the sound file", why=sound.damage)
            facts: dict[str, Json] = {
                "container": found.container,
                "codec": found.codec,
                "rate": found.rate,
                "channels": [lane.name for lane in lanes],
                "damage": sound.damage,
            }
            self._filing.keep(known, Source(SOURCE, source, media_type, facts), filed)

        await self._filing.make_known(caller, known, fill)
        names = tuple(lane.name for lane in lanes)
        return FiledSound(names, found.rate, sound.at, created=True, damage=sound.damage)


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
