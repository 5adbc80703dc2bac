"""A database whose line dies with a commit: it happened, and nobody was told."""

from typing import Any

from callvault.domain.errors import StoreUnavailable
from callvault.domain.unit import Unit
from callvault.ports.store import Store


class UnsureStore:
    """So it is with the first commit that speaks of such a thing, once it is armed."""

    def __init__(self, store: Store, kind: type) -> None:
        self._store, self._kind, self.armed = store, kind, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, unit: Unit) -> None:
        await self._store.commit(unit)
        if self.armed and any(isinstance(write.entity, self._kind) for write in unit.writes):
            self.armed = False
            raise StoreUnavailable(why="the line is dead")
