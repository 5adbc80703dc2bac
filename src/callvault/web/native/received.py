"""Bodies of any length on their way in: held on this machine without a name, gone whatever happens."""

import asyncio
import errno
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO, cast

from starlette.requests import Request

from callvault.domain.errors import DiskFull, Malformed, TooLarge
from callvault.wire.contentdigest import Promised

IN_MEMORY = 4 << 20
MOST_BYTES = 64 << 30
WRITE_BYTES = 1 << 20


@asynccontextmanager
async def received(request: Request, folder: str | None, most: int = MOST_BYTES) -> AsyncIterator[BinaryIO]:
    """The request's body as a file, after its `Content-Digest`, if there is one, was found to be right."""
    digest = request.headers.get("content-digest")
    promised = Promised(digest) if digest else None
    with tempfile.SpooledTemporaryFile(IN_MEMORY, dir=folder) as file:
        await _fill(cast(BinaryIO, file), request, promised, most)
        if promised:
            promised.check()
        file.seek(0)
        yield cast(BinaryIO, file)


async def _fill(file: BinaryIO, request: Request, promised: Promised | None, most: int) -> None:
    waiting, length = bytearray(), 0
    async for chunk in request.stream():
        waiting += chunk
        length += len(chunk)
        if length > most:
            raise TooLarge(what="the request's body", limit=f"{most} bytes")
        if len(waiting) >= WRITE_BYTES:
            await asyncio.to_thread(_write, file, bytes(waiting), promised)
            waiting.clear()
    if not length:
        raise Malformed(what="the request's body", why="it is empty")
    await asyncio.to_thread(_write, file, bytes(waiting), promised)


def _write(file: BinaryIO, data: bytes, promised: Promised | None) -> None:
    if promised:
        promised.update(data)
    try:
        file.write(data)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(path="the data folder") from None
        raise
