"""Packet captures (pcap, pcapng) to the UDP datagrams in them, from chunks of any sizes, in bounded memory."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from callvault.domain.errors import Malformed
from callvault.wire import udp
from callvault.wire.udp import Endpoint

_RECORD_MAX: Final = 1 << 18
"""No packet of a link is longer; a length beyond is garbage."""
_BLOCK_MAX: Final = 1 << 24
_INTERFACES_MAX: Final = 1 << 10
_NS: Final = 1_000_000_000

_MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""Byte order and nanoseconds in a unit of the fraction."""

_INTERFACE, _SIMPLE, _ENHANCED = 1, 3, 6
_SECTION_MAGIC: Final = b"\x0a\x0d\x0d\x0a"
_RESOLUTION, _OFFSET = 9, 14


class Datagram(NamedTuple):
    time_ns: int
    """When it was captured, since 1970; 0 when the capture does not say."""
    source: Endpoint
    destination: Endpoint
    payload: bytes


@dataclass(slots=True)
class Tally:
    """What a capture held, filled while its datagrams are read."""

    datagrams: int = 0
    fragments: int = 0
    """IP fragments: they are not put together."""
    shortened: int = 0
    """UDP packets of which the capture kept only the beginning."""
    others: int = 0
    cut_off: bool = False
    """The capture ends within a packet."""

    def count(self, found: udp.Datagram | udp.Reason) -> None:
        if isinstance(found, udp.Datagram):
            self.datagrams += 1
        elif found is udp.Reason.FRAGMENT:
            self.fragments += 1
        elif found is udp.Reason.SHORTENED:
            self.shortened += 1
        else:
            self.others += 1


class _Frame(NamedTuple):
    link: int
    time_ns: int
    data: memoryview


@dataclass(frozen=True, slots=True)
class _Interface:
    link: int
    snap: int
    units: int
    """Time units a second."""
    offset_s: int

    def frame(self, time_ns: int, data: memoryview) -> _Frame | None:
        """None for a kind of link that is not understood: others in the same file may be."""
        return _Frame(self.link, time_ns, data) if self.link in udp.LINKS else None


def datagrams(chunks: Iterable[bytes], tally: Tally | None = None) -> Iterator[Datagram]:
    """The UDP datagrams in the order of the capture; `Malformed` when it is none, or from where it is none."""
    tally = tally if tally is not None else Tally()
    reader = _Reader(chunks)
    for link, time_ns, data in _frames(reader):
        found = udp.parse(link, data)
        tally.count(found)
        if isinstance(found, udp.Datagram):
            yield Datagram(time_ns, *found)
    tally.cut_off = reader.cut_off


class _Reader:
    """Exactly so many bytes at a time from chunks of any sizes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = b""
        self._at = 0
        self.cut_off = False

    def take(self, size: int, *, may_end: bool = False) -> memoryview | None:
        """None at the end, which is noted as a cut unless the source may end just here."""
        if len(self._buffer) - self._at < size and not self._fill(size):
            self.cut_off |= not may_end or len(self._buffer) > self._at
            return None
        self._at += size
        return memoryview(self._buffer)[self._at - size : self._at]

    def _fill(self, size: int) -> bool:
        pieces, have = [self._buffer[self._at :]], len(self._buffer) - self._at
        while have < size and (chunk := next(self._chunks, None)) is not None:
            pieces.append(chunk)
            have += len(chunk)
        self._buffer, self._at = b"".join(pieces), 0
        return have >= size


def _frames(reader: _Reader) -> Iterator[_Frame]:
    magic = bytes(reader.take(4) or b"")
    if magic == _SECTION_MAGIC:
        return _pcapng_frames(reader)
    if magic not in _MAGICS:
        raise _malformed("it does not begin as one")
    return _pcap_frames(reader, *_MAGICS[magic])


def _pcap_frames(reader: _Reader, order: str, unit_ns: int) -> Iterator[_Frame]:
    head, record = struct.Struct(order + "HHiIII"), struct.Struct(order + "IIII")
    start = reader.take(head.size)
    if start is None:
        raise _malformed("its header is cut off")
    link = head.unpack(start)[-1] & 0xFFFF
    if link not in udp.LINKS:
        raise _malformed(f"its link type {link} is none that is read")
    while (found := reader.take(record.size, may_end=True)) is not None:
        seconds, fraction, size, _ = record.unpack(found)
        if size > _RECORD_MAX:
            raise _malformed("a packet's length is absurd")
        data = reader.take(size)
        if data is None:
            return
        yield _Frame(link, seconds * _NS + fraction * unit_ns, data)


def _pcapng_frames(reader: _Reader) -> Iterator[_Frame]:
    section = _section(reader)
    while section is not None and (head := reader.take(4, may_end=True)) is not None:
        if bytes(head) == _SECTION_MAGIC:
            section = _section(reader)
            continue
        (kind,) = struct.unpack(section.order + "I", head)
        body = _body(reader, section.order)
        if body is None:
            return
        if kind == _INTERFACE:
            section.add_interface(body)
        elif kind in (_ENHANCED, _SIMPLE):
            frame = section.enhanced(body) if kind == _ENHANCED else section.simple(body)
            if frame is not None:
                yield frame


def _section(reader: _Reader) -> "_Section | None":
    """The section whose block begins here, behind its magic."""
    head = reader.take(8)
    if head is None:
        return None
    order = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(bytes(head[4:]))
    if order is None:
        raise _malformed("a section has no byte order")
    (total,) = struct.unpack(order + "I", head[:4])
    return _Section(order) if reader.take(_checked(total, 28) - 12) is not None else None


def _body(reader: _Reader, order: str) -> memoryview | None:
    head = reader.take(4)
    if head is None:
        return None
    (total,) = struct.unpack(order + "I", head)
    body = reader.take(_checked(total, 12) - 8)
    if body is None:
        return None
    if body[-4:] != head:
        raise _malformed("a block does not end as it began")
    return body[:-4]


def _checked(total: int, least: int) -> int:
    if not least <= total <= _BLOCK_MAX or total % 4:
        raise _malformed("a block's length is absurd")
    return total


class _Section:
    """A section of a pcapng file: its byte order and the interfaces that were described in it."""

    def __init__(self, order: str) -> None:
        self.order = order
        self._interfaces: list[_Interface] = []

    def add_interface(self, body: memoryview) -> None:
        link, _, snap = self._unpack("HHI", body)
        units, offset_s = 1_000_000, 0
        for code, value in self._options(body[8:]):
            if code == _RESOLUTION and len(value) == 1:
                units = (2 if value[0] & 0x80 else 10) ** (value[0] & 0x7F)
            elif code == _OFFSET and len(value) == 8:
                offset_s = int.from_bytes(value, "little" if self.order == "<" else "big", signed=True)
        self._interfaces.append(_Interface(link, snap, units, offset_s))
        if len(self._interfaces) > _INTERFACES_MAX:
            raise _malformed("it has too many interfaces")

    def enhanced(self, body: memoryview) -> _Frame | None:
        number, high, low, size, _ = self._unpack("IIIII", body)
        interface = self._interface(number)
        if size > len(body) - 20:
            raise _malformed("a packet is longer than its block")
        time_ns = (high << 32 | low) * _NS // interface.units + interface.offset_s * _NS
        return interface.frame(time_ns, body[20 : 20 + size])

    def simple(self, body: memoryview) -> _Frame | None:
        (size,) = self._unpack("I", body)
        interface = self._interface(0)
        return interface.frame(0, body[4 : 4 + min(size, interface.snap or size)])

    def _interface(self, number: int) -> "_Interface":
        if number >= len(self._interfaces):
            raise _malformed("a packet is of an interface that was not described")
        return self._interfaces[number]

    def _unpack(self, form: str, body: memoryview) -> tuple[int, ...]:
        try:
            return struct.unpack_from(self.order + form, body)
        except struct.error as error:
            raise _malformed("a block is too short") from error

    def _options(self, data: memoryview) -> Iterator[tuple[int, memoryview]]:
        while len(data) >= 4:
            code, length = self._unpack("HH", data)
            yield code, data[4 : 4 + length]
            data = data[4 + length + -length % 4 :]


def _malformed(why: str) -> Malformed:
    return Malformed(what="the capture", why=why)
