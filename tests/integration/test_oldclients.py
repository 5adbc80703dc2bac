"""Those who speak HTTP/1.0 know no chunks: what has no length ends with the connection."""

import asyncio
from typing import Any

import pytest
import uvicorn

from callvault.cli.connections import ServerConnection
from tests.integration.attacked import Quiet

PIECES = [b"one ", b"", b"two ", b"three"]


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """In pieces, whose length is told by `/told` alone."""
    length = [(b"content-length", b"%d" % len(b"".join(PIECES)))] if scope["path"] == "/told" else []
    await send({"type": "http.response.start", "status": 200, "headers": length})
    for piece in PIECES:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


async def answer_to(request: bytes) -> tuple[bytes, bytes]:
    """Its head, and what comes behind that until the connection is closed."""
    server = Quiet(uvicorn.Config(answering, port=0, http=ServerConnection, lifespan="off", log_config=None))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
    writer.write(request + b"\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    server.should_exit = True
    await running
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.lower(), body


@pytest.mark.parametrize("path", [b"/told", b"/untold"])
@pytest.mark.parametrize("more", [b"", b"\r\nConnection: keep-alive"])
async def test_an_old_client_gets_the_body_and_nothing_else(path: bytes, more: bytes) -> None:
    head, body = await answer_to(b"GET " + path + b" HTTP/1.0" + more)
    assert body == b"".join(PIECES)
    assert b"transfer-encoding" not in head
    assert (b"content-length" in head) == (path == b"/told")


async def test_an_old_client_s_head_has_no_body() -> None:
    assert (await answer_to(b"HEAD /untold HTTP/1.0"))[1] == b""


async def test_others_get_chunks_and_may_go_on() -> None:
    head, body = await answer_to(b"GET /untold HTTP/1.1\r\nHost: a\r\nConnection: close")
    assert b"transfer-encoding: chunked" in head
    assert body.startswith(b"4\r\none \r\n") and body.endswith(b"\r\n0\r\n\r\n")
