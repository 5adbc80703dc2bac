"""Bytes that are handed out while they are still being made, so that nobody knows yet how many there will be."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final

from callvault.ports.blobs import Chunk
from callvault.services.delivery.content import StoredContent

HELD_BYTES: Final = 4 << 20


class Growing:
    """What is made is held for a while, in bounded memory, for any number of listeners; who falls behind, or comes
    late, waits until all of it is stored and goes on from there."""

    def __init__(self, media_type: str, held_bytes: int = HELD_BYTES) -> None:
        self.media_type = media_type
        self.made: asyncio.Future[StoredContent] = asyncio.get_running_loop().create_future()
        """All of it, stored; or why it could not be made."""
        self.fraction = 0.0
        """How much of the sound has been through."""
        self._held_most = held_bytes
        self._held: deque[Chunk] = deque()
        self._start = self._end = 0
        self._news = asyncio.Event()

    def append(self, chunk: Chunk) -> None:
        self._held.append(chunk)
        self._end += len(chunk)
        while self._end - self._start > self._held_most:
            self._start += len(self._held.popleft())
        self._tell()

    def settle(self, making: "asyncio.Task[StoredContent]") -> None:
        """It is made, or the making broke off."""
        if making.cancelled():
            self.made.cancel()
        elif error := making.exception():
            self.made.set_exception(error)
            self.made.exception()
        else:
            self.made.set_result(making.result())
        self._tell()

    async def within(self, seconds: float) -> "StoredContent | Growing":
        """All of it, if it is stored by then; else this one, as it grows."""
        await asyncio.wait([self.made], timeout=seconds)
        return self.made.result() if self.made.done() and not self.made.cancelled() else self

    async def stream(self) -> AsyncIterator[Chunk]:
        at = 0
        while not self.made.done():
            if self._start <= at < self._end:
                chunk = self._from(at)
                at += len(chunk)
                yield chunk
            else:
                await self._news.wait()
        async for chunk in (await asyncio.shield(self.made)).stream(at):
            yield chunk

    def _from(self, at: int) -> Chunk:
        """What is held from a place on, to the end of its chunk."""
        start = self._start
        for chunk in self._held:
            if at < start + len(chunk):
                return chunk[at - start :]
            start += len(chunk)
        return b""

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


@dataclass(frozen=True, slots=True)
class Passing:
    """What is made for one listener and kept by nobody."""

    media_type: str
    chunks: Iterator[Chunk]

    async def stream(self) -> AsyncIterator[Chunk]:
        while (chunk := await asyncio.to_thread(next, self.chunks, None)) is not None:
            yield chunk
