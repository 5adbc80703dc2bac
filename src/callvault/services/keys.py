"""API keys: made, listed and revoked; the key itself is told once and kept only as a digest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from callvault.domain.access import OF_THE_HOUSE, Action, Caller, Thing
from callvault.domain.errors import AlreadyThere, Malformed, Missing, Refused
from callvault.domain.ids import Json, token
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.domain.workspace import SCOPES, ApiKey, Member, Workspace
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access, key_digest
from callvault.services.audit import Audit
from callvault.services.stale import again_when_stale

OF_PUBLIC_KEYS = ("recordings:write",)
SECRET_BYTES = 24


@dataclass(frozen=True, slots=True)
class NewKey:
    row: ApiKey
    key: str = field(repr=False)
    """Told this once."""


class Keys:
    def __init__(self, store: Store, clock: Clock, ids: Ids, audit: Audit, access: Access) -> None:
        self._store, self._clock, self._ids = store, clock, ids
        self._audit, self._access = audit, access

    async def create(
        self,
        caller: Caller,
        workspace_id: str,
        *,
        member_id: str = "",
        scopes: Iterable[str] = (),
        kind: str = "private",
        label: str = "",
        expires_ms: int | None = None,
    ) -> NewKey:
        """Without a member the key acts as one of its own; without scopes it has all that its maker may give."""
        self._access.require(caller, Action.MANAGE_KEYS, Thing(workspace_id), f"workspace:{workspace_id}")
        if kind not in ("private", "public"):
            raise Malformed(what="kind", why="it is `private` or `public`")
        if await self._store.get(Workspace, workspace_id) is None:
            raise Missing(what="workspace")
        key_id = self._ids.uuid()
        unfinished = ApiKey(
            id=key_id,
            workspace_id=workspace_id,
            member_id=member_id or key_id,
            prefix="",
            secret_sha256="",
            scopes=_given(caller, tuple(scopes), kind),
            created_ms=self._clock.now_ms(),
            kind=kind,
            label=label,
            expires_ms=expires_ms,
        )
        self._may_act_as(caller, unfinished)
        return await self._add(caller, unfinished)

    async def page(
        self, caller: Caller, workspace_id: str, after: tuple[int, str] | None = None, limit: int = 100
    ) -> Sequence[ApiKey]:
        """The newest first; `after` is the created_ms and id of the last one of the page before."""
        self._access.require(caller, Action.MANAGE_KEYS, Thing(workspace_id), f"workspace:{workspace_id}")
        query = Query(ApiKey).where("workspace_id", "=", workspace_id)
        return await self._store.find(query.by("-created_ms", "-id").page(limit, after))

    @again_when_stale
    async def revoke(self, caller: Caller, key_id: str) -> ApiKey:
        """From now on nobody gets in with it; revoking it again changes nothing."""
        key = await self._store.get(ApiKey, key_id)
        if key is None:
            raise Missing(what="key")
        self._access.require(caller, Action.MANAGE_KEYS, Thing(key.workspace_id), f"key:{key_id}")
        if key.revoked_ms is not None:
            return key
        revoked = replace(key, revoked_ms=self._clock.now_ms(), version=key.version + 1)
        unit = Unit()
        unit.change(revoked)
        unit.note(self._audit.entry(caller, "keys.revoke", key.workspace_id, f"key:{key_id}"))
        await self._store.commit(unit)
        self._access.forget(key)
        return revoked

    def _may_act_as(self, caller: Caller, key: ApiKey) -> None:
        """A key for somebody else opens that member's private calls: that is for those who manage the workspace."""
        own = caller.principal.member_id if caller.principal else None
        if key.member_id not in (own, key.id):
            workspace_id = key.workspace_id
            self._access.require(caller, Action.MANAGE_WORKSPACE, Thing(workspace_id), f"workspace:{workspace_id}")

    async def _add(self, caller: Caller, unfinished: ApiKey) -> NewKey:
        while True:
            prefix = token(self._ids.secret(8))[:8]
            presented = f"cvk_{prefix}_{token(self._ids.secret(SECRET_BYTES))}"
            key = replace(unfinished, prefix=prefix, secret_sha256=key_digest(presented))
            unit = Unit()
            unit.add(key)
            if not await self._store.get(Member, key.workspace_id, key.member_id):
                unit.put(Member(workspace_id=key.workspace_id, id=key.member_id, created_ms=key.created_ms))
            facts: dict[str, Json] = {"member": key.member_id, "kind": key.kind, "scopes": list(key.scopes)}
            unit.note(self._audit.entry(caller, "keys.create", key.workspace_id, f"key:{key.id}", "done", **facts))
            try:
                await self._store.commit(unit)
            except AlreadyThere:
                continue
            return NewKey(key, presented)


def _given(caller: Caller, wanted: tuple[str, ...], kind: str) -> tuple[str, ...]:
    """The scopes that the new key gets: none that its maker does not have."""
    if unknown := sorted(set(wanted) - set(SCOPES)):
        raise Malformed(what="scopes", why=f"there is no {', '.join(unknown)}; there are {', '.join(SCOPES)}")
    principal = caller.principal
    held = set(SCOPES) if principal is None or principal.kind in OF_THE_HOUSE else principal.scopes
    if beyond := sorted(set(wanted) - held):
        raise Refused(why=f"nobody can give what they do not have: {', '.join(beyond)}")
    everything = OF_PUBLIC_KEYS if kind == "public" else SCOPES
    return wanted or tuple(scope for scope in everything if scope in held)
