"""A look at a sound file before FFmpeg sees it: what it promises of its length, and its dangerous parts refused or left
out."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

from callvault.domain.errors import Malformed
from callvault.wire import mp4, wav
from callvault.wire.wav import WavHeader

_WINDOW: Final = 1 << 16
_PIECE: Final = 1 << 20
_BOXES_MOST: Final = 500_000
"""Two each second of the longest file that is taken, and more."""
_OGG_PAGE: Final = b"OggS"
_OGG_LAST: Final = 4
_OGG_HEAD: Final = 27


class Readable(Protocol):
    """What FFmpeg needs of a file."""

    def read(self, size: int = -1, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def tell(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Examined:
    file: Readable
    """What FFmpeg is to read."""
    size: int
    """Of the whole file, in bytes."""
    seconds: float = 0.0
    """How long it says to be, where that is more than it can hold."""
    unfinished: bool = False
    """It lacks the mark that ends it."""
    counted: bool = False
    """It is an MP3 that counts its frames."""
    is_mp4: bool = False


def examined(source: BinaryIO) -> Examined:
    """`Malformed` for a WAV file that has no sound within reach, and for an MP4 of more samples than bytes."""
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    head = source.read(_WINDOW)
    if head.startswith(wav.BEGINNINGS):
        return _examined_wav(source, head + source.read(wav.HEADER_MAX), size)
    if mp4.is_mp4(head):
        _check_mp4(source, size)
        source.seek(0)
        return Examined(source, size, is_mp4=True)
    unfinished = False
    if head.startswith(_OGG_PAGE):
        source.seek(max(0, size - _WINDOW))
        unfinished = _lacks_last_page(source.read(_WINDOW))
    source.seek(0)
    return Examined(source, size, unfinished=unfinished, counted=b"Xing" in head or b"Info" in head)


def _examined_wav(source: BinaryIO, head: bytes, size: int) -> Examined:
    """FFmpeg takes as much memory as a LIST chunk says it has bytes: it is shown the format and the sound alone. It
    reads the header of RIFX as big-endian, and the samples as if they were not."""
    found = wav.parse(head, size)
    begin = wav.header_of(found.form, found.data_length)
    cut = "beyond the file" in found.lies
    spliced = Spliced(begin, source, found.data_offset, found.data_length)
    return Examined(spliced, size, seconds=_declared_seconds(found) if cut else 0.0)


def _declared_seconds(found: WavHeader) -> float:
    bytes_a_second = int.from_bytes(found.form[8:12], "little") if found.encoding == "other" else 0
    return found.declared_length / (bytes_a_second or found.block * found.rate)


def _check_mp4(source: BinaryIO, size: int) -> None:
    """FFmpeg makes room for each sample before it looks for one of them."""
    at = samples = 0
    for _ in range(_BOXES_MOST):
        if at >= size:
            return
        source.seek(at)
        kind, length = mp4.box_of(source.read(16))
        end = min(at + length, size) if length else size
        if kind != b"mdat":
            samples += sum(map(mp4.declared, _pieces(source, at, end)))
        if samples > size:
            raise Malformed(what="the sound file", why="it declares more samples than it has bytes")
        at = end
    raise Malformed(what="the sound file", why="it has too many parts")


def _pieces(source: BinaryIO, at: int, end: int) -> Iterator[bytes]:
    for begin in range(at, end, _PIECE):
        source.seek(begin)
        yield source.read(min(_PIECE + mp4.COUNT_BYTES - 1, end - begin))


def _lacks_last_page(tail: bytes) -> bool:
    page = tail[tail.rfind(_OGG_PAGE) :]
    if len(page) < _OGG_HEAD:
        return True
    flags, count = page[5], page[_OGG_HEAD - 1]
    whole = _OGG_HEAD + count + sum(page[_OGG_HEAD : _OGG_HEAD + count])
    return not flags & _OGG_LAST or len(page) < whole


class Spliced:
    """Some bytes, followed by a stretch of a file."""

    name = "sound"

    def __init__(self, head: bytes, source: BinaryIO, start: int, length: int) -> None:
        self._head = head
        self._source = source
        self._start = start - len(head)
        self._size = len(head) + length
        self._at = 0

    def read(self, size: int = -1, /) -> bytes:
        size = self._size - self._at if size < 0 else min(size, self._size - self._at)
        if size <= 0:
            return b""
        data = self._head[self._at : self._at + size]
        if not data:
            self._source.seek(self._start + self._at)
            data = self._source.read(size)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = offset + {os.SEEK_CUR: self._at, os.SEEK_END: self._size}.get(whence, 0)
        return self._at

    def tell(self) -> int:
        return self._at
