"""Content of known length on the wire: whole or in ranges, with the conditions of RFC 9110."""

import secrets
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from starlette.requests import Request

from callvault.web.responses import Answer, Headers, empty
from callvault.wire import byterange
from callvault.wire.byterange import ByteRange, Multipart

MATCHES_ANY: Final = "*"


class Content(Protocol):
    """Bytes that are the same for as long as the ETag is."""

    @property
    def length(self) -> int: ...

    @property
    def etag(self) -> str:
        """Strong, with its quotes."""
        ...

    def stream(self, start: int = 0, end: int | None = None) -> AsyncIterable[bytes | memoryview]:
        """Bytes `start` to before `end`, in pieces."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """Content that is at hand as a whole."""

    body: bytes
    etag: str

    @property
    def length(self) -> int:
        return len(self.body)

    async def stream(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes | memoryview]:
        yield memoryview(self.body)[start:end]


class Judged(NamedTuple):
    """What the headers of a request come to."""

    status: int
    leaving: tuple[ByteRange, ...] = ()
    """What of the content the answer sends."""


def ranged(
    request: Request, content: Content, media_type: str, headers: Headers | None = None, *, head: bool = False
) -> Answer:
    """200, 206, 304, 412 or 416, as the request's headers want it. `headers` go with every one of them.

    HEAD has no ranges (RFC 9110, 14.2): it tells of the whole.
    """
    length, (status, leaving) = content.length, judged(request, content, head=head)
    own = [*(headers or []), (b"etag", content.etag.encode()), (b"accept-ranges", b"bytes")]
    if status == 200:
        return _answer(200, media_type, length, own, content.stream())
    if status == 416:
        own.append((b"content-range", byterange.unsatisfied_range(length).encode()))
    if not leaving:
        return empty(status, own)
    if len(leaving) > 1:
        parts = Multipart(leaving, length, media_type, secrets.token_hex(16))
        return _answer(206, parts.content_type, parts.content_length, own, _several(parts, content))
    own.append((b"content-range", byterange.content_range(leaving[0], length).encode()))
    return _answer(206, media_type, leaving[0].length, own, _one(content, leaving[0]))


def judged(request: Request, content: Content, *, head: bool = False) -> Judged:
    asked, length = request.headers, content.length
    if not is_wanted(request, content.etag):
        return Judged(304 if _is_meant(request, content.etag) else 412)
    wanted = None if head else byterange.parse(asked.get("range"), length)
    if wanted is None or not byterange.if_range_holds(asked.get("if-range"), content.etag):
        return Judged(200, () if head else (ByteRange(0, length),))
    return Judged(206, wanted) if wanted else Judged(416)


def is_wanted(request: Request, etag: str) -> bool:
    """Whether it is what the client means, and not what it has."""
    return _is_meant(request, etag) and not _named(request.headers.get("if-none-match"), etag, absent=False)


def _is_meant(request: Request, etag: str) -> bool:
    return _named(request.headers.get("if-match"), etag, absent=True)


def _answer(
    status: int, media_type: str, length: int, headers: Headers, body: AsyncIterable[bytes | memoryview]
) -> Answer:
    own = [(b"content-type", media_type.encode()), (b"content-length", b"%d" % length)]
    return Answer(status, own + headers, body)


def _one(content: Content, part: ByteRange) -> AsyncIterable[bytes | memoryview]:
    return content.stream(part.start, part.end)


async def _several(parts: Multipart, content: Content) -> AsyncIterator[bytes | memoryview]:
    for head, part in parts.parts():
        yield head
        async for chunk in _one(content, part):
            yield chunk
    yield parts.tail


def _named(header: str | None, etag: str, *, absent: bool) -> bool:
    """Whether a list of ETags holds this one; weak ones are as good as others for `If-None-Match`."""
    if header is None:
        return absent
    listed = [tag.strip() for tag in header.split(",")]
    return MATCHES_ANY in listed or etag in listed or (not absent and f"W/{etag}" in listed)
