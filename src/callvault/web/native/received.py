"""Bodies of any length on their way in: held on this machine without a name, gone whatever happens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO, cast

from starlette.requests import Request

from callvault.domain.errors import Malformed, TooLarge
from callvault.web.limits import length_of
from callvault.web.visit import visit_of
from callvault.wire.contentdigest import Promised

IN_MEMORY = 4 << 20
MOST_BYTES = 64 << 30
WRITE_BYTES = 1 << 20


@asynccontextmanager
async def received(request: Request, most: int = MOST_BYTES) -> AsyncIterator[BinaryIO]:
    """The request's body as a file, after its `Content-Digest`, if there is one, was found to be right. One whose
    length says that it has no room here is refused before it is read."""
    room = visit_of(request).services.room
    length = length_of(visit_of(request).asked.get(b"content-length"))
    _check_length(length, most)
    if length > IN_MEMORY:
        await asyncio.to_thread(room.check, length)
    digest = request.headers.get("content-digest")
    promised = Promised(digest) if digest else None
    with room.scratch(IN_MEMORY) as file:
        await _fill(cast(BinaryIO, file), request, promised, most)
        if promised:
            promised.check()
        file.seek(0)
        yield cast(BinaryIO, file)


def _check_length(length: int, most: int) -> None:
    if length > most:
        raise TooLarge(what="the request's body", limit=f"{most} bytes")


async def _fill(file: BinaryIO, request: Request, promised: Promised | None, most: int) -> None:
    waiting, length = bytearray(), 0
    async for chunk in request.stream():
        waiting += chunk
        length += len(chunk)
        _check_length(length, most)
        if len(waiting) >= WRITE_BYTES:
            await asyncio.to_thread(_write, file, bytes(waiting), promised)
            waiting.clear()
    if not length:
        raise Malformed(what="the request's body", why="it is empty")
    await asyncio.to_thread(_write, file, bytes(waiting), promised)


def _write(file: BinaryIO, data: bytes, promised: Promised | None) -> None:
    if promised:
        promised.update(data)
    file.write(data)
