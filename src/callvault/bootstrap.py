"""From settings to services: the only module that knows which adapters there are, and the order in which all begins
and ends."""

import asyncio
import errno
import hashlib
import logging
import os
import shutil
from collections.abc import AsyncIterator, Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from callvault.adapters.system import SystemClock, SystemIds
from callvault.domain.access import OPERATOR
from callvault.domain.errors import DiskFull, Fault, KeyUnavailable, Misconfigured
from callvault.domain.query import Query
from callvault.domain.workspace import Workspace, WorkspaceKey
from callvault.ports.blobs import Blobs, Presigning
from callvault.ports.keyring import Keyring, MasterKey
from callvault.ports.spool import Spool
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access
from callvault.services.audit import Audit, AuditTrail
from callvault.services.house import Services
from callvault.services.keys import Keys, NewKey
from callvault.services.workspaces import Workspaces, WorkspaceSettings
from callvault.settings import Settings
from callvault.web.options import Options

log = logging.getLogger(__name__)
FIRST_WORKSPACE: Final = "default"
THREADS: Final = 48
"""For everything that blocks: mostly waiting for a disk or a storage far away."""
FREE_BYTES: Final = 256 * 2**20
"""With less free space the house is not well: what comes in needs room before it can move to storage."""
STOP_SECONDS: Final = 2.0


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


@dataclass(slots=True, kw_only=True)
class Adapters:
    clock: Clock
    ids: Ids
    store: Store
    blobs: Blobs
    master: MasterKey
    keyring: Keyring
    spool: Spool
    presigner: Presigning | None = None
    link_secrets: dict[str, bytes] = field(default_factory=dict)
    """By their ids; the first signs."""


def assemble(adapters: Adapters, settings: Settings) -> Services:
    """The services over any adapters: those of the settings, or those that a test has in its hands."""
    clock, ids, store = adapters.clock, adapters.ids, adapters.store
    audit = Audit(store, clock, ids)
    access = Access(store, clock, audit)

    def new_key(workspace_id: str) -> WorkspaceKey:
        wrapped = adapters.master.wrap(ids.secret(32), workspace_id)
        key = WorkspaceKey(
            id=ids.uuid(),
            workspace_id=workspace_id,
            created_ms=clock.now_ms(),
            wrapped=wrapped,
            master_key_id=adapters.master.id,
        )
        adapters.keyring.learn(workspace_id, [key], None)
        return key

    return Services(
        clock=clock,
        ids=ids,
        store=store,
        blobs=adapters.blobs,
        audit=audit,
        audit_trail=AuditTrail(store, audit),
        access=access,
        keys=Keys(store, clock, ids, audit, access),
        workspaces=Workspaces(
            store,
            clock=clock,
            ids=ids,
            audit=audit,
            access=access,
            new_key=new_key,
            defaults=_workspace_defaults(settings),
        ),
        checks={
            "database": store.check,
            "storage": lambda: asyncio.to_thread(adapters.blobs.check),
            "disk": lambda: asyncio.to_thread(_check_disk, settings.data),
        },
        gauges={"audit_entries_waiting": lambda: audit.waiting},
    )


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
    await asyncio.to_thread(_prepare, settings)
    store = await _open_store(settings)
    try:
        adapters = await _adapters(settings, store, node)
    except BaseException:
        await store.close()
        raise
    house = House(assemble(adapters, settings), adapters, settings)
    try:
        yield house
    finally:
        await house.close()


def migrate(settings: Settings) -> str:
    """Brings the database up to this program's revision, and tells which that is."""
    from callvault.adapters.store import migration

    _prepare(settings)
    migration.migrate(settings.database_url)
    return migration.revision(settings.database_url) or ""


def _prepare(settings: Settings) -> None:
    try:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = settings.data / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(path=settings.data) from None
        why = f"CALLVAULT_DATA: the folder {settings.data.absolute()} cannot be written ({error.strerror})"
        raise Misconfigured(problems=f"{why}: mend its permissions or name another with --data") from None


async def _open_store(settings: Settings) -> Store:
    """Migrates only where it must: what it takes for that is slow to load."""
    path = _sqlite_path(settings)
    if path is None or path.exists():
        store = _store(settings)
        try:
            await store.check()
            return store
        except Misconfigured:
            await store.close()
        except Fault:
            await store.close()
            raise
    await asyncio.to_thread(migrate, settings)
    return _store(settings)


def _store(settings: Settings) -> Store:
    if path := _sqlite_path(settings):
        from callvault.adapters.store.sqlite import SqliteStore

        return SqliteStore(path)
    from callvault.adapters.store.postgres import PostgresStore

    return PostgresStore(settings.database_url)


def _sqlite_path(settings: Settings) -> Path | None:
    scheme, _, path = settings.database_url.partition(":///")
    return Path(path) if scheme == "sqlite" else None


async def _adapters(settings: Settings, store: Store, node: bool) -> Adapters:
    from callvault.adapters.blobs.opening import open_blobs, open_presigner
    from callvault.adapters.blobs.sealed import SealedBlobs
    from callvault.adapters.keys.memory import MemoryKeyring

    master, text = await _master_key(settings, store)
    keyring = MemoryKeyring(master)
    bare = await asyncio.to_thread(open_blobs, settings.storage_url, settings.storage_credentials)
    return Adapters(
        clock=SystemClock(),
        ids=SystemIds(),
        store=store,
        blobs=SealedBlobs(bare, keyring),
        master=master,
        keyring=keyring,
        spool=await asyncio.to_thread(_open_spool, settings, keyring, node),
        presigner=open_presigner(settings.storage_url, settings.storage_credentials),
        link_secrets=link_secrets(settings.link_secret or text.split()),
    )


def _open_spool(settings: Settings, keyring: Keyring, node: bool) -> Spool:
    if not node:
        from callvault.adapters.spool.memory import MemorySpool

        return MemorySpool()
    from callvault.adapters.spool.disk import DiskSpool

    return DiskSpool(settings.spool_path, keyring)


async def _master_key(settings: Settings, store: Store) -> tuple[MasterKey, str]:
    """The master key and the text it is written as. One is made for a house that has sealed nothing yet; in any
    other its absence is a loss to be told."""
    from callvault.adapters.keys.master import create_master_key, parse_master_keys, read_master_keys

    if settings.master_key:
        return parse_master_keys(settings.master_key), settings.master_key
    path = settings.master_key_path
    if path.exists():
        return read_master_keys(path), path.read_text()
    if await store.find(Query(WorkspaceKey).by("id").page(1)):
        why = f"there is no {path.absolute()}, and what is stored was sealed under it: bring it back, or set "
        raise KeyUnavailable(key="master", why=f"{why}CALLVAULT_MASTER_KEY_FILE")
    master = await asyncio.to_thread(create_master_key, path)
    return master, path.read_text()


def link_secrets(sources: tuple[str, ...] | list[str]) -> dict[str, bytes]:
    """What links are signed with, by the ids that links name: made of each source, never the source itself."""
    secrets = [HKDF(SHA256(), 32, None, b"callvault vault links").derive(source.encode()) for source in sources]
    return {hashlib.sha256(b"callvault link id" + secret).hexdigest()[:8]: secret for secret in secrets}


def _workspace_defaults(settings: Settings) -> WorkspaceSettings:
    return {
        "link_seconds_max": settings.link_seconds_max,
        "idle_complete_seconds": settings.idle_complete_seconds,
    }


def _check_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        raise DiskFull(path=folder)
