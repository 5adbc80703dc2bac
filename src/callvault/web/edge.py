"""The edge: what every answer carries, whoever gave it: request id, CORS and security headers; and its counting."""

import re
from collections.abc import Mapping
from typing import Final

from starlette.types import Message, Send

from callvault.web.logs import redact_path
from callvault.web.options import Options
from callvault.web.responses import PIECES, Answer, Headers
from callvault.web.visit import Visit

REQUEST_ID: Final = re.compile(rb"[0-9A-Za-z._:-]{1,64}")
EXPOSED: Final = (
    b"accept-ranges, content-range, content-length, content-disposition, etag, location, x-request-id, ratelimit, "
    b"ratelimit-policy, retry-after, tus-resumable, tus-version, tus-extension, upload-offset, upload-length, "
    b"upload-metadata, upload-expires"
)
ALWAYS: Final[Headers] = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]
UNLESS_GIVEN: Final[Headers] = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
HSTS: Final = (b"strict-transport-security", b"max-age=31536000")


class Enough(Exception):
    """The answer is complete and whoever gives it goes on: a HEAD of a stream without an end."""


class Edge:
    def __init__(self, options: Options) -> None:
        self._origins = frozenset(origin.encode() for origin in options.cors_origins)
        self._secure = (options.public_url or "").startswith("https:")

    def headers(self, visit: Visit) -> Headers:
        own = [(b"x-request-id", visit.request_id.encode()), *ALWAYS]
        if self._secure or visit.scope["scheme"] in ("https", "wss"):
            own.append(HSTS)
        return own + self._cors(visit) if self._origins else own

    def preflight(self, visit: Visit) -> Answer | None:
        """The answer to a browser that asks whether it may ask."""
        asked = visit.asked
        method = asked.get(b"access-control-request-method")
        if visit.scope["method"] != "OPTIONS" or method is None or not self._allowed(visit):
            return None
        allow = [
            (b"access-control-allow-methods", method),
            (b"access-control-allow-headers", asked.get(b"access-control-request-headers", b"authorization")),
            (b"access-control-max-age", b"600"),
        ]
        return Answer(204, allow)

    def _cors(self, visit: Visit) -> Headers:
        """Told to who is no page as well, where it matters: a browser's cache may give a page what a player fetched."""
        allowed = self._allowed(visit)
        told = [(b"access-control-allow-origin", allowed), (b"access-control-expose-headers", EXPOSED)]
        if allowed == b"*":
            return told
        return [*(told if allowed else ()), (b"vary", b"origin")]

    def _allowed(self, visit: Visit) -> bytes:
        """The origins that may read the answer, as it is told them; empty when the asker's may not."""
        if b"*" in self._origins:
            return b"*"
        origin = visit.asked.get(b"origin", b"")
        return origin if origin in self._origins else b""


class Outgoing:
    """`send`, with the edge's headers put on, without a body for HEAD, and with what the log wants to know."""

    def __init__(self, send: Send, headers: Headers, visit: Visit, head: bool) -> None:
        self._send, self._headers, self._visit, self._head = send, headers, visit, head
        self.status = 0
        self.sent = 0
        self.finished = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = list(message.get("headers", ()))
            names = {name for name, _ in given}
            given += self._headers
            given += self._visit.headers
            given += [header for header in UNLESS_GIVEN if header[0] not in names]
            message = {"type": "http.response.start", "status": self.status, "headers": given}
        elif message["type"] == "http.response.body":
            if self.finished:
                raise Enough
            if self._head:
                message = {"type": "http.response.body"}
            self.sent += len(message.get("body", b""))
            self.finished = not message.get("more_body", False)
        elif message["type"] == PIECES:
            self.finished = True
        try:
            await self._send(message)
        finally:
            if message["type"] == PIECES:
                self.sent += message["pieces"].sent


def request_id(asked: Mapping[bytes, bytes]) -> str | None:
    """The client's own, when it is one that may stand in a log: some send keys and numbers for one."""
    given = asked.get(b"x-request-id")
    if given is None or not REQUEST_ID.fullmatch(given):
        return None
    told = given.decode()
    return told if redact_path(told) == told else None
