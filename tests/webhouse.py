"""The whole house over adapters in memory, with a client that speaks to its web application without a socket."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.adapters.blobs.sealed import SealedBlobs
from callvault.adapters.blobs.sparing import SparingBlobs
from callvault.adapters.codecs.pyav import PyAvCodecs
from callvault.adapters.keys.master import KeyBytes, MasterKeys
from callvault.adapters.keys.memory import MemoryKeyring
from callvault.adapters.spool.memory import MemorySpool
from callvault.adapters.store.memory import MemoryStore
from callvault.adapters.store.telling import TellingStore
from callvault.adapters.webhooks.sender import HttpxSender
from callvault.adapters.webhooks.signing import SIGNERS
from callvault.bootstrap import Adapters, assemble
from callvault.domain.access import OPERATOR
from callvault.domain.workspace import Workspace
from callvault.ports.store import Store
from callvault.services.house import Services
from callvault.services.workspaces import WorkspaceSettings
from callvault.settings import Settings
from callvault.web.app import Front, create_app
from callvault.web.options import Options
from callvault.web.parts import Part
from tests.fakes import FakeClock, FakeIds, FakeRoom


@dataclass
class WebHouse:
    services: Services
    adapters: Adapters
    clock: FakeClock
    app: Front
    client: httpx.AsyncClient
    """Without a key; redirects are not followed."""

    async def workspace(self, name: str = "acme", **settings: Any) -> Workspace:
        found = await self.services.workspaces.named(OPERATOR, name)
        return found or await self.services.workspaces.create(OPERATOR, name, WorkspaceSettings(**settings))

    async def key(self, *scopes: str, workspace: str = "acme", **more: Any) -> str:
        """An API key; without scopes it has all."""
        owner = await self.workspace(workspace)
        return (await self.services.keys.create(OPERATOR, owner.id, scopes=scopes, **more)).key

    async def bearer(self, *scopes: str, **more: Any) -> dict[str, str]:
        return {"authorization": f"Bearer {await self.key(*scopes, **more)}"}

    async def documented(self, part: str, path: str, method: str = "get") -> dict[str, Any]:
        """What the part's document says may be answered, by its status."""
        told: dict[str, Any] = (await self.client.get(f"/openapi/{part}.json")).json()["paths"][path][method]
        return dict(told["responses"])


def memory_adapters(clock: FakeClock | None = None, store: Store | None = None) -> Adapters:
    master = MasterKeys([KeyBytes(b"m" * 32)])
    keyring = MemoryKeyring(master)
    blobs, room = SealedBlobs(MemoryBlobs(), keyring), FakeRoom(Path("/tmp"))
    return Adapters(
        clock=clock or FakeClock(),
        ids=FakeIds(),
        store=TellingStore(store or MemoryStore()),
        blobs=blobs,
        master=master,
        keyring=keyring,
        spool=MemorySpool(),
        codecs=PyAvCodecs(),
        sender=HttpxSender(private_allowed=True, timeout_seconds=2),
        signers=SIGNERS,
        room=room,
        sparing=SparingBlobs(blobs, room),
        link_secrets={"test": b"l" * 32},
    )


@asynccontextmanager
async def webhouse(
    options: Options | None = None,
    parts: Sequence[Part] | None = None,
    *,
    clock: FakeClock | None = None,
    store: Store | None = None,
    **settings: Any,
) -> AsyncIterator[WebHouse]:
    """With all parts there are, unless some are named; `settings` as in `Settings`."""
    clock = clock or FakeClock()
    adapters = memory_adapters(clock, store)
    services = assemble(adapters, Settings(data=Path("/tmp"), **settings))
    app = create_app(services, options, parts)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://vault.test") as client:
        yield WebHouse(services, adapters, clock, app, client)
