"""The adapters that the settings name, each imported only when it is needed."""

import asyncio
import errno
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from callvault import __version__
from callvault.adapters.store.telling import TellingStore
from callvault.adapters.system import SystemClock, SystemIds
from callvault.domain.errors import DiskFull, Fault, KeyUnavailable, Misconfigured
from callvault.domain.query import Query
from callvault.domain.workspace import WorkspaceKey
from callvault.ports.blobs import Blobs, Presigning
from callvault.ports.codecs import Codecs
from callvault.ports.jobs import JobEngine
from callvault.ports.keyring import Keyring, MasterKey
from callvault.ports.room import Room
from callvault.ports.spool import Spool
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.ports.webhooks import Sender, Signer
from callvault.settings import Settings
from callvault.wire.storageurl import parse_storage_url

BRING_BACK = (
    "What is stored was sealed under another: bring that one back, in its file or in CALLVAULT_MASTER_KEY_FILE; "
    "without it nothing opens any more"
)


@dataclass(slots=True, kw_only=True)
class Adapters:
    clock: Clock
    ids: Ids
    store: TellingStore
    blobs: Blobs
    master: MasterKey
    keyring: Keyring
    spool: Spool
    codecs: Codecs
    sender: Sender
    signers: Mapping[str, Signer]
    room: Room
    """For files, on the disk of the data folder."""
    sparing: Blobs | None = None
    """The same storage for all but what leaves the spool: it leaves room on our disks. None where it needs none."""
    clear: Blobs | None = None
    """The storage without our seals, for what the bucket itself delivers; None where no bucket does."""
    presigner: Presigning | None = None
    link_secrets: dict[str, bytes] = field(default_factory=dict)
    """By their ids; the first signs."""


async def open_adapters(settings: Settings, store: Store, node: bool) -> Adapters:
    from callvault.adapters.allocator import keep_freed_blocks
    from callvault.adapters.blobs.sealed import SealedBlobs
    from callvault.adapters.codecs.pyav import PyAvCodecs
    from callvault.adapters.keys.memory import MemoryKeyring
    from callvault.adapters.room import FILES_SPARE_BYTES, DiskRoom
    from callvault.adapters.webhooks.sender import HttpxSender
    from callvault.adapters.webhooks.signing import SIGNERS

    keep_freed_blocks()
    master, text = await open_master_key(settings, store)
    keyring = MemoryKeyring(master)
    room = DiskRoom(settings.data, FILES_SPARE_BYTES)
    bare, presigner = await open_storage(settings)
    blobs = SealedBlobs(bare, keyring)
    return Adapters(
        clock=SystemClock(),
        ids=SystemIds(),
        store=TellingStore(store),
        blobs=blobs,
        master=master,
        keyring=keyring,
        spool=await asyncio.to_thread(_open_spool, settings, keyring, node),
        codecs=PyAvCodecs(room.scratch),
        sender=HttpxSender(private_allowed=settings.private_webhooks, user_agent=f"callvault/{__version__}"),
        signers=SIGNERS,
        room=room,
        sparing=_sparing(settings, blobs, room),
        clear=_sparing(settings, bare, room) if presigner else None,
        presigner=presigner,
        link_secrets=link_secrets(settings.link_secret or text.split()),
    )


def _sparing(settings: Settings, blobs: Blobs, room: Room) -> Blobs:
    from callvault.adapters.blobs.retrying import IN_MEMORY
    from callvault.adapters.blobs.sparing import SparingBlobs
    from callvault.adapters.room import FILES_SPARE_BYTES, DiskRoom

    place = parse_storage_url(settings.storage_url, settings.storage_credentials)
    if place.scheme == "file":
        return SparingBlobs(blobs, DiskRoom(Path(place.path), FILES_SPARE_BYTES))
    return SparingBlobs(blobs, room, IN_MEMORY)


def _open_spool(settings: Settings, keyring: Keyring, node: bool) -> Spool:
    if not node:
        from callvault.adapters.spool.memory import MemorySpool

        return MemorySpool(name="")
    from callvault.adapters.room import DiskRoom
    from callvault.adapters.spool.disk import DiskSpool

    return DiskSpool(settings.spool_path, keyring, DiskRoom(settings.spool_path))


async def open_storage(settings: Settings) -> tuple[Blobs, Presigning | None]:
    """The storage without our seals, and what signs its URLs where it has any."""
    from callvault.adapters.blobs.opening import open_blobs, open_presigner
    from callvault.adapters.room import DiskRoom

    scratch = DiskRoom(settings.data, spare_bytes=0).scratch  # what leaves the spool goes through it too
    bare = await asyncio.to_thread(open_blobs, settings.storage_url, settings.storage_credentials, scratch)
    return bare, open_presigner(settings.storage_url, settings.storage_credentials)


async def open_master_key(settings: Settings, store: Store) -> tuple[MasterKey, str]:
    """The master key and the text it is written as, proved by what it wrapped."""
    master, text = await _master_key(settings, store)
    await _prove(master, store)
    return master, text


async def _master_key(settings: Settings, store: Store) -> tuple[MasterKey, str]:
    """One is made for a house that has sealed nothing yet; in any
    other its absence is a loss to be told."""
    from callvault.adapters.keys.file import FileMasterKeys
    from callvault.adapters.keys.master import create_master_key, open_master_keys

    if settings.master_key:
        return open_master_keys(settings.master_key, "CALLVAULT_MASTER_KEY"), settings.master_key
    path = settings.master_key_path
    if not path.exists():
        if await store.find(Query(WorkspaceKey).by("id").page(1)):
            raise KeyUnavailable(key="master", why=f"there is no {path.absolute()}. {BRING_BACK}")
        await asyncio.to_thread(create_master_key, path)
    return FileMasterKeys(path), path.read_text()


async def _prove(master: MasterKey, store: Store) -> None:
    """A wrong master key is told at once, not by the first who wants to listen."""
    for key in await store.find(Query(WorkspaceKey).by("id").page(20)):
        try:
            master.unwrap(key.wrapped, key.workspace_id)
        except KeyUnavailable as fault:
            raise KeyUnavailable(key="master", why=f"{fault.facts['why']}. {BRING_BACK}") from None


def master_key_of(text: str, place: str) -> MasterKey:
    from callvault.adapters.keys.master import open_master_keys

    return open_master_keys(text, place)


async def open_store(settings: Settings, *, fresh: bool = True) -> Store:
    """Migrates only where it must: what it takes for that is slow to load. A house that is not to be a `fresh` one
    must be there already, as this program would make it."""
    path = _sqlite_path(settings)
    if path is None or is_there(path):
        store = _store(settings)
        try:
            await store.check()
            return store
        except Fault as fault:
            await store.close()
            if not (fresh and isinstance(fault, Misconfigured)):
                raise
    elif not fresh:
        raise Misconfigured(problems=f"there is no vault at {path}: name its folder with --data or CALLVAULT_DATA")
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


def migrate(settings: Settings) -> str:
    """Brings the database up to this program's revision, and tells which that is."""
    from callvault.adapters.store import migration

    prepare(settings)
    migration.migrate(settings.database_url)
    return migration.revision(settings.database_url) or ""


def is_there(path: Path) -> bool:
    """Also what may not be looked at: who wants to use it is told so then."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def prepare(settings: Settings) -> None:
    try:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = settings.data / f".probe-{os.getpid()}"
        probe.write_bytes(bytes(4096))
        probe.unlink()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(path=settings.data) from None
        why = f"CALLVAULT_DATA: the folder {settings.data.absolute()} cannot be written ({error.strerror})"
        raise Misconfigured(problems=f"{why}: mend its permissions or name another with --data") from None


def open_engine(settings: Settings, adapters: Adapters) -> JobEngine:
    """What runs jobs: PostgreSQL brings them to any number of machines, SQLite to this one."""
    store, clock, ids = adapters.store, adapters.clock, adapters.ids
    if _sqlite_path(settings):
        from callvault.adapters.jobs.leased import LeasedJobs

        return LeasedJobs(store, clock, ids)
    from callvault.adapters.jobs.procrastinated import ProcrastinateJobs

    return ProcrastinateJobs(settings.database_url, store, clock, ids)


def link_secrets(sources: Sequence[str]) -> dict[str, bytes]:
    """What links are signed with, by the ids that links name: made of each source, never the source itself."""
    secrets = [HKDF(SHA256(), 32, None, b"callvault vault links").derive(source.encode()) for source in sources]
    return {hashlib.sha256(b"callvault link id" + secret).hexdigest()[:8]: secret for secret in secrets}
