"""The house with what runs behind it, and the order in which all begins and ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version as version_of
from typing import Final

from callvault.bootstrap.adapters import Adapters, open_adapters, open_store, prepare
from callvault.bootstrap.assembly import assemble
from callvault.domain.access import OPERATOR
from callvault.domain.query import Query
from callvault.domain.workspace import Workspace
from callvault.services.house import Services
from callvault.services.keys import NewKey
from callvault.settings import Settings
from callvault.web.options import Options

log = logging.getLogger(__name__)
FIRST_WORKSPACE: Final = "default"
THREADS: Final = 48
"""For everything that blocks: mostly waiting for a disk or a storage far away."""
STOP_SECONDS: Final = 2.0


class House:
    """The services with what runs behind them."""

    def __init__(self, services: Services, adapters: Adapters, settings: Settings) -> None:
        self.services, self.adapters, self.settings = services, adapters, settings
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, *, workers: bool) -> None:
        """What a node does besides answering; commands need none of it."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "blocking"))
        self._run("audit", self.services.audit.run())

    async def first_key(self) -> NewKey | None:
        """In a house without a workspace: makes one, with a key for everything."""
        if await self.services.store.find(Query(Workspace).by("id").page(1)):
            return None
        workspace = await self.services.workspaces.create(OPERATOR, FIRST_WORKSPACE)
        return await self.services.keys.create(OPERATOR, workspace.id, label="made at the first start")

    async def close(self) -> None:
        """What began last ends first; the audit is written to its last entry before the database is let go."""
        self.services.audit.stop()
        if audit := self._tasks.get("audit"):
            await asyncio.wait([audit], timeout=STOP_SECONDS)
        else:
            await self.services.audit.flush()
        await self.services.access.write_uses()
        if lost := self.services.audit.waiting:
            log.error("%d audit entries could not be written", lost)
        await asyncio.to_thread(self.adapters.spool.close)
        await self.services.store.close()

    def _run(self, name: str, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda task: _died(name, task))
        self._tasks[name] = task


def _died(name: str, task: "asyncio.Future[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.critical("%s has stopped", name, exc_info=error)


@asynccontextmanager
async def opened(settings: Settings, *, node: bool = False) -> AsyncIterator[House]:
    """The house with its database brought up to date. A `node` takes in sound: it alone may have its spool open;
    commands work beside it without one."""
    await asyncio.to_thread(prepare, settings)
    store = await open_store(settings)
    try:
        adapters = await open_adapters(settings, store, node)
    except BaseException:
        await store.close()
        raise
    house = House(assemble(adapters, settings), adapters, settings)
    try:
        yield house
    finally:
        await house.close()


def web_options(settings: Settings) -> Options:
    return Options(
        version=version(),
        public_url=settings.public_url or None,
        cors_origins=settings.cors_origins,
        requests_per_minute=settings.requests_per_minute,
        body_max=settings.body_max,
        metrics_token=settings.metrics_token or None,
        access_log=settings.access_log,
    )


def version() -> str:
    return version_of("callvault")
