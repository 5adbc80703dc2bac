"""The workspaces' encryption keys: made, loaded, exchanged for new ones, and destroyed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from callvault.domain.access import Action, Caller, Thing
from callvault.domain.errors import Malformed, Missing, OnHold, StaleWrite
from callvault.domain.lane import OpenSpool
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from callvault.domain.workspace import Workspace, WorkspaceKey
from callvault.ports.keyring import Keyring, MasterKey
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access
from callvault.services.aside import aside
from callvault.services.audit import Audit
from callvault.services.rewrapping import Rewrapped, Rewrapping
from callvault.services.stale import again_when_stale
from callvault.wire.customerkey import CustomerKey
from callvault.wire.sealed import KEY_BYTES

LEARN_AGAIN_SECONDS = 60
"""How long another process may go on with the keys that it knew before they were changed here."""
GRACE_SECONDS = 3600
"""How long a retired key still opens: for those who read its rows, and those who wrapped by it, before it retired."""
AT_ONCE = 200


class Sealing:
    def __init__(
        self, store: Store, keyring: Keyring, master: MasterKey, *, clock: Clock, ids: Ids, audit: Audit, access: Access
    ) -> None:
        self._store, self._keyring, self._master = store, keyring, master
        self._clock, self._ids, self._audit, self._access = clock, ids, audit, access
        self._rewrapping = Rewrapping(store, keyring)
        self._learnt: dict[str, float] = {}

    def new_workspace_key(self, workspace_id: str) -> WorkspaceKey:
        """For the unit that makes the workspace."""
        return WorkspaceKey(
            id=self._ids.uuid(),
            workspace_id=workspace_id,
            created_ms=self._clock.now_ms(),
            wrapped=self._master.wrap(self._ids.secret(KEY_BYTES), workspace_id),
            master_key_id=self._master.id,
        )

    async def ensure(self, workspace_id: str, objects: Iterable[StoredObject] = ()) -> None:
        """The keyring has the workspace's keys, those that wrapped these objects' too: to be called before blobs are
        put and read. It costs nothing when they are there."""
        learnt = self._learnt.get(workspace_id)
        if (
            learnt is None
            or self._clock.monotonic() - learnt >= LEARN_AGAIN_SECONDS
            or not all(self._keyring.knows(workspace_id, obj.sealing) for obj in objects if obj.sealing)
            or not self._keyring.knows(workspace_id)
        ):
            await self._learn(workspace_id)

    async def rotate(self, caller: Caller, workspace_id: str) -> Rewrapped:
        """A new key seals from now on, and wraps the data keys of all that is stored; the one before retires, and is
        destroyed by `settle` when nobody can need it. Cut off, it goes on when called again."""
        self._require(caller, workspace_id)
        if len(_active(await self._keys(workspace_id))) <= 1:
            unit = Unit()
            unit.add(key := self.new_workspace_key(workspace_id))
            unit.note(self._audit.entry(caller, "workspace.rotate_key", workspace_id, f"workspace_key:{key.id}"))
            await self._store.commit(unit)
        return await self._settle(workspace_id)

    async def settle(self) -> Rewrapped:
        """Ends what rotations and new customer keys began: to be called now and then."""
        total, of = Rewrapped(), await self._unsettled()
        for workspace_id in of:
            done = await self._settle(workspace_id)
            total.objects += done.objects
            total.broken += done.broken
        return total

    async def set_customer_key(self, caller: Caller, workspace_id: str, pem: str | None) -> Rewrapped:
        """From now on every data key of the workspace is wrapped to this RSA key too, and those there are as well;
        without one, none is."""
        self._require(caller, workspace_id)
        try:
            customer = CustomerKey(pem) if pem else None
        except ValueError as mistake:
            raise Malformed(what="customer key", why=str(mistake)) from None
        await self._give_key(caller, workspace_id, customer)
        return await self._settle(workspace_id)

    async def rotate_master(self, caller: Caller, new: MasterKey) -> int:
        """Wraps every workspace key by the new master key; objects and their rows stay as they are. Every process must
        be able to unwrap by the new one already. Cut off, it goes on when called again."""
        self._access.require(caller, Action.MANAGE_WORKSPACE, Thing(""), "master_key:")
        query = Query(WorkspaceKey).where("master_key_id", "!=", new.id).by("id").page(AT_ONCE)
        count = 0
        while keys := await self._store.find(query):
            unit = Unit()
            for key in keys:
                wrapped = new.wrap(self._master.unwrap(key.wrapped, key.workspace_id), key.workspace_id)
                unit.change(replace(key, wrapped=wrapped, master_key_id=new.id, version=key.version + 1))
                thing = f"workspace_key:{key.id}"
                unit.note(self._audit.entry(caller, "master_key.rotate", key.workspace_id, thing, master_key=new.id))
            try:
                await self._store.commit(unit)
            except StaleWrite:
                continue
            count += len(keys)
        return count

    async def destroy(self, caller: Caller, workspace_id: str) -> None:
        """All that the workspace has in storage, and in every copy of it, is unreadable for ever: its keys are gone.
        `OnHold` while a legal hold keeps any of its recordings."""
        self._require(caller, workspace_id)
        held = Query(Recording).where("workspace_id", "=", workspace_id).where("held", "=", True).by("id").page(1)
        if await self._store.find(held):
            raise OnHold
        unit = Unit()
        unit.remove(*await self._keys(workspace_id))
        unit.note(self._audit.entry(caller, "workspace.destroy_keys", workspace_id, f"workspace:{workspace_id}"))
        await self._store.commit(unit)
        await self._learn(workspace_id)

    def _require(self, caller: Caller, workspace_id: str) -> None:
        self._access.require(caller, Action.MANAGE_WORKSPACE, Thing(workspace_id), f"workspace:{workspace_id}")

    async def _learn(self, workspace_id: str) -> CustomerKey | None:
        began = self._clock.monotonic()
        keys, workspace = await self._keys(workspace_id), await self._store.get(Workspace, workspace_id)
        pem = workspace.customer_public_key if workspace else None
        await aside(self._keyring.learn, workspace_id, keys, pem)
        self._learnt[workspace_id] = began
        return CustomerKey(pem) if pem else None

    async def _keys(self, workspace_id: str) -> Sequence[WorkspaceKey]:
        return await self._store.find(
            Query(WorkspaceKey).where("workspace_id", "=", workspace_id).by("created_ms", "id")
        )

    async def _unsettled(self) -> Sequence[str]:
        """Workspaces with more than one key."""
        query, after, counts = Query(WorkspaceKey).by("id"), None, Counter[str]()
        while keys := await self._store.find(query.page(AT_ONCE, after)):
            counts.update(key.workspace_id for key in keys)
            after = query.cursor(keys[-1])
        return sorted(workspace_id for workspace_id, count in counts.items() if count > 1)

    async def _settle(self, workspace_id: str) -> Rewrapped:
        customer = await self._learn(workspace_id)
        done = await self._rewrapping.workspace(workspace_id, customer)
        if not done.broken:
            await self._retire(workspace_id)
            await self._learn(workspace_id)
        return done

    async def _retire(self, workspace_id: str) -> None:
        """All data keys are wrapped by the newest key: the others retire, and go when their time is over."""
        keys, now = await self._keys(workspace_id), self._clock.now_ms()
        unit = Unit()
        for key in _active(keys)[:-1]:
            unit.change(replace(key, retired_ms=now, version=key.version + 1))
        for key in keys:
            if key.retired_ms is not None and not await self._may_be_needed(key, now):
                unit.remove(key)
        if unit.writes:
            await self._store.commit(unit)

    async def _may_be_needed(self, key: WorkspaceKey, now_ms: int) -> bool:
        """A spool that was opened before every process had learnt of the retirement may be sealed under it."""
        retired_ms = key.retired_ms or now_ms
        if now_ms - retired_ms < GRACE_SECONDS * 1000:
            return True
        spools = Query(OpenSpool).where("workspace_id", "=", key.workspace_id)
        spools = spools.where("opened_ms", "<=", retired_ms + 2 * LEARN_AGAIN_SECONDS * 1000)
        objects = Query(StoredObject).where("workspace_id", "=", key.workspace_id)
        objects = objects.where("sealing", "contains", f"{key.id}.")
        return await self._store.count(spools) > 0 or await self._store.count(objects) > 0

    @again_when_stale
    async def _give_key(self, caller: Caller, workspace_id: str, customer: CustomerKey | None) -> None:
        """With a new key of the workspace's own, so that what other processes still wrapped without the customer's is
        found as what they wrapped by the old one is."""
        workspace = await self._store.get(Workspace, workspace_id)
        if workspace is None or workspace.deleted_ms is not None:
            raise Missing(what="workspace")
        unit = Unit()
        pem, version = customer.pem if customer else None, workspace.version + 1
        unit.change(replace(workspace, customer_public_key=pem, version=version))
        if len(_active(await self._keys(workspace_id))) <= 1:
            unit.add(self.new_workspace_key(workspace_id))
        entry = self._audit.entry(
            caller,
            "workspace.set_customer_key",
            workspace_id,
            f"workspace:{workspace_id}",
            fingerprint=customer.fingerprint if customer else None,
        )
        unit.note(entry)
        await self._store.commit(unit)


def _active(keys: Sequence[WorkspaceKey]) -> list[WorkspaceKey]:
    return [key for key in keys if key.retired_ms is None]
