"""Workspaces as they were a moment ago, for what asks after one with every request."""

from dataclasses import dataclass

from callvault.domain.unit import Unit
from callvault.domain.workspace import Workspace
from callvault.ports.store import Store
from callvault.ports.system import Clock

SECONDS = 1.0
"""How long another process may go by settings that were changed here; this one knows at once."""
MOST = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    workspace: Workspace
    until: float


class RecentWorkspaces:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._known: dict[str, _Known] = {}
        self._changes = 0

    async def get(self, workspace_id: str) -> Workspace | None:
        known = self._known.get(workspace_id)
        if known is not None and known.until >= self._clock.monotonic():
            return known.workspace
        changes = self._changes
        workspace = await self._store.get(Workspace, workspace_id)
        if workspace is not None and changes == self._changes:
            while len(self._known) >= MOST:
                del self._known[next(iter(self._known))]
            self._known[workspace_id] = _Known(workspace, self._clock.monotonic() + SECONDS)
        return workspace

    def committed(self, unit: Unit) -> None:
        """To be told of every unit that commits in this process."""
        for write in unit.writes:
            if isinstance(write.entity, Workspace):
                self._changes += 1
                self._known.pop(write.entity.id, None)
