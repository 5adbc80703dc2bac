"""Frames of a link, as captures hold them, to the UDP datagram inside."""

import struct
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final, NamedTuple

_ETHERTYPE_IP: Final = frozenset({0x0800, 0x86DD})
_VLAN_TAGS: Final = frozenset({0x8100, 0x88A8, 0x9100})
_TAGS_MAX: Final = 4
_UDP: Final = 17
_IPV6_EXTENSIONS: Final = frozenset({0, 43, 60, 135, 139, 140})
_IPV6_FRAGMENT: Final = 44
_AUTHENTICATION: Final = 51
_EXTENSIONS_MAX: Final = 16

_SHORT: Final = struct.Struct(">H")
_IPV4: Final = struct.Struct(">BxHxxHxBxx4s4s")
_IPV6: Final = struct.Struct(">IHBx16s16s")
_PORTS: Final = struct.Struct(">HHH")


class Endpoint(NamedTuple):
    address: bytes
    """4 or 16 bytes."""
    port: int


class Datagram(NamedTuple):
    source: Endpoint
    destination: Endpoint
    payload: bytes


class Reason(Enum):
    """Why a frame gives no datagram."""

    FRAGMENT = "fragment"
    SHORTENED = "shortened"
    OTHER = "other"


class _Packet(NamedTuple):
    """Where in an IP packet the transport begins and ends."""

    source: bytes
    destination: bytes
    protocol: int
    start: int
    end: int
    fragment: bool


def parse(link: int, frame: memoryview) -> Datagram | Reason:
    """`link` is one of `LINKS`."""
    try:
        at = LINKS[link](frame)
        packet = _ip(frame, at) if at is not None else None
        if packet is None or packet.protocol != _UDP:
            return Reason.OTHER
        return Reason.FRAGMENT if packet.fragment else _udp(frame, packet)
    except (struct.error, IndexError):
        return Reason.OTHER


def _ethernet(frame: memoryview) -> int | None:
    return _behind_tags(frame, 12)


def _behind_tags(frame: memoryview, at: int) -> int | None:
    """Where the IP packet begins, given where the protocol is told."""
    for _ in range(_TAGS_MAX):
        (kind,) = _SHORT.unpack_from(frame, at)
        if kind in _ETHERTYPE_IP:
            return at + 2
        if kind not in _VLAN_TAGS:
            return None
        at += 4
    return None


def _cooked_1(frame: memoryview) -> int | None:
    return _behind_tags(frame, 14)


def _cooked_2(frame: memoryview) -> int | None:
    """The first protocol is told ahead, what a tag tells stands behind the header."""
    (kind,) = _SHORT.unpack_from(frame, 0)
    if kind in _VLAN_TAGS:
        return _behind_tags(frame, 22)
    return 20 if kind in _ETHERTYPE_IP else None


def _raw(frame: memoryview) -> int:
    return 0


def _loopback(frame: memoryview) -> int:
    return 4


LINKS: Final[Mapping[int, Callable[[memoryview], int | None]]] = {
    0: _loopback,
    1: _ethernet,
    12: _raw,
    14: _raw,
    101: _raw,
    108: _loopback,
    113: _cooked_1,
    228: _raw,
    229: _raw,
    276: _cooked_2,
}
"""Link types that are understood, each with what finds the IP packet."""


def _ip(frame: memoryview, at: int) -> _Packet | None:
    version = frame[at] >> 4
    if version == 4:
        return _ipv4(frame, at)
    return _ipv6(frame, at) if version == 6 else None


def _ipv4(frame: memoryview, at: int) -> _Packet:
    first, total, fragment, protocol, source, destination = _IPV4.unpack_from(frame, at)
    # A total of 0 is left for the network card to fill in when the sender was captured.
    end = at + total if total else len(frame)
    return _Packet(source, destination, protocol, at + 4 * (first & 15), end, bool(fragment & 0x3FFF))


def _ipv6(frame: memoryview, at: int) -> _Packet:
    _, length, protocol, source, destination = _IPV6.unpack_from(frame, at)
    start = at + _IPV6.size
    end = start + length if length else len(frame)
    fragment = False
    for _ in range(_EXTENSIONS_MAX):
        if protocol == _IPV6_FRAGMENT:
            fragment |= bool(_SHORT.unpack_from(frame, start + 2)[0] & 0xFFF9)
            protocol, start = frame[start], start + 8
        elif protocol in _IPV6_EXTENSIONS:
            protocol, start = frame[start], start + 8 + 8 * frame[start + 1]
        elif protocol == _AUTHENTICATION:
            protocol, start = frame[start], start + 8 + 4 * frame[start + 1]
        else:
            break
    return _Packet(source, destination, protocol, start, end, fragment)


def _udp(frame: memoryview, packet: _Packet) -> Datagram | Reason:
    source, destination, length = _PORTS.unpack_from(frame, packet.start)
    end = packet.start + length if length else packet.end
    if (length and length < 8) or end > packet.end:
        return Reason.OTHER
    if end > len(frame):
        return Reason.SHORTENED
    payload = bytes(frame[packet.start + 8 : end])
    return Datagram(Endpoint(packet.source, source), Endpoint(packet.destination, destination), payload)
