"""WAV headers: written for a PCM view whose length is known, read from files that may lie about theirs."""

import struct
from dataclasses import dataclass, replace
from typing import Final

from callvault.domain.errors import Malformed

HEADER_MAX: Final = 1 << 20
"""How far from the start of a file its sound may begin."""

BEGINNINGS: Final = (b"RIFF", b"RF64", b"BW64", b"RIFX")
"""Whatever begins so is for `parse`, be it to be refused."""

_FORM_MAX: Final = 256
_RIFF_MAX: Final = 0xFFFF_FFFF
_UNKNOWN: Final = 0xFFFF_FFFF
_ENDLESS: Final = 0x7FFF_0000
"""Programs that write to a pipe declare some length from here on."""
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
    """Of one sample as it is stored, in whole bytes; 8-bit PCM is unsigned."""
    block: int
    """Bytes of one frame."""
    data_offset: int
    data_length: int
    """Whole frames that are really there."""
    declared_length: int
    form: bytes
    """The format chunk's body, as it stands in the file."""
    lies: tuple[str, ...] = ()
    """In which way `declared_length` is not the truth: `zero` was left by a crash, `unknown` by a pipe, `wrapped` by
    more than 4 GiB; `beyond the file` it reaches where the file was cut off."""

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
    return header_of(struct.pack("<HHIIHH", 1, channels, rate, rate * block, block, bits), frames * block)


def header_of(form: bytes, data_length: int) -> bytes:
    """For sound in any coding: `form` is the body of the format chunk."""
    chunk = struct.pack("<4sI", b"fmt ", len(form)) + form + bytes(len(form) % 2)
    riff = 12 + len(chunk) + data_length + data_length % 2
    if riff <= _RIFF_MAX:
        return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + chunk + struct.pack("<4sI", b"data", data_length)
    block = int.from_bytes(form[12:14], "little")
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, riff + 36, data_length, data_length // block, 0)
    return struct.pack("<4sI4s", b"RF64", _UNKNOWN, b"WAVE") + sizes + chunk + struct.pack("<4sI", b"data", _UNKNOWN)


def parse(head: bytes, file_length: int) -> WavHeader:
    """Reads the header from the beginning of a file of that many bytes; `head` must reach to the sound.

    A length that cannot be true is corrected from the length of the file and named in `lies`.
    """
    magic = _magic(head)
    form: WavHeader | None = None
    long_data, at = None, 12
    while True:
        name, size = _chunk(head, at)
        if name == b"data":
            break
        if name == b"ds64" and magic != b"RIFF":
            long_data = _ds64(head, at + 8)
        elif name == b"fmt ":
            form = _form(head[at + 8 : at + 8 + min(size, _FORM_MAX)])
        at += 8 + size + size % 2
    if form is None:
        raise _malformed("the sound comes before its format")
    declared = long_data if long_data is not None and size == _UNKNOWN else size
    return _with_truth(form, head, at + 8, declared, file_length)


def _needs_rf64(channels: int, frames: int, bits: int) -> bool:
    data = frames * channels * (bits // 8)
    return 36 + data + data % 2 > _RIFF_MAX


def _magic(head: bytes) -> bytes:
    if len(head) < 12 or not head.startswith(BEGINNINGS) or head[8:12] != b"WAVE":
        raise _malformed("it does not begin as one")
    if head.startswith(b"RIFX"):
        raise _malformed("its numbers are big-endian (RIFX), and those of sound that is taken are little-endian")
    return head[:4]


def _chunk(head: bytes, at: int) -> tuple[bytes, int]:
    if at + 8 > len(head) or at > HEADER_MAX:
        raise _malformed("there is no sound in it")
    return head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")


def _ds64(head: bytes, at: int) -> int:
    if at + 16 > len(head):
        raise _malformed("its 64-bit sizes are cut off")
    return int.from_bytes(head[at + 8 : at + 16], "little")


def _form(body: bytes) -> WavHeader:
    if len(body) < 16:
        raise _malformed("its format is cut off")
    tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE:
        tag = _extended(body)
    encoding, stored = _ENCODINGS.get(tag, "other"), (bits + 7) // 8
    if not channels or not rate or not block:
        raise _malformed("its format has no channels, no rate or no samples")
    if encoding != "other" and (block != channels * stored or not 1 <= stored <= 8):
        raise _malformed("its format contradicts itself")
    return WavHeader(encoding, rate, channels, 8 * stored, block, 0, 0, 0, body)


def _extended(body: bytes) -> int:
    """The coding that WAVE_FORMAT_EXTENSIBLE names by a GUID, as the plain tag that is the GUID's beginning."""
    if len(body) < 40 or body[26:40] != _TAGS_GUID:
        return 0
    return int.from_bytes(body[24:26], "little")


def _with_truth(form: WavHeader, head: bytes, offset: int, declared: int, file_length: int) -> WavHeader:
    there = max(file_length - offset, 0)
    lie = _lie(declared, there, head[offset : offset + 8])
    length = there if lie else declared
    return replace(
        form,
        data_offset=offset,
        data_length=length - length % form.block,
        declared_length=declared,
        lies=(lie,) if lie else (),
    )


def _lie(declared: int, there: int, following: bytes) -> str | None:
    if declared == 0:
        return "zero" if there and not _is_chunk(following, there) else None
    if declared > there:
        return "unknown" if _ENDLESS <= declared <= _UNKNOWN else "beyond the file"
    if there > _RIFF_MAX and declared == there & _RIFF_MAX:
        return "wrapped"
    return None


def _is_chunk(following: bytes, there: int) -> bool:
    """Whether another chunk comes behind a data chunk that is honestly empty."""
    name, size = following[:4], int.from_bytes(following[4:8], "little")
    return len(following) == 8 and all(32 <= byte < 127 for byte in name) and 8 + size <= there


def _malformed(why: str) -> Malformed:
    return Malformed(what=_WHAT, why=why)
