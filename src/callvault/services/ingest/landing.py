"""From the spool's thread back to the event loop: all who wait for one fsync are woken by one call."""

import asyncio
from collections import deque
from concurrent.futures import Future


class Landing:
    def __init__(self) -> None:
        self._landed: deque[tuple[asyncio.Future[None], Future[None]]] = deque()
        self._told = False
        self._latest: tuple[Future[None], asyncio.Future[None]] | None = None

    def wait(self, durable: "Future[None]") -> "asyncio.Future[None]":
        """Done on this loop when that one is done, as that one is; the same for all who wait for the same in turn."""
        if self._latest and self._latest[0] is durable:
            return self._latest[1]
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._latest = (durable, waiter)
        durable.add_done_callback(lambda done: self._land(loop, waiter, done))
        return waiter

    def _land(self, loop: asyncio.AbstractEventLoop, waiter: "asyncio.Future[None]", done: "Future[None]") -> None:
        self._landed.append((waiter, done))
        if not self._told:
            self._told = True
            loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        # Whoever lands from here on tells again.
        self._told = False
        while self._landed:
            waiter, done = self._landed.popleft()
            if waiter.done():
                continue
            if error := done.exception():
                waiter.set_exception(error)
            else:
                waiter.set_result(None)
