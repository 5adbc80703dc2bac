"""Webhooks over a store in memory, a sender that really sends, and a clock that the tests move."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.adapters.jobs.leased import LeasedJobs
from callvault.adapters.store.memory import MemoryStore
from callvault.adapters.webhooks.sender import HttpxSender
from callvault.adapters.webhooks.signing import SIGNERS
from callvault.domain.event import Event
from callvault.domain.job import Job
from callvault.domain.query import Query
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from callvault.domain.webhook import Delivery, WebhookEndpoint
from callvault.ports.webhooks import Sender
from callvault.services.access import Access
from callvault.services.audit import Audit
from callvault.services.jobs import Jobs
from callvault.services.webhooks import Webhooks
from callvault.services.webhooks.dialects import MessageForm
from callvault.worker import Worker
from tests.fakes import FakeClock, FakeIds
from tests.workhouse import until


class HookHouse:
    def __init__(self, sender: Sender | None = None, forms: Sequence[MessageForm] = (), store: Any = None) -> None:
        self.store, self.clock, self.ids = store or MemoryStore(), FakeClock(), FakeIds()
        self.blobs = MemoryBlobs()
        self.audit = Audit(self.store, self.clock)
        self.access = Access(self.store, self.clock, self.audit)
        self.sender = sender or HttpxSender(private_allowed=True, timeout_seconds=2)
        tools = {"clock": self.clock, "ids": self.ids, "access": self.access, "audit": self.audit}
        self.hooks = Webhooks(
            self.store, self.blobs, self.unlock, sender=self.sender, signers=SIGNERS, forms=forms, **tools
        )
        self.endpoints, self.deliveries = self.hooks.endpoints, self.hooks.deliveries
        self.jobs = Jobs(self.store, self.clock, self.audit, self.access)

    async def unlock(self, workspace_id: str, objects: Sequence[StoredObject]) -> None:
        return None

    async def tell(self, *types: str, workspace: str = "w", **fields: Any) -> list[Event]:
        unit = Unit()
        now = self.clock.now_ms()
        facts = {"workspace_id": workspace, "created_ms": now, "recording_id": "r", **fields}
        unit.tell(*(Event(id=self.ids.uuid(), type=kind, **facts) for kind in types))
        await self.store.commit(unit)
        return list(unit.events)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Worker]:
        engine = LeasedJobs(self.store, self.clock, self.ids, poll_seconds=0.005)
        duties = [type(duty)(duty.name, duty.run, 0.005) for duty in self.hooks.duties()]
        kinds = self.hooks.kinds()
        worker = Worker(engine, self.store, kinds, clock=self.clock, ids=self.ids, duties=duties)
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            await worker.stop(2)
            await running

    async def settled(self) -> None:
        """Everything that is due by now has been done."""
        (planning,) = self.hooks.duties()

        async def nothing_due() -> bool:
            planned = not await planning.run()
            running = Query(Job).where("state", "=", "running")
            queued = Query(Job).where("state", "=", "queued").where("due_ms", "<=", self.clock.now_ms())
            return planned and not await self.store.count(running) and not await self.store.count(queued)

        await until(nothing_due)

    async def next_due_ms(self) -> int | None:
        found = await self.store.find(Query(Job).where("state", "=", "queued").by("due_ms", "id").page(1))
        return found[0].due_ms if found else None

    async def log(self, endpoint: WebhookEndpoint) -> list[Delivery]:
        query = Query(Delivery).where("endpoint_id", "=", endpoint.id).by("created_ms", "id")
        return list(await self.store.find(query))

    async def stored(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        found = await self.store.get(WebhookEndpoint, endpoint.id)
        assert found
        return found
