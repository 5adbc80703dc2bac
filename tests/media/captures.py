"""Builds packet captures for tests: UDP in IP in a link's frames, in pcap and pcapng files of either byte order."""

import struct
from collections.abc import Iterable

from callvault.wire.rtp import RtpPacket, serialize

CALLER, CALLEE = (b"\x0a\0\0\1", 4000), (b"\x0a\0\0\2", 5000)
CALLER_6, CALLEE_6 = (b"\xfd" + bytes(14) + b"\1", 4000), (b"\xfd" + bytes(14) + b"\2", 5000)
Side = tuple[bytes, int]


def udp(payload: bytes, source: Side = CALLER, destination: Side = CALLEE) -> bytes:
    return struct.pack(">HHHH", source[1], destination[1], 8 + len(payload), 0) + payload


def ipv4(
    body: bytes, source: Side = CALLER, destination: Side = CALLEE, *, fragment: int = 0, protocol: int = 17
) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 1, fragment, 64, protocol, 0)
    return head + source[0] + destination[0] + body


def ipv6(body: bytes, source: Side = CALLER_6, destination: Side = CALLEE_6, *, protocol: int = 17) -> bytes:
    return struct.pack(">IHBB", 6 << 28, len(body), protocol, 64) + source[0] + destination[0] + body


def packet(payload: bytes, source: Side = CALLER, destination: Side = CALLEE) -> bytes:
    """A whole IP packet with the payload in UDP."""
    ip = ipv4 if len(source[0]) == 4 else ipv6
    return ip(udp(payload, source, destination), source, destination)


def _ethertype(ip: bytes) -> bytes:
    return b"\x08\x00" if ip[0] >> 4 == 4 else b"\x86\xdd"


def ethernet(ip: bytes, *tags: int) -> bytes:
    """With VLAN tags of these types, the outermost first; short frames are padded as a network card does it."""
    tagged = b"".join(struct.pack(">HH", tag, 100) for tag in tags)
    return (bytes(12) + tagged + _ethertype(ip) + ip).ljust(60, b"\0")


def cooked_1(ip: bytes) -> bytes:
    return struct.pack(">HHH8s", 0, 1, 6, bytes(8)) + _ethertype(ip) + ip


def cooked_2(ip: bytes, *tags: int) -> bytes:
    """With VLAN tags of these types, the outermost first."""
    first, *rest = [*(struct.pack(">H", tag) for tag in tags), _ethertype(ip)]
    tagged = b"".join(struct.pack(">H", 100) + kind for kind in rest)
    return first + struct.pack(">HIHBB8s", 0, 3, 1, 0, 6, bytes(8)) + tagged + ip


def loopback(ip: bytes) -> bytes:
    return struct.pack("<I", 2 if ip[0] >> 4 == 4 else 30) + ip


def raw(ip: bytes) -> bytes:
    return ip


def pcap(frames: Iterable[tuple[int, bytes]], link: int = 1, order: str = "<", nanoseconds: bool = False) -> bytes:
    """`frames` are times in nanoseconds and the frames' bytes."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    file = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for time_ns, frame in frames:
        fraction = time_ns % 1_000_000_000 // (1 if nanoseconds else 1000)
        file += struct.pack(order + "IIII", time_ns // 1_000_000_000, fraction, len(frame), len(frame)) + frame
    return file


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    total = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + total + body + total


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(link: int = 1, order: str = "<", snap: int = 0, options: bytes = b"") -> bytes:
    return block(1, struct.pack(order + "HHI", link, 0, snap) + options, order)


def enhanced(ticks: int, frame: bytes, order: str = "<", number: int = 0) -> bytes:
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return block(6, head + frame + bytes(-len(frame) % 4), order)


def simple(frame: bytes, order: str = "<") -> bytes:
    return block(3, struct.pack(order + "I", len(frame)) + frame, order)


def pcapng(frames: Iterable[tuple[int, bytes]], link: int = 1, order: str = "<") -> bytes:
    return section(order) + interface(link, order) + b"".join(enhanced(t // 1000, f, order) for t, f in frames)


def rtp_stream(
    payloads: Iterable[bytes],
    *,
    payload_type: int = 0,
    ssrc: int = 1,
    sequence: int = 0,
    timestamp: int = 0,
    step: int = 160,
) -> list[bytes]:
    """RTP packets in a row, `step` timestamp units apart."""
    return [
        serialize(
            RtpPacket(payload_type, n == 0, (sequence + n) % 65536, (timestamp + n * step) % 2**32, ssrc, payload)
        )
        for n, payload in enumerate(payloads)
    ]
