"""A lane's samples, read from just the takes that lie under them."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from callvault.audio.blocks import Blocks
from callvault.audio.pcm import DECODERS, Samples
from callvault.audio.resample import block as resampled
from callvault.audio.timeline import Table, rows
from callvault.audio.warp import block as warped
from callvault.ports.blobs import Blobs, Chunk
from callvault.services.delivery.takes import CodedTake, CodedTakes
from callvault.services.timelines import LaneTimeline, Source
from callvault.wire.runs import BYTES_PER_SAMPLE, CODECS, STREAMED, STREAMED_SAMPLES_PER_BYTE

Fetch = Callable[[int, int], Samples]
Indices = NDArray[np.int64]

_FEW: Final = 32
"""Up to so many pieces are copied one by one; more are gathered by index."""
_AHEAD_SAMPLES: Final = 1 << 20
"""Of a lane's own rate, that are held at once to be brought to another one."""
_LEAD_SECONDS: Final = 1
"""A decoder of G.722 that begins within a stream is deaf for some 20 ms, and has it right to the bit after half a
second. So it begins so much earlier, where the lane has it."""
_LEAD_MOST: Final = 256
"""And of so many takes, for who cuts a second into thousands waits for each of them."""
_CONTEXT_SECONDS: Final = 1
"""What a resampled or warped stretch may need of the lane on either side of it."""


class Place(NamedTuple):
    """Of bytes in a source."""

    source: Source
    offset: int
    length: int


@dataclass(slots=True)
class _Stream:
    """What is decoded as one."""

    codec: str
    start: int
    skip: int
    samples: int = 0
    length: int = 0
    places: list[Place] = field(default_factory=list)

    def leads_to(self, start: int, codec: str) -> bool:
        to_the_end = self.skip + self.samples == STREAMED_SAMPLES_PER_BYTE * self.length
        return codec == self.codec == STREAMED and to_the_end and self.start + self.samples == start


class LaneReader:
    """Samples of a lane on its own clock; silence where there are none. Blocks. Several threads may ask, unless
    one of them asks for something `ahead`."""

    def __init__(self, lane: LaneTimeline, blobs: Blobs, takes: CodedTakes) -> None:
        self._lane, self._blobs, self._takes = lane, blobs, takes
        self._ahead_start, self._ahead = 0, np.empty(0, np.int16)

    def samples(self, start: int, end: int) -> Samples:
        at = start - self._ahead_start
        if at >= 0 and at + end - start <= len(self._ahead):
            return self._ahead[at : at + end - start]
        return self._read(start, end)

    def ahead(self, start: int, end: int) -> None:
        """A stretch that will be asked for in many small parts, read at once."""
        self._ahead_start, self._ahead = start, self._read(start, end)

    def _read(self, start: int, end: int) -> Samples:
        pieces = self._lane.layout.under(start, end)
        if len(pieces) == 1 and (whole := self._whole(pieces, end - start)) is not None:
            return whole
        out = np.zeros(end - start, np.int16)
        for source, codec in sorted(set(zip(pieces["source"].tolist(), pieces["codec"].tolist(), strict=True))):
            of_it = pieces[(pieces["source"] == source) & (pieces["codec"] == codec)]
            self._lay(self._lane.sources[source], CODECS[codec], of_it, out, start)
        return out

    def _whole(self, pieces: Table, samples: int) -> Samples | None:
        """A stretch that is all of one piece needs no copy."""
        ((_, found, _, offset, length, source, codec),) = rows(pieces)
        if found < samples or codec not in DECODERS:
            return None
        return DECODERS[codec](self._bytes(self._lane.sources[source], offset, length))

    def _lay(self, source: Source, codec: str, pieces: Table, out: Samples, first: int) -> None:
        if codec not in DECODERS:
            self._lay_coded(source, pieces, out, first)
            return
        low, high = int(pieces["offset"].min()), int((pieces["offset"] + pieces["length"]).max())
        data = self._bytes(source, low, high - low)
        if len(pieces) > _FEW:
            at, to = _every_sample(pieces, BYTES_PER_SAMPLE[codec])
            gathered = np.frombuffer(data, np.uint8)[at - low]
            out[to - first] = DECODERS[codec](gathered.tobytes())
            return
        for start, samples, _, offset, length, _, _ in rows(pieces):
            sound = DECODERS[codec](memoryview(data)[offset - low : offset - low + length])
            out[start - first : start - first + samples] = sound

    def _lay_coded(self, source: Source, pieces: Table, out: Samples, first: int) -> None:
        for one in _streams(source, pieces):
            lead = self._lead(one.start - one.skip) if one.codec == STREAMED else []
            places = _joined([*lead, *one.places])
            name = (one.codec, *map(_name, places))
            take = CodedTake(name, one.codec, self._lane.lane.rate, self._payload(places))
            led = STREAMED_SAMPLES_PER_BYTE * sum(place.length for place in lead)
            at = one.start - first
            out[at : at + one.samples] = self._takes.samples(take, led + one.skip, one.samples)

    def _lead(self, end: int) -> list[Place]:
        """What leads to a place of the lane without a gap, in the same coding: of a take that something lies over all
        of it up to there, as when it is in one piece with what it leads to."""
        lead: list[Place] = []
        low = end - _LEAD_SECONDS * self._lane.lane.rate
        while len(lead) < _LEAD_MOST and low < end and len(before := self._lane.layout.under(end - 1, end)):
            start, samples, skip, offset, _, source, codec = next(rows(before))
            if codec != STREAMED:
                break
            end = start - skip
            first, past = (n // STREAMED_SAMPLES_PER_BYTE for n in (max(low - end, 0), skip + samples))
            lead.append(Place(self._lane.sources[source], offset + first, past - first))
        return lead[::-1]

    def _payload(self, places: Sequence[Place]) -> Callable[[], Chunk]:
        def payload() -> Chunk:
            parts = [self._bytes(*place) for place in places]
            return parts[0] if len(parts) == 1 else b"".join(parts)

        return payload

    def _bytes(self, source: Source, offset: int, length: int) -> Chunk:
        if source.stored is None:
            return source.spooled[offset : offset + length]
        return self._blobs.read(source.stored, offset, length)


class LaneFrames:
    """Frames of a lane on the call's clock, at the rate of a view; for several threads."""

    def __init__(self, lane: LaneTimeline, rate: int, blobs: Blobs, takes: CodedTakes) -> None:
        self._lane, self._rate = lane, rate
        self._reader = LaneReader(lane, blobs, takes)
        self._exact = is_exact(lane, rate)
        self._fetch = self._made_of(self._reader.samples)
        self._busy = threading.Lock()

    def frames(self, start: int, end: int) -> Samples:
        if self._exact:
            return self._fetch(start, end)
        step = max(_AHEAD_SAMPLES // self._lane.lane.rate, 1) * self._rate
        with self._busy:
            parts = [self._made(at, min(at + step, end)) for at in range(start, end, step)]
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.int16), *parts])

    def _made(self, start: int, end: int) -> Samples:
        near = np.array([start // self._rate - _CONTEXT_SECONDS, end // self._rate + 1 + _CONTEXT_SECONDS])
        low, high = self._lane.clock.positions(near * self._rate, self._rate).tolist()
        self._reader.ahead(int(low // 1), int(high // 1) + 1)
        return self._fetch(start, end)

    def _made_of(self, lane: Fetch) -> Fetch:
        own, rate, clock = self._lane.lane.rate, self._rate, self._lane.clock
        steady = lane if own == rate else Blocks(lambda second: resampled(lane, second, own, rate), rate).fetch
        if clock.is_steady:
            return steady
        return Blocks(lambda second: warped(steady, second, clock, rate), rate).fetch


def is_exact(lane: LaneTimeline, rate: int) -> bool:
    """Whether the frames of a view at the rate are the lane's samples."""
    return lane.clock.is_steady and lane.lane.rate == rate


def _streams(source: Source, pieces: Table) -> list[_Stream]:
    """The pieces, and what goes on where the one before ends as one with it, wherever in the source that is."""
    found: list[_Stream] = []
    for start, samples, skip, offset, length, _, codec in rows(pieces):
        if not (found and skip == 0 and found[-1].leads_to(start, codec)):
            found.append(_Stream(codec, start, skip))
        found[-1].samples += samples
        found[-1].length += length
        found[-1].places.append(Place(source, offset, length))
    return found


def _joined(places: Sequence[Place]) -> list[Place]:
    """Neighbours that are one in their source."""
    found: list[Place] = []
    for place in places:
        before = found[-1] if found else None
        if before and before.source is place.source and before.offset + before.length == place.offset:
            found[-1] = before._replace(length=before.length + place.length)
        else:
            found.append(place)
    return found


def _name(place: Place) -> tuple[object, ...]:
    source, offset, length = place
    return (source.stored.key if source.stored else source.spooled, offset, length)


def _every_sample(pieces: Table, width: int) -> tuple[Indices, Indices]:
    """Of many small pieces: where the bytes of every sample are, a row for each, and which sample it is."""
    samples = pieces["samples"]
    nth = np.arange(samples.sum()) - np.repeat(np.cumsum(samples) - samples, samples)
    first_byte = np.repeat(pieces["offset"], samples) + nth * width
    return first_byte[:, None] + np.arange(width), np.repeat(pieces["start"], samples) + nth
