"""What a sound file promises of its length, where FFmpeg does not say: so that a cut is noticed and told."""

import os
from dataclasses import dataclass
from typing import BinaryIO, Final

from callvault.domain.errors import Malformed
from callvault.wire import wav

_WINDOW: Final = 1 << 16
_OGG_PAGE: Final = b"OggS"
_OGG_LAST: Final = 4


@dataclass(frozen=True, slots=True)
class Promise:
    seconds: float = 0.0
    """More than the file can hold."""
    unfinished: bool = False
    """It lacks the mark that ends it."""
    counted: bool = False
    """It is an MP3 that counts its frames."""


def promise_of(source: BinaryIO) -> Promise:
    if not source.seekable():
        return Promise()
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    head = source.read(_WINDOW)
    if head.startswith((b"RIFF", b"RF64", b"BW64")):
        return Promise(seconds=_wav_seconds(head, size))
    if head.startswith(_OGG_PAGE):
        source.seek(max(0, size - _WINDOW))
        return Promise(unfinished=_lacks_last_page(source.read(_WINDOW)))
    return Promise(counted=b"Xing" in head or b"Info" in head)


def _wav_seconds(head: bytes, size: int) -> float:
    try:
        found = wav.parse(head, size)
    except Malformed:
        return 0.0
    cut = found.encoding != "other" and "beyond the file" in found.lies
    return found.declared_length / found.block / found.rate if cut else 0.0


def _lacks_last_page(tail: bytes) -> bool:
    flags = tail[tail.rfind(_OGG_PAGE) + 5 :][:1]
    return not (flags and flags[0] & _OGG_LAST)
