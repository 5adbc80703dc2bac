"""Answers of the hot routes: a status, headers and a body, with nothing between them and the server."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from callvault.services.delivery.content import Pieces

Headers = list[tuple[bytes, bytes]]
Body = bytes | memoryview | AsyncIterable[bytes | memoryview]
PIECES: Final = "callvault.response.pieces"
"""An extension of ASGI, and its message: `pieces`, a `Pieces`, is the whole body, which the server reads and sends by
itself. (`http.response.zerocopysend` is for files alone, and most of what leaves is sealed or made as it leaves.)"""
DONE = object()
TURN_SECONDS: Final = 0.005
"""After so long of writing one answer the others have their turn."""
ENTRIES_AT_ONCE: Final = 100
CHUNK: Final = 1 << 18


@dataclass(slots=True)
class Answer:
    """An ASGI application that gives one answer."""

    status: int = 200
    headers: Headers = field(default_factory=list)
    body: Body = b""
    leaving: Callable[[], None] | None = None
    """Told when the first of it is at hand and is about to leave."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body: Body = b"" if scope["method"] == "HEAD" else self.body
        if isinstance(body, Pieces):
            body = await body.begun()
        if self.leaving:
            self.leaving()
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        if isinstance(body, bytes | memoryview):
            await send({"type": "http.response.body", "body": body})
        elif isinstance(body, Pieces) and PIECES in scope.get("extensions", ()):
            await send({"type": PIECES, "pieces": body})
        else:
            await _stream(aiter(body), receive, send)


def json_answer(
    value: Any, status: int = 200, headers: Headers | None = None, media_type: bytes = b"application/json"
) -> Answer:
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return bytes_answer(body, media_type, status, headers)


async def in_turns(pieces: Iterable[bytes]) -> bytes:
    """Them as one, each made when its turn has come: in between the event loop does what else there is to do."""
    told, until = list[bytes](), monotonic() + TURN_SECONDS
    for piece in pieces:
        told.append(piece)
        if monotonic() > until:
            await asyncio.sleep(0)
            until = monotonic() + TURN_SECONDS
    return b"".join(told)


async def in_chunks(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The same as it leaves, where it may be too long to be held."""
    held, size = list[bytes](), 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(held)
            held, size = [], 0
            await asyncio.sleep(0)
    yield b"".join(held)


def json_list(entries: Iterable[bytes]) -> Iterator[bytes]:
    """A list of what is JSON already."""
    opening = b"["
    for entry in entries:
        yield opening + entry
        opening = b","
    yield b"[]" if opening == b"[" else b"]"


def json_pieces(value: Any) -> Iterator[bytes]:
    """JSON, of long lists a few entries at a time; an iterator is a list whose entries are made one by one."""
    if isinstance(value, dict) and any(isinstance(each, dict | list | Iterator) for each in value.values()):
        opening = b"{"
        for name, each in value.items():
            yield opening + _in_json(name) + b":"
            yield from json_pieces(each)
            opening = b","
        yield b"}"
    elif isinstance(value, list) and len(value) > ENTRIES_AT_ONCE:
        parts = (value[at : at + ENTRIES_AT_ONCE] for at in range(0, len(value), ENTRIES_AT_ONCE))
        yield from json_list(_in_json(part)[1:-1] for part in parts)
    elif isinstance(value, Iterator):
        yield from json_list(map(_in_json, value))
    else:
        yield _in_json(value)


def _in_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def model_answer(model: BaseModel | Mapping[str, Any], status: int = 200) -> Answer:
    """A mapping is what the model would be dumped as: to make a model of what we wrote ourselves costs ten times as
    much as to tell it."""
    return bytes_answer(to_json(model, by_alias=False), b"application/json", status)


def bytes_answer(body: bytes, media_type: bytes, status: int = 200, headers: Headers | None = None) -> Answer:
    own = [(b"content-type", media_type), (b"content-length", b"%d" % len(body))]
    return Answer(status, own + (headers or []), body)


def empty(status: int = 204, headers: Headers | None = None) -> Answer:
    """204 and 304 have no body by nature; anything else gets one of no length."""
    length = [] if status in (204, 304) else [(b"content-length", b"0")]
    return Answer(status, length + (headers or []))


def redirect(location: str, status: int = 302, headers: Headers | None = None) -> Answer:
    return empty(status, [(b"location", location.encode()), *(headers or [])])


async def begun(body: AsyncIterator[bytes | memoryview]) -> AsyncIterator[bytes | memoryview]:
    """The same once there is something of it: what cannot be had at all is told as that, and not by an answer that
    breaks off."""
    return _behind(await anext(body, b""), body)


async def _behind(
    first: bytes | memoryview, rest: AsyncIterator[bytes | memoryview]
) -> AsyncIterator[bytes | memoryview]:
    try:
        yield first
        async for chunk in rest:
            yield chunk
    finally:
        if hasattr(rest, "aclose"):
            await rest.aclose()


async def threaded(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """A blocking iterator's chunks, each made in a thread while the one before it is being sent."""
    following = asyncio.ensure_future(asyncio.to_thread(next, chunks, DONE))
    try:
        while (chunk := await following) is not DONE:
            following = asyncio.ensure_future(asyncio.to_thread(next, chunks, DONE))
            yield chunk  # type: ignore[misc]
    finally:
        # A generator cannot be closed while a thread is in it.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([following])
        if hasattr(chunks, "close"):
            await asyncio.to_thread(chunks.close)


async def _stream(body: AsyncIterator[bytes | memoryview], receive: Receive, send: Send) -> None:
    """Stops when the client has gone, which the server does not tell to those who send."""
    gone = asyncio.ensure_future(_gone(receive))
    try:
        async for chunk in body:
            if gone.done():
                return
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})
    finally:
        gone.cancel()
        if hasattr(body, "aclose"):
            await body.aclose()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
