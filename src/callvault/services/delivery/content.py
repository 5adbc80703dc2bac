"""Content: bytes of a known length on their way out, made or read ahead while those before them are sent."""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, Final, TypeVar

from callvault.domain.errors import Fault
from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Blobs, Chunk, Filing

T = TypeVar("T")
PIECE: Final = 1 << 20
FIRST_PIECE: Final = 1 << 16
Fit = Callable[[int, int], int]
"""Where a piece that begins at the one place and would end at the other had better end."""


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


def made_ahead(make: Callable[[int, int], T], asked: Iterable[tuple[int, int]], any_order: bool = False) -> Iterator[T]:
    """What is made of each of what is asked, for a thread of its own: while it does something with one piece another
    thread makes the next one. It lives with who writes a whole file, for those who send to slow listeners must hold no
    thread for each. Where pieces may be made in any order, two at once, it makes one itself rather than wait: a third
    thread would cost more than it gives, for they share the interpreter."""
    maker, ahead = ThreadPoolExecutor(1, "maker"), deque[tuple[Future[T], tuple[int, int]]]()
    most, made_here = (2, make) if any_order else (1, None)
    try:
        for each in asked:
            ahead.append((maker.submit(make, *each), each))
            if len(ahead) > most:
                yield _first(ahead, made_here)
        while ahead:
            yield _first(ahead, made_here)
    finally:
        maker.shutdown(cancel_futures=True)


def _first(ahead: "deque[tuple[Future[T], tuple[int, int]]]", make: Callable[[int, int], T] | None) -> T:
    """Of what is made ahead; until it is there, one that nobody has begun is made here."""
    if make and not ahead[0][0].done():
        n = next((n for n, (piece, _) in enumerate(ahead) if piece.cancel()), None)
        if n is not None:
            ahead[n] = (_made(make, *ahead[n][1]), ahead[n][1])
    return ahead.popleft()[0].result()


def _made(make: Callable[[int, int], T], at: int, size: int) -> Future[T]:
    """A fault is told when its turn has come."""
    made: Future[T] = Future()
    try:
        made.set_result(make(at, size))
    except Fault as fault:
        made.set_exception(fault)
    return made


def cuts(start: int, end: int, piece: int, fitted: Fit = lambda _, stop: stop) -> Iterator[tuple[int, int]]:
    """Small at first, so that the first byte comes soon; then ever greater, up to a piece."""
    size = min(FIRST_PIECE, piece)
    while start < end:
        stop = fitted(start, min(start + size, end))
        yield start, stop - start
        start, size = stop, min(2 * size, piece)


@dataclass(slots=True)
class Pieces:
    """Bytes of a known number that are read a piece at a time, by calls that block. Who goes through them is given one
    after the other; a server that can do better reads them itself, in threads of its own and several at once."""

    read: Callable[[int, int], Chunk]
    """As many bytes as are asked for, from a place on."""
    start: int
    end: int
    file: Callable[[], BinaryIO | None] | None = None
    """Opens the file that they are a part of, if there is one; it blocks too."""
    sent: int = 0
    """How many of them have left, as far as a server tells that reads them itself."""

    async def begun(self) -> "Chunk | Pieces":
        """With the first one at hand, so that what cannot be had at all is known before anything is said of it; where
        that is all of them, it alone."""
        if self.file or self.start >= self.end:
            return self
        at, size = next(self.cuts())
        read = self.read
        first = await asyncio.get_running_loop().run_in_executor(None, read, at, size)
        self.read = lambda asked, size: first if asked == at else read(asked, size)
        return first if at + size == self.end else self

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return read_ahead(self.read, self.start, self.end, PIECE)

    def cuts(self) -> Iterator[tuple[int, int]]:
        """Where a piece begins, and its size."""
        return cuts(self.start, self.end, PIECE)


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

    def stream(self, start: int = 0, end: int | None = None) -> Pieces:
        file = self._file if self.stored.sealing is None else None
        return Pieces(self.read, start, self.length if end is None else min(end, self.length), file)

    def _file(self) -> BinaryIO | None:
        return self.blobs.file(self.stored) if isinstance(self.blobs, Filing) else None
