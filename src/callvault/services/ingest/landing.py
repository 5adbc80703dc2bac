"""From the spool's thread back to the event loop: all who wait for one fsync are woken by one call."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

_Waiter = tuple["asyncio.Future[None]", Callable[[], None] | None]


class Landing:
    def __init__(self) -> None:
        self._landed: deque[tuple[Future[None], list[_Waiter]]] = deque()
        self._told = False
        self._latest: tuple[Future[None], list[_Waiter]] | None = None

    def wait(self, durable: "Future[None]", settle: Callable[[], None] | None = None) -> "asyncio.Future[None]":
        """Done on this loop when that one is done, as that one is. `settle` is called before anybody goes on who waits
        for it, and also when they have gone."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        if self._latest and self._latest[0] is durable:
            self._latest[1].append((waiter, settle))
            return waiter
        group = self._latest = (durable, [(waiter, settle)])
        durable.add_done_callback(lambda _: self._land(loop, group))
        return waiter

    def _land(self, loop: asyncio.AbstractEventLoop, group: "tuple[Future[None], list[_Waiter]]") -> None:
        self._landed.append(group)
        if not self._told:
            self._told = True
            loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        # Whoever lands from here on tells again.
        self._told = False
        self._latest = None
        loop = asyncio.get_running_loop()
        while self._landed:
            durable, waiting = self._landed.popleft()
            error = durable.exception()
            for waiter, settle in waiting:
                if settle:
                    loop.call_soon(settle)  # should it fail, the others are told all the same
                if waiter.done():
                    continue
                if error:
                    waiter.set_exception(error)
                else:
                    waiter.set_result(None)
