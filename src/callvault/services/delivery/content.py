"""Content: bytes of a known length on their way out, made or read ahead while those before them are sent."""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Blobs, Chunk

T = TypeVar("T")
BATCH: Final = 1 << 20
FIRST_PIECE: Final = 1 << 16
AHEAD: Final = 2


async def read_ahead(read: Callable[[int, int], Chunk], start: int, end: int, piece: int) -> AsyncIterator[Chunk]:
    """What `read(at, size)` gives, which blocks, from start to end: while one piece is on its way the next is read."""
    ahead: asyncio.Task[Chunk] | None = None
    try:
        for at, size in cuts(start, end, piece):
            ready, ahead = ahead, asyncio.create_task(asyncio.to_thread(read, at, size))
            if ready:
                yield await ready
        if ahead:
            yield await ahead
    finally:
        if ahead:
            ahead.cancel()


def made_ahead(make: Callable[[int, int], T], asked: Iterable[tuple[int, int]]) -> Iterator[T]:
    """What is made of each of what is asked, for a thread of its own: while it does something with one piece the next
    ones are made."""
    with ThreadPoolExecutor(1) as maker:
        ahead: deque[Future[T]] = deque()
        for each in asked:
            ahead.append(maker.submit(make, *each))
            if len(ahead) > AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


async def drawn_ahead(chunks: Iterator[Chunk], batch: int) -> AsyncIterator[Chunk]:
    """What the chunks are, whose making blocks: while a batch of them is on its way the next is drawn, in one visit to
    a thread. The first chunk goes alone, so that the first byte comes soon. No chunk is ever copied."""
    ahead = asyncio.ensure_future(asyncio.to_thread(_batch, chunks, 1))
    try:
        while drawn := await asyncio.shield(ahead):
            ahead = asyncio.ensure_future(asyncio.to_thread(_batch, chunks, batch))
            for chunk in drawn:
                yield chunk
    finally:
        # An iterator cannot be closed while a thread is in it.
        await asyncio.gather(ahead, return_exceptions=True)
        if hasattr(chunks, "close"):
            await asyncio.to_thread(chunks.close)


def _batch(chunks: Iterator[Chunk], least: int) -> list[Chunk]:
    """Of `least` bytes or a little more; none at the end."""
    drawn: list[Chunk] = []
    while least > 0 and (chunk := next(chunks, None)) is not None:
        drawn.append(chunk)
        least -= len(chunk)
    return drawn


def cuts(start: int, end: int, piece: int) -> Iterator[tuple[int, int]]:
    """Small at first, so that the first byte comes soon; then ever greater, up to a piece."""
    size = min(FIRST_PIECE, piece)
    while start < end:
        yield start, min(size, end - start)
        start, size = start + size, min(2 * size, piece)


@dataclass(frozen=True, slots=True)
class StoredContent:
    """A stored object as it leaves: a rendition or an artifact."""

    stored: StoredObject
    media_type: str
    blobs: Blobs

    @property
    def length(self) -> int:
        return self.stored.size

    @property
    def etag(self) -> str:
        """An object never changes, so that its name will do where no digest was taken."""
        digest = self.stored.sha256 or hashlib.sha256(self.stored.key.encode()).hexdigest()
        return f'"{digest[:32]}"'

    def read(self, start: int, length: int) -> Chunk:
        """Blocks."""
        return self.blobs.read(self.stored, start, length)

    def stream(self, start: int = 0, end: int | None = None) -> AsyncIterator[Chunk]:
        end = self.length if end is None else min(end, self.length)
        return drawn_ahead(iter(self.blobs.stream(self.stored, start, max(end - start, 0))), BATCH)
