"""MP3 frames: where each ends, and the Info frame in front that tells players how long the sound is."""

from dataclasses import dataclass
from typing import Final

from callvault.domain.errors import Malformed

_RATES: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""By the header's version bits: MPEG 1, 2 and 2.5."""

_KILOBITS_1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KILOBITS_2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_TAG_BYTES: Final = 156
_ENCODER: Final = b"LAME3.100"


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """The four bytes that begin a frame of layer III."""

    raw: bytes

    @property
    def _version(self) -> int:
        return self.raw[1] >> 3 & 3

    @property
    def rate(self) -> int:
        return _RATES[self._version][self.raw[2] >> 2 & 3]

    @property
    def samples(self) -> int:
        return 1152 if self._version == 3 else 576

    @property
    def kilobits(self) -> int:
        return (_KILOBITS_1 if self._version == 3 else _KILOBITS_2)[self.raw[2] >> 4]

    @property
    def length(self) -> int:
        return self.samples // 8 * self.kilobits * 1000 // self.rate + (self.raw[2] >> 1 & 1)

    @property
    def side_length(self) -> int:
        """Bytes between the header and the sound of the frame."""
        one_channel = self.raw[3] >> 6 == 3
        if self._version == 3:
            return 17 if one_channel else 32
        return 9 if one_channel else 17

    def with_room_for(self, size: int) -> "FrameHeader":
        """The same, unpadded, at the lowest bit rate whose frames are that long."""
        for index in range(1, 15):
            header = FrameHeader(bytes((self.raw[0], self.raw[1] | 1, index << 4 | self.raw[2] & 0x0C, self.raw[3])))
            if header.length >= size:
                return header
        raise Malformed(what="the MP3", why="none of its frames has room for a tag")


def parse_header(data: bytes) -> FrameHeader:
    header = FrameHeader(data[:4])
    if len(header.raw) < 4 or data[0] != 0xFF or data[1] & 0xE6 != 0xE2:
        raise Malformed(what="the MP3 frame", why="it does not begin as one")
    if header._version == 1 or data[2] >> 2 & 3 == 3 or data[2] >> 4 in (0, 15):
        raise Malformed(what="the MP3 frame", why="its rate is none")
    return header


class Counted:
    """Counts the frames and bytes of a stream of frames, cut anywhere."""

    def __init__(self) -> None:
        self._first: FrameHeader | None = None
        self.frames = 0
        self.size = 0
        self._rest = b""

    @property
    def first(self) -> FrameHeader:
        if self._first is None:
            raise Malformed(what="the MP3", why="it has no frames")
        return self._first

    @property
    def samples(self) -> int:
        return self.frames * self.first.samples

    def feed(self, data: bytes) -> None:
        self.size += len(data)
        data, at = self._rest + data, 0
        while at + 4 <= len(data):
            header = parse_header(data[at : at + 4])
            if at + header.length > len(data):
                break
            self._first = self._first or header
            self.frames += 1
            at += header.length
        self._rest = data[at:]


def info_frame(first: FrameHeader, frames: int, size: int, delay: int, padding: int) -> bytes:
    """A frame without sound that carries the Info tag, with LAME's extension for gapless ends.

    `first`, `frames` and `size` are of the stream behind it; `delay` and `padding` are the samples that the encoder
    put before and behind the sound. Its length depends on `first` alone.
    """
    header = first.with_room_for(4 + first.side_length + _TAG_BYTES)
    whole = (header.length + size).to_bytes(4, "big")
    toc = bytes(index * 256 // 100 for index in range(100))
    tag = b"Info" + (15).to_bytes(4, "big") + frames.to_bytes(4, "big") + whole + toc + bytes(4)
    gaps = (delay << 12 | padding).to_bytes(3, "big")
    tag += _ENCODER + b"\1" + bytes(10) + bytes([min(first.kilobits, 255)]) + gaps + bytes(4) + whole + bytes(2)
    frame = header.raw + bytes(first.side_length) + tag
    return (frame + _crc16(frame).to_bytes(2, "big")).ljust(header.length, b"\0")


def _crc16(data: bytes) -> int:
    """CRC-16/ARC, as LAME protects its tag."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
