"""The sealed format: an object in 64 KiB AES-256-GCM frames, each bound to its place, its name and the object's end."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FRAME = 65_536
TAG = 16
SEALED_FRAME = FRAME + TAG
HEADER = b"CALLVAULT\x00\x01\x10" + bytes(4)
"""Magic, version 1, the frame size as a power of two, zeros."""
KEY_BYTES = 32
ROOM = 32 * SEALED_FRAME
"""As many sealed bytes as are opened at once."""

_nonce = struct.Struct(">3xQ?").pack
"""Three zeros, the frame's index, whether it is the last: a data key seals one object, so no nonce comes twice."""


class NotAsSealed(ValueError):
    """The bytes are not those that were sealed under this key and name."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where in a sealed object the frames lie that hold a range of what was sealed."""

    first_frame: int
    offset: int
    length: int
    skip: int
    """Bytes of the first frame that come before the range."""
    to_end: bool


def frame_count(size: int) -> int:
    """An empty object has one empty frame, so that it too has an end that cannot be forged."""
    return max(1, -(-size // FRAME))


def sealed_size(size: int) -> int:
    return len(HEADER) + size + frame_count(size) * TAG


def plain_size(sealed: int) -> int:
    body = sealed - len(HEADER)
    frames = max(1, -(-body // SEALED_FRAME))
    size = body - frames * TAG
    if size < 0 or frame_count(size) != frames:
        raise NotAsSealed(f"no sealed object is {sealed} bytes long")
    return size


def stretch(size: int, start: int, stop: int) -> Stretch:
    """For a range that is not empty, unless the object is; the header comes along with the first frame."""
    first, last = start // FRAME, max(start, stop - 1) // FRAME
    offset = len(HEADER) + first * SEALED_FRAME if first else 0
    end = min(len(HEADER) + (last + 1) * SEALED_FRAME, sealed_size(size))
    return Stretch(first, offset, end - offset, start - first * FRAME, last + 1 == frame_count(size))


def seal(data_key: bytes, name: str, chunks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The sealed object, in pieces; the data key must be fresh."""
    encrypt, bound = AESGCM(data_key).encrypt, HEADER + name.encode()
    yield HEADER
    frames = regrouped(chunks, FRAME)
    held = next(frames, memoryview(b""))
    index = 0
    for frame in frames:
        yield encrypt(_nonce(index, False), held, bound)
        held, index = frame, index + 1
    yield encrypt(_nonce(index, True), held, bound)


def unseal(
    data_key: bytes, name: str, size: int, part: Stretch, chunks: Iterable[bytes | memoryview]
) -> Iterator[memoryview]:
    """The frames of the stretch, opened; in one piece those that came in one. Each is delivered only when it is what
    was sealed at its place, and the last one when nothing comes behind it."""
    decrypt, bound = AESGCM(data_key).decrypt_into, HEADER + name.encode()
    index, last = part.first_frame, frame_count(size) - 1
    body, length = (chunks, part.length) if part.offset else (_without_header(chunks), part.length - len(HEADER))
    for frames in _frames(body, length):
        opened = np.empty(sum(map(len, frames)) - len(frames) * TAG, np.uint8).data
        for n, frame in enumerate(frames):
            try:
                decrypt(_nonce(index, index == last), frame, bound, opened[n * FRAME : (n + 1) * FRAME])
            except InvalidTag:
                raise NotAsSealed(f"frame {index} was changed, moved or cut") from None
            index += 1
        yield opened.toreadonly()


def _frames(chunks: Iterable[bytes | memoryview], left: int) -> Iterator[list[memoryview]]:
    frames: list[memoryview] = []
    kept = memoryview(b"")
    for piece in _rooms(chunks):
        left -= len(piece)
        frames = list(regrouped([kept, piece], SEALED_FRAME))
        kept = frames.pop() if left and len(frames[-1]) < SEALED_FRAME else memoryview(b"")
        if left > 0 and frames:
            yield frames
    if left:
        raise NotAsSealed(f"it is {abs(left)} bytes {'longer' if left < 0 else 'shorter'} than it was")
    yield frames


def _rooms(chunks: Iterable[bytes | memoryview]) -> Iterator[memoryview]:
    """The same in pieces that can be opened at once, none of them empty."""
    for chunk in chunks:
        for at in range(0, len(chunk), ROOM):
            yield memoryview(chunk)[at : at + ROOM]


def _without_header(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    head, rest = b"", iter(chunks)
    for chunk in rest:
        head += chunk
        if len(head) >= len(HEADER):
            break
    if head[: len(HEADER)] != HEADER:
        raise NotAsSealed("it does not begin with the header of a sealed object")
    yield memoryview(head)[len(HEADER) :]
    yield from rest


def regrouped(chunks: Iterable[bytes | memoryview], size: int) -> Iterator[memoryview]:
    """The same bytes in pieces of exactly `size`, the last one shorter; copied only where a piece spans chunks."""
    kept = bytearray()
    for chunk in chunks:
        start = 0
        if kept:
            start = size - len(kept)
            kept += memoryview(chunk)[:start]
            if len(kept) < size:
                continue
            yield memoryview(kept)
            kept = bytearray()
        view = memoryview(chunk)
        whole = start + (len(view) - start) // size * size
        for at in range(start, whole, size):
            yield view[at : at + size]
        kept += view[whole:]
    if kept:
        yield memoryview(kept)
