"""Wraps data keys anew, so that the objects they seal need not be written again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from callvault.domain.errors import KeyUnavailable, Missing
from callvault.domain.query import Query
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from callvault.ports.keyring import Keyring
from callvault.ports.store import Store
from callvault.wire.customerkey import CustomerKey

AT_ONCE = 500
PASSES = 5


@dataclass(slots=True)
class Rewrapped:
    """What a rewrapping did: objects wrapped anew, and those whose data key does not open any more."""

    objects: int = 0
    broken: list[str] = field(default_factory=list)


class Rewrapping:
    """Needs the workspace's keys in the keyring: all that wrap anything, and the customer's."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self._store, self._keyring = store, keyring

    async def workspace(self, workspace_id: str, customer: CustomerKey | None) -> Rewrapped:
        """Until a whole pass finds nothing to do, for objects come in meanwhile. Cut off, it goes on when called again,
        for what is wrapped as it should be is left alone."""
        done = Rewrapped()
        for _ in range(PASSES):
            before, done.broken = done.objects, []
            await self._pass(workspace_id, customer, done)
            if done.objects == before:
                break
        return done

    async def _pass(self, workspace_id: str, customer: CustomerKey | None, done: Rewrapped) -> None:
        query = Query(StoredObject).where("workspace_id", "=", workspace_id).where("sealing", "is not null").by("key")
        wanted = (f"{self._keyring.newest(workspace_id)}.", f"{customer.fingerprint}." if customer else "")
        after = None
        while rows := await self._store.find(query.page(AT_ONCE, after)):
            stale = [row for row in rows if not _is_wrapped(row, wanted)]
            anew, broken = await asyncio.to_thread(self._anew, stale)
            if await self._commit(anew):
                done.objects += len(anew)
                done.broken += broken
                after = query.cursor(rows[-1])

    def _anew(self, rows: Sequence[StoredObject]) -> tuple[list[StoredObject], list[str]]:
        wrapped, broken = [], []
        for row in rows:
            try:
                data_key = self._keyring.unwrap(row.workspace_id, row.sealing or "", row.key)
            except KeyUnavailable:
                broken.append(row.key)
                continue
            sealing, customer_sealing = self._keyring.wrap(row.workspace_id, data_key, row.key)
            wrapped.append(replace(row, sealing=sealing, customer_sealing=customer_sealing))
        return wrapped, broken

    async def _commit(self, rows: Sequence[StoredObject]) -> bool:
        """False when one of them was deleted meanwhile: then none was changed, and they are read again."""
        if not rows:
            return True
        unit = Unit()
        unit.change(*rows)
        try:
            await self._store.commit(unit)
        except Missing:
            return False
        return True


def _is_wrapped(row: StoredObject, wanted: tuple[str, str]) -> bool:
    sealing, customer = wanted
    if not (row.sealing or "").startswith(sealing):
        return False
    return (row.customer_sealing or "").startswith(customer) if customer else row.customer_sealing is None
