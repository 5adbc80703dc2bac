"""Limits: how many requests a key or an address may make, and how large and how slow a body may be."""

import asyncio
import math
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from callvault.domain.errors import TooLarge, TooManyRequests
from callvault.ports.system import Clock
from callvault.web.errors import Stalled
from callvault.web.responses import Headers

WINDOW_SECONDS = 60
BODY_SECONDS = 60.0
"""So long may each piece of a body take to arrive."""


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class RateLimit:
    """So many requests a minute for each name, all of them at once if need be; 0 is no limit. Each process counts
    for itself."""

    def __init__(self, policy: str, quota: int, clock: Clock, most_names: int = 100_000) -> None:
        self.policy = policy
        self._quota, self._clock, self._most_names = quota, clock, most_names
        self._a_second = quota / WINDOW_SECONDS
        self._buckets: dict[str, _Bucket] = {}
        self._policy_header = f'"{policy}";q={quota};w={WINDOW_SECONDS}'.encode()

    def take(self, name: str) -> Headers:
        """The headers that tell the client where it stands; `TooManyRequests`, with them, when nothing is left."""
        if not self._quota:
            return []
        bucket = self._filled(name)
        if bucket.left < 1:
            wait = math.ceil((1 - bucket.left) / self._a_second)
            raise TooManyRequests(headers=[*self._headers(bucket), (b"retry-after", b"%d" % wait)])
        bucket.left -= 1
        return self._headers(bucket)

    def _filled(self, name: str) -> _Bucket:
        now, bucket = self._clock.monotonic(), self._buckets.get(name)
        if bucket is None:
            while len(self._buckets) >= self._most_names:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[name] = _Bucket(self._quota, now)
        bucket.left = min(self._quota, bucket.left + (now - bucket.at) * self._a_second)
        bucket.at = now
        return bucket

    def _headers(self, bucket: _Bucket) -> Headers:
        full_in = math.ceil((self._quota - bucket.left) / self._a_second)
        state = f'"{self.policy}";r={int(bucket.left)};t={full_in}'.encode()
        return [(b"ratelimit-policy", self._policy_header), (b"ratelimit", state)]


def limited(
    receive: Receive, content_length: bytes | None, most: int | None, patience_seconds: float = BODY_SECONDS
) -> Receive:
    """The body, refused as `TooLarge` before it is read where it says so, and as soon as it is where it does not."""
    if most is not None and length_of(content_length) > most:
        raise TooLarge(what="the request's body", limit=f"{most} bytes")
    left, whole = math.inf if most is None else most, False

    async def receive_within() -> Message:
        nonlocal left, whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout(patience_seconds):
                message = await receive()
        except TimeoutError:
            raise Stalled from None
        left -= len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if left < 0:
            raise TooLarge(what="the request's body", limit=f"{most} bytes")
        return message

    return receive_within


async def whole_body(receive: Receive) -> bytes:
    """A body that is small enough to be held."""
    pieces, is_whole = list[bytes](), False
    while not is_whole:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
        is_whole = not message.get("more_body", False)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def length_of(header: bytes | None) -> int:
    """0 when the header is absent or no number: the server answers for those."""
    return int(header) if header and header.isdigit() and len(header) < 20 else 0
