"""What messages are signed with: kept in storage like sound, sealed under the workspace's key, and told once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from callvault.domain.errors import BlobsUnavailable, Fault, StoreUnavailable
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from callvault.domain.webhook import EndpointSecret
from callvault.ports.blobs import Blobs
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.ports.webhooks import Secret

Unlock = Callable[[str, Sequence[StoredObject]], Awaitable[None]]
"""Makes sure that the workspace's keys are at hand (`Sealing.ensure`)."""
REMEMBER_MOST = 10_000


class Secrets:
    def __init__(self, store: Store, blobs: Blobs, unlock: Unlock, *, clock: Clock, ids: Ids) -> None:
        self._store, self._blobs, self._unlock = store, blobs, unlock
        self._clock, self._ids = clock, ids
        self._opened: dict[str, Secret] = {}

    @asynccontextmanager
    async def kept(self, unit: Unit, workspace_id: str, secret: Secret) -> AsyncIterator[EndpointSecret]:
        """The secret in storage, as the unit says; it is destroyed again when that cannot be committed within."""
        await self._unlock(workspace_id, ())
        key, now = f"{workspace_id}/webhooks/{self._ids.uuid()}", self._clock.now_ms()
        stored = await asyncio.to_thread(self._blobs.put, key, [secret.text.encode()], workspace_id=workspace_id)
        unit.add(replace(stored, workspace_id=workspace_id, created_ms=now))
        kept = EndpointSecret(object_key=key, created_ms=now, public=secret.public)
        try:
            yield kept
        except StoreUnavailable:
            raise  # it may be committed all the same
        except Fault:
            await self.destroy([kept])
            raise

    async def open(self, workspace_id: str, kept: EndpointSecret) -> Secret:
        """`BlobsUnavailable`, `BlobMissing` or `KeyUnavailable` when it cannot be had."""
        known = self._opened.get(kept.object_key)
        if known is None:
            known = Secret((await self._read(workspace_id, kept.object_key)).decode(), kept.public)
            while len(self._opened) >= REMEMBER_MOST:
                del self._opened[next(iter(self._opened))]
            self._opened[kept.object_key] = known
        return known

    def forget(self, unit: Unit, secrets: Iterable[EndpointSecret]) -> None:
        """The unit says that they are not there any more; `destroy` them when it has committed."""
        unit.remove(*(StoredObject(key=secret.object_key, size=0, sha256="") for secret in secrets))

    async def destroy(self, secrets: Iterable[EndpointSecret]) -> None:
        for secret in secrets:
            self._opened.pop(secret.object_key, None)
            await asyncio.to_thread(self._blobs.delete, secret.object_key)

    async def _read(self, workspace_id: str, key: str) -> bytes:
        stored = await self._store.get(StoredObject, key)
        if stored is None:
            raise BlobsUnavailable(why="a secret was exchanged at this moment")
        await self._unlock(workspace_id, (stored,))
        return bytes(await asyncio.to_thread(self._blobs.read, stored))
