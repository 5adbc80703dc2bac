"""Content: what is stored leaves in the order it was put, read ahead in threads, and nothing is left open."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from tests.workhouse import until

from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.services.delivery.content import StoredContent, drawn_ahead

SOUND = bytes(range(256)) * 9000


class Tap:
    """Chunks that tell how many were drawn, and whether the tap was closed; `stuck` waits for `go`."""

    def __init__(self, chunks: list[bytes], stuck: int = -1) -> None:
        self.drawn, self.closed, self.going = 0, False, threading.Event()
        self._chunks, self._stuck = chunks, stuck

    def __iter__(self) -> Iterator[bytes]:
        try:
            for n, chunk in enumerate(self._chunks):
                if n == self._stuck:
                    assert self.going.wait(10)
                self.drawn += 1
                yield chunk
        finally:
            self.closed = True


@pytest.mark.parametrize(("start", "end"), [(0, None), (0, 1), (7, 2_000_001), (len(SOUND) - 1, None), (9, 9)])
async def test_any_range_of_what_is_stored_leaves_as_it_was_put(start: int, end: int | None) -> None:
    blobs = MemoryBlobs()
    content = StoredContent(blobs.put("w/x", [SOUND]), "audio/flac", blobs)
    assert b"".join([chunk async for chunk in content.stream(start, end)]) == SOUND[start:end]


async def test_chunks_are_drawn_in_batches_ahead_of_who_takes_them_and_no_further() -> None:
    tap = Tap([bytes(10)] * 100)
    stream = drawn_ahead(iter(tap), batch=30)
    for ahead in (3, 6):
        await anext(stream)
        await until(lambda ahead=ahead: asyncio.sleep(0, tap.drawn >= 1 + ahead))
        await asyncio.sleep(0.05)
        assert tap.drawn == 1 + ahead
    await stream.aclose()


async def test_the_first_chunk_comes_before_the_second_is_there() -> None:
    tap = Tap([b"first", b"second"], stuck=1)
    stream = drawn_ahead(iter(tap), batch=1000)
    assert await anext(stream) == b"first"
    assert tap.drawn == 1
    tap.going.set()
    assert [chunk async for chunk in stream] == [b"second"]


async def test_who_leaves_in_the_middle_leaves_nothing_open() -> None:
    tap = Tap([bytes(10)] * 100)
    stream = drawn_ahead(iter(tap), batch=30)
    await anext(stream)
    await stream.aclose()
    assert tap.closed and tap.drawn == 4


async def test_who_is_cancelled_while_storage_is_read_leaves_nothing_open() -> None:
    tap = Tap([b"first", b"second"], stuck=1)

    async def listen() -> None:
        async for _ in drawn_ahead(iter(tap), batch=1000):
            pass

    listener = asyncio.create_task(listen())
    while tap.drawn < 1:
        await asyncio.sleep(0.001)
    listener.cancel()
    asyncio.get_running_loop().call_later(0.02, tap.going.set)
    with pytest.raises(asyncio.CancelledError):
        await listener
    assert tap.closed


async def test_storage_that_breaks_off_is_told_behind_what_it_gave() -> None:
    def breaking() -> Iterator[bytes]:
        yield b"some"
        raise OSError("the disk is gone")

    heard = []
    with pytest.raises(OSError, match="the disk is gone"):
        async for chunk in drawn_ahead(breaking(), batch=10):
            heard.append(chunk)
    assert heard == [b"some"]
