"""Content: bytes of a known length on their way out, made or read ahead while those before them are sent."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Final

from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Blobs

PIECE: Final = 1 << 20
FIRST_PIECE: Final = 1 << 16


async def read_ahead(read: Callable[[int, int], bytes], start: int, end: int, piece: int) -> AsyncIterator[bytes]:
    """What `read(at, size)` gives, which blocks, from start to end: while one piece is on its way the next is read."""
    ahead: asyncio.Task[bytes] | None = None
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
        return f'"{self.stored.sha256[:32]}"'

    def read(self, start: int, length: int) -> bytes:
        """Blocks."""
        return self.blobs.read(self.stored, start, length)

    def stream(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        end = self.length if end is None else min(end, self.length)
        return read_ahead(self.read, start, end, PIECE)
