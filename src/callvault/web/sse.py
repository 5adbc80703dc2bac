"""Server-sent events: one line of JSON each, for as long as both sides want."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

from callvault.domain.errors import CallerFault
from callvault.web.responses import Answer
from callvault.web.visit import Visit

HEARTBEAT: Final = b": heartbeat\n\n"
HEARTBEAT_SECONDS: Final = 15.0


def event(name: str, data: Any, id: str | int | None = None) -> bytes:
    """`data` is JSON, or text that is JSON already."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    numbered = "" if id is None else f"id: {id}\n"
    return f"{numbered}event: {name}\ndata: {text}\n\n".encode()


def answer(visit: Visit, events: AsyncGenerator[bytes, None]) -> Answer:
    """Ends when the events do, when they are not for the client any more or it has gone, and when the server stops."""
    headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
    return Answer(200, headers, until(visit.options.stopping, _while_known(visit, events)))


async def _while_known(visit: Visit, events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """A stream may outlive the key that it was asked for with: nothing is told after that."""
    key, caller = visit.part.credential.presented(visit.asked), visit.caller
    try:
        async for chunk in events:
            await visit.services.access.authenticate(key, address=caller.address, request_id=caller.request_id)
            yield chunk
    except CallerFault:
        return
    finally:
        await events.aclose()


async def until(stopping: asyncio.Event, events: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    stopped = asyncio.ensure_future(stopping.wait())
    following: asyncio.Future[bytes | None] | None = None
    try:
        while True:
            following = asyncio.ensure_future(anext(events, None))
            await asyncio.wait((following, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not following.done() or (chunk := following.result()) is None:
                return
            yield chunk
    finally:
        stopped.cancel()
        if following is not None and not following.done():
            following.cancel()
            await asyncio.wait((following,))
        await events.aclose()
