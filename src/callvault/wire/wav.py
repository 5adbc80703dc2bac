"""WAV headers: written for a PCM view whose length is known, read from files that may lie about theirs."""

import struct
from dataclasses import dataclass
from typing import Final

from callvault.domain.errors import Malformed

HEADER_MAX: Final = 1 << 20
"""How far from the start of a file its sound may begin."""

_RIFF_MAX: Final = 0xFFFF_FFFF
_UNKNOWN: Final = 0xFFFF_FFFF
_EXTENSIBLE: Final = 0xFFFE
_ENCODINGS: Final = {1: "pcm", 3: "float", 6: "pcma", 7: "pcmu"}
_TAGS_GUID: Final = bytes.fromhex("000000001000800000aa00389b71")
_WHAT: Final = "the WAV file"


@dataclass(frozen=True, slots=True)
class WavHeader:
    """What a header says, and what is true of the file behind it."""

    encoding: str
    """`pcm`, `float`, `pcma`, `pcmu`, or `other` for what only a codec can tell."""
    rate: int
    channels: int
    bits: int
    """Of one sample as it is stored; 8-bit PCM is unsigned."""
    block: int
    """Bytes of one frame."""
    data_offset: int
    data_length: int
    """Whole frames that are really there."""
    declared_length: int
    lies: tuple[str, ...] = ()
    """In which ways `declared_length` is not the truth: `zero`, `unknown`, `wrapped` or `beyond the file`."""

    @property
    def frames(self) -> int:
        return self.data_length // self.block


def header_length(channels: int, frames: int, bits: int = 16) -> int:
    return 80 if _needs_rf64(channels, frames, bits) else 44


def file_length(channels: int, frames: int, bits: int = 16) -> int:
    """Of the whole file, with the zero byte that follows an odd number of bytes of sound."""
    data = frames * channels * (bits // 8)
    return header_length(channels, frames, bits) + data + data % 2


def header(rate: int, channels: int, frames: int, bits: int = 16) -> bytes:
    """RIFF as long as its 32-bit sizes reach, RF64 (EBU Tech 3306) beyond."""
    block = channels * (bits // 8)
    data, riff = frames * block, file_length(channels, frames, bits) - 8
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * block, block, bits)
    if not _needs_rf64(channels, frames, bits):
        return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + form + struct.pack("<4sI", b"data", data)
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, riff, data, frames, 0)
    return struct.pack("<4sI4s", b"RF64", _UNKNOWN, b"WAVE") + sizes + form + struct.pack("<4sI", b"data", _UNKNOWN)


def parse(head: bytes, file_length: int) -> WavHeader:
    """Reads the header from the beginning of a file of that many bytes; `head` must reach to the sound.

    A length that cannot be true is corrected from the length of the file and named in `lies`.
    """
    magic, riff = _magic(head)
    form: WavHeader | None = None
    long_data, at = None, 12
    while True:
        name, size = _chunk(head, at)
        if name == b"data":
            break
        if name == b"ds64" and magic != b"RIFF":
            riff, long_data = _ds64(head, at + 8)
        elif name == b"fmt ":
            form = _form(head[at + 8 : at + 8 + min(size, 64)])
        at += 8 + size + size % 2
    if form is None:
        raise _malformed("the sound comes before its format")
    declared = long_data if long_data is not None and size == _UNKNOWN else size
    return _with_truth(form, at + 8, declared, riff, file_length)


def _needs_rf64(channels: int, frames: int, bits: int) -> bool:
    data = frames * channels * (bits // 8)
    return 36 + data + data % 2 > _RIFF_MAX


def _magic(head: bytes) -> tuple[bytes, int]:
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:12] != b"WAVE":
        raise _malformed("it does not begin as one")
    return head[:4], int.from_bytes(head[4:8], "little")


def _chunk(head: bytes, at: int) -> tuple[bytes, int]:
    if at + 8 > len(head) or at > HEADER_MAX:
        raise _malformed("there is no sound in it")
    return head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")


def _ds64(head: bytes, at: int) -> tuple[int, int]:
    if at + 16 > len(head):
        raise _malformed("its 64-bit sizes are cut off")
    riff, data = struct.unpack_from("<QQ", head, at)
    return riff, data


def _form(body: bytes) -> WavHeader:
    if len(body) < 16:
        raise _malformed("its format is cut off")
    tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE:
        tag = _extended(body)
    encoding = _ENCODINGS.get(tag, "other")
    if not channels or not rate or not block:
        raise _malformed("its format has no channels, no rate or no samples")
    if encoding != "other" and (bits % 8 or block != channels * (bits // 8) or not 8 <= bits <= 64):
        raise _malformed("its format contradicts itself")
    return WavHeader(encoding, rate, channels, bits, block, 0, 0, 0)


def _extended(body: bytes) -> int:
    """The coding that WAVE_FORMAT_EXTENSIBLE names by a GUID, as the plain tag that is the GUID's beginning."""
    if len(body) < 40 or body[26:40] != _TAGS_GUID:
        return 0
    return int.from_bytes(body[24:26], "little")


def _with_truth(form: WavHeader, offset: int, declared: int, riff: int, file_length: int) -> WavHeader:
    there = max(file_length - offset, 0)
    lie = _lie(declared, riff, there, file_length)
    length = there if lie else declared
    return WavHeader(
        form.encoding,
        form.rate,
        form.channels,
        form.bits,
        form.block,
        offset,
        length - length % form.block,
        declared,
        (lie,) if lie else (),
    )


def _lie(declared: int, riff: int, there: int, file_length: int) -> str | None:
    if declared == 0:
        # Chunks may follow a data chunk that is honestly empty; then the outer size agrees with the file.
        return "zero" if there and riff + 8 != file_length else None
    if declared == _UNKNOWN and there != _UNKNOWN:
        return "unknown"
    if declared > there:
        return "beyond the file"
    if there > _RIFF_MAX and declared == there & _RIFF_MAX:
        return "wrapped"
    return None


def _malformed(why: str) -> Malformed:
    return Malformed(what=_WHAT, why=why)
