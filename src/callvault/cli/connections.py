"""The server's side of a connection: what a stranger sends before it is a request is bounded in size and in time, and
each is answered in the HTTP that it speaks."""

from asyncio import BaseTransport, TimerHandle
from functools import partial
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from callvault.web.sending import Connection

HEAD_BYTES: Final = 64 << 10
TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's own waits for the end of an address, a header or a trailer for ever, keeps all of it, and joins an
    address anew with every piece."""

    patience_seconds = 60.0

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._came = 0
        """Bytes of which nothing has become yet."""
        self._deadline: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._became_something()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._came += len(data)
        super().data_received(data)
        if self._came > HEAD_BYTES:
            self._refuse()
        elif self._came and self._deadline is None:
            self._wait()

    def on_headers_complete(self) -> None:
        self._became_something()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._became_something()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._became_something()
        super().on_message_complete()

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(self.patience_seconds, self.transport.close)

    def _became_something(self) -> None:
        self._came = 0
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(TOO_LARGE)
        self.transport.close()


class OldClients(HttpToolsProtocol):
    """uvicorn's own sends a body of unknown length in chunks to those who speak HTTP/1.0 too, and to whom they are part
    of it."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        is_old = cycle.scope["http_version"] == "1.0"
        super()._start_asgi_task(cycle, partial(_until_it_closes, app, cycle) if is_old else app)


async def _until_it_closes(
    app: ASGIApp, cycle: RequestResponseCycle, scope: Scope, receive: Receive, send: Send
) -> None:
    """The end of the connection, which is closed anyway, is that of a body of unknown length."""
    told = True

    async def sending(message: Message) -> None:
        nonlocal told
        if message["type"] == "http.response.start":
            told = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
            cycle.chunked_encoding = None if told else False
        elif not told:
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    await app(scope, receive, sending)


class ServerConnection(BoundedHeads, OldClients, Connection):
    """As `callvault serve` has them."""
