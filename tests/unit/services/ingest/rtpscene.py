"""Captures made to order: packets of calls that went wrong in every way that calls go wrong."""

import random
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from callvault.wire.rtp import RtpPacket, serialize

CUSTOMER, ASSISTANT, SWITCH = ("10.0.0.5", 4000), ("192.0.2.9", 6000), ("192.0.2.1", 7000)
BEGAN_NS = 1_760_000_000_000_000_000


def address(text: str) -> bytes:
    return bytes(map(int, text.split(".")))


def udp(source: tuple[str, int], destination: tuple[str, int], payload: bytes) -> bytes:
    datagram = struct.pack(">HHHH", source[1], destination[1], 8 + len(payload), 0) + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0)
    return b"\0" * 12 + b"\x08\0" + head + address(source[0]) + address(destination[0]) + datagram


def capture(packets: Iterable[tuple[int, bytes]]) -> bytes:
    """A pcap file with nanoseconds of Ethernet frames, given with their times in µs from the beginning."""
    made = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65_535, 1)]
    for at_us, frame in packets:
        seconds, rest = divmod(BEGAN_NS + at_us * 1000, 1_000_000_000)
        made += [struct.pack("<IIII", seconds, rest, len(frame), len(frame)), frame]
    return b"".join(made)


@dataclass
class Sender:
    """One direction: packets of 20 ms, each sent when its clock says and delivered a little later."""

    source: tuple[str, int]
    destination: tuple[str, int]
    payload_type: int = 0
    step: int = 160
    clock: int = 8000
    ssrc: int = 0x1111
    sequence: int = 65_500
    timestamp: int = 0xFFFF_F000
    ppm: float = 0.0
    jitter_us: int = 0
    start_us: int = 0
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    _n: int = 0

    def say(self, payload: bytes, *, lost: bool = False, payload_type: int | None = None, marker: bool = False) -> None:
        kind = self.payload_type if payload_type is None else payload_type
        packet = RtpPacket(kind, marker, self.sequence % 65_536, self.timestamp % (1 << 32), self.ssrc, payload)
        at_us = self.start_us + round(self._n * self.step * 1e6 / self.clock / (1 + self.ppm / 1e6))
        if not lost:
            late = self.rng.randrange(self.jitter_us) if self.jitter_us else 0
            self.sent.append((at_us + late, udp(self.source, self.destination, serialize(packet))))
        self.sequence += 1
        self.pause(1)

    def press(self, event: bytes, since: int, payload_type: int = 101) -> None:
        """A packet of a key that has been down since then; sound goes on beside it."""
        now, self.timestamp = self.timestamp, since
        self.say(event, payload_type=payload_type)
        self.timestamp, self._n = now, self._n - 1

    def pause(self, steps: int) -> None:
        """Time goes on and nothing is sent."""
        self.timestamp += steps * self.step
        self._n += steps


def scene(*senders: Sender, others: Iterable[tuple[int, bytes]] = ()) -> bytes:
    return capture(sorted([*(packet for sender in senders for packet in sender.sent), *others]))


def invite(caller: tuple[str, int], called: tuple[str, int], types: str = "") -> list[tuple[int, bytes]]:
    """The caller's INVITE and the other's answer, with where each takes its sound."""

    def message(first: str, of: tuple[str, int]) -> bytes:
        body = f"v=0\r\nc=IN IP4 {of[0]}\r\nm=audio {of[1]} RTP/AVP 0 96\r\n{types}"
        return f"{first}\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\r\n{body}".encode()

    return [
        (0, udp((caller[0], 5060), (called[0], 5060), message("INVITE sip:x@y SIP/2.0", caller))),
        (1000, udp((called[0], 5060), (caller[0], 5060), message("SIP/2.0 200 OK", called))),
    ]
