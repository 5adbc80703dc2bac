"""A stranger who sends what never becomes a request keeps neither memory nor a connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import uvicorn

from callvault.cli.connections import HEAD_BYTES, BoundedHeads
from tests.integration.attacked import Quiet

REQUEST = b"POST /a HTTP/1.1\r\nHost: a\r\n"
CHUNKED = REQUEST + b"Transfer-Encoding: chunked\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Hasty(BoundedHeads):
    patience_seconds = 0.05


async def counting(scope: Any, receive: Any, send: Any) -> None:
    """Answers how many bytes it was sent."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    body = b"%d!" % size
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def serving(protocol: type[BoundedHeads]) -> AsyncIterator[Streams]:
    server = Quiet(uvicorn.Config(counting, port=0, http=protocol, lifespan="off", log_config=None))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
    yield reader, writer
    writer.close()
    server.should_exit = True
    await running


@pytest.fixture
async def streams() -> AsyncIterator[Streams]:
    async for streams in serving(BoundedHeads):
        yield streams


@pytest.fixture
async def hasty() -> AsyncIterator[Streams]:
    async for streams in serving(Hasty):
        yield streams


async def answer_to(streams: Streams, piece: bytes) -> bytes:
    """What was answered once the server took no more of the pieces."""
    reader, writer = streams
    answered = asyncio.create_task(reader.read())
    async with asyncio.timeout(30):
        with suppress(ConnectionError):
            while not answered.done():
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
        with suppress(ConnectionError):
            return await answered
    return b""


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"GET /", b"a" * 1000),
        (b"GET / HTTP/1.1\r\nA: ", b"a" * 1000),
        (b"GET / HTTP/1.1\r\n", b"A: " + b"a" * 1000 + b"\r\n"),
        (CHUNKED + b"3\r\nabc\r\n0\r\n", b"A: " + b"a" * 1000 + b"\r\n"),
        (CHUNKED + b"3;", b"a" * 1000),
    ],
    ids=["address", "header", "headers", "trailers", "chunk extension"],
)
async def test_what_does_not_end_is_refused(streams: Streams, begin: bytes, piece: bytes) -> None:
    streams[1].write(begin)
    assert (await answer_to(streams, piece))[:12] in (b"", b"HTTP/1.1 431")


async def test_a_head_that_is_too_large_is_told_so(streams: Streams) -> None:
    reader, writer = streams
    writer.write(b"GET / HTTP/1.1\r\nA: " + b"a" * (HEAD_BYTES + 1))
    assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 431")


async def test_bodies_of_any_length_and_heads_one_after_the_other_are_taken(streams: Streams) -> None:
    reader, writer = streams
    large = 20 * HEAD_BYTES
    for _ in range(3):
        writer.write(REQUEST + b"A: " + b"a" * 60_000 + b"\r\nContent-Length: %d\r\n\r\n" % large + b"b" * large)
        assert (await asyncio.wait_for(reader.readuntil(b"!"), 30)).endswith(b"\r\n\r\n%d!" % large)
    writer.write(CHUNKED)
    for _ in range(300):
        writer.write(b"3e8\r\n" + b"c" * 1000 + b"\r\n")
    writer.write(b"0\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"!"), 30)).endswith(b"\r\n\r\n300000!")


@pytest.mark.parametrize("begin", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: a\r\n"])
async def test_who_says_nothing_or_half_of_it_is_not_waited_for(hasty: Streams, begin: bytes) -> None:
    reader, writer = hasty
    writer.write(begin)
    assert await asyncio.wait_for(reader.read(), 30) == b""


async def test_who_has_asked_is_answered_however_long_it_takes(hasty: Streams) -> None:
    reader, writer = hasty
    writer.write(REQUEST + b"Content-Length: 3\r\n\r\n")
    await asyncio.sleep(0.2)
    writer.write(b"abc")
    assert (await asyncio.wait_for(reader.readuntil(b"!"), 30)).endswith(b"\r\n\r\n3!")
