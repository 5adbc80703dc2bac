"""Call logs: JSON lines, given plain or gzipped, kept gzipped and always the same way."""

import json
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from callvault.domain.errors import Malformed, TooLarge

LINE_MAX: Final = 1 << 20
UNFOLDED_MAX: Final = 1 << 30
LINES_MAX: Final = 1_000_000
"""Each is looked at by itself: a gzip of a few kilobytes unfolds to enough of them for an hour's work."""

_GZIP: Final = 31
"""zlib's window bits for a gzip stream; its header then has no time and no name in it."""
_MAGIC: Final = b"\x1f\x8b"
_PIECE: Final = 1 << 16
_INPUT: Final = 1 << 12


def folded(chunks: Iterable[bytes], unfolded_max: int = UNFOLDED_MAX, lines_max: int = LINES_MAX) -> Iterator[bytes]:
    """The logs as gzipped JSON lines, in pieces, in bounded memory; the same lines give the same bytes.

    `Malformed` for a line that is no JSON or a broken gzip, `TooLarge` once more bytes or lines than the limits come
    out of it.
    """
    packer = zlib.compressobj(wbits=_GZIP)
    for line in lines(chunks, unfolded_max, lines_max):
        if packed := packer.compress(line + b"\n"):
            yield packed
    yield packer.flush()


def lines(chunks: Iterable[bytes], unfolded_max: int = UNFOLDED_MAX, lines_max: int = LINES_MAX) -> Iterator[bytes]:
    """Each line that is not empty, proven to be JSON, without its end."""
    for number, line in enumerate(_split(_bounded(_unfolded(chunks), unfolded_max)), 1):
        # What follows the last line's end is no line.
        if number > lines_max + (not line):
            raise TooLarge(what="the logs", limit=f"{lines_max} lines")
        if proven := _proven(line, number):
            yield proven


def _split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        first, *others = piece.split(b"\n")
        held.append(first)
        size += len(first)
        if others:
            yield b"".join(held)
            *whole, last = others
            yield from whole
            held, size = [last], len(last)
        if size > LINE_MAX:
            break  # Its reader refuses it.
    yield b"".join(held)


def _bounded(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    came = 0
    for piece in pieces:
        came += len(piece)
        if came > most:
            raise TooLarge(what="the logs", limit=f"{most} bytes")
        yield piece


def _unfolded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    source = iter(chunks)
    first = b""
    while len(first) < len(_MAGIC) and (chunk := next(source, None)) is not None:
        first += chunk
    return _unzipped(first, source) if first.startswith(_MAGIC) else chain((first,), source)


def _unzipped(first: bytes, source: Iterator[bytes]) -> Iterator[bytes]:
    """All members of a gzip file, never more than a piece of it at once."""
    unpacker = zlib.decompressobj(_GZIP)
    for part in _small(chain((first,), source)):
        data = part
        while data:
            if unpacker.eof:
                unpacker = zlib.decompressobj(_GZIP)
            try:
                yield unpacker.decompress(data, _PIECE)
            except zlib.error as error:
                raise Malformed(what="the gzip file", why="it does not unfold") from error
            data = unpacker.unused_data or unpacker.unconsumed_tail
    if not unpacker.eof:
        raise Malformed(what="the gzip file", why="it is cut off")


def _small(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """For every member begins with a copy of what is left: thousands of empty ones must not copy much."""
    for chunk in chunks:
        for at in range(0, len(chunk), _INPUT):
            yield chunk[at : at + _INPUT]


def _proven(line: bytes, number: int) -> bytes:
    if len(line) > LINE_MAX:
        raise TooLarge(what="a line of the logs", limit=f"{LINE_MAX} bytes")
    bare = line.strip()
    try:
        if bare:
            _check(bare.decode())
    except (ValueError, RecursionError) as error:
        raise Malformed(what="the logs", why=f"line {number} is no JSON") from error
    return bare


def _check(text: str) -> None:
    _, end = _DECODER.raw_decode(text)
    if end < len(text):
        raise ValueError(text[end:])


def _refuse(constant: str) -> None:
    """Python would take NaN and Infinity, which JSON does not know."""
    raise ValueError(constant)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse)
