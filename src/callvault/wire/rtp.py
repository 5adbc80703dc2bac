"""RTP packets (RFC 3550): headers, payload types, telephone events, comfort noise, and time that wraps."""

import struct
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, NamedTuple

from callvault.domain.errors import Malformed

_HEADER: Final = struct.Struct(">BBHII")
_VERSION: Final = 2


class RtpPacket(NamedTuple):
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    """Without padding and extension."""


@dataclass(frozen=True, slots=True)
class RtpCodec:
    """What a payload type stands for."""

    name: str
    """As in `Piece.codec`, or `opus`, `gsm`; `telephone-event` and `cn` for what is no speech."""
    clock: int
    """Timestamp units a second."""
    rate: int
    """Samples a second."""
    channels: int = 1


STATIC_TYPES: Final = {
    0: RtpCodec("pcmu", 8000, 8000),
    3: RtpCodec("gsm", 8000, 8000),
    8: RtpCodec("pcma", 8000, 8000),
    # RFC 3551, 4.5.2: a wrong clock, kept for the sake of those who had built it so.
    9: RtpCodec("g722", 8000, 16000),
    10: RtpCodec("l16", 44100, 44100, 2),
    11: RtpCodec("l16", 44100, 44100),
    13: RtpCodec("cn", 8000, 8000),
    18: RtpCodec("g729", 8000, 8000),
    19: RtpCodec("cn", 8000, 8000),
}
"""RFC 3551's table, as far as calls use it; 101 is what nearly everybody gives to telephone events."""

USUAL_DYNAMIC_TYPES: Final = {101: RtpCodec("telephone-event", 8000, 8000)}

DIGITS: Final = "0123456789*#ABCD"


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """RFC 4733: a key is down; every packet of one press has the timestamp of its beginning."""

    code: int
    end: bool
    volume: int
    """Decibels below full scale."""
    duration: int
    """So far, in timestamp units."""

    @property
    def digit(self) -> str:
        return DIGITS[self.code] if self.code < len(DIGITS) else ""


def parse(data: bytes | memoryview) -> RtpPacket:
    if len(data) < _HEADER.size:
        raise _malformed("it is too short")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != _VERSION:
        raise _malformed("its version is not 2")
    start, end = _HEADER.size + 4 * (first & 15), len(data)
    if first & 0x10:
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if first & 0x20:
        end -= data[-1] or end
    if start > end:
        raise _malformed("its header reaches beyond its end")
    return RtpPacket(second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, bytes(data[start:end]))


def serialize(packet: RtpPacket) -> bytes:
    second = packet.marker << 7 | packet.payload_type
    return _HEADER.pack(_VERSION << 6, second, packet.sequence, packet.timestamp, packet.ssrc) + packet.payload


def parse_rtpmap(text: str) -> RtpCodec:
    """What SDP says of a dynamic payload type: `opus/48000/2`, `telephone-event/8000`."""
    name, _, numbers = text.strip().lower().partition("/")
    clock, _, channels = numbers.partition("/")
    if not (clock.isascii() and clock.isdigit() and len(clock) <= 9 and 1 <= int(clock) <= 192_000):
        raise Malformed(what="the rtpmap", why="it has no clock rate")
    rate = STATIC_TYPES[9].rate if name == "g722" else int(clock)
    # Opus always says 2 and means nothing by it (RFC 7587).
    return RtpCodec(name, int(clock), rate, 2 if channels == "2" and name != "opus" else 1)


def parse_event(payload: bytes) -> TelephoneEvent:
    if len(payload) < 4:
        raise Malformed(what="the telephone event", why="it is too short")
    code, flags, duration = struct.unpack_from(">BBH", payload)
    return TelephoneEvent(code, bool(flags & 0x80), flags & 0x3F, duration)


def serialize_event(event: TelephoneEvent) -> bytes:
    return struct.pack(">BBH", event.code, event.end << 7 | event.volume, event.duration)


def comfort_noise_level(payload: bytes) -> int:
    """RFC 3389: how many decibels below full scale the silence is."""
    return payload[0] & 0x7F if payload else 127


class Unwrapped:
    """Counters that wrap, made into counters that do not, whatever the order in which they come.

    A value is taken for the one nearest to the last.
    """

    def __init__(self, bits: int) -> None:
        self._size = 1 << bits
        self._last: int | None = None

    def __call__(self, value: int) -> int:
        if self._last is None:
            self._last = value
            return value
        ahead = (value - self._last + self._size // 2) % self._size - self._size // 2
        self._last += ahead
        return self._last


def looks_like_rtp(data: bytes | memoryview) -> bool:
    """Whether a UDP payload may be RTP with sound, by what one packet can tell; RTCP is told apart by RFC 5761."""
    if len(data) < _HEADER.size + 1 or data[0] >> 6 != _VERSION:
        return False
    kind = data[1] & 0x7F
    if not (kind < 35 or kind >= 96):
        return False
    header = _HEADER.size + 4 * (data[0] & 15) + (4 if data[0] & 0x10 else 0)
    return header <= len(data)


class Sieve:
    """Lets RTP through and nothing else, by what packets of one flow tell together.

    The first packets of a flow are held until `NEEDED` of them have followed each other closely; packets of a flow
    that never does so never come out.
    """

    NEEDED: Final = 4
    _STEP_MAX: Final = 64
    _FLOWS_MAX: Final = 4096

    def __init__(self) -> None:
        self._held: defaultdict[Hashable, list[RtpPacket]] = defaultdict(list)
        self._known: set[Hashable] = set()

    def pass_through(self, flow: Hashable, data: bytes | memoryview) -> list[RtpPacket]:
        """The packets that are RTP for sure by now: those held before come first."""
        if not looks_like_rtp(data):
            return []
        try:
            packet = parse(data)
        except Malformed:
            return []
        key = (flow, packet.ssrc)
        return [packet] if key in self._known else self._hold(key, packet)

    def _hold(self, key: Hashable, packet: RtpPacket) -> list[RtpPacket]:
        if key not in self._held and len(self._held) >= self._FLOWS_MAX:
            del self._held[next(iter(self._held))]
        held = self._held[key]
        if held and not 0 < (packet.sequence - held[-1].sequence + self._STEP_MAX) % 65536 <= 2 * self._STEP_MAX:
            held.clear()
        held.append(packet)
        if len(held) < self.NEEDED:
            return []
        if len(self._known) >= self._FLOWS_MAX:
            raise Malformed(what="the capture", why=f"it holds more than {self._FLOWS_MAX} RTP streams")
        self._known.add(key)
        return self._held.pop(key)


def _malformed(why: str) -> Malformed:
    return Malformed(what="the RTP packet", why=why)
