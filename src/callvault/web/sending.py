"""Bodies that leave by the connection's own socket: each piece is sent by the thread that made it, and the event loop
only waits for those who are slow to take it."""

import asyncio
import os
import select
import socket
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext, suppress
from functools import partial
from time import monotonic
from typing import Any, BinaryIO, Final, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from callvault.services.delivery.content import FIRST_PIECE, Pieces
from callvault.web.responses import PIECES

SENDERS: Final = 8
THREADS: Final = ThreadPoolExecutor(SENDERS, "sender")
TURN_SECONDS: Final = 0.05
"""After so long a body makes room for another one that waits for threads."""
PATIENCE_MS: Final = 2
"""So long a thread itself waits for a client that has not taken what was sent; a quick one has done so by then."""


class Connection(HttpToolsProtocol):
    """uvicorn's, which offers besides to send a body of pieces."""

    _own: socket.socket | None = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, app if self.scheme == "https" else partial(self._offering, app, cycle))

    async def _offering(
        self, app: ASGIApp, cycle: RequestResponseCycle, scope: Scope, receive: Receive, send: Send
    ) -> None:
        async def sending(message: Message) -> None:
            await (self._send_pieces(cycle, message["pieces"]) if message["type"] == PIECES else send(message))

        scope["extensions"] = {PIECES: {}}
        await app(scope, receive, sending)

    async def _send_pieces(self, cycle: RequestResponseCycle, pieces: Pieces) -> None:
        try:
            await self._written()
            with socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as self._own:
                self._own.setblocking(False)
                await _Sending(self._own, pieces).run()
        except (ConnectionError, TimeoutError):
            cycle.disconnected = True
            self.transport.abort()
        else:
            cycle.expected_content_length -= pieces.sent
            await cycle.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _written(self) -> None:
        """What uvicorn wrote before has left."""
        if not self.transport.is_closing():
            self.transport.set_write_buffer_limits(0)
            await self.flow.drain()
        if self.transport.is_closing():
            raise ConnectionAbortedError
        self.transport.set_write_buffer_limits()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._own:
            with suppress(OSError):
                self._own.shutdown(socket.SHUT_RDWR)  # whoever sends, or waits until he can, is told


class _Piece(Protocol):
    left: int

    def make(self) -> None:
        """Blocks; done again it costs nothing."""
        ...

    def send(self, to: socket.socket) -> int:
        """How much of it the system took; `BlockingIOError` when it takes none now."""
        ...


class _Made:
    def __init__(self, pieces: Pieces, at: int, size: int) -> None:
        self._read, self._view = partial(pieces.read, at, size), memoryview(b"")
        self.left = size

    def make(self) -> None:
        if not self._view:
            self._view = memoryview(self._read())
            self.left = len(self._view)

    def send(self, to: socket.socket) -> int:
        sent = to.send(self._view[-self.left :])
        self.left -= sent
        return sent


class _Filed:
    def __init__(self, file: BinaryIO, at: int, size: int) -> None:
        self._file, self._end, self.left = file, at + size, size

    def make(self) -> None:
        pass

    def send(self, to: socket.socket) -> int:
        sent = os.sendfile(to.fileno(), self._file.fileno(), self._end - self.left, self.left)
        if not sent:
            raise EOFError("a stored file is shorter than it was")
        self.left -= sent
        return sent


class _Sending:
    """Two threads take turns: while one sends its piece the other makes the next. When the client has not room for it
    both let go, and the event loop waits until it has."""

    def __init__(self, to: socket.socket, pieces: Pieces) -> None:
        self._to, self._pieces, self._cuts = to, pieces, pieces.cuts()
        self._room = select.poll()
        self._room.register(to, select.POLLOUT)
        self._taking, self._sent = threading.Lock(), threading.Event()
        self._sent.set()
        self._ready: deque[_Piece] = deque()
        self._held: deque[_Piece] = deque()
        self._whole = True
        self._going = self._over = False

    async def run(self) -> None:
        opening = self._pieces.file
        file = await asyncio.get_running_loop().run_in_executor(THREADS, opening) if opening else None
        with closing(file) if file else nullcontext():
            self._piece = partial(_Filed, file) if file else partial(_Made, self._pieces)
            one_is_enough = file or self._pieces.end - self._pieces.start <= FIRST_PIECE
            while not self._over:
                await self._turn(1 if one_is_enough or self._ready else 2)
                self._ready.extendleft(reversed(self._held))
                self._held.clear()
                if self._ready:
                    self._over = False
                    await self._until_there_is_room()

    async def _turn(self, threads: int) -> None:
        self._going = True
        loop = asyncio.get_running_loop()
        working = [loop.run_in_executor(THREADS, self._work) for _ in range(threads)]
        try:
            await asyncio.wait(working)
        finally:
            # A thread cannot be told to leave what it works with.
            self._going = False
            await asyncio.wait(working)
        await asyncio.gather(*working)

    def _work(self) -> None:
        until = monotonic() + TURN_SECONDS
        while self._going and monotonic() < until:
            with self._taking:
                piece = self._next()
                if piece is None:
                    return
                before, self._sent = self._sent, threading.Event()
                sent = self._sent
            try:
                self._pass(piece, before)
            finally:
                sent.set()

    def _pass(self, piece: _Piece, before: threading.Event) -> None:
        """Makes a piece and, when its turn has come, sends it, unless one before it could not be made or sent."""
        try:
            piece.make()
        finally:
            before.wait()
            whole, self._whole = self._whole, False
        if whole and (self._held or not self._is_sent(piece)):
            self._held.append(piece)
        self._whole = whole
        if self._held or not whole:
            self._going = False

    def _next(self) -> _Piece | None:
        if self._ready:
            return self._ready.popleft()
        cut = next(self._cuts, None)
        self._over = cut is None
        return self._piece(*cut) if cut else None

    def _is_sent(self, piece: _Piece) -> bool:
        while piece.left:
            try:
                self._pieces.sent += piece.send(self._to)
            except BlockingIOError:
                if not self._room.poll(PATIENCE_MS):
                    return False
        return True

    async def _until_there_is_room(self) -> None:
        loop, room = asyncio.get_running_loop(), asyncio.Event()
        loop.add_writer(self._to, room.set)
        try:
            await room.wait()
        finally:
            loop.remove_writer(self._to)
