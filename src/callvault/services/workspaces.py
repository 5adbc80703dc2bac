"""Workspaces: made by the operator, each with its own encryption key, and set by those who manage them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypedDict

from callvault.domain.access import Action, Caller, Thing
from callvault.domain.errors import AlreadyThere, Malformed, Missing, Refused
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.domain.workspace import Workspace, WorkspaceKey
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access
from callvault.services.audit import Audit
from callvault.services.stale import again_when_stale

NAME_MAX = 100
DELIVERIES = ("vault", "bucket")
BOUNDS = {"link_seconds_max": (1, 604_800), "idle_complete_seconds": (5, 86_400), "retention_days": (1, 36_500)}


class WorkspaceSettings(TypedDict, total=False):
    """What of a workspace can be set here, as in `Workspace`; its encryption is set by `Sealing`."""

    name: str
    recording_enabled: bool
    public_recordings: bool
    hipaa: bool
    delivery: str
    link_seconds_max: int
    idle_complete_seconds: int
    retention_days: int | None


class Workspaces:
    """Those without a workspace of their own to manage, which is everybody but the operator, make and list none."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        ids: Ids,
        audit: Audit,
        access: Access,
        new_key: Callable[[str], WorkspaceKey],
        defaults: WorkspaceSettings | None = None,
    ) -> None:
        """`new_key` makes the first encryption key of the workspace with this id."""
        self._store, self._clock, self._ids = store, clock, ids
        self._audit, self._access, self._new_key = audit, access, new_key
        self._defaults = defaults or WorkspaceSettings()

    async def create(self, caller: Caller, name: str, given: WorkspaceSettings | None = None) -> Workspace:
        """`AlreadyThere` when one has the name: people call workspaces by it."""
        self._operator_only(caller)
        await self._must_be_free(name)
        workspace_id = self._ids.uuid()
        blank = Workspace(id=workspace_id, name=name, created_ms=self._clock.now_ms())
        workspace = _set(blank, {**self._defaults, **(given or {}), "name": name})
        unit = Unit()
        unit.add(workspace, self._new_key(workspace_id))
        unit.note(self._audit.entry(caller, "workspace.create", workspace_id, f"workspace:{workspace_id}"))
        await self._store.commit(unit)
        return workspace

    async def get(self, caller: Caller, workspace_id: str) -> Workspace:
        workspace = await self._store.get(Workspace, workspace_id)
        if workspace is None or workspace.deleted_ms is not None:
            raise Missing(what="workspace")
        self._access.require(caller, Action.MANAGE_WORKSPACE, Thing(workspace_id), f"workspace:{workspace_id}")
        return workspace

    async def named(self, caller: Caller, name: str) -> Workspace | None:
        self._operator_only(caller)
        return await self._first_of(name)

    async def page(self, caller: Caller, after: tuple[str, str] | None = None, limit: int = 100) -> Sequence[Workspace]:
        """By name; `after` is the name and id of the last one of the page before."""
        self._operator_only(caller)
        query = Query(Workspace).where("deleted_ms", "is null")
        return await self._store.find(query.by("name", "id").page(limit, after))

    @again_when_stale
    async def set(self, caller: Caller, workspace_id: str, changes: WorkspaceSettings) -> Workspace:
        before = await self.get(caller, workspace_id)
        if changes.get("name", before.name) != before.name:
            await self._must_be_free(changes["name"])
        after = replace(_set(before, changes), version=before.version + 1)
        unit = Unit()
        unit.change(after)
        changed = [name for name in changes if getattr(before, name) != getattr(after, name)]
        entry = self._audit.entry(
            caller, "workspace.set", workspace_id, f"workspace:{workspace_id}", "done", changed=list(changed)
        )
        unit.note(entry)
        await self._store.commit(unit)
        return after

    async def _first_of(self, name: str) -> Workspace | None:
        query = Query(Workspace).where("name", "=", name).where("deleted_ms", "is null")
        found = await self._store.find(query.by("name", "id").page(1))
        return found[0] if found else None

    async def _must_be_free(self, name: str) -> None:
        if await self._first_of(name):
            raise AlreadyThere(what="workspace")

    def _operator_only(self, caller: Caller) -> None:
        """No key is of the workspace without a name, so that only those of the house pass."""
        self._access.require(caller, Action.MANAGE_WORKSPACE, Thing(""), "workspace:")


def _set(workspace: Workspace, changes: WorkspaceSettings) -> Workspace:
    _check(changes)
    changed = replace(workspace, **changes)
    if changed.hipaa and changed.public_recordings:
        if changes.get("public_recordings"):
            raise Refused(why="a HIPAA workspace opens no recording without a key")
        changed = replace(changed, public_recordings=False)
    return changed


def _check(changes: WorkspaceSettings) -> None:
    name = changes.get("name", "-")
    if not name.strip() or len(name) > NAME_MAX or not name.isprintable():
        raise Malformed(what="name", why=f"it is 1 to {NAME_MAX} printable characters")
    if changes.get("delivery", "vault") not in DELIVERIES:
        raise Malformed(what="delivery", why=f"it is one of {', '.join(DELIVERIES)}")
    for field, (least, most) in BOUNDS.items():
        value = changes.get(field)
        if isinstance(value, int) and not least <= value <= most:
            raise Malformed(what=field, why=f"it is from {least} to {most}")
