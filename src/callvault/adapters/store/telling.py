"""A store that tells of what it commits, so that those who wait in this process need not look for it."""

from collections.abc import Callable
from typing import TypeVar

from callvault.domain.unit import Unit
from callvault.ports.store import Store

T = TypeVar("T")


class TellingStore:
    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.get, self.find, self.count = inner.get, inner.find, inner.count
        self._listeners: list[Callable[[Unit], None]] = []

    def listen(self, listener: Callable[[Unit], None]) -> None:
        """It is called after each commit, on the loop that committed; it must be quick."""
        self._listeners.append(listener)

    async def commit(self, unit: Unit) -> None:
        await self._inner.commit(unit)
        for listener in self._listeners:
            listener(unit)

    async def check(self) -> None:
        await self._inner.check()

    async def close(self) -> None:
        await self._inner.close()
