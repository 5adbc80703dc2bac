"""The house with what runs behind it, and the order in which all begins and ends."""

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator, Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version as version_of
from typing import Final

from callvault.bootstrap.adapters import Adapters, is_there, open_adapters, open_engine, open_store, prepare
from callvault.bootstrap.assembly import assemble
from callvault.domain.access import OPERATOR
from callvault.domain.errors import Fault, WorkStopped
from callvault.domain.query import Query
from callvault.domain.workspace import Workspace
from callvault.services.house import Services
from callvault.services.keys import NewKey
from callvault.settings import Settings
from callvault.web.options import STALL_SECONDS, Options
from callvault.worker import Worker

log = logging.getLogger(__name__)
FIRST_WORKSPACE: Final = "default"
THREADS: Final = 48
"""For everything that blocks: mostly waiting for a disk or a storage far away."""
DRAIN_SECONDS: Final = 4.0
STOP_SECONDS: Final = 1.5


class House:
    """The services with what runs behind them."""

    def __init__(self, services: Services, adapters: Adapters, settings: Settings) -> None:
        self.services, self.adapters, self.settings = services, adapters, settings
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._worker: Worker | None = None

    async def start(self, *, workers: bool, node: bool = True) -> None:
        """What goes on behind the answers; commands need none of it. A `node` moves what it takes in to storage."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "blocking"))
        self.services.checks["work"] = self._check_work
        self._run("audit", self.services.audit.run())
        if node:
            self._run("intake", self.services.intake.run())
        if workers:
            from callvault.bootstrap.work import worker

            engine = open_engine(self.settings, self.adapters)
            self._worker = worker(self.services, self.adapters, engine, self.settings.public_url)
            self._run("worker", self._worker.run())

    def settle(self) -> None:
        """All that is loaded stays to the end: the collector need not walk through it, nor come by so often, while
        somebody waits. Nor do threads that compute keep the interpreter from the event loop for long."""
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)
        sys.setswitchinterval(0.001)

    async def drain(self) -> None:
        """Takes no new work from now on, and hands back what is not finished in time; asked again, it is done."""
        worker, self._worker = self._worker, None
        if worker:
            await worker.stop(DRAIN_SECONDS)

    async def first_key(self) -> NewKey | None:
        """In a house without a workspace: makes one, with a key for everything."""
        if await self.services.store.find(Query(Workspace).by("id").page(1)):
            return None
        workspace = await self.services.workspaces.create(OPERATOR, FIRST_WORKSPACE)
        return await self.services.keys.create(OPERATOR, workspace.id, label="made at the first start")

    async def close(self) -> None:
        """What began last ends first; the audit is written to its last entry before the database is let go."""
        async with AsyncExitStack() as ending:
            ending.push_async_callback(self.services.store.close)
            ending.push_async_callback(asyncio.to_thread, self.adapters.spool.close)
            ending.push_async_callback(self._write_down)
            await self.drain()
            self.services.intake.stop()
            await self._ended("worker", "intake")

    async def _write_down(self) -> None:
        audit = self.services.audit
        audit.stop()
        await self._ended("audit")
        try:
            await self.services.delivery.close()
            await audit.flush()
            await self.services.access.write_uses()
        except Fault as fault:
            log.error("%d audit entries could not be written: %s", audit.waiting, fault)

    async def _ended(self, *names: str) -> None:
        running = [self._tasks[name] for name in names if name in self._tasks]
        if running:
            _, late = await asyncio.wait(running, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()

    async def _check_work(self) -> None:
        if stopped := [name for name, task in self._tasks.items() if task.done()]:
            raise WorkStopped(what=stopped[0])

    def _run(self, name: str, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda task: _died(name, task))
        self._tasks[name] = task


def _died(name: str, task: "asyncio.Future[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.critical("%s has stopped", name, exc_info=error)


@asynccontextmanager
async def opened(settings: Settings, *, node: bool = False, fresh: bool = True) -> AsyncIterator[House]:
    """The house with its database brought up to date. A `node` takes in sound: it alone may have its spool open;
    commands work beside it without one. Unless it may be a `fresh` one, it must be there."""
    async with AsyncExitStack() as stack:
        if fresh or is_there(settings.data):
            await asyncio.to_thread(prepare, settings)
        store = await open_store(settings, fresh=fresh)
        stack.push_async_callback(store.close)
        adapters = await open_adapters(settings, store, node)
        house = House(assemble(adapters, settings), adapters, settings)
        stack.pop_all()
        stack.push_async_callback(house.close)
        yield house


def web_options(settings: Settings) -> Options:
    return Options(
        version=version(),
        public_url=settings.public_url or None,
        cors_origins=settings.cors_origins,
        requests_per_minute=settings.requests_per_minute,
        body_max=settings.body_max,
        # A sender may be told to pause: so long its recording waits, where the workspace has no time of its own.
        stall_seconds=max(STALL_SECONDS, settings.idle_complete_seconds),
        metrics_token=settings.metrics_token or None,
        access_log=settings.access_log,
    )


def version() -> str:
    return version_of("callvault")
