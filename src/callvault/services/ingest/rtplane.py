"""Directions of RTP onto a lane: every packet where its timestamp says, silence where nobody spoke, nothing where sound
was lost."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from callvault.audio import resample
from callvault.audio.pcm import DECODERS, Samples
from callvault.ports.codecs import Codecs
from callvault.ports.spool import Piece
from callvault.services.ingest.transcoding import AS_CODEC, Transcoder
from callvault.wire.rtp import RtpCodec, RtpPacket, Unwrapped
from callvault.wire.runs import BYTES_PER_SAMPLE

REORDER_MOST = 32
"""So many packets wait for one that is late."""
MISORDER_MOST = 100
"""From farther behind come packets of a sender that counts anew (RFC 3550, A.1)."""
JUMP_SECONDS = 5.0
"""A timestamp that goes so much farther than time itself is of a clock that began anew, as is one that goes back."""
SILENCE_MOST_SECONDS = 3600
PIECE_SECONDS = 1
SECOND_US = 1_000_000
SPEECHLESS = ("telephone-event", "cn")
_ZERO = {"pcmu": b"\xff", "pcma": b"\xd5", "l16": b"\0\0", AS_CODEC: b"\0\0"}


@dataclass(slots=True)
class Figures:
    packets: int = 0
    lost: int = 0
    doubled: int = 0
    late: int = 0
    """Came when nobody waited for them any more, and count as lost."""
    events: int = 0
    """Packets of keys that were pressed; which, is not told."""
    undecodable: int = 0


class _Part(NamedTuple):
    """Sound of one packet, or silence between two."""

    start: int
    """On the lane."""
    end: int
    codec: str
    rate: int
    payload: bytes
    take: int
    at_us: int


class _Arrived(NamedTuple):
    number: int
    timestamp: int
    at_us: int
    packet: RtpPacket
    codec: RtpCodec | None
    paused: bool
    """Its sound may not be heard."""


class RtpLane:
    """Takes packets as they were captured; gives pieces of about a second, of one stream after the other."""

    def __init__(self, lane: str, rate: int, codecs: Codecs, take: int) -> None:
        self.lane, self.rate, self.codecs = lane, rate, codecs
        self.figures = Figures()
        self.end = 0
        self._take = take
        self._streams: dict[int, _Stream] = {}
        self._busy: dict[int, _Stream] = {}
        """Those that may wait for packets."""
        self._parts: list[_Part] = []

    def feed(self, at_us: int, packet: RtpPacket, codec: RtpCodec | None, *, paused: bool) -> Iterator[Piece]:
        stream = self._streams.get(packet.ssrc)
        if stream is None:
            yield from self.rest()
            stream = self._streams[packet.ssrc] = _Stream(self, self._take + len(self._streams))
        self._busy[packet.ssrc] = stream
        for part in stream.feed(_Arrived(0, packet.timestamp, at_us, packet, codec, paused)):
            yield from self._add(part)

    def rest(self) -> Iterator[Piece]:
        """What still waits for packets that will not come."""
        for stream in sorted(self._busy.values(), key=lambda stream: stream.take):
            for part in stream.rest():
                yield from self._add(part)
        self._busy.clear()
        yield from self._flush()

    def _add(self, part: _Part) -> Iterator[Piece]:
        before = self._parts[-1] if self._parts else None
        if before and not (before.end == part.start and before[2:4] == part[2:4] and before.take == part.take):
            yield from self._flush()
        self._parts.append(part)
        self.end = max(self.end, part.end)
        if part.end - self._parts[0].start >= PIECE_SECONDS * self.rate:
            yield from self._flush()

    def _flush(self) -> Iterator[Piece]:
        parts, self._parts = self._parts, []
        if not parts:
            return
        first, payload = parts[0], b"".join(part.payload for part in parts)
        codec = first.codec
        if first.rate != self.rate:
            codec, payload = AS_CODEC, _at_rate(DECODERS[codec](payload), first.rate, self.rate).astype("<i2").tobytes()
        samples = len(payload) // BYTES_PER_SAMPLE[codec]
        late_us = min(part.at_us - part.start * SECOND_US // self.rate for part in parts)
        arrived_us = first.start * SECOND_US // self.rate + late_us
        yield Piece(self.lane, first.take, codec, self.rate, first.start, samples, payload, b"", arrived_us)


@dataclass(slots=True)
class _Stream:
    """One SSRC. Its first packet lies where it came in, or where the lane ends; the others where timestamps say."""

    of: RtpLane
    take: int
    _sequence: Unwrapped = field(default_factory=lambda: Unwrapped(16))
    _clock: Unwrapped = field(default_factory=lambda: Unwrapped(32))
    _waiting: list[_Arrived] = field(default_factory=list)
    _expected: int | None = None
    _anew: int | None = None
    """What follows the last packet that came from far behind."""
    _before: _Arrived | None = None
    """The last packet with sound."""
    _origin: int = 0
    """Where on the lane the timestamp `_origin_timestamp` lies."""
    _origin_timestamp: int = 0
    _sounded: _Part | None = None
    """The last sound, while it is known how much was lost since."""
    _missing: int = 0
    """So many packets were lost since."""
    _decoders: dict[str, Transcoder] = field(default_factory=dict)

    def feed(self, arrived: _Arrived) -> Iterator[_Part]:
        arrived = arrived._replace(number=self._sequence(arrived.packet.sequence))
        self.of.figures.packets += 1
        if any(arrived.number == waiting.number for waiting in self._waiting):
            self.of.figures.doubled += 1
            return
        if self._expected is not None and arrived.number < self._expected:
            if not self._counts_anew(arrived, self._expected - arrived.number):
                self._too_late(arrived)
                return
            yield from self.rest()
            self._expected = self._sounded = None
        heappush(self._waiting, arrived)
        while self._waiting and (self._waiting[0].number == self._expected or len(self._waiting) > REORDER_MOST):
            yield from self._next()

    def rest(self) -> Iterator[_Part]:
        while self._waiting:
            yield from self._next()

    def _counts_anew(self, arrived: _Arrived, behind: int) -> bool:
        """Whether it is the second in a row from far behind, and no copy from earlier in the capture."""
        follows, self._anew = arrived.number == self._anew, arrived.number + 1
        is_now = self._before is None or arrived.at_us >= self._before.at_us
        return follows and behind > MISORDER_MOST and is_now

    def _too_late(self, arrived: _Arrived) -> None:
        if self._expected is not None and self._expected - arrived.number <= REORDER_MOST:
            self.of.figures.doubled += 1
        else:
            self.of.figures.late += 1

    def _next(self) -> Iterator[_Part]:
        arrived = heappop(self._waiting)
        if self._expected is not None and arrived.number > self._expected:
            self.of.figures.lost += arrived.number - self._expected
            self._missing += arrived.number - self._expected
        self._expected = arrived.number + 1
        # What is no sound tells no time: a key's packets all have the timestamp of when it was pressed.
        if arrived.codec is None:
            self.of.figures.undecodable += 1
            self._sounded = None
        elif arrived.codec.name in SPEECHLESS and not arrived.paused:
            self.of.figures.events += arrived.codec.name == "telephone-event"
        else:
            yield from self._heard(arrived, arrived.codec)

    def _heard(self, arrived: _Arrived, codec: RtpCodec) -> Iterator[_Part]:
        arrived = arrived._replace(timestamp=self._clock(arrived.timestamp))
        start = self._place(arrived, codec.clock)
        if arrived.paused:
            self._sounded = None
            if codec.name not in SPEECHLESS:
                # What comes behind hangs on it.
                self._decoded(arrived.packet.payload, codec)
        else:
            yield from self._sound(start, arrived, codec)

    def _place(self, arrived: _Arrived, clock: int) -> int:
        if self._before is None or self._begins_anew(self._before, arrived, clock):
            self._origin_timestamp = arrived.timestamp
            self._origin = max(arrived.at_us * self.of.rate // SECOND_US, self.of.end)
        self._before = arrived
        return self._origin + (arrived.timestamp - self._origin_timestamp) * self.of.rate // clock

    def _begins_anew(self, before: _Arrived, arrived: _Arrived, clock: int) -> bool:
        step = (arrived.timestamp - before.timestamp) / clock
        passed = (arrived.at_us - before.at_us) / SECOND_US
        return step < 0 or (step > JUMP_SECONDS and abs(step - passed) > JUMP_SECONDS)

    def _sound(self, start: int, arrived: _Arrived, codec: RtpCodec) -> Iterator[_Part]:
        name, payload = self._decoded(arrived.packet.payload, codec)
        samples = len(payload) // BYTES_PER_SAMPLE[name]
        if not samples:
            return
        end = start + samples * self.of.rate // codec.rate
        part = _Part(start, end, name, codec.rate, payload, self.take, arrived.at_us)
        if self._sounded and self._sounded.end < start:
            yield from self._silence(self._sounded, part, begins=arrived.packet.marker)
        self._sounded, self._missing = part, 0
        yield part

    def _silence(self, before: _Part, part: _Part, *, begins: bool) -> Iterator[_Part]:
        """Between two packets nobody spoke, but for as long as those are that are missing. They are what was said last
        when a mark says that something begins (RFC 3551, 4.1), else it is the beginning that is missing."""
        longest = max(before.end - before.start, part.end - part.start)
        lost = self._missing * longest
        start, end = (before.end + lost, part.start) if begins else (before.end, part.start - lost)
        # Less than a packet beside what was lost is how its length was guessed.
        if (longest if lost else 1) <= end - start <= SILENCE_MOST_SECONDS * self.of.rate:
            samples = (end - start) * part.rate // self.of.rate
            at_us = before.at_us + (start - before.start) * SECOND_US // self.of.rate
            yield part._replace(start=start, end=end, payload=_ZERO[part.codec] * samples, at_us=at_us)

    def _decoded(self, payload: bytes, codec: RtpCodec) -> tuple[str, bytes]:
        if codec.name in DECODERS and codec.channels == 1:
            return codec.name, payload[: len(payload) - len(payload) % BYTES_PER_SAMPLE[codec.name]]
        if codec.name in DECODERS:
            frames = DECODERS[codec.name](payload[: len(payload) - len(payload) % 4]).reshape(-1, codec.channels)
            return AS_CODEC, frames.mean(axis=1).round().astype("<i2").tobytes()
        if codec.name not in self._decoders:
            self._decoders[codec.name] = Transcoder(self.of.codecs, codec.name, codec.rate)
        return AS_CODEC, self._decoders[codec.name](payload)


def _at_rate(samples: Samples, rate: int, wanted: int) -> Samples:
    """For the rare lane whose codec was exchanged for one of another rate."""

    def fetch(start: int, end: int) -> Samples:
        found = np.zeros(end - start, np.int16)
        part = samples[max(start, 0) : max(end, 0)]
        found[max(-start, 0) : max(-start, 0) + len(part)] = part
        return found

    seconds = -(-len(samples) // rate)
    blocks = [resample.block(fetch, second, rate, wanted) for second in range(seconds)]
    return np.concatenate(blocks)[: len(samples) * wanted // rate]


def rebuildable(codecs: Iterable[RtpCodec]) -> list[RtpCodec]:
    """Of the codecs of a direction those that can be heard."""
    return [codec for codec in codecs if codec.name in (*DECODERS, "g722", "opus", "gsm")]
